"""Parts of a model by other engines: the same answers as MindSpore's, or not used."""

import mindspore as ms
import numpy as np
import pytest

import mstl
from mstl.engines import onnxruntime_session
from mstl.engines.choice import Choice
from mstl.engines.parts import ClassifierPart, Engines, FeaturesPart
from mstl.models.fusing import FusedModel

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("narrow_model")

ORT, MINDSPORE = Choice("onnxruntime", "fp32", "1"), Choice("mindspore", "fp32", "2")
IMAGES = np.random.default_rng(0).normal(size=(11, 3, 32, 32)).astype(np.float32)


@pytest.fixture
def model():
    ms.set_seed(0)
    made = mstl.resnet18(num_classes=3)
    made.set_train(False)
    return made


def by_hand(model):
    """Logits and features of the model itself."""
    images = ms.Tensor(IMAGES)
    return model(images).asnumpy(), model.forward_features(images).asnumpy().mean((2, 3))


def assert_close(found, expected, share=1e-5):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= share * np.abs(expected).max()


def spoil(monkeypatch, change):
    """ONNX Runtime whose answers are changed by a function."""
    opened = onnxruntime_session.open_session

    class Spoiled:
        def __init__(self, content):
            self.session = opened(content)

        def run(self, names, inputs):
            return [change(value) for value in self.session.run(names, inputs)]

    monkeypatch.setattr(onnxruntime_session, "open_session", Spoiled)


def test_batches_of_any_size_are_answered_as_by_the_model(model):
    engines = Engines([ORT, MINDSPORE])
    fused = FusedModel(model)
    whole, features = ClassifierPart(fused, engines, 0), FeaturesPart(fused, engines, 5)
    expected = by_hand(model)
    for count in (11, 1, 8):  # more than a call takes, one, and just as many
        for found, right in zip(whole(IMAGES[:count]), expected, strict=True):
            assert_close(found, right[:count])
        assert_close(features(ms.Tensor(IMAGES[:count]))[:, :, 0, 0], expected[1][:count])
    assert engines.choice == whole.choice == ORT


def test_a_model_that_changes_is_answered_as_it_is(model):
    fused = FusedModel(model)
    part = ClassifierPart(fused, Engines([ORT, MINDSPORE]), 2)
    front = FeaturesPart(fused, Engines([ORT, MINDSPORE]), 2)
    before, _ = part(front(IMAGES))
    for parameter in (model.fc.bias, model.layer4[0].conv1.weight):
        parameter.set_data(parameter + 0.1)
    fused.refresh()
    after, _ = part(front(IMAGES))
    assert np.abs(after - before).max() > 0.05
    assert_close(after, by_hand(model)[0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda value: value * np.float32(1.001), "off MindSpore's values by 0.001 of the largest, where 0.0001"),
        (lambda value: value[:, ::-1], "off MindSpore's values"),
        (lambda value: value * np.nan, "off MindSpore's values by nan"),
        (lambda value: value[:, :1], "its answers have the shape"),
        (lambda value: 1 / 0, "it fails: division by zero"),
    ],
)
def test_an_engine_that_answers_wrongly_is_not_used(model, change, reason, monkeypatch, caplog):
    spoil(monkeypatch, change)
    engines = Engines([ORT, MINDSPORE])
    logits, _ = ClassifierPart(FusedModel(model), engines, 0)(IMAGES)
    assert_close(logits, by_hand(model)[0])
    assert engines.choice == MINDSPORE
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("engine: onnxruntime 1 in fp32 is not used, as ") and reason in line
    assert line.endswith("; mindspore 2 in fp32 is")


def test_an_engine_that_is_named_is_not_replaced(model, monkeypatch):
    """Whoever has asked for it would take another one's answers for its own."""
    spoil(monkeypatch, lambda value: value * np.float32(1.001))
    part = ClassifierPart(FusedModel(model), Engines([ORT]), 0)
    line = r"^engine: onnxruntime 1 in fp32 cannot be used, as it is off MindSpore's values by 0.001.*leave --engine"
    for _ in range(2):
        with pytest.raises(mstl.MstlError, match=line):
            part(IMAGES)


def test_bf16_is_allowed_to_be_less_exact(model, monkeypatch):
    """By OpenVINO where there is one; here its place is taken by ONNX Runtime, with a smaller error than bf16 has."""
    spoil(monkeypatch, lambda value: value * np.float32(1.05))
    engines = Engines([Choice("onnxruntime", "bf16", "1"), MINDSPORE])
    ClassifierPart(FusedModel(model), engines, 0)(IMAGES)
    assert engines.choice.precision == "bf16"


@pytest.mark.parametrize(("precision", "share"), [("fp32", 1e-5), ("bf16", 5e-2)])
def test_openvino_beside_mindspore(model, precision, share):
    """Its bf16 works although MindSpore's oneDNN is limited to AVX2, and MindSpore goes on as before."""
    pytest.importorskip("openvino")
    from mstl.engines.openvino_session import load_openvino

    if precision == "bf16" and "BF16" not in load_openvino()[1]:
        pytest.skip("this processor does not compute in bf16")
    expected = by_hand(model)
    engines = Engines([Choice("openvino", precision, "1"), MINDSPORE])
    part = ClassifierPart(FusedModel(model), engines, 0)
    for found, right in zip(part(IMAGES), expected, strict=True):
        assert_close(found, right, share)
    assert engines.choice.engine == "openvino"
    if precision == "bf16":
        assert np.abs(part(IMAGES)[0] - expected[0]).max() > 1e-5 * np.abs(expected[0]).max(), "it is bf16"
    assert_close(by_hand(model)[0], expected[0], 1e-6)


def test_nothing_is_compared_with_a_model_that_has_diverged(model, caplog):
    model.fc.bias.set_data(model.fc.bias * np.nan)
    engines = Engines([ORT, MINDSPORE])
    logits, _ = ClassifierPart(FusedModel(model), engines, 0)(IMAGES)
    assert np.isnan(logits).all()
    assert not caplog.records, "no engine is blamed"
