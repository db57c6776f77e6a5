"""mstl export: the file answers as the checkpoint does, from image files on; one that does not is never left."""

import copy
import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

import mstl
from mstl import MstlError
from mstl.commands import export_command
from mstl.engines import export_graph, proof
from mstl.engines.export_mindir import MindirModel, read_properties, write_properties
from mstl.engines.export_openvino import OpenvinoModel
from mstl.engines.export_record import RejectionLimits
from mstl.engines.exported_model import OnnxModel
from mstl.prediction import exporting
from mstl.preprocessing import Preprocessing
from tests.checkpoints import write_checkpoint
from tests.conftest import write_folder

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
from onnx import numpy_helper  # noqa: E402

pytestmark = pytest.mark.usefixtures("narrow_model")
CLASSES = ("blue", "green", "red")
READERS = {"onnx": OnnxModel, "mindir": MindirModel, "openvino": OpenvinoModel}


@pytest.fixture(scope="module")
def made(tmp_path_factory, narrow_model):
    """60 photos to validate on, and a checkpoint whose probability limit is exactly the probability of one of them."""
    root = tmp_path_factory.mktemp("export")
    write_folder(root / "photos", {"train": 4, "val": 20}, CLASSES)
    write_checkpoint(root / "run" / "best.ckpt", root / "photos")
    return root


@pytest.fixture(scope="module")
def predictor(made):
    return mstl.Predictor(made / "run" / "best.ckpt", engine="mindspore")


@pytest.fixture
def export(made, predictor, tmp_path, monkeypatch):
    """Export into a folder of its own, with a model that is compiled once."""
    if not predictor.metadata["record"].get("weights"):
        weights = {"tag": "resnet18.mstl", "file": "/home/somebody/net.ckpt", "sha256": "ab" * 32}
        predictor.metadata["record"]["weights"] = weights
    monkeypatch.setattr(exporting, "Predictor", lambda *arguments, **options: predictor)

    def run(kind, name="model"):
        return exporting.export(
            made / "run" / "best.ckpt", kind, tmp_path / "out" / f"{name}{exporting.SUFFIXES[kind]}"
        )

    return run


def pixels_of(count, side=32):
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def normalised(pixels, preprocessing):
    """As any program would do it."""
    mean, std = (np.array(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return ((pixels.transpose(0, 3, 1, 2) / 255 - mean) / std).astype(np.float32)


@pytest.mark.parametrize("kind", READERS)
def test_each_format_answers_as_the_checkpoint(export, predictor, kind, tmp_path):
    if kind == "openvino":
        pytest.importorskip("openvino")
    exported = export(kind)
    assert exported.images == 60 and exported.difference < 1e-5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in exported.files)
    model = READERS[kind](exported.files[0])
    for count in (1, 2, 7):
        outputs = model.answer(pixels_of(count))
        logits, features = predictor.answers(normalised(pixels_of(count), predictor.preprocessing))
        powers = np.exp(logits.astype(float) / predictor.temperature)
        assert outputs.probabilities == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-4)
        assert outputs.features == pytest.approx(features, abs=1e-4 * np.abs(features).max())
        assert outputs.distance == pytest.approx(predictor.rejector.distances(features), abs=1e-4)
    assert model.record.classes == CLASSES and model.record.preprocessing == predictor.preprocessing


