"""mstl export --int8: quantised, calibrated on training images, and left only if hardly any accuracy is lost."""

import copy
import io
import json
import logging
import os
import tempfile
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

import mstl
from mstl import MstlError
from mstl.commands import export_command
from mstl.engines import onnxruntime_session, quantising
from mstl.engines.export_record import ExportRecord, Int8Record
from mstl.engines.exported_model import OnnxModel
from mstl.evaluation.calibration import fit_temperature
from mstl.evaluation.paired_loss import PairedLoss
from mstl.evaluation.rejection import fit_rejector
from mstl.prediction import exporting, int8_model
from tests.checkpoints import write_checkpoint
from tests.conftest import write_folder

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import numpy_helper  # noqa: E402

pytestmark = pytest.mark.usefixtures("narrow_model")
CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def made(tmp_path_factory, narrow_model):
    """300 photos to validate on, of which none needs to be lost for 1 % to be excluded, and a checkpoint."""
    root = tmp_path_factory.mktemp("int8")
    write_folder(root / "photos", {"train": 8, "val": 100}, CLASSES)
    write_checkpoint(root / "run" / "best.ckpt", root / "photos")
    return root


@pytest.fixture(scope="module")
def predictor(made):
    return mstl.Predictor(made / "run" / "best.ckpt", engine="mindspore")


@pytest.fixture(scope="module")
def exported(made, predictor):
    """An int8 model that is accepted, what it printed, and the images that it was calibrated on."""
    calibrated_on = []

    def spy(images, preprocessing):
        calibrated_on.extend(images.samples)
        return pixels(images, preprocessing)

    pixels = int8_model.calibration_pixels
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as temporary:
        patch.setattr(exporting, "Predictor", lambda *arguments, **options: predictor)
        patch.setattr(int8_model, "calibration_pixels", spy)
        patch.setattr(tempfile, "tempdir", temporary)
        root, log = logging.getLogger(), io.StringIO()
        handlers = [*root.handlers, logging.StreamHandler(log)]
        patch.setattr(root, "handlers", handlers)
        run = CliRunner().invoke(export_command.main, [str(made / "run" / "best.ckpt"), "--int8"])
        left = [name for name in os.listdir(temporary) if name.startswith("mstl-")]  # not those of a notebook beside it
        assert root.handlers == handlers
    assert run.exit_code == 0, run.output
    return made / "run" / "best.int8.onnx", run, calibrated_on, left, log.getvalue()


@pytest.fixture(scope="module")
def whole(made, predictor):
    """What int8_model gives of it, with anything allowed."""
    train, images = predictor.image_sets()
    reference = exporting.reference_of(predictor, images)
    parts, record = exporting.model_parts(predictor), exporting.record_of(predictor, reference)
    return int8_model.int8_model(parts, record, reference, train, images, force=True)


@pytest.fixture
def export(made, predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "Predictor", lambda *arguments, **options: predictor)

    def run(kind="onnx", **options):
        out = tmp_path / "out" / f"model{exporting.SUFFIXES[kind]}"
        return exporting.export(made / "run" / "best.ckpt", kind, out, **options)

    return run


def test_only_the_backbone_is_quantised(exported):
    """int8 weights with a scale for each channel, uint8 activations; what is before and behind is float32."""
    model = onnx.load(exported[0])
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    convs = [node for node in model.graph.node if node.op_type == "Conv"]
    assert convs
    for conv in convs:
        activations, weights = (makers[name] for name in conv.input[:2])
        assert activations.op_type == weights.op_type == "DequantizeLinear"
        assert constants[activations.input[2]].dtype == np.uint8 and constants[activations.input[1]].ndim == 0
        kernel, scales = (constants[name] for name in weights.input[:2])
        assert kernel.dtype == np.int8 and scales.shape == kernel.shape[:1] and not constants[weights.input[2]].any()
        assert np.abs(kernel.reshape(len(kernel), -1).astype(int)).max(axis=1).min() > 100  # each fills its range
    (gemm,) = (node for node in model.graph.node if node.op_type == "Gemm")
    assert gemm.input[0] == "features" and constants[gemm.input[1]].dtype == np.float32
    assert makers["features"].op_type == "ReduceMean"
    for kind in ("MatMul", "Softmax", "Div", "Sub"):
        for node in model.graph.node:
            if node.op_type == kind:
                assert not any(name in makers and "Quantize" in makers[name].op_type for name in node.input), kind


def test_what_is_calibrated_on_and_what_is_left(exported):
    """Training images alone, as many of each class; nothing of ONNX Runtime's files, prints and logs."""
    _, run, images, left, log = exported
    assert {sample.split for sample in images} == {"train"} and len(images) == 24 and not left
    assert run.stdout.count("\n") == 2 and "calibrated on 24 training images" in run.stdout
    assert not log and "quant" not in run.stderr.lower() and "onnx" not in run.stderr.lower()


