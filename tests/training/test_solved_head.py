"""Runs whose head is solved for: what they write, and what they refuse."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

import mstl
from mstl.checkpoint import read_checkpoint
from mstl.commands import lr_find_command, report_command, train_command, visualize_command
from mstl.evaluation import regularisation
from mstl.features.extractor import FeatureExtractor
from mstl.report import plots
from mstl.runtime import stopping
from mstl.training import solved_head
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "engine": "mindspore", "report": False}


@pytest.fixture
def features_of_runs(monkeypatch):
    """The features of each split and view that a run computes, in their order."""
    seen = []
    real = FeatureExtractor.activations

    def watched(self, images, view=0):
        features = real(self, images, view)
        seen.append(features[:, :, 0, 0])
        return features

    monkeypatch.setattr(FeatureExtractor, "activations", watched)
    return seen


def test_a_run_has_the_head_of_least_loss_and_tells_the_truth(tmp_path, features_of_runs, monkeypatch):
    """The head is scikit-learn's for the weight decay in config.json; best.ckpt, last.ckpt, history and page agree."""
    drawn, course = [], plots.course
    monkeypatch.setattr(plots, "course", lambda *args: drawn.append(course(*args)) or drawn[-1])
    data = write_folder(tmp_path / "photos", {"train": 8, "val": 4})
    out = tmp_path / "run"
    state = mstl.fit(data=str(data), recipe="linear", out=str(out), **{**TINY, "report": True})
    config = json.loads((out / "config.json").read_text())
    assert (config["optimizer"], config["epochs"], config["views"], config["lr"]) == ("lbfgs", 1, 3, None)
    decay = config["weight_decay"]
    trials = config["record"]["head"]["trials"]
    assert config["record"]["head"]["folds"] == 5 and decay in [trial[0] for trial in trials]

    *views, val = features_of_runs
    rows, labels = np.concatenate(views).astype(float), np.tile(state.train_set.labels, 3)
    model = LogisticRegression(C=2 / (decay * len(rows)), solver="newton-cg", tol=1e-9, max_iter=1000)
    model.fit(rows, labels)
    for name in ("best.ckpt", "last.ckpt"):
        arrays, metadata = read_checkpoint(out / name)
        difference = val @ (arrays["fc.weight"][1] - arrays["fc.weight"][0])
        difference += arrays["fc.bias"][1] - arrays["fc.bias"][0]
        np.testing.assert_allclose(difference, model.decision_function(val), atol=0.01)
        so_far = {**metadata["record"], "cost": config["record"]["cost"]}  # a checkpoint is written before the end
        assert metadata["config"]["weight_decay"] == decay and so_far == config["record"]
        assert metadata["metrics"]["epoch"] == 1

    (row,) = json.loads((out / "history.json").read_text())
    loss = -model.predict_log_proba(rows)[np.arange(len(rows)), labels].mean()
    assert row["lr"] is None and row["train_loss"] == pytest.approx(loss, abs=1e-3)
    assert row["val_accuracy"] == (model.predict(val) == state.val_set.labels).mean()
    assert (out / "history.csv").read_text().splitlines()[1].startswith("1,,")
    page = (out / "report.html").read_text()
    assert "head solved for in" in page and f"{len(trials)} weight decays" in page and "over 1 epochs" not in page
    assert "flatters" not in page and "only the temperature was fitted on these same images" in page
    done = CliRunner().invoke(visualize_command.main, [str(out / "best.ckpt"), "--kind", "curves"])
    assert done.exit_code == 0 and f"{len(trials)} weight decays" in done.stdout, done.output
    assert [axis.get_xlabel() for figure in drawn for axis in figure.axes] == ["weight decay"] * 2, "no single point"
    (out / "report.npz").unlink()  # written again from best.ckpt alone
    done = CliRunner().invoke(report_command.main, [str(out)])
    assert done.exit_code == 0, done.output
    assert f"{len(trials)} weight decays" in (out / "report.html").read_text()

    with pytest.raises(mstl.MstlError, match="nothing to resume at .*: its head is solved for"):
        mstl.fit(resume=out)
    with pytest.raises(mstl.MstlError, match="nothing to resume at .*: its head is solved for"):
        mstl.fit(resume=out, epochs=3)
    again = mstl.fit(**{**mstl.config.read_config(out / "config.json"), "out": str(tmp_path / "again")})
    # near the same minimum: with a chosen weight decay, the search begins at what the folds had found
    np.testing.assert_allclose(again.model.fc.weight.asnumpy(), state.model.fc.weight.asnumpy(), atol=1e-3)
    assert again.record.head is None  # the weight decay was given


