"""A copy of a net that only answers: BatchNorms folded into the convolutions, in graph mode, in small batches.

On a CPU, MindSpore's convolutions give each image of a batch to one core. A batch of as many images as there are cores
keeps every layer's values in the cache: a ResNet-50 then takes 53 ms an image on two cores, against 78 in batches of
16 with its BatchNorms.
"""

import copy

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mstl.models import layers
from mstl.runtime.devices import cores
from mstl.runtime.interrupts import interruptible

DEVICE_BATCH = 32  # on a device other than the CPU
BACKBONE = "backbone"


class FusedModel:
    """A folded copy of a net; the net itself stays as it is.

    Args:
        net: A net that keeps mstl's model contract.
    """

    def __init__(self, model):
        self.model = model
        kernels = [cell.weight for _, cell in model.cells_and_names() if isinstance(cell, nn.Conv2d)]
        # fuse_pairs replaces the kernels, so that they need not be copied: they are nearly all of a net's memory
        self.copy = copy.deepcopy(model, {id(kernel): kernel for kernel in kernels})
        self.folds = fuse_pairs(self.copy)
        self.copy.set_train(False)
        self.cells = [cell for cells in self.copy.stages().values() for cell in cells]
        self.refresh()

    def refresh(self):
        """Take over the net's parameters as they are now."""
        source = {parameter.name: parameter for parameter in self.model.get_parameters()}
        fused = set()
        for prefix, norm, target, eps in self.folds:
            names = {key: f"{norm}.{key}" for key in ("gamma", "beta", "moving_mean", "moving_variance")}
            gamma, beta, mean, variance = (source[name].asnumpy() for name in names.values())
            scale = gamma / np.sqrt(variance + eps)
            weight = source[f"{prefix}.weight"].asnumpy() * scale[:, None, None, None]
            layers.assign(target.weight, weight)
            layers.assign(target.bias, beta - mean * scale)
            fused |= {id(target.weight), id(target.bias)}
        for parameter in self.copy.get_parameters():
            if id(parameter) not in fused:
                layers.assign(parameter, source[parameter.name].value())

    def front(self, stages):
        """What the first ``stages`` of the backbone's stages give, as a :class:`Runner`.

        (n, 3, H, W) images -> activations; those of the whole backbone are averaged over height and width.
        """
        counts = [len(cells) for cells in self.copy.stages().values()]
        return Runner(Front(self.cells[: sum(counts[:stages])], pooled=stages == len(counts)))

    def answers(self, stages=0):
        """What the rest of the net makes of them, as a :class:`Runner`.

        What :meth:`front` gave, or (n, 3, H, W) images for 0 -> (n, classes) logits and (n, num_features) features.
        """
        counts = [len(cells) for cells in self.copy.stages().values()]
        return Runner(Rest(self.copy, self.cells[sum(counts[:stages]) :]))


def fuse_pairs(model):
    """Give each convolution that a BatchNorm follows a bias, and put an identity in the BatchNorm's place.

    Returns:
        For each pair, the prefix of the convolution's parameters, that of the BatchNorm's, the new convolution (its
        values are still to be set) and the BatchNorm's epsilon.
    """
    folds = []
    for pair in model.conv_norm_pairs():
        prefix, norm = pair.conv.weight.name.removesuffix(".weight"), pair.norm.gamma.name.removesuffix(".gamma")
        conv = layers.with_bias(pair.conv)
        folds.append((prefix, norm, conv, pair.norm.eps))
        pair.replace(conv, nn.Identity())
        conv.weight.name, conv.bias.name = f"{prefix}.weight", f"{prefix}.bias"
    return folds


class Front(nn.Cell):
    """The beginning of a backbone."""

    def __init__(self, cells, pooled):
        super().__init__(auto_prefix=False)
        self.parts = nn.CellList(cells, auto_prefix=False)
        self.pooled = pooled

    def construct(self, x):
        """(n, 3, H, W) images -> (n, C, h, w) activations, 1 x 1 where they are pooled."""
        for cell in self.parts:
            x = cell(x)
        return ops.mean(x, (2, 3), True) if self.pooled else x


class Rest(nn.Cell):
    """The end of a backbone, and the head."""

    def __init__(self, model, cells):
        super().__init__(auto_prefix=False)
        self.model = model
        self.parts = nn.CellList(cells, auto_prefix=False)

    def construct(self, x):
        """Activations -> logits and pooled features."""
        for cell in self.parts:
            x = cell(x)
        return self.model.forward_head(x), ops.mean(x, (2, 3))


class Runner:
    """A compiled part of a net, called with batches of any size.

    Args:
        part: A Cell of one input; it is compiled for one shape, so that batches are cut up and the last part filled up.
    """

    def __init__(self, part):
        part.set_train(False)
        self.run = ms.jit(part)
        self.batch_size = best_batch()

    def __call__(self, batch):
        """Run a batch through.

        Args:
            batch: (n, ...) float32, an array or a Tensor.

        Returns:
            An array of n rows, or a tuple of such, as the part gives.
        """
        batch = batch.asnumpy() if isinstance(batch, ms.Tensor) else np.asarray(batch)
        parts = []
        for start in range(0, max(1, len(batch)), self.batch_size):
            rows = batch[start : start + self.batch_size]
            missing = self.batch_size - len(rows)
            if missing:
                rows = np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])
            with interruptible():
                given = self.run(ms.Tensor.from_numpy(np.ascontiguousarray(rows, np.float32)))
                given = given if isinstance(given, tuple) else (given,)
                parts.append([tensor.asnumpy()[: len(batch) - start].copy() for tensor in given])
        results = tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True))
        return results if len(results) > 1 else results[0]


def best_batch():
    """Images in a batch that suit the device: one a core on the CPU."""
    return min(32, cores()) if ms.get_context("device_target") == "CPU" else DEVICE_BATCH
