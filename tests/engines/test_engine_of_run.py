"""The engine of a run: it is recorded, its features are kept apart, and one that answers wrongly leaves nothing."""

import json
import weakref

import numpy as np
import pytest

import mstl
from mstl.checkpoint import read_checkpoint
from mstl.engines import onnxruntime_session
from mstl.features.cache_folders import DESCRIPTION
from mstl.models.fusing import FusedModel
from mstl.training import trainer
from mstl.training.epoch import train_epoch

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")

ORT = {"engine": "onnxruntime", "precision": "fp32", "version": onnxruntime.__version__}
TINY = {
    "model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 6, "epochs": 1, "views": 1, "workers": 1,
    "report": False, "augment": "none",
}  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def cached_by(home):
    """The engines whose features are cached."""
    files = (home / "features").rglob(DESCRIPTION)
    return sorted(json.loads(file.read_text())["engine"]["engine"] for file in files)


def recorded(folder):
    """What config.json and both checkpoints say, which is the same."""
    values = [json.loads((folder / "config.json").read_text())["record"]["engine"]]
    values += [read_checkpoint(folder / name)[1]["record"]["engine"] for name in ("best.ckpt", "last.ckpt")]
    assert values[0] == values[1] == values[2]
    return values[0]


def test_it_is_recorded_and_features_of_two_are_kept_apart(photos, home, tmp_path, caplog):
    caplog.set_level("INFO", "mstl")
    state = mstl.fit(data=str(photos), out=str(tmp_path / "a"), **TINY)
    assert recorded(state.folder) == ORT
    assert f"engine: onnxruntime {onnxruntime.__version__} in fp32" in caplog.text
    caplog.clear()
    other = mstl.fit(data=str(photos), out=str(tmp_path / "b"), engine="mindspore", **TINY)
    assert recorded(other.folder)["engine"] == "mindspore"
    assert "18 computed, 0 from the cache" in caplog.text
    assert cached_by(home) == ["mindspore", "onnxruntime"]
    assert np.abs(other.evaluation.logits - state.evaluation.logits).max() < 1e-4


@pytest.fixture
def off(monkeypatch):
    """ONNX Runtime answers wrongly, and there is no OpenVINO."""

    def spoiled(content):
        session = opened(content)

        class Spoiled:
            run = staticmethod(lambda names, inputs: [value + np.float32(0.01) for value in session.run(names, inputs)])

        return Spoiled()

    opened = onnxruntime_session.open_session
    monkeypatch.setattr(onnxruntime_session, "open_session", spoiled)
    monkeypatch.setattr("mstl.engines.choice.missing_package", {"onnxruntime": None, "openvino": "openvino"}.get)


@pytest.mark.parametrize("freeze", ["backbone", "layer3", "none"])
def test_one_that_answers_wrongly_leaves_nothing(freeze, photos, home, tmp_path, off, monkeypatch, caplog):
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), freeze=freeze, **TINY)
    assert recorded(state.folder)["engine"] == "mindspore"
    assert cached_by(home) == ([] if freeze == "none" else ["mindspore"])
    assert caplog.text.count("is not used") == 1
    monkeypatch.setattr(onnxruntime_session, "open_session", None)
    evaluation = mstl.Predictor(state.folder / "best.ckpt", engine="mindspore").evaluate()
    assert np.abs(evaluation.logits - state.evaluation.logits).max() < 1e-4


@pytest.mark.parametrize("freeze", ["backbone", "none"])
def test_one_that_is_named_and_answers_wrongly_ends_the_run(freeze, photos, home, tmp_path, off):
    """Before anything is kept; nobody has asked for the answers of another one."""
    with pytest.raises(mstl.MstlError, match=r"onnxruntime .* cannot be used, as it is off MindSpore's values"):
        mstl.fit(data=str(photos), out=str(tmp_path / "run"), freeze=freeze, engine="onnxruntime", **TINY)
    assert not (tmp_path / "run").exists() and cached_by(home) == []


@pytest.mark.parametrize("wanted", [{"engine": "onnxruntime"}, {"precision": "bf16"}])
def test_what_is_impossible_is_refused_before_anything_is_read(wanted, tmp_path, monkeypatch):
    monkeypatch.setattr("mstl.engines.choice.missing_package", lambda engine: "a package")
    with pytest.raises(mstl.MstlError, match="needs a package, which is not installed"):
        mstl.fit(data=str(tmp_path / "missing"), **{**TINY, **wanted})
    with pytest.raises(mstl.MstlError, match="unknown engine .onnx.: choose one of"):
        mstl.TrainConfig(engine="onnx")


@pytest.mark.parametrize(("freeze", "copies"), [("backbone", 0), ("layer3", 1)])
def test_what_computed_kept_features_is_let_go(photos, tmp_path, monkeypatch, freeze, copies):
    """While a head is trained, neither an engine nor the fused copy of the model is in memory."""
    engines, fused, alive = [], [], []
    opened, made = onnxruntime_session.open_session, FusedModel.__init__

    class Session:
        def __init__(self, content):
            self.run = opened(content).run
            engines.append(weakref.ref(self))

    def noted(model, *args):
        made(model, *args)
        fused.append(weakref.ref(model))

    def watched(run, epoch):
        alive.append([len([each for each in kept if each() is not None]) for kept in (engines, fused)])
        return train_epoch(run, epoch)

    monkeypatch.setattr(onnxruntime_session, "open_session", Session)
    monkeypatch.setattr(FusedModel, "__init__", noted)
    monkeypatch.setattr(trainer, "train_epoch", watched)
    mstl.fit(data=str(photos), out=str(tmp_path / "run"), freeze=freeze, **TINY)
    assert len(engines) >= 1 and alive == [[0, copies]]