def test_it_answers_nearly_as_its_checkpoint_and_says_how_nearly(exported, predictor):
    """Temperature and limits are those of its own answers."""
    model = mstl.load_predictor(exported[0])
    ours, theirs = model.evaluate(predictor.image_sets()[1]), predictor.evaluate()
    said, right = model.record.int8, [each.predictions == each.labels for each in (theirs, ours)]
    assert (said.fp32_correct, said.int8_correct, said.validation_images) == (right[0].sum(), right[1].sum(), 300)
    assert (said.lost, said.gained, said.forced, said.allowed_loss) == (0, 0, False, 0.01)
    assert said.most_loss == pytest.approx(1 - 0.05 ** (1 / 300))
    change = np.abs(ours.probabilities - theirs.probabilities).max()
    assert 0 < change < 0.3 and said.largest_change == pytest.approx(change, abs=1e-3)
    assert model.temperature == pytest.approx(fit_temperature(ours.logits, ours.labels), rel=1e-3)
    fitted = fit_rejector(replace(ours, rejected=None))
    assert model.record.rejection.distance_limit == pytest.approx(fitted.distance_limit, abs=2e-3)
    assert model.record.rejection.probability_limit == pytest.approx(fitted.probability_limit, abs=1e-3)
    assert 0 < np.mean(model.rejections(ours)) < 0.1


def test_a_possible_loss_is_refused(export, tmp_path, monkeypatch, caplog):
    """In one line, with the numbers; --force keeps the model, and it says so."""
    monkeypatch.setattr(int8_model, "ALLOWED_LOSS", 0.002)
    line = (
        r"^the int8 model is not written: of 300 validation images it gets \d+ right, and in fp32 \d+ \(0 lost, "
        r"0 gained\): a loss of accuracy of up to 1\.0% is possible, and 0% is allowed; validate it on more images "
        r"\(--data, 1497 or more\), or keep it by --force$"
    )
    with pytest.raises(MstlError, match=line):
        export(int8=True)
    assert not (tmp_path / "out").exists()
    done = export(int8=True, force=True)
    assert OnnxModel(done.files[0]).record.int8.forced and "it is kept all the same" in caplog.text


def test_who_may_lose_how_much():
    int8_model.refuse_loss(PairedLoss(1000, 950, 949, lost=1, gained=0), force=False)
    with pytest.raises(MstlError, match=r"1,000 validation images.*\(--data\), or keep"):
        int8_model.refuse_loss(PairedLoss(1000, 950, 940, lost=10, gained=0), force=False)


def constant_of(model, node, place):
    return next(each for each in model.graph.initializer if each.name == node.input[place])


def damaged_constant(kind, number, place, function):
    def damage(model):
        node = [node for node in model.graph.node if node.op_type == kind][number]
        constant = constant_of(model, node, place)
        constant.CopyFrom(numpy_helper.from_array(function(numpy_helper.to_array(constant).copy()), constant.name))

    return damage


def kernel(function):
    """Damage an int8 kernel of the third convolution."""

    def damage(model):
        conv = [node for node in model.graph.node if node.op_type == "Conv"][2]
        (weights,) = (node for node in model.graph.node if node.output[0] == conv.input[1])
        constant = constant_of(model, weights, 0)
        constant.CopyFrom(numpy_helper.from_array(function(numpy_helper.to_array(constant).copy()), constant.name))

    return damage


def names_turned(model):
    for entry in model.metadata_props:
        if entry.key == "classes":
            entry.value = json.dumps(json.loads(entry.value)[::-1])