def test_class_weights_smoothing_and_weight_decay_take_part(tmp_path):
    root = write_folder(tmp_path / "photos", {"train": 3, "val": 2})
    for index in range(3, 9):
        write_photo(root / "train" / "red" / f"red-{index}.jpg", COLORS["red"], index)
    common = {"data": str(root), "optimizer": "lbfgs", "views": 1, "weight_decay": 0.1, **TINY}
    changes = ({}, {"class_weights": "balanced"}, {"smoothing": 0.2}, {"weight_decay": 1.0}, {"views": 2})
    runs = [mstl.fit(**{**common, **change}, out=str(tmp_path / "run")) for change in changes]
    assert len({run.history[0]["val_loss"] for run in runs}) == len(changes)
    assert all(
        run.config.weight_decay == change.get("weight_decay", 0.1) for run, change in zip(runs, changes, strict=True)
    )


def test_copies_of_a_picture_are_held_out_together(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "photos", {"train": 6, "val": 2})
    (root / "train" / "red" / "copy.jpg").write_bytes((root / "train" / "red" / "red-3.jpg").read_bytes())
    seen = []
    real = regularisation.folds
    monkeypatch.setattr(regularisation, "folds", lambda *args: seen.append(real(*args)) or seen[-1])
    state = mstl.fit(data=str(root), optimizer="lbfgs", views=1, out=str(tmp_path / "run"), **TINY)
    names = [path.rpartition("/")[2] for path in state.train_set.paths]
    assert seen[0][names.index("copy.jpg")] == seen[0][names.index("red-3.jpg")]


def test_what_does_not_fit_is_refused(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(FeatureExtractor, "fits", lambda *_: False)
    with pytest.raises(mstl.MstlError, match="do not fit into memory.*: add --optimizer momentum"):
        mstl.fit(data=str(photos), recipe="linear", out=str(tmp_path / "run"), **TINY)
    assert not (tmp_path / "run").exists()


def test_a_request_to_stop_ends_the_search(photos, tmp_path, monkeypatch):
    real = regularisation.SoftmaxRegression.solve

    def solve(self, *args):
        stopping.REQUEST.signum = 2
        return real(self, *args)

    monkeypatch.setattr(regularisation.SoftmaxRegression, "solve", solve)
    state = mstl.fit(data=str(photos), recipe="linear", out=str(tmp_path / "run"), **TINY)
    assert state.stopped_by == 2 and state.history == []
    assert not (tmp_path / "run").exists()


def test_other_commands(photos, tmp_path):
    options = ["--data", str(photos), "--model", "resnet18", "--weights", "none", "--image-size", "32"]
    done = CliRunner().invoke(lr_find_command.main, [*options, "--optimizer", "lbfgs"])
    assert done.exit_code == 1 and "optimizer lbfgs has no learning rate to be found" in done.output
    done = CliRunner().invoke(train_command.main, [*options, "--optimizer", "lbfgs", "--ema", "0.9"])
    assert done.exit_code == 1 and "ema 0.9 does not go with it" in done.output


def test_targets_beyond_the_memory_are_refused(monkeypatch):
    monkeypatch.setattr(solved_head, "available_memory", lambda: 2 * 10**9)
    solved_head.refuse_beyond_memory(60_000, 1000)
    with pytest.raises(mstl.MstlError, match="1.12 GB of memory for 70,000 images of 1,000 classes: add --optimizer"):
        solved_head.refuse_beyond_memory(70_000, 1000)
