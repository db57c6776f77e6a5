"""Where a batch does not fit into memory, several smaller ones make the same step."""

import json

import numpy as np
import pytest

import mstl
from mstl import TrainConfig
from mstl.checkpoint import read_checkpoint
from mstl.training import estimate, micro_batches
from mstl.training.recipes import resolve
from tests.training.test_time_limit import FakeCosts

IMAGE = 10**8  # bytes in a step


def memory_for(monkeypatch, images, processes=1):
    """So much memory is available that so many images of a process fit."""
    free = processes * (images * IMAGE + micro_batches.TRAINING_BYTES) / micro_batches.MEMORY_SHARE + 1
    monkeypatch.setattr(micro_batches, "available_memory", lambda: free)


@pytest.mark.parametrize(
    ("size", "fit", "parts"), [(32, 32, 1), (32, 31, 2), (32, 10, 4), (18, 10, 2), (18, 8, 3), (7, 3, 7), (8, 0, 8)]
)
def test_the_fewest_parts_that_fit(size, fit, parts):
    assert micro_batches.parts_of_batch(size, IMAGE, fit * IMAGE) == parts


def cut(given, processes=1, image=IMAGE):
    """Batch size, accumulation and note that settings get."""
    config, note = micro_batches.micro_batches(resolve(given, 1000, 2)[0], given, image, processes)
    return config.batch_size, config.accumulate, note


def test_what_is_changed_and_what_is_said(monkeypatch):
    settings = {"recipe": "finetune", "batch_size": 32}
    memory_for(monkeypatch, 8)
    size, parts, note = cut(TrainConfig(**settings))
    assert (size, parts) == (8, 4)
    assert "batches of 32 are computed in 4 parts (--accumulate 4), and BatchNorms go by 8 images at a time" in note
    assert cut(TrainConfig(**settings, accumulate=1)) == (32, 1, "")  # the user has said how
    assert cut(TrainConfig(**settings), image=0) == (32, 1, "")
    *_, note = cut(TrainConfig(freeze="BN", batch_size=32))
    assert "in 4 parts" in note and "BatchNorms" not in note
    memory_for(monkeypatch, 8, processes=2)
    assert cut(TrainConfig(**settings), processes=2)[:2] == (16, 2)  # 8 in each process


@pytest.mark.usefixtures("no_pictures", "narrow_model")
def test_the_weights_are_those_of_whole_batches(photos, tmp_path, monkeypatch, caplog):
    """With frozen statistics; the images are those of the same batches, in the same order."""
    settings = {
        "model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 6, "workers": 1, "report": False,
        "freeze": "BN", "epochs": 2, "augment": "none", "time_limit": "1h", "mode": "pynative", "lr": 0.1,
    }  # fmt: skip
    monkeypatch.setattr(estimate, "Meter", lambda run: FakeCosts(features=0.0, step=1e-4, load=0.0))
    memory_for(monkeypatch, 6)
    whole = mstl.fit(data=photos, out=tmp_path / "whole", **settings)
    memory_for(monkeypatch, 3)
    with caplog.at_level("INFO", "mstl"):
        parts = mstl.fit(data=photos, out=tmp_path / "parts", **settings)
    assert "batches of 6 are computed in 2 parts" in caplog.text
    assert (parts.config.batch_size, parts.config.accumulate) == (3, 2)
    kept = json.loads((tmp_path / "parts" / "config.json").read_text())
    assert (kept["batch_size"], kept["accumulate"]) == (3, 2)
    (one, _), (other, _) = (read_checkpoint(tmp_path / name / "last.ckpt") for name in ("whole", "parts"))
    assert max(np.abs(one[key].astype(float) - other[key]).max() for key in one if key in other) <= 1e-5
    assert whole.config.accumulate == 1 and np.abs(one["fc.weight"]).max() > 0
