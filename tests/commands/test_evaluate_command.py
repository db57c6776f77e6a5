"""``mstl evaluate``: what it prints is what the Evaluation says, and what it writes."""

import csv
import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import mstl
from mstl.commands import evaluate_command
from mstl.evaluation.metrics import Evaluation
from tests.checkpoints import write_checkpoint
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("narrow_model")
CLASSES = ("blue", "green", "red")
PICTURES = ["confident_wrong.png", "confusion.png", "confusion_normalized.png", "reliability.png", "worst.png"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Photos, one of them with a wrong label in each part, and a checkpoint."""
    root = tmp_path_factory.mktemp("evaluate")
    write_folder(root / "photos", {"train": 10, "val": 5}, CLASSES)
    for part in ("train", "val"):
        write_photo(root / "photos" / part / "green" / "wrong.jpg", COLORS["red"], 5000 + len(part))
    write_checkpoint(root / "run" / "best.ckpt", root / "photos")
    return root


@pytest.fixture(scope="module")
def predictor(made):
    return mstl.Predictor(made / "run" / "best.ckpt")


@pytest.fixture
def run(made, predictor, monkeypatch):
    """Run the command in this process, with a net that is compiled once."""
    monkeypatch.setattr("mstl.predictor.Predictor", lambda checkpoint, *how: predictor)
    return lambda *arguments: CliRunner().invoke(
        evaluate_command.main, [str(made / "run" / "best.ckpt"), *map(str, arguments)]
    )


def test_figures_pictures_and_suspects(made, predictor, run):
    done = run()
    assert done.exit_code == 0, done.output
    folder, expected = made / "run" / "evaluation", predictor.evaluate()
    assert expected.total == 16 and expected.correct == 15  # the one with a wrong label
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*PICTURES, "evaluation.json", "predictions.csv", "suspects.csv"]
    )
    assert json.loads((folder / "evaluation.json").read_text()) == expected.to_dict()
    for name in PICTURES:
        with Image.open(folder / name) as image:
            assert image.format == "PNG" and image.width > 200

    low, high = expected.interval
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == f"accuracy 0.938 (95% interval {low:.3f} to {high:.3f}), 15 of 16 images".split()
    assert lines[1] == f"balanced accuracy {(1 + 5 / 6 + 1) / 3:.3f}".split()
    calibrated, uncalibrated = expected.ece(), expected.calibrated(1.0).ece()
    temperature = predictor.rejector.temperature
    assert lines[2] == (
        f"calibration error {calibrated:.3f} at temperature {temperature:.2f}, {uncalibrated:.3f} without".split()
    )
    assert lines[4] == ["class", "precision", "recall", "F1", "images"]
    assert lines[5:8] == [
        ["blue", "1.000", "1.000", "1.000", "5"],
        ["green", "1.000", "0.833", "0.909", "6"],  # 5 of 6; 2 * 5 / (5 + 6)
        ["red", "0.833", "1.000", "0.909", "5"],
    ]
    means = [[name, *(float(value) for value in values)] for name, _, *values in lines[8:10]]
    assert means[0][0] == "macro" and means[0][1:] == pytest.approx([0.944, 0.944, 0.939, 16], abs=0.0011)
    assert means[1][0] == "weighted" and means[1][1:] == pytest.approx([0.948, 0.938, 0.938, 16], abs=0.0011)

    with open(folder / "suspects.csv", newline="") as file:
        found = list(csv.DictReader(file))
    wrong = {str(made / "photos" / part / "green" / "wrong.jpg") for part in ("train", "val")}
    assert {row["path"] for row in found[:2]} == wrong  # of both parts
    assert all((row["label"], row["suggested"]) == ("green", "red") for row in found[:2])
    assert f"{len(found)} of 47 look wrong" in done.stdout and all(path in done.stdout for path in wrong)


def test_other_data(made, run, tmp_path):
    """All of a folder that is not divided, of some of the classes; where nothing is wrong is no picture of it."""
    for name in ("red", "blue"):
        for number in range(4):
            write_photo(tmp_path / "test" / name / f"{number}.jpg", COLORS[name], 300 + number)
    out = tmp_path / "new" / "folder"
    done = run("--data", tmp_path / "test", "--out", out, "--no-suspects")
    assert done.exit_code == 0, done.output
    assert "8 of 8 images" in done.stdout and "look wrong" not in done.stdout
    assert ["green", "0.000", "-", "-", "0"] in [line.split() for line in done.stdout.splitlines()]
    assert sorted(path.name for path in out.iterdir()) == sorted([*PICTURES[1:], "evaluation.json", "predictions.csv"])

    shutil.copytree(tmp_path / "test" / "red", tmp_path / "test" / "green")  # now the pictures are other ones
    run("--data", tmp_path / "test", "--out", out, "--no-suspects")
    assert (out / "confident_wrong.png").exists()
    shutil.rmtree(tmp_path / "test" / "green")
    done = run("--data", tmp_path / "test", "--out", out)
    assert not (out / "confident_wrong.png").exists()
    assert "0 of 8 look wrong" in done.stdout and (out / "suspects.csv").exists()


def test_what_cannot_be_done(made, run, tmp_path):
    write_folder(tmp_path, {"other": 2})
    (tmp_path / "other" / "red").rename(tmp_path / "other" / "crimson")
    for arguments, message in (
        (["--data", tmp_path / "other"], "does not know: crimson; it knows blue, green, red"),
        (["--data", tmp_path / "none"], "no data"),
        (["--out", made / "run" / "best.ckpt"], "cannot write into the folder"),
    ):
        done = run(*arguments)
        assert done.exit_code == 1 and done.stdout == ""
        assert message in done.stderr.splitlines()[-1], done.stderr


def evaluation_of(classes, photos, seed=0):
    """Random answers, the wrong ones more often the higher the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, photos).astype(np.int32)
    logits = rng.normal(0, 1, (photos, classes)).astype(np.float32)
    logits[np.arange(photos), labels] += 6 - 5 * labels / classes
    names = tuple(f"class {number:03}" for number in range(classes))
    return Evaluation(logits, labels, names, tuple(f"{number}.jpg" for number in range(photos)))


