"""Trackers get settings and numbers of a run, and never end it."""

import sys
import types
from pathlib import Path

import pytest

import mstl
from mstl.config import TrainConfig
from mstl.errors import MstlError
from mstl.training.trackers import MLflow, SwanLab, TensorBoard, Tracker, trackers_of

ROWS = [
    {"epoch": 1, "lr": 0.5, "train_loss": 2.0, "val_loss": 1.5, "val_accuracy": 0.25, "val_macro_f1": 0.2},
    {"epoch": 2, "lr": None, "train_loss": 1.0, "val_loss": 0.5, "val_accuracy": 0.75, "val_macro_f1": 0.7},
]


def play(tracker, folder, rows=ROWS, epochs=2):
    """What a run does with a callback."""
    config = TrainConfig(data="pets", epochs=epochs, lr=0.5)
    state = types.SimpleNamespace(config=config, folder=folder, history=[], stop="", stopped_by=None)
    tracker.on_start(state)
    for row in rows:
        state.history.append({**row, "seconds": 1.0})
        tracker.on_epoch_end(state)
    tracker.on_end(state)


class Calls:
    """A module that notes what is called, and answers with what it was given."""

    def __init__(self, **answers):
        self.calls, self.answers = [], answers

    def __getattr__(self, name):
        def call(*arguments, **named):
            self.calls.append((name, *arguments, *named.items()))
            answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@pytest.fixture
def mlflow(monkeypatch):
    run = types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))
    client = Calls(create_experiment="7", create_run=run)
    monkeypatch.setitem(sys.modules, "mlflow", types.SimpleNamespace(MlflowClient=lambda: client))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")  # restored at the end
    return client


def test_mlflow_gets_settings_numbers_and_the_end(mlflow, tmp_path):
    play(MLflow(), tmp_path / "pets-resnet18")
    assert mlflow.calls[:3] == [
        ("get_experiment_by_name", "mstl"),
        ("create_experiment", "mstl"),
        ("create_run", "7", ("run_name", "pets-resnet18"), ("tags", {"mstl.folder": str(tmp_path / "pets-resnet18")})),
    ]
    parameters = {name: value for kind, _, name, value in (c[:4] for c in mlflow.calls if c[0] == "log_param")}
    assert (parameters["data"], parameters["lr"], parameters["seed"]) == ("pets", 0.5, 1)
    assert "model" not in parameters  # has no value
    metrics = [call[1:] for call in mlflow.calls if call[0] == "log_metric"]
    assert metrics == [
        ("r1", "lr", 0.5, ("step", 1)),
        ("r1", "train_loss", 2.0, ("step", 1)),
        ("r1", "val_loss", 1.5, ("step", 1)),
        ("r1", "val_accuracy", 0.25, ("step", 1)),
        ("r1", "val_macro_f1", 0.2, ("step", 1)),
        ("r1", "train_loss", 1.0, ("step", 2)),
        ("r1", "val_loss", 0.5, ("step", 2)),
        ("r1", "val_accuracy", 0.75, ("step", 2)),
        ("r1", "val_macro_f1", 0.7, ("step", 2)),
    ]
    assert mlflow.calls[-1] == ("set_terminated", "r1", "FINISHED")


def test_a_run_that_was_stopped_is_killed_for_mlflow(mlflow, tmp_path):
    play(MLflow(), tmp_path, ROWS[:1])
    assert mlflow.calls[-1] == ("set_terminated", "r1", "KILLED")


@pytest.mark.parametrize(("wanted", "mode"), [(None, "offline"), ("local", "local")])
def test_swanlab_is_offline_unless_the_user_says_otherwise(monkeypatch, tmp_path, wanted, mode):
    swanlab = Calls()
    monkeypatch.setitem(sys.modules, "swanlab", swanlab)
    if wanted:
        monkeypatch.setenv("SWANLAB_MODE", wanted)
    else:
        monkeypatch.delenv("SWANLAB_MODE", raising=False)
    play(SwanLab(), tmp_path / "pets-resnet18")
    started = dict(swanlab.calls[0][1:])
    assert (started["project"], started["experiment_name"], started["mode"]) == ("mstl", "pets-resnet18", mode)
    assert started["config"]["data"] == "pets"
    numbers = {key: ROWS[1][key] for key in ("train_loss", "val_loss", "val_accuracy", "val_macro_f1")}
    assert swanlab.calls[2] == ("log", numbers, ("step", 2))
    assert swanlab.calls[-1] == ("finish",)


def test_a_tracker_that_fails_is_named_once_and_the_run_goes_on(monkeypatch, tmp_path, caplog):
    swanlab = Calls(log=RuntimeError("the server\nis gone"))
    monkeypatch.setitem(sys.modules, "swanlab", swanlab)
    play(SwanLab(), tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        "SwanLab gets nothing of this run any more: the server is gone"
    ]
    assert [call[0] for call in swanlab.calls] == ["init", "log"]


@pytest.mark.parametrize(("tracker", "name"), [(MLflow, "mlflow"), (SwanLab, "swanlab")])
def test_what_to_install(monkeypatch, tracker: type[Tracker], name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MstlError, match=rf'the tracker {name} needs {name}: `pip install "mstl\[{name}\]"`'):
        tracker()


def test_what_to_install_is_said_before_the_data_is_read(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MstlError, match="the tracker mlflow needs mlflow"):
        mstl.fit(data=str(tmp_path / "nowhere"), out=str(tmp_path / "run"), tracker="mlflow")
    assert not (tmp_path / "run").exists()


def test_each_tracker_once():
    pytest.importorskip("tensorboardX")
    config = TrainConfig(tensorboard=True, tracker="tensorboard")
    (tracker,) = trackers_of(config)
    assert isinstance(tracker, TensorBoard)
    assert trackers_of(TrainConfig()) == []


def test_mlflow_itself(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    play(MLflow(), tmp_path / "pets-resnet18")
    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("mstl").experiment_id])
    assert (run.info.run_name, run.info.status) == ("pets-resnet18", "FINISHED")
    assert run.data.params["lr"] == "0.5"
    assert [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "val_accuracy")] == [
        (1, 0.25),
        (2, 0.75),
    ]


def test_swanlab_itself(tmp_path, monkeypatch):
    pytest.importorskip("swanlab")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWANLAB_MODE", raising=False)
    play(SwanLab(), tmp_path / "pets-resnet18")
    files = [path for path in Path("swanlog").rglob("*") if path.is_file()]
    assert any(b"val_accuracy" in path.read_bytes() for path in files)
