"""What is evaluated is what the run held out: also where images were added, removed, changed or moved since."""

import csv
import hashlib
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mstl
from mstl import MstlError
from mstl.commands import evaluate_command
from mstl.data.manifest import Manifest
from tests.checkpoints import write_checkpoint
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("narrow_model")
CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def original(tmp_path_factory, narrow_model):
    """30 photos in class folders without parts, and a checkpoint of 24 of them and 6 held out."""
    root = tmp_path_factory.mktemp("recorded")
    write_folder(root, {"flat": 10}, CLASSES)
    write_checkpoint(root / "run" / "best.ckpt", root / "flat")
    return root


@pytest.fixture(scope="module")
def shared_predictor(original):
    """Compiled once; only what is recorded of the data is read anew for each test."""
    return mstl.Predictor(original / "run" / "best.ckpt")


@pytest.fixture
def case(original, shared_predictor, tmp_path, monkeypatch, caplog):
    """A copy of photos and checkpoint that a test may change."""
    shutil.copytree(original / "flat", tmp_path / "flat")
    shutil.copytree(original / "run", tmp_path / "run")
    monkeypatch.setattr(shared_predictor, "path", tmp_path / "run" / "best.ckpt")
    monkeypatch.setitem(shared_predictor.metadata, "config", {**shared_predictor.metadata["config"], "data": "flat"})
    monkeypatch.setitem(shared_predictor.metadata, "record", dict(shared_predictor.metadata["record"]))
    shared_predictor.metadata["record"]["directory"] = str(tmp_path)
    shared_predictor.__dict__.pop("run_data", None)
    monkeypatch.setattr("mstl.predictor.Predictor", lambda checkpoint, *how: shared_predictor)
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, "mstl")
    return shared_predictor


def rows_of(split):
    return [row for row in Manifest.read("run/manifest.csv").used if row.split == split]


def contents(images):
    return sorted(hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in images.paths)


def now(row):
    """Where the photo of a row lies in the copy."""
    return Path("flat", *Path(row.path).parts[-2:])


def test_the_split_is_not_drawn_again(case, caplog):
    """On the code before, 27 of 40 held-out images had been trained on after one was added to each class."""
    for name in CLASSES:
        write_photo(Path("flat", name, "0000-new.jpg"), COLORS[name], 777)
    training, validation = case.image_sets()
    assert contents(validation) == sorted(row.sha256 for row in rows_of("val"))
    assert contents(training) == sorted(row.sha256 for row in rows_of("train"))
    assert "since training: 3 new (not evaluated), 0 gone, 0 changed" in caplog.text


def test_what_is_gone_or_changed_is_left_out_and_counted(case, caplog):
    gone, changed, relabelled, *rest = rows_of("val")
    now(gone).unlink()
    write_photo(now(changed), (9, 9, 9), 5)
    other = next(name for name in CLASSES if name != relabelled.label)
    now(relabelled).rename(Path("flat", other, "relabelled.jpg"))
    now(rows_of("train")[0]).write_bytes(b"")
    training, validation = case.image_sets()
    assert contents(validation) == sorted(row.sha256 for row in rest) and len(training) == 23
    assert "since training: 0 new (not evaluated), 1 gone, 3 changed" in caplog.text


@pytest.mark.parametrize("given", [True, False])
def test_data_that_has_moved_is_found_by_content(case, tmp_path, monkeypatch, caplog, given):
    """Under other names and in another order; or by its relative path, from another directory."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if given:
        Path("flat").rename(elsewhere / "moved")
        for path in sorted((elsewhere / "moved").rglob("*.jpg")):
            path.rename(path.with_name(f"z{99 - int(path.stem.split('-')[1])}.jpg"))
    expected = [sorted(row.sha256 for row in rows_of(split)) for split in ("train", "val")]
    monkeypatch.chdir(elsewhere)
    assert [contents(images) for images in case.image_sets("moved" if given else None)] == expected
    assert "manifest.csv records it, unchanged since training" in caplog.text
    if given:
        with pytest.raises(MstlError, match=r"no data 'flat'.*--data says where it is now"):
            case.image_sets()


def test_photos_of_the_training_are_never_held_out(case, caplog):
    """In other data, which holds some of them and one that was held out."""
    train, val = rows_of("train"), rows_of("val")
    for index, row in enumerate([*train[:5], val[0]]):
        Path("mixed", row.label).mkdir(parents=True, exist_ok=True)
        shutil.copy(now(row), Path("mixed", row.label, f"copy-{index}.jpg"))
    for index in range(3):
        write_photo(Path("mixed/red", f"new-{index}.jpg"), COLORS["red"], 900 + index)
    training, validation = case.image_sets("mixed")
    assert training is None
    assert sorted(sample.split for sample in validation.samples) == ["other", "other", "other", "val"]
    assert "without 5 images that the model was trained on" in caplog.text
    for index in range(3):
        Path("mixed/red", f"new-{index}.jpg").unlink()
    now_val = next(path for path in Path("mixed").rglob("*.jpg") if path.read_bytes() == now(val[0]).read_bytes())
    now_val.unlink()
    with pytest.raises(MstlError, match="the model was trained on all 5 images of mixed"):
        case.image_sets("mixed")


def add_line(path):
    path.write_text(path.read_text(encoding="utf-8") + "x,red,val,0,\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda case: Path("run/manifest.csv").unlink(), "there is no manifest.csv beside"),
        (lambda case: add_line(Path("run/manifest.csv")), "is not that of the run"),
        (lambda case: case.metadata.pop("record"), "does not record it"),
    ],
)
def test_without_a_record_the_split_is_unknown(case, caplog, act, reason):
    act(case)
    with pytest.raises(MstlError, match=f"the split .* is unknown: .*{reason}.*; give --data"):
        case.image_sets()
    _, everything = case.image_sets("flat")
    assert len(everything) == 30 and {sample.split for sample in everything.samples} == {"unknown"}
    assert "whether the model was trained on some of it is unknown: " in caplog.text and reason in caplog.text


def test_predictions_csv_says_the_same_to_the_last_image(case, original):
    write_photo(Path("flat/red/0000-new.jpg"), COLORS["red"], 777)
    now(rows_of("val")[0]).unlink()
    Path("flat").rename("moved")
    done = CliRunner().invoke(evaluate_command.main, ["run/best.ckpt", "--data", "moved", "--no-suspects"])
    assert done.exit_code == 0, done.output
    with open("run/evaluation/predictions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "predicted", "probability", "split", "rejected"]
    by_content = {row.sha256: row for row in rows_of("val")[1:]}
    assert len(rows) == len(by_content) == 5
    for row in rows:
        recorded = by_content.pop(hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest())
        assert (row["label"], row["split"]) == (recorded.label, "val")
        answer = case(row["path"])
        assert row["predicted"] == answer.label and row["rejected"] == str(answer.rejected).lower()
        np.testing.assert_allclose(float(row["probability"]), answer.probability, atol=1e-4)
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert f"{right} of 5 images" in done.stdout
    figures = json.loads(Path("run/evaluation/evaluation.json").read_text())
    assert (figures["correct"], figures["total"]) == (right, 5)
