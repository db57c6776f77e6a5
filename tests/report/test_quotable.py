"""The test images of a run choose nothing; they give the figure to quote."""

import html
import json
import re
import shutil

import pytest
from click.testing import CliRunner

import mstl
from mstl import MstlError
from mstl.commands import evaluate_command, train_command
from mstl.data.load_data import load_splits
from mstl.report import final_test
from mstl.report.describe_run import describe_folder
from mstl.report.quotable import Quotable, read_test, what_to_quote
from mstl.report.run_report import load_run_report
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 8, "workers": 1, "epochs": 2}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Two classes in three parts, of different images; one test image has a wrong label."""
    folder = write_folder(tmp_path_factory.mktemp("parts") / "photos", {"train": 6, "val": 3})
    for name, colour in (("blue", "red"), ("red", "red"), ("red", "red")):
        number = len(list((folder / "test").rglob("*.jpg")))
        write_photo(folder / "test" / name / f"{number}.jpg", COLORS[colour], 5000 + number)
    return folder


def page(folder):
    text = html.unescape((folder / "report.html").read_text())
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<script.*?</script>|<[^>]+>", " ", text, flags=re.DOTALL))


@pytest.fixture(scope="module")
def run(parts, tmp_path_factory):
    """What `mstl train` printed, and the folder of the run."""
    with pytest.MonkeyPatch.context() as patch:
        from mstl.report import plots

        patch.setattr(plots, "save", lambda figure, path: None)
        out = tmp_path_factory.mktemp("run") / "run"
        options = [f"--{key.replace('_', '-')}={value}" for key, value in TINY.items()]
        done = CliRunner().invoke(train_command.main, ["--data", str(parts), "--out", str(out), *options])
    assert done.exit_code == 0, done.output
    return done, out


def test_the_figure_is_printed_kept_and_shown(parts, run):
    done, folder = run
    predictor = mstl.Predictor(folder / "best.ckpt")
    test = predictor.evaluate(load_splits(parts).test)
    low, high = test.interval
    line = f"test accuracy {test.accuracy:.3f} ({low:.2f} to {high:.2f}), n = 3: the figure to quote"
    assert done.stdout.splitlines().count(line) == 1
    assert "data: 3 test images, for the best epoch at the end of the run" in done.stderr
    kept = json.loads((folder / "test.json").read_text())
    assert kept == {"epoch": predictor.metadata["metrics"]["epoch"], **test.to_dict()}
    record = json.loads((folder / "config.json").read_text())["record"]
    assert (record["validated_on"], record["test_images"]) == ("val", 3)
    assert "is the figure to quote" in page(folder) and "to quote; 3 images" in page(folder)
    assert "flatters" not in page(folder) and "Pretrained weights none (random)" in page(folder)
    figures = Quotable.of(test, kept["epoch"])
    assert load_run_report(folder).test == read_test(folder, kept["epoch"]) == figures
    assert read_test(folder, kept["epoch"] + 1) is None, "of another best epoch"


@pytest.mark.parametrize(("split", "total"), [("test", 3), ("train", 12), ("val", 6)])
def test_evaluate_takes_the_split(run, split, total):
    _, folder = run
    done = CliRunner().invoke(evaluate_command.main, [str(folder / "best.ckpt"), "--split", split])
    assert done.exit_code == 0 and f" of {total} images" in done.stdout, done.output
    assert ("these images were trained on" in done.stderr) == (split == "train")
    out = folder / ("evaluation" if split == "val" else f"evaluation-{split}")
    evaluation = json.loads((out / "evaluation.json").read_text())
    assert evaluation["total"] == total
    if split == "test":
        kept = json.loads((folder / "test.json").read_text())
        assert {"epoch": kept["epoch"], **evaluation} == kept


def test_a_split_that_is_not_there(run, tmp_path):
    other = write_folder(tmp_path / "other", {"test": 2})
    done = CliRunner().invoke(
        evaluate_command.main, [str(run[1] / "best.ckpt"), "--split", "test", "--data", str(other)]
    )
    assert done.exit_code == 1 and f"{other} has no test split: it has val" in done.stderr


def test_nothing_is_chosen_by_it(parts, run, tmp_path):
    """Without its test images a run is the same one."""
    _, folder = run
    without = shutil.copytree(parts, tmp_path / "photos")
    shutil.rmtree(without / "test")
    state = mstl.fit(data=str(without), out=str(tmp_path / "run"), **TINY)
    history = json.loads((folder / "history.json").read_text())
    assert [{**row, "seconds": 0} for row in state.history] == [{**row, "seconds": 0} for row in history]
    assert state.test_evaluation is None and not (tmp_path / "run" / "test.json").exists()
    assert "were chosen on these same images, so that this figure flatters a little; with a test part" in page(
        tmp_path / "run"
    )


def test_a_lost_page_is_written_again_with_the_figure(run, tmp_path):
    folder = shutil.copytree(run[1], tmp_path / "run")
    expected = load_run_report(folder)
    (folder / "report.npz").unlink()
    again = describe_folder(folder)
    assert again.test == expected.test and again.weights == expected.weights and again.test_images == 3
    (folder / "report.npz").unlink()
    (folder / "test.json").unlink()
    assert describe_folder(folder).test is None
    (folder / "test.json").write_text("{")
    with pytest.raises(MstlError, match=r"test\.json is damaged"):
        read_test(folder, 1)


def test_where_test_is_validated_on_it_is_said(parts, tmp_path, caplog):
    caplog.set_level("INFO", "mstl")
    data = shutil.copytree(parts, tmp_path / "photos")
    shutil.rmtree(data / "val")
    state = mstl.fit(data=str(data), out=str(tmp_path / "run"), **{**TINY, "epochs": 1})
    assert state.test_evaluation is None and state.record.validated_on == "test"
    assert "photos/test is validated on, as there is no other part for that" in caplog.text
    assert "flatters a little: they are the test images, as the data has no others to validate on" in page(state.folder)


def test_a_run_whose_test_images_vanish_is_finished_all_the_same(parts, tmp_path, monkeypatch, caplog):
    class Gone(final_test.Predictor):
        def evaluate(self, *args, **kwargs):
            raise MstlError("cannot read 1.jpg")

    monkeypatch.setattr(final_test, "Predictor", Gone)
    state = mstl.fit(data=str(parts), out=str(tmp_path / "run"), **{**TINY, "epochs": 1})
    assert state.test_evaluation is None and (state.folder / "report.html").exists()
    assert "the test images were not evaluated (cannot read 1.jpg); later: `mstl evaluate" in caplog.text
    assert "the 3 test images have not been evaluated" in page(state.folder)


def test_each_case_is_one_sentence():
    figures = Quotable(2, 1140, 1200, 0.95, (0.936, 0.961))
    assert what_to_quote(figures, 1200, "val") == (
        "Right on 1,140 of 1,200 test images, by which nothing was chosen: 95.0% (95% interval 93.6% to 96.1%) is the "
        "figure to quote."
    )
    for validated_on in ("val", "split", None):
        assert "with a test part (test/ beside train/ and val/)" in what_to_quote(None, 0, validated_on)
