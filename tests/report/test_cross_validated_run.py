"""Runs that are cross-validated: at their end, and later by mstl evaluate; what is written, shown and refused."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

import mstl
from mstl.commands import evaluate_command, report_command
from mstl.features.extractor import FeatureExtractor
from mstl.report.fold_files import read_folds
from mstl.report.quotable import Quotable, what_to_quote
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "engine": "mindspore", "augment": "none"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on 20 planted copies among its photos, cross-validated at its end."""
    root = tmp_path_factory.mktemp("run")
    data = write_folder(root / "photos", {"train": 14, "val": 6, "test": 3})
    for index in range(10):  # copies in the same class, and of training images among the validation images
        for label in ("blue", "red"):
            source = data / "train" / label / f"{label}-{index}.jpg"
            place = data / ("train" if index % 2 else "val") / label / f"copy-{index}.jpg"
            place.write_bytes(source.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSTL_HOME", str(tmp_path_factory.getbasetemp() / "home"))  # as in each test
        state = mstl.fit(data=str(data), recipe="linear", folds=4, out=str(root / "run"), **TINY)
    return root / "run", state, data


def rows_of(folder):
    return list(csv.DictReader((folder / "folds.csv").open(encoding="utf-8")))


def test_all_images_are_held_out_once_and_copies_together(run):
    folder, state, data = run
    rows = rows_of(folder)
    assert [row["path"] for row in rows] == [*state.train_set.paths, *state.val_set.paths] and len(rows) == 60
    assert {row["fold"] for row in rows} == set("0123") and {row["split"] for row in rows} == {"train", "val"}
    fold = {row["path"].removeprefix(str(data)): row["fold"] for row in rows}
    together = [
        fold[f"/train/{label}/{label}-{index}.jpg"]
        == fold[f"/{'train' if index % 2 else 'val'}/{label}/copy-{index}.jpg"]
        for label in ("blue", "red")
        for index in range(10)
    ]
    assert sum(together) == 20
    right = [row["label"] == row["predicted"] for row in rows]
    figures = json.loads((folder / "folds.json").read_text())
    assert figures["accuracy"] == np.mean(right) and figures["total"] == 60 and len(figures["folds"]) == 4
    own = [float(row["own_probability"]) for row in rows]
    assert all((probability > 0.5) == each for probability, each in zip(own, right, strict=True))


def test_the_final_model_is_trained_as_always(run, tmp_path):
    folder, state, data = run
    plain = mstl.fit(data=str(data), recipe="linear", out=str(tmp_path / "plain"), **{**TINY, "report": False})
    assert (plain.model.fc.weight.asnumpy() == state.model.fc.weight.asnumpy()).all()
    assert plain.out_of_fold is None and not (tmp_path / "plain" / "folds.csv").exists()


def test_the_page_offers_it_first(run):
    folder, state, _ = run
    page = (folder / "report.html").read_text(encoding="utf-8")
    result = read_folds(folder)
    assert result.to_dict() == state.out_of_fold.to_dict()
    quoted = f"Right on {result.evaluation.correct} of all 60 training and validation images"
    assert page.index(quoted) < page.index(" of 22 validation images")
    assert "is the figure to quote" in page and page.index('id="folds"') < page.index('id="confusion"')
    assert (
        "asks about all" not in page
        and "Out-of-fold accuracy" in page
        and "The images are 40 pictures or groups" in page
    )


def test_evaluate_gives_the_same_later(run, monkeypatch):
    folder, state, _ = run
    before, page = (folder / "folds.csv").read_bytes(), (folder / "report.html").read_text(encoding="utf-8")
    for name in ("folds.csv", "folds.json", "folds.npz"):
        (folder / name).unlink()
    assert CliRunner().invoke(report_command.main, [str(folder)]).exit_code == 0
    without = (folder / "report.html").read_text(encoding="utf-8")
    assert 'id="folds"' not in without and "asks about all 60 images" in without
    computed = []
    real = FeatureExtractor._compute
    monkeypatch.setattr(
        FeatureExtractor, "_compute", lambda self, *args: computed.append(len(args[2])) or real(self, *args)
    )
    done = CliRunner().invoke(evaluate_command.main, [str(folder), "--folds", "4", "--engine", "mindspore"])
    assert done.exit_code == 0, done.output
    assert not any(computed), "features are kept"
    assert (folder / "folds.csv").read_bytes() == before and "folds.csv and report.html in" in done.output
    again = (folder / "report.html").read_text(encoding="utf-8")
    assert 'id="folds"' in again and len(again) == pytest.approx(len(page), rel=0.02)
    out = folder / "evaluation-folds"
    assert json.loads((out / "evaluation.json").read_text())["total"] == 60
    assert len(list(csv.DictReader((out / "predictions.csv").open()))) == 60
    assert "labels: " in done.output and (out / "suspects.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folds", "4", "--split", "test"], "leave --split out"),
        (["--folds", "41"], "the 60 images are only 40 pictures or groups"),
    ],
)
def test_what_evaluate_refuses(run, tmp_path, arguments, message):
    done = CliRunner().invoke(evaluate_command.main, [str(run[0]), "--out", str(tmp_path / "out"), *arguments])
    assert done.exit_code == 1 and message in done.output and done.output.count("\n") <= 3, done.output
    assert not (tmp_path / "out").exists()


