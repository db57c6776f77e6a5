"""A run records which weights it loaded."""

import json
from datetime import datetime, timezone

import pytest

import mstl
from mstl.checkpoint import read_checkpoint, save_checkpoint
from mstl.config import RECORD
from mstl.files import digest
from mstl.models.weights_source import WeightsSource
from mstl.training.record import RunRecord

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")
TINY = {"model": "resnet18", "image_size": 32, "batch_size": 6, "workers": 1, "report": False, "augment": "none"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory in whose checkpoints/ are the weights that are the default without a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    net = mstl.resnet18(num_classes=5)
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "mstl_resnet18.ckpt"
    record = {"padding": net.padding, "pool_padding": net.pool_padding, "preprocessing": mstl.Preprocessing().to_dict()}
    save_checkpoint(file, {each.name: each.asnumpy() for each in net.get_parameters()}, record)
    return file


def recorded(folder):
    """What config.json and both checkpoints say, which is the same but for what the run has cost by then."""
    values = [json.loads((folder / "config.json").read_text())[RECORD]]
    values += [read_checkpoint(folder / name)[1][RECORD] for name in ("best.ckpt", "last.ckpt")]
    costs = [value.pop("cost")["seconds"]["training"] for value in values]
    assert costs[0] >= costs[1] and costs[0] >= costs[2] > 0
    assert values[0] == values[1] == values[2]
    return values[0]


def test_default_weights_are_recorded_by_tag_file_and_digest(here, photos, tmp_path, caplog):
    caplog.set_level("INFO", "mstl")
    mstl.fit(data=str(photos), weights="default", out=str(tmp_path / "run"), epochs=1, **TINY)
    kept = recorded(tmp_path / "run")
    assert kept["weights"] == {"tag": "resnet18.mstl", "file": str(here), "sha256": digest(here)}
    assert (kept["validated_on"], kept["test_images"]) == ("val", 0)
    assert (kept["date"], kept["mstl"]) == (datetime.now(timezone.utc).date().isoformat(), mstl.__version__)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["weights"] == "default"
    assert f"weights resnet18.mstl (mstl_resnet18.ckpt, SHA-256 {digest(here)})" in caplog.text
    here.write_bytes(b"another file")
    mstl.fit(resume=str(tmp_path / "run"), epochs=2)
    assert recorded(tmp_path / "run") == kept, "a resumed run loads no weights, and keeps its record"


def test_a_file_and_random_weights(here, photos, tmp_path):
    own = here.with_name("own.ckpt")
    own.write_bytes(here.read_bytes())
    for weights, record in (
        ("checkpoints/own.ckpt", {"tag": "", "file": str(own), "sha256": digest(own)}),
        ("none", {"tag": "none", "file": "", "sha256": ""}),
    ):
        folder = mstl.fit(data=str(photos), weights=weights, out=str(tmp_path / "run"), epochs=1, **TINY).folder
        assert recorded(folder)["weights"] == record


def test_a_record_is_read_again():
    record = RunRecord("m", "/d", WeightsSource("a.b", "/f", "0"), "test", 3)
    assert RunRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    assert RunRecord.from_dict({"weights": {"tag": "x", "more": 1}, "later": 2}).weights == WeightsSource("x")
    assert RunRecord.from_dict(None) == RunRecord()


def test_weights_are_found_again_by_content_alone(here, tmp_path):
    source = WeightsSource.find("resnet18", "mstl")
    assert source.find_again() == here
    moved = WeightsSource(source.tag, str(tmp_path / "gone.ckpt"), source.sha256)
    assert moved.find_again().resolve() == here, "where the table's file is"
    here.write_bytes(here.read_bytes() + b"0")
    assert source.find_again() is None and moved.find_again() is None
    assert WeightsSource().find_again() is None
