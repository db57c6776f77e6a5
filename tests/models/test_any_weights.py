"""Training starts from a file of any layout and format."""

import mindspore as ms
import numpy as np
import pytest
from safetensors.numpy import save_file

import mstl
from mstl.checkpoint import save_checkpoint
from mstl.models import key_mapping
from tests.golden import foreign
from tests.torch_writer import write_legacy, write_zip

pytestmark = pytest.mark.usefixtures("no_pictures")


def drawn(golden, layout):
    """A file's own names and values, and mstl's."""
    shapes, _ = foreign.load(golden)
    values = foreign.draw_all(shapes)
    return values, key_mapping.MAPS[layout](values)


def write_ckpt(path, values):
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in values.items()], str(path))


def write_plain_safetensors(path, values):
    save_file({name: np.ascontiguousarray(value) for name, value in values.items()}, path)


def write_own(path, values):
    record = {"padding": "symmetric", "pool_padding": "same", "preprocessing": mstl.Preprocessing().to_dict()}
    save_checkpoint(path, key_mapping.from_mindcv(values), record)


CASES = {
    "torchvision-zip.pth": ("torchvision-resnet18", "torchvision", write_zip, ("symmetric", "symmetric")),
    "torchvision-legacy.pth": ("torchvision-resnet18", "torchvision", write_legacy, ("symmetric", "symmetric")),
    "timm.safetensors": ("torchvision-resnet18", "torchvision", write_plain_safetensors, ("symmetric", "symmetric")),
    "mindcv.ckpt": ("mindcv-resnet18", "mindcv", write_ckpt, ("symmetric", "same")),
    "mstl.ckpt": ("mindcv-resnet18", "mindcv", write_own, ("symmetric", "same")),
    "mstl.safetensors": ("mindcv-resnet18", "mindcv", write_own, ("symmetric", "same")),
    "tutorial.ckpt": ("tutorial-resnet50", "tutorial", write_ckpt, ("same", "same")),
    "lite0.pth": ("lite0-efficientnet_lite0", "lite0", write_legacy, ("same", "same")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_train_from(photos, tmp_path, name):
    golden, layout, write, padding = CASES[name]
    values, own = drawn(golden, layout)
    write(tmp_path / name, values)
    model = golden.split("-")[1]
    options = {
        "epochs": 1,
        "image_size": 32,
        "batch_size": 6,
        "out": str(tmp_path / "run"),
        "lr": 1e-6,
        "report": False,
    }
    state = mstl.fit(data=str(photos), model=model, weights=str(tmp_path / name), **options)
    assert (state.model.padding, state.model.pool_padding) == padding
    now = {parameter.name: parameter.asnumpy() for parameter in state.model.get_parameters()}
    body = [key for key in own if not key.startswith("fc.")]
    assert len(body) == len(now) - 2
    assert all(np.array_equal(now[key], own[key]) for key in body)  # loaded, and frozen since
    assert mstl.Predictor(tmp_path / "run" / "best.ckpt").model.padding == padding[0]