def test_a_run_that_trains_its_backbone_is_refused(run, tmp_path):
    folder, _, data = run
    settings = {"data": str(data), "out": str(tmp_path / "run"), **TINY, "epochs": 1, "batch_size": 8, "report": False}
    for change, why in (
        ({"freeze": "layer4"}, "more than the head is trained"),
        ({"freeze": "backbone", "cache": False}, "the features are not kept"),
        ({"freeze": "backbone", "mixup": 0.2}, "the features are not kept"),
        ({"freeze": "backbone", "folds": 41}, "only 40 pictures or groups"),
    ):
        with pytest.raises(mstl.MstlError, match=why):
            mstl.fit(**{"folds": 2, **settings, **change})
    tuned = mstl.fit(**{**settings, "report": True}, freeze="layer3")
    assert "--folds" not in (tuned.folder / "report.html").read_text(encoding="utf-8")
    done = CliRunner().invoke(evaluate_command.main, [str(tuned.folder), "--folds", "2"])
    assert done.exit_code == 1 and "its backbone was trained on the labels" in done.output, done.output


def test_other_data_is_refused(run, tmp_path):
    other = tmp_path / "other"
    for index in range(3):
        for label in ("blue", "red"):
            (other / label).mkdir(parents=True, exist_ok=True)
            write_photo(other / label / f"{index}.jpg", COLORS[label], 900 + index)
    done = CliRunner().invoke(evaluate_command.main, [str(run[0]), "--folds", "2", "--data", str(other)])
    assert (
        done.exit_code == 1 and "--folds is about the images that the run was trained and validated on" in done.output
    )


def test_a_head_trained_in_steps_and_groups_of_a_list(tmp_path, capsys):
    """Patients are never divided; the heads are solved for, which the page says."""
    rows = []
    for index in range(24):
        label = ("blue", "red")[index % 2]
        write_photo(tmp_path / f"{index}.jpg", COLORS[label], index)
        rows.append(f"{index}.jpg,{label},P{index // 4}")
    (tmp_path / "list.csv").write_text("\n".join(["path,label,patient", *rows]))
    state = mstl.fit(
        data=str(tmp_path / "list.csv"), group_column="patient", folds=3, freeze="backbone", epochs=2, batch_size=8,
        out=str(tmp_path / "run"), **TINY,
    )  # fmt: skip
    folds = {}
    for row in rows_of(tmp_path / "run"):
        folds.setdefault(int(row["path"].split("/")[-1][:-4]) // 4, set()).add(row["fold"])
    assert len(folds) == 6 and all(len(each) == 1 for each in folds.values())
    assert state.out_of_fold.num_groups == 6
    assert "out-of-fold accuracy" in capsys.readouterr().out
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "These heads are solved for; the one of this run was trained in steps." in page


def test_what_is_quoted(run):
    result = run[1].out_of_fold
    small, large = (Quotable(1, total - 1, total, 1 - 1 / total, (0.5, 1.0)) for total in (20, 500))
    assert "all 60 training" in what_to_quote(small, 20, "val", True, result)
    assert "500 test images" in what_to_quote(large, 500, "val", True, result)
    doubtful = dataclasses.replace(result, doubt="the weights are another run's")
    assert "may flatter, as the weights are another run's" in what_to_quote(None, 0, "split", True, doubtful)


def test_damaged_files_are_named(run):
    folder = run[0]
    kept = (folder / "folds.npz").read_bytes()
    try:
        (folder / "folds.npz").write_bytes(kept[:100])
        done = CliRunner().invoke(report_command.main, [str(folder)])
    finally:
        (folder / "folds.npz").write_bytes(kept)
    assert done.exit_code == 1 and "folds.npz is damaged: remove it" in done.output, done.output
