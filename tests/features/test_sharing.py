"""Several processes compute a part of the features each, and all have them all."""

import signal

import numpy as np
import pytest

import mstl
from mstl.config import TrainConfig
from mstl.engines.choice import Choice
from mstl.engines.parts import Engines
from mstl.features.extractor import FeatureExtractor
from mstl.features.sharing import EngineRefused, all_together
from mstl.runtime import stopping
from tests.two_processes import together

pytestmark = pytest.mark.usefixtures("narrow_model")


class Front:
    """Stands for the frozen layers."""

    batch_size = 4

    def __call__(self, images):
        return np.tile(images.asnumpy().mean((2, 3)), (1, 43))[:, :128, None, None]


@pytest.mark.parametrize(("limit", "computed"), [("1GB", [6, 6]), ("0", [12, 12])])
def test_each_computes_its_share_and_has_all(photos, tmp_path, monkeypatch, limit, computed):
    """Without a cache, which is how they are passed on, each computes all."""
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MSTL_CACHE_SIZE", limit)
    images, _ = mstl.load_data(str(photos))
    model = mstl.resnet18(num_classes=2)
    preprocessing = model.preprocessing.at(32)

    def features(group=None):
        engines = Engines([Choice("mindspore", "fp32", "1")])
        part = FeatureExtractor(model, "backbone", [], Front, engines, preprocessing, TrainConfig(), group)
        return part.activations(images), part.computed

    shared = together(features)
    assert [count for _, count in shared] == computed
    alone, count = features()
    assert count == (12 if limit == "0" else 0)
    for rows, _ in shared:
        np.testing.assert_array_equal(rows, alone)


def test_a_request_to_stop_one_stops_all():
    def wait(group):
        with pytest.raises(stopping.Stopped) as stopped, all_together(group, None):
            if group.rank == 1:
                raise stopping.Stopped(signal.SIGINT)
        return stopped.value.signum

    assert together(wait) == [signal.SIGTERM, signal.SIGINT]


def test_an_engine_that_one_refuses_is_refused_by_all():
    def compute(group):
        engines = Engines([Choice("onnxruntime", "fp32", "1"), Choice("mindspore", "fp32", "1")])
        with pytest.raises(EngineRefused), all_together(group, engines):
            if group.rank == 0:
                engines.refuse("it is wrong here")
                raise EngineRefused
        return engines.choice.engine

    assert together(compute) == ["mindspore", "mindspore"]