DAMAGES = {
    "kernel": kernel(lambda values: -values),
    "normalisation": damaged_constant("Div", 0, 1, lambda std: std * np.float32(1.1)),
    "head": damaged_constant("Gemm", 0, 1, lambda weight: weight * np.float32(1.01)),
    "temperature": damaged_constant("Div", 1, 1, lambda value: value * np.float32(1.1)),
    "bank": damaged_constant("Cast", 1, 0, lambda bank: bank[::-1]),
    "classes": names_turned,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_never_left(export, whole, damage, tmp_path, monkeypatch):
    """It must answer as the model in memory did."""
    model = copy.deepcopy(whole.onnx)
    DAMAGES[damage](model)
    monkeypatch.setattr(exporting, "reference_of", lambda predictor, images: whole.reference)
    monkeypatch.setattr(exporting, "int8_model", lambda *arguments: whole._replace(onnx=model))
    line = (
        r"model\.onnx is not written, as its proof failed: .*\.jpg is .* to the quantised model before it was written"
    )
    with pytest.raises(MstlError, match=line):
        export(int8=True)
    assert not list((tmp_path / "out").iterdir())


def test_what_is_quantised_is_proved_first(predictor, whole, monkeypatch):
    """A graph that is wrong before it is quantised is not accepted because the images hardly show it, nor by force."""
    real = int8_model.onnx_export

    def wrong(parts, properties):
        model = real(parts, properties)
        damaged_constant("Gemm", 0, 1, lambda weight: weight * np.float32(1.01))(model)
        return model

    monkeypatch.setattr(int8_model, "onnx_export", wrong)
    train, images = predictor.image_sets()
    reference = exporting.reference_of(predictor, images)
    with pytest.raises(MstlError, match="the fp32 model that was to be quantised is wrong: .*to MindSpore"):
        int8_model.int8_model(
            exporting.model_parts(predictor), replace(whole.record, int8=None), reference, train, images, force=True
        )


def test_without_a_rejector(predictor, made, export, monkeypatch):
    monkeypatch.setattr(predictor, "rejector", None)
    record = OnnxModel(export(int8=True).files[0]).record
    assert record.rejection is None and record.temperature == 1 and record.int8 is not None


def test_what_cannot_be(export, whole, predictor, tmp_path):
    for options, line in [
        ({"kind": "mindir", "int8": True}, "--int8 is not possible with --format mindir: only ONNX is quantised"),
        ({"kind": "openvino", "int8": True}, "--int8 is not possible with --format openvino"),
        ({"force": True}, "--force keeps an int8 model that may be less accurate: give --int8, too"),
    ]:
        with pytest.raises(MstlError, match=line):
            export(**options)
    with pytest.raises(MstlError, match="calibrated on training images, and this data has none"):
        int8_model.int8_model(None, whole.record, whole.reference, None, predictor.image_sets()[1])
    (tmp_path / "red.jpg").write_text("hello")
    images = mstl.data.dataset.ImageSet.from_paths([tmp_path / "red.jpg"], [0], CLASSES)
    with pytest.raises(MstlError, match=r"cannot read .*red\.jpg: its content is not an image"):
        list(int8_model.calibration_pixels(images, predictor.preprocessing))


def test_records_of_before_there_was_int8(whole):
    properties = whole.record.to_properties()
    assert ExportRecord.from_properties("m.onnx", properties) == whole.record
    del properties["int8"]
    assert ExportRecord.from_properties("m.onnx", properties) == replace(whole.record, int8=None)


def test_every_processor_gives_the_same_answers(exported, monkeypatch):
    """ONNX Runtime is told not to cut off sums where the processor has no VNNI, and can change the weights for that."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    expected = OnnxModel(exported[0]).answer(pixels)
    monkeypatch.setattr(onnxruntime_session, "cpu_flags", lambda: frozenset({"avx2"}))
    model = OnnxModel(exported[0])
    assert model.session.get_session_options().get_session_config_entry("session.x64quantprecision") == "1"
    assert model.answer(pixels).features == pytest.approx(expected.features, abs=1e-5)


def graph_of(*convolutions):
    """An ONNX graph of convolutions, each given as (channels out, channels in / groups, groups)."""
    nodes, constants = [], []
    for i, (channels, per_group, groups) in enumerate(convolutions):
        constants.append(numpy_helper.from_array(np.zeros((channels, per_group, 3, 3), np.float32), f"w{i}"))
        nodes.append(onnx.helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"x{i + 1}"], f"conv{i}", group=groups))
        nodes.append(onnx.helper.make_node("Relu", [f"x{i + 1}"], [f"y{i}"], f"relu{i}"))
    return onnx.helper.make_graph(nodes, "backbone", [], [], constants)


@pytest.mark.parametrize(
    ("convolutions", "kept"),
    [
        ([(32, 3, 1), (32, 1, 32), (16, 32, 1), (96, 1, 96)], ["conv0", "conv1"]),  # EfficientNet
        ([(64, 3, 1), (64, 64, 1)], []),  # ResNet
        ([(64, 3, 1), (128, 4, 32)], []),  # ResNeXt: groups, but none of one channel
    ],
)
def test_the_first_layers_of_a_depthwise_model_stay_float32(convolutions, kept):
    assert quantising.first_layers(graph_of(*convolutions)) == kept


def test_what_force_kept_is_not_called_excluded():
    cost = Int8Record(245, 153, 147, 143, 4, 0, 0.059, 0.01, True, 0.2)
    said = export_command.quantised(cost)
    assert "(4 lost, 0 gained; a loss of up to 5.9% is possible, 1% is allowed: kept by --force)" in said
    assert "a loss of accuracy above 0.8% is excluded" in export_command.quantised(
        replace(cost, most_loss=0.008, forced=False)
    )