def test_many_classes():
    """The worst ones are printed; a class without photos is not one of them."""
    evaluation = evaluation_of(60, 3000)
    evaluation.labels[evaluation.labels == 7] = 8
    lines = list(evaluate_command.table(evaluation))
    assert lines[0] == "the 20 of 60 classes with the lowest F1; all are in evaluation.json"
    shown = [line[:9] for line in lines[2:-2]]
    worst = [evaluation.classes[index] for index in np.argsort(evaluation.f1, kind="stable")[:20]]
    assert shown == worst and "class 007" not in shown
    assert [line.split()[0] for line in lines[-2:]] == ["macro", "weighted"]
    assert len(list(evaluate_command.table(evaluation_of(40, 400)))) == 1 + 40 + 2


def test_summary():
    """Top-5 of more than five classes; what a checkpoint without a temperature cannot tell."""
    six = list(evaluate_command.summary(evaluation_of(6, 50), False))
    assert six[1] == f"top-5              {evaluation_of(6, 50).top(5):.3f}"
    assert six[-1].endswith("(the checkpoint has no temperature)")
    assert not any(line.startswith("top-5") for line in evaluate_command.summary(evaluation_of(5, 50), False))


def test_wide_names_keep_the_columns():
    """A Chinese character takes two."""
    logits, labels = np.eye(2, dtype=np.float32), np.arange(2, dtype=np.int32)
    rows = list(evaluate_command.table(Evaluation(logits, labels, ("\u8682\u8681", "bee"), ())))
    assert rows[1].startswith("\u8682\u8681 ") and rows[1].index("1.000") + 2 == rows[2].index("1.000")
