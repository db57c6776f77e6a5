"""An image that vanishes after the last epoch costs a finished run nothing: its page says which are missing."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mstl
from mstl import MstlError
from mstl.report.describe_run import describe_folder
from mstl.report.run_report import load_run_report
from tests.conftest import write_photo

pytestmark = pytest.mark.usefixtures("narrow_model")
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "epochs": 1, "workers": 1}


class Vandal:
    """Takes images away when the last epoch is over, before anything is drawn."""

    def __init__(self, act):
        self.act = act

    def on_end(self, state):
        self.act([Path(path) for path in state.val_set.paths])


def delete_first(paths):
    paths[0].unlink()


def delete_all(paths):
    for path in paths:
        path.unlink()


def replace_first(paths):
    write_photo(paths[0], (5, 5, 5), 999)


def break_first(paths):
    paths[0].write_bytes(b"\xff\xd8\xff\xe0 nothing")


@pytest.mark.parametrize(
    ("act", "count"), [(delete_first, 1), (delete_all, 6), (replace_first, 1), (break_first, 1)], ids=lambda x: str(x)
)
def test_a_finished_run_stays_finished(photos, tmp_path, act, count, caplog):
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), callbacks=[Vandal(act)], **TINY)
    page = (state.folder / "report.html").read_text(encoding="utf-8")
    assert f"{count} of the 6 validation images could not be read any more, or had changed" in page
    assert Path(state.val_set.paths[0]).name in page
    assert f"report: {count} of the 6 validation images are gone, or have changed" in caplog.text
    assert page.count("gone, or changed") == count and page.count("<figure>") == 6
    run = load_run_report(state.folder)
    assert run.missing == state.val_set.paths[:count] and run.digests == state.val_set.digests
    grey = [index for index, image in zip(run.worst.indices, run.worst.images, strict=True) if np.ptp(image) == 0]
    assert sorted(grey) == list(range(count))
    with Image.open(state.folder / "predictions.png") as picture:
        picture.load()


def test_nothing_missing_is_not_mentioned(photos, tmp_path):
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), **TINY)
    assert "could not be read" not in (state.folder / "report.html").read_text(encoding="utf-8")


def test_a_page_made_later_is_about_what_was_held_out(photos, tmp_path):
    """Also where the photos have moved; never about other ones."""
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), **TINY)
    (state.folder / "report.npz").unlink()
    photos.rename(tmp_path / "moved")
    write_photo(tmp_path / "moved" / "val" / "red" / "new.jpg", (200, 0, 0), 3)
    (tmp_path / "moved" / "val" / "blue" / "blue-0.jpg").unlink()
    (tmp_path / "moved" / "train" / "blue" / "blue-0.jpg").unlink()
    for name in ("blue", "red"):
        write_photo(tmp_path / "other" / name / "1.jpg", (9, 9, 9), len(name))
    with pytest.raises(MstlError, match="--data says where it is now"):
        describe_folder(state.folder)
    with pytest.raises(MstlError, match="does not hold the images that .* was validated on"):
        describe_folder(state.folder, data=str(tmp_path / "other"))
    assert not (state.folder / "report.npz").exists()
    run = describe_folder(state.folder, data=str(tmp_path / "moved"))
    assert run.evaluation.total == 5 and set(run.digests) < set(state.val_set.digests) and run.train_count == 12
    assert any("since training: 1 new, 2 gone, 0 changed" in warning for warning in run.warnings)
