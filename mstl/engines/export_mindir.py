"""MINDIR: a model exported for MindSpore itself and MindSpore Lite, with the inputs and outputs of the ONNX model."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from numpy.typing import NDArray

from mstl.data.loading.pixels import scaled_mean_std
from mstl.engines.export_graph import FARTHEST, ModelParts
from mstl.engines.export_record import ExportRecord
from mstl.engines.exported_model import Outputs, refuse_missing
from mstl.errors import MstlError
from mstl.models.layers import MaxPool3x3
from mstl.runtime import mindspore_thread


class AnyBatchMaxPool(nn.Cell):
    """A :class:`mstl.models.layers.MaxPool3x3` for evaluation, whose border suits batches of any size.

    The border of the other is a constant of the batch size that it is compiled for; this one is made of the input.
    """

    def __init__(self, cell: MaxPool3x3) -> None:
        super().__init__()
        self.symmetric, self.pool = cell.symmetric, cell.pool

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """(N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2))."""
        if self.symmetric:
            height, width = x.shape[2], x.shape[3]
            row = ops.zeros_like(x[:, :, :1, :])
            x = ops.cat((row, x, row), 2) if height % 2 else ops.cat((row, x), 2)
            column = ops.zeros_like(x[:, :, :, :1])
            x = ops.cat((column, x, column), 3) if width % 2 else ops.cat((column, x), 3)
        return self.pool(x)


class PixelClassifier(nn.Cell):
    """All that an exported model computes, from pixels on."""

    def __init__(self, parts: ModelParts) -> None:
        super().__init__(auto_prefix=False)
        cells = [cell for stage in parts.fused.stages for cell in stage]
        any_batch = [AnyBatchMaxPool(cell) if isinstance(cell, MaxPool3x3) else cell for cell in cells]
        self.parts = nn.CellList(any_batch, auto_prefix=False)
        self.fc = parts.fused.copy.fc
        mean, std = (np.array(values, np.float32)[:, None, None] for values in scaled_mean_std(parts.preprocessing))
        self.mean, self.std = ms.Tensor(mean), ms.Tensor(std)
        self.temperature, self.neighbours = parts.temperature, parts.neighbours
        self.smallest = float(np.finfo(np.float32).tiny)
        self.known = None if parts.bank is None else ms.Tensor(parts.bank.T.astype(np.float32))

    def construct(self, images: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """(n, size, size, 3) uint8 -> probabilities, features and, with a bank, distance."""
        x = (ops.transpose(ops.cast(images, ms.float32), (0, 3, 1, 2)) - self.mean) / self.std
        for cell in self.parts:
            x = cell(x)
        features = ops.mean(x, (2, 3))
        probabilities = ops.softmax(self.fc(features) / self.temperature, 1)
        if self.known is None:
            return probabilities, features
        lengths = ops.sqrt(ops.expand_dims(ops.reduce_sum(features * features, 1), 1))
        scaled = features / ops.maximum(lengths, self.smallest)
        distances = ops.sqrt(ops.clamp(2 - 2 * ops.matmul(scaled, self.known), 0.0, FARTHEST**2))
        nearest = -ops.topk(-distances, self.neighbours, 1)[0]
        return probabilities, features, ops.mean(nearest, 1)


def write_mindir(path: Path, parts: ModelParts, properties: Mapping[str, str]) -> None:
    """Write a model as a .mindir file for batches of any size; the MindSpore thread only.

    Args:
        path: The file.
        parts: The model.
        properties: What the file says of itself: its ``user_info``.

    Raises:
        MstlError: MindSpore cannot write it.
    """
    cell = PixelClassifier(parts)
    cell.set_train(False)
    side = parts.preprocessing.image_size
    images = ms.Tensor(shape=[None, side, side, 3], dtype=ms.uint8)
    with tempfile.TemporaryDirectory(prefix="mstl-mindir-") as folder:  # no blank, all ASCII: else refused
        file = os.path.join(folder, "model.mindir")
        try:
            ms.export(
                cell,
                images,
                file_name=file,
                file_format="MINDIR",
                custom_func=lambda proto: write_properties(proto, properties),
            )
        except (RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise MstlError(f"MindSpore {ms.__version__} cannot export this model as MINDIR: {reason}") from error
        shutil.copyfile(file, path)


def write_properties(model: Any, properties: Mapping[str, str]) -> None:
    """Note properties in MindSpore's message of a model: in a map, or as its entries in MindSpore 2.8 and before."""
    if hasattr(model.user_info, "update"):
        model.user_info.update(properties)
        return
    for name, value in properties.items():
        model.user_info.add(key=name, value=value)


def read_properties(model: Any) -> dict[str, str]:
    """The properties that :func:`write_properties` has noted."""
    if hasattr(model.user_info, "update"):
        return dict(model.user_info)
    return {entry.key: entry.value for entry in model.user_info}


class MindirModel:
    """A .mindir file of ``mstl export``, computed by MindSpore.

    Args:
        path: The file.

    Raises:
        MstlError: It is not there, is damaged, or ``mstl export`` did not write it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        refuse_missing(path)
        mindspore_thread.run(self._load, path)

    def _load(self, path: str | os.PathLike[str]) -> None:
        from mindspore.train.mind_ir_pb2 import ModelProto

        try:
            properties = read_properties(ModelProto.FromString(Path(path).read_bytes()))
            self.graph = nn.GraphCell(ms.load(os.fspath(path)))
        except Exception as error:  # a damaged file can make MindSpore raise anything
            raise MstlError(f"{path} is not a MINDIR model, or is damaged; export it again") from error
        self.record = ExportRecord.from_properties(path, properties)

    def answer(self, pixels: NDArray[np.uint8]) -> Outputs:
        """The model's outputs for (n, size, size, 3) pixels."""
        probabilities, features, *distance = mindspore_thread.run(self._compute, pixels)
        return Outputs(probabilities, features, distance[0] if distance else None)

    def _compute(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return [output.asnumpy() for output in self.graph(ms.Tensor(pixels))]
