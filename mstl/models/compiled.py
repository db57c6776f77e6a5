"""Cells compiled for inference, called with batches of any size."""

import mindspore as ms
import numpy as np
from mindspore import nn
from numpy.typing import ArrayLike, NDArray

from mstl.runtime.devices import cores
from mstl.runtime.interrupts import interruptible

ACCELERATOR_BATCH_SIZE = 32
MAX_CPU_BATCH_SIZE = 32

FloatArray = NDArray[np.float32]


class CompiledCell:
    """A compiled cell of one input.

    It is compiled for a single shape: batches are cut into parts of ``batch_size``, and the last part is padded.

    Args:
        cell: The cell; it is put into evaluation mode.

    Attributes:
        batch_size: The most efficient number of images per call.
    """

    def __init__(self, cell: nn.Cell) -> None:
        cell.set_train(False)
        self.compiled = ms.jit(cell)
        self.batch_size = best_batch_size()

    def run(self, batch: ms.Tensor | ArrayLike) -> tuple[FloatArray, ...]:
        """The cell's outputs, each with n rows, for a batch of shape (n, ...)."""
        rows = batch.asnumpy() if isinstance(batch, ms.Tensor) else np.asarray(batch)
        starts = range(0, max(1, len(rows)), self.batch_size)
        parts = [self._run_part(rows[start : start + self.batch_size]) for start in starts]
        return tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))

    def _run_part(self, rows: FloatArray) -> list[FloatArray]:
        """The same for at most ``batch_size`` rows."""
        count = len(rows)
        missing = self.batch_size - count
        if missing:
            rows = np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])
        with interruptible():
            outputs = self.compiled(ms.Tensor.from_numpy(np.ascontiguousarray(rows, np.float32)))
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            return [output.asnumpy()[:count].copy() for output in outputs]


class CompiledFeatures(CompiledCell):
    """The first stages of a backbone, compiled."""

    def __call__(self, images: ms.Tensor | ArrayLike) -> FloatArray:
        """(n, 3, H, W) images -> (n, C, h, w) activations."""
        (activations,) = self.run(images)
        return activations


class CompiledClassifier(CompiledCell):
    """A whole classifier, or its stages from one on and its head, compiled."""

    def __call__(self, inputs: ms.Tensor | ArrayLike) -> tuple[FloatArray, FloatArray]:
        """(n, 3, H, W) images, or (n, C, h, w) activations -> (n, classes) logits and (n, num_features) features."""
        logits, features = self.run(inputs)
        return logits, features


def best_batch_size() -> int:
    """Images per batch that suit the device.

    On a CPU, MindSpore's convolutions give each image of a batch to one core. With as many images as cores, the
    activations of every layer stay in the processor's cache: a fused ResNet-50 takes 53 ms an image on two cores, and
    unfused in batches of 16, 78 ms.
    """
    return min(MAX_CPU_BATCH_SIZE, cores()) if ms.get_context("device_target") == "CPU" else ACCELERATOR_BATCH_SIZE
