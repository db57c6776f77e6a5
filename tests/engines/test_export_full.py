"""Every architecture of full width, in every format: what the exported file answers is what the model answers."""

import mindspore as ms
import numpy as np
import pytest
from PIL import Image

import mstl
from mstl.engines import export_graph
from mstl.engines.export_mindir import MindirModel, write_mindir
from mstl.engines.export_openvino import OpenvinoModel, write_openvino
from mstl.engines.export_record import ExportRecord, RejectionLimits
from mstl.engines.exported_model import OnnxModel
from mstl.models.fusing import FusedModel
from mstl.preprocessing import Preprocessing
from tests.checkpoints import scatter
from tests.engines.test_export import CLASSES, normalised, pixels_of

pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytestmark = pytest.mark.slow

ALL = [
    (name, padding)
    for name in ("resnet18", "resnet50", "resnext50_32x4d", "efficientnet_lite0")
    for padding in ("symmetric", "same")
    if (name, padding) != ("efficientnet_lite0", "symmetric")  # it has none
]


@pytest.mark.parametrize(("name", "padding"), ALL)
@pytest.mark.parametrize("side", [160, 224])
def test_every_architecture_in_every_format(name, padding, side, tmp_path):
    """Of full width, in batches of 1, 2 and 7."""
    model = scatter(mstl.build_model(name, 3, None, padding, padding))
    bank = np.random.default_rng(1).random((50, model.num_features)).astype(np.float32)
    bank = (bank / np.linalg.norm(bank, axis=1, keepdims=True)).astype(np.float16)
    preprocessing = Preprocessing().at(side)
    parts = export_graph.ModelParts(FusedModel(model), preprocessing, 100.0, bank, 3)
    record = ExportRecord(name, CLASSES, preprocessing, 100.0, RejectionLimits(1.0, 0.0, 3))
    properties = record.to_properties()
    exported = export_graph.onnx_export(parts, properties)
    (tmp_path / "m.onnx").write_bytes(exported.SerializeToString())
    models = [OnnxModel(tmp_path / "m.onnx")]
    write_openvino(tmp_path / "m.xml", tmp_path / "m.bin", exported, properties)
    write_mindir(tmp_path / "m.mindir", parts, properties)
    models += [OpenvinoModel(tmp_path / "m.xml"), MindirModel(tmp_path / "m.mindir")]
    for count in (1, 2, 7):
        pixels = np.stack([np.asarray(Image.fromarray(each).resize((side, side))) for each in pixels_of(count, 8)])
        maps = model.forward_features(ms.Tensor(normalised(pixels, preprocessing)))
        logits = model.forward_head(maps).asnumpy().astype(float) / 100
        features = maps.asnumpy().mean(axis=(2, 3))
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        distances = np.linalg.norm(unit[:, None].astype(float) - bank.astype(float), axis=2)
        for each in models:
            outputs = each.answer(pixels)
            assert outputs.probabilities == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-3)
            assert np.abs(outputs.features - features).max() <= 1e-4 * np.abs(features).max()
            assert outputs.distance == pytest.approx(np.sort(distances, axis=1)[:, :3].mean(axis=1), abs=1e-3)
            assert each.record == record
