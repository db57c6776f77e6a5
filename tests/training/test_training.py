"""Fine-tuning on a few tiny photos."""

import csv
import dataclasses
import json
import signal
import subprocess
import time

import numpy as np
import pytest

import mstl
from mstl import MstlError
from mstl.checkpoint import read_checkpoint
from mstl.config import read_config
from mstl.models.loading import read_weights
from mstl.report.report_writer import best_weights
from mstl.training.checkpoint_saver import CheckpointSaver
from mstl.training.state import TrainState
from tests import narrow
from tests.conftest import write_folder

pytestmark = pytest.mark.usefixtures("narrow_model")
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 5, "workers": 1}


def arrays(net):
    return {parameter.name: parameter.asnumpy().copy() for parameter in net.get_parameters()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two epochs on blue and red photos, everything trained."""
    root = tmp_path_factory.mktemp("finished")
    data = write_folder(root / "photos", {"train": 6, "val": 3})
    seen = []

    class Note:
        def on_start(self, state):
            seen.append((state.folder / "config.json").exists())

        def on_epoch_end(self, state):
            seen.append((len(state.history), state.evaluation.total))

    state = mstl.fit(data=str(data), out=str(root / "run"), freeze="none", epochs=2, callbacks=[Note()], **TINY)
    return state, root / "run", seen


def test_a_run_leaves_all_its_files(finished):
    _, folder, seen = finished
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.ckpt", "config.json", "curves.png", "history.csv", "history.json", "last.ckpt", "manifest.csv",
        "predictions.png", "report.html", "report.npz",
    ]  # fmt: skip
    assert seen == [True, (1, 6), (2, 6)]


def test_history_has_its_columns(finished):
    state, folder, _ = finished
    with open(folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "lr", "train_loss", "val_loss", "val_accuracy", "seconds", "val_macro_f1"]
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row, kept in zip(rows, state.history, strict=True):
        assert {key: float(value) for key, value in row.items()} == pytest.approx(
            {key: kept[key] for key in row}, rel=1e-5
        )
    assert json.loads((folder / "history.json").read_text()) == state.history
    assert set(state.history[0]["val_recall"]) == {"blue", "red"}


def test_a_notebook_shows_the_history(finished):
    state, _, _ = finished
    html = state._repr_html_()
    assert "<table" in html and "<img" in html and "<td>2" in html
    assert dataclasses.replace(state, to_html=None)._repr_html_() is None


def test_config_is_kept(finished):
    state, folder, _ = finished
    assert mstl.TrainConfig(**read_config(folder / "config.json")) == state.config


def test_checkpoint_describes_itself(finished):
    state, folder, _ = finished
    parameters, metadata = read_checkpoint(folder / "last.ckpt")
    assert metadata["classes"] == ["blue", "red"]
    assert (metadata["model"], metadata["padding"], metadata["mstl_version"]) == (
        "resnet18",
        "symmetric",
        mstl.__version__,
    )
    assert metadata["preprocessing"]["image_size"] == 32
    assert metadata["metrics"]["epoch"] == 2
    now = arrays(state.model)
    assert all(np.array_equal(parameters[name], now[name]) for name in now)
    assert set(read_weights(folder / "last.ckpt").parameters) == set(now)  # what resuming needs is not the net's


def test_best_is_the_epoch_with_the_highest_accuracy(finished):
    state, folder, _ = finished
    metrics = read_checkpoint(folder / "best.ckpt")[1]["metrics"]
    best = max(state.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert metrics == best == state.best


def test_predictor_says_what_the_net_said(finished):
    state, folder, _ = finished
    predictor = mstl.Predictor(folder / "last.ckpt")
    again = predictor.evaluate()
    assert predictor.classes == ("blue", "red")
    assert again.logits == pytest.approx(state.evaluation.logits, rel=1e-4, abs=1e-4)
    assert again.paths == state.evaluation.paths


def test_predictor_refuses_other_classes_and_other_files(finished, tmp_path):
    from mstl.checkpoint import save_checkpoint

    state, folder, _ = finished
    other = write_folder(tmp_path / "other", {"train": 2, "val": 2}, ("green", "red"))
    with pytest.raises(MstlError, match="has classes that the model does not know: green; it knows blue, red"):
        mstl.Predictor(folder / "best.ckpt").evaluate(str(other))
    record = {"padding": "symmetric", "pool_padding": "symmetric", "preprocessing": mstl.Preprocessing().to_dict()}
    save_checkpoint(tmp_path / "plain.ckpt", arrays(state.model), record)
    with pytest.raises(MstlError, match="does not say what its classes are"):
        mstl.Predictor(tmp_path / "plain.ckpt")


@pytest.mark.usefixtures("no_pictures")
def test_one_seed_one_history(photos, tmp_path):
    def losses(seed, name):
        state = mstl.fit(data=str(photos), out=str(tmp_path / name), seed=seed, epochs=2, report=False, **TINY)
        return [(row["train_loss"], row["val_loss"]) for row in state.history]

    first = losses(1, "a")
    assert losses(1, "b") == first
    assert losses(2, "c") != first


@pytest.mark.usefixtures("no_pictures")
def test_training_loss_is_the_mean_over_photos(photos, tmp_path):
    """12 photos in batches of 5: with a rate of nearly nothing, the mean over photos is that of one batch of 12."""
    options = {**TINY, "lr": 1e-12, "epochs": 1, "data": str(photos), "augment": "none", "report": False}
    parts = mstl.fit(out=str(tmp_path / "a"), **options).history[0]["train_loss"]
    whole = mstl.fit(out=str(tmp_path / "b"), **{**options, "batch_size": 12}).history[0]["train_loss"]
    assert parts == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"lr": -1.0}, "lr must be above 0, not -1"),
        ({"batch_size": 0}, "batch_size must be 1 or more, not 0"),
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"momentum": 1.0}, "momentum must be from 0 up to"),
        ({"weight_decay": -0.1}, "weight_decay must be 0 or more"),
        ({"image_size": 8}, "image_size must be 32 or more"),
        ({"freeze": "half"}, "unknown freeze 'half': choose one of backbone, none, stem"),
        ({"layer_decay": 0.0}, "layer_decay must be above 0 and at most 1"),
        ({"val_split": 1.0}, "val_split must be between 0 and 1"),
        ({"recipe": "pizza"}, "unknown recipe 'pizza': choose one of auto, canidae-fixed"),
        ({"mixup": -0.1}, "mixup must be 0 or more"),
    ],
)
def test_settings_out_of_range(option, message):
    with pytest.raises(MstlError, match=message):
        mstl.TrainConfig(**option)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("best", "ema"), [(1, 0), (2, 0), (2, 0.5), (3, 0)])
def test_best_ckpt_is_the_net_of_the_best_epoch(photos, tmp_path, monkeypatch, best, ema):
    """Also where it waits in memory when another part of the net begins to be trained, and where an average is kept."""
    seen = []

    class Watch:
        def on_epoch_end(self, state):
            with state.ema_applied():
                seen.append(arrays(state.model))

    monkeypatch.setattr(CheckpointSaver, "TIME_SHARE", 1e-9)  # after the first epoch nothing is written that can wait
    monkeypatch.setattr(TrainState, "best", property(lambda state: state.history[:best][-1]))
    options = {**TINY, "report": False, "epochs": 3, "freeze": "backbone", "unfreeze_at": 3, "lr": 0.1, "ema": ema}
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), callbacks=[Watch()], **options)
    parameters, metadata = read_checkpoint(tmp_path / "run" / "best.ckpt")
    assert metadata["metrics"]["epoch"] == best
    for name, value in seen[best - 1].items():
        assert np.array_equal(parameters[name], value), name
    with best_weights(state):
        for parameter in state.model.get_parameters():
            assert np.array_equal(parameter.asnumpy(), seen[best - 1][parameter.name]), parameter.name
    for earlier, later in zip(seen, seen[1:], strict=False):
        assert not np.array_equal(earlier["fc.weight"], later["fc.weight"])
    assert not np.array_equal(seen[1]["conv1.weight"], seen[2]["conv1.weight"])


@pytest.mark.slow
def test_ctrl_c_saves_and_ends_cleanly(photos, tmp_path):
    options = ["--model", "resnet18", "--weights", "none", "--image-size", "32", "--freeze", "none"]
    command = narrow.command("mstl.train", "--data", photos, "--out", tmp_path / "run", "--epochs", "5000", *options)
    process = subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run" / "history.csv").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err and err.count("stopped after epoch ") == 1
    assert f"of 5000: mstl train --resume {tmp_path / 'run'} goes on\n" in err
    assert "best validation accuracy" in out
    parameters, metadata = read_checkpoint(tmp_path / "run" / "last.ckpt")
    assert metadata["classes"] == ["blue", "red"] and "fc.weight" in parameters
    assert (tmp_path / "run" / "curves.png").exists()