def test_what_an_onnx_file_says_of_itself(export, predictor, tmp_path):
    """Everything that another program needs, as JSON; where things lie on this machine is not in it."""
    model = onnx.load(export("onnx").files[0])
    said = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert said["classes"] == list(CLASSES) and Preprocessing.from_record(said) == predictor.preprocessing
    assert said["preprocessing"]["version"] == 2 and said["temperature"] == predictor.rejector.temperature
    assert said["weights"] == {"tag": "resnet18.mstl", "file": "net.ckpt", "sha256": "ab" * 32}
    assert said["manifest"] == predictor.metadata["record"]["manifest"] and said["mstl_version"] == mstl.__version__
    assert abs(said["rejection"]["distance_limit"] - predictor.rejector.distance_limit) <= 1.001e-3
    assert abs(said["rejection"]["probability_limit"] - predictor.rejector.probability_limit) <= 1.001e-5
    assert "somebody" not in str(model.metadata_props)
    shapes = {
        value.name: [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    features = predictor.model.num_features
    assert shapes == {
        "images": ["batch", 32, 32, 3],
        "probabilities": ["batch", 3],
        "features": ["batch", features],
        "distance": ["batch"],
    }
    assert model.opset_import[0].version >= 17


def test_without_a_rejector_there_is_no_distance(export, predictor, monkeypatch):
    monkeypatch.setattr(predictor, "rejector", None)
    model = OnnxModel(export("onnx").files[0])
    assert model.record.rejection is None and model.record.temperature == 1
    assert model.answer(pixels_of(2)).distance is None


# damage


def of_name(model, name):
    return next(constant for constant in model.graph.initializer if constant.name == name)


def change(model, name, function):
    """Replace a constant by a function of it."""
    constant = of_name(model, name)
    constant.CopyFrom(numpy_helper.from_array(function(numpy_helper.to_array(constant).copy()), name))


def inputs_of(model, kind, number=0):
    return [node for node in model.graph.node if node.op_type == kind][number].input


def a_weight(model):
    def flip(kernel):
        kernel.flat[:9] *= -3
        return kernel

    change(model, inputs_of(model, "Conv", 4)[1], flip)


def the_head(model):
    change(model, inputs_of(model, "Gemm")[1], lambda weight: weight * np.float32(1.01))


def another_normalisation(model):
    change(model, inputs_of(model, "Div")[1], lambda std: np.full_like(std, 127.5))


def swapped_channels(model):
    change(model, inputs_of(model, "Conv")[1], lambda kernel: kernel[:, ::-1])


def another_temperature(model):
    change(model, inputs_of(model, "Div", 1)[1], lambda temperature: temperature * np.float32(1.1))


def another_bank(model):
    change(model, inputs_of(model, "Cast", 1)[0], lambda bank: bank[::-1])


def said_otherwise(key, function):
    def damage(model):
        for entry in model.metadata_props:
            if entry.key == key:
                entry.value = json.dumps(function(json.loads(entry.value)))

    return damage


DAMAGES = {
    "weight": a_weight,
    "head": the_head,
    "normalisation": another_normalisation,
    "channels": swapped_channels,
    "temperature": another_temperature,
    "bank": another_bank,
    "classes": said_otherwise("classes", lambda names: names[::-1]),
    "crop": said_otherwise("preprocessing", lambda values: {**values, "crop": "whole"}),
    "kernel": said_otherwise("preprocessing", lambda values: {**values, "interpolation": "bicubic", "resize": 48}),
    "distance limit": said_otherwise("rejection", lambda values: {**values, "distance_limit": 1e-3}),
    "probability limit": said_otherwise("rejection", lambda values: {**values, "probability_limit": 1.0}),
}


@pytest.fixture(scope="module")
def sound(predictor):
    """The model as it is to be, and the answers that it must give."""
    reference = exporting.reference_of(predictor, predictor.image_sets()[1])
    properties = exporting.record_of(predictor, reference).to_properties()
    return export_graph.onnx_export(exporting.model_parts(predictor), properties), reference


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model_is_never_left(export, sound, damage, tmp_path, monkeypatch):
    """One line names an image, and what both say; what was at the path before is still there."""
    model, reference = copy.deepcopy(sound[0]), sound[1]
    DAMAGES[damage](model)
    monkeypatch.setattr(exporting, "model_parts", lambda predictor: None)  # all that takes time
    monkeypatch.setattr(exporting, "onnx_export", lambda parts, properties: model)
    monkeypatch.setattr(exporting, "reference_of", lambda predictor, data: reference)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.onnx").write_text("an older one")
    line = r"model\.onnx is not written, as its proof failed: .*-\d+\.jpg is (blue|green|red) \(.* to MindSpore and "
    with pytest.raises(MstlError, match=line + r"(blue|green|red) \(.*\) to the exported model$"):
        export("onnx")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.onnx"]
    assert (tmp_path / "out" / "model.onnx").read_text() == "an older one"


def test_a_pair_of_files_is_there_or_not(export, sound, tmp_path, monkeypatch):
    """Both files of OpenVINO, or none."""
    pytest.importorskip("openvino")
    real = exporting.model_parts
    other = Preprocessing(mean=(0.5, 0.5, 0.5)).at(32)
    monkeypatch.setattr(
        exporting, "model_parts", lambda predictor: dataclasses.replace(real(predictor), preprocessing=other)
    )
    monkeypatch.setattr(exporting, "reference_of", lambda predictor, data: sound[1])
    with pytest.raises(MstlError, match=r"model\.xml is not written, as its proof failed"):
        export("openvino")
    assert not list((tmp_path / "out").iterdir())


def test_the_command(made, export, tmp_path):
    run = CliRunner().invoke(export_command.main, [str(made / "run" / "best.ckpt"), "--out", str(tmp_path / "m.onnx")])
    assert run.exit_code == 0 and "asked about 60 validation images" in run.stdout, run.output
    for arguments, message in [
        (["--out", str(tmp_path / "m.bin")], "the name of an onnx file must end in .onnx"),
        (["--data", str(tmp_path)], "no"),
    ]:
        run = CliRunner().invoke(export_command.main, [str(made / "run" / "best.ckpt"), *arguments])
        assert run.exit_code == 1 and message in run.stderr and run.stderr.count("\n") == 1, run.output
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_no_images_no_export(made, export, predictor, tmp_path, monkeypatch):
    """Without validation images there is nothing to prove it by."""
    monkeypatch.setattr(predictor, "path", tmp_path / "best.ckpt")
    predictor.__dict__.pop("run_data", None)
    with pytest.raises(MstlError, match="there is no manifest.csv beside"):
        export("onnx")
    predictor.__dict__.pop("run_data", None)
    assert not (tmp_path / "out").exists()


# limits


def test_a_limit_moves_into_its_gap():
    """Rounding decides of no image: neither of one exactly at the limit nor of one a hair beyond it."""
    values = np.array([0.1, 0.5, 0.7], np.float32)
    assert proof.between(values, 0.5, 1e-3) == pytest.approx(0.501)
    assert proof.between(values, 0.6999999, 1e-3) == pytest.approx(0.699)
    assert proof.between(values, 0.6, 1e-3) == pytest.approx(0.6)
    assert proof.between(np.array([0.5, 0.5004], np.float32), 0.5, 1e-3) == pytest.approx(0.5002)
    assert proof.between(values, 0.9, 1e-3) == pytest.approx(0.901)  # beyond all
    assert proof.between(values, 0.05, 1e-3) == pytest.approx(0.049)
    assert proof.between(values[:0], 0.5, 1e-3) == pytest.approx(0.501)


def test_an_image_exactly_at_a_limit_stays(predictor, sound):
    """The fitted probability limit is the probability of an image, which another runtime may give a hair less."""
    reference = sound[1]
    sureness, limit = reference.probabilities.max(axis=1), predictor.rejector.probability_limit
    assert np.abs(sureness - limit).min() < 1e-6
    fitted = RejectionLimits(predictor.rejector.distance_limit, limit, predictor.rejector.neighbours)
    settled = reference.settled(fitted)
    for noise in (-3e-7, 0, 3e-7):
        rejected = settled.rejected(
            reference.probabilities + np.float32(noise), reference.distances + np.float32(noise)
        )
        assert (rejected == reference.rejected).all()


def test_what_is_no_exported_model(tmp_path):
    """Each in one line."""
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(MstlError, match=r"no model at .*none\.onnx"):
        mstl.load_predictor(tmp_path / "none.onnx")
    with pytest.raises(MstlError, match=r"text\.onnx is not an ONNX model, or is damaged"):
        mstl.load_predictor(tmp_path / "text.onnx")
    with pytest.raises(MstlError, match="leave --device GPU out"):
        mstl.load_predictor(tmp_path / "text.onnx", "GPU")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [value],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])],
    )
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "other.onnx")
    with pytest.raises(MstlError, match="does not say what its classes are: `mstl export` did not write it"):
        mstl.load_predictor(tmp_path / "other.onnx")


def test_properties_of_mindir_in_older_versions_of_mindspore():
    """There, they are a list of entries, which is the same in the file."""

    class Entries(list):
        def add(self, key, value):
            self.append(SimpleNamespace(key=key, value=value))

    older, newer = SimpleNamespace(user_info=Entries()), SimpleNamespace(user_info={})
    for model in (older, newer):
        write_properties(model, {"mstl": "1", "classes": "2"})
        assert read_properties(model) == {"mstl": "1", "classes": "2"}
    assert [entry.key for entry in older.user_info] == ["mstl", "classes"] and list(newer.user_info) == [
        "mstl",
        "classes",
    ]
