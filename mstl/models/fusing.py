"""FusedModel: a copy of a model for inference, its BatchNorms fused into the convolutions."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from mstl.models import layers
from mstl.models.compiled import CompiledClassifier, CompiledFeatures
from mstl.models.contract import Classifier
from mstl.models.precision import cast_by_operation, float32


@dataclass(frozen=True)
class FusedPair:
    """A convolution that does the work of a BatchNorm too.

    Attributes:
        conv: The convolution, with a bias.
        conv_name, norm_name: Prefixes of the parameters of the original convolution and BatchNorm.
        eps: The BatchNorm's epsilon.
    """

    conv: nn.Conv2d
    conv_name: str
    norm_name: str
    eps: float


class FusedModel:
    """A fused copy of a model, in evaluation mode; the model itself does not change.

    Args:
        model: The model.

    Attributes:
        version: Counts how often the parameters were taken over.
    """

    def __init__(self, model: Classifier) -> None:
        self.model = model
        self.version = 0
        # kernels are nearly all of a model's memory, and fuse_pairs replaces them: the deep copy shares them
        kernels = [cell.weight for _, cell in model.cells_and_names() if isinstance(cell, nn.Conv2d)]
        self.copy = copy.deepcopy(model, {id(kernel): kernel for kernel in kernels})
        self.pairs = fuse_pairs(self.copy)
        if model.precision in ("O2", "O3"):
            self.copy.to_float(ms.float16)  # the new convolutions, too; there are no BatchNorms any more
        self.copy.set_train(False)
        self.stages = list(self.copy.stages().values())
        self.refresh()

    def refresh(self) -> None:
        """Take over the model's parameters as they are now."""
        self.version += 1
        source = {parameter.name: parameter for parameter in self.model.get_parameters()}
        fused: set[int] = set()
        for pair in self.pairs:
            names = [f"{pair.norm_name}.{key}" for key in ("gamma", "beta", "moving_mean", "moving_variance")]
            gamma, beta, mean, variance = (source[name].asnumpy() for name in names)
            scale = gamma / np.sqrt(variance + pair.eps)
            kernel = source[f"{pair.conv_name}.weight"].asnumpy()
            layers.assign(pair.conv.weight, kernel * scale[:, None, None, None])
            layers.assign(pair.conv.bias, beta - mean * scale)
            fused |= {id(pair.conv.weight), id(pair.conv.bias)}
        for parameter in self.copy.get_parameters():
            if id(parameter) not in fused:
                layers.assign(parameter, source[parameter.name].value())

    def first_stages(self, num_stages: int) -> "FirstStages":
        """The first ``num_stages`` stages, as one cell."""
        cells = [cell for stage in self.stages[:num_stages] for cell in stage]
        first = FirstStages(cells, pooled=num_stages == len(self.stages))
        cast_by_operation(first, self.model.precision)
        return first

    def last_stages(self, num_stages: int) -> "LastStages":
        """Everything behind the first ``num_stages`` stages, as one cell."""
        last = LastStages(self.copy, [cell for stage in self.stages[num_stages:] for cell in stage])
        cast_by_operation(last, self.model.precision)
        return last

    def compile_features(self, num_stages: int) -> CompiledFeatures:
        """Compile the first ``num_stages`` stages.

        Returns:
            (n, 3, H, W) images -> (n, C, h, w) activations, or (n, C, 1, 1) averages over height and width if those are
            all the stages.
        """
        return CompiledFeatures(self.first_stages(num_stages))

    def compile_classifier(self, num_stages: int = 0) -> CompiledClassifier:
        """Compile everything behind the first ``num_stages`` stages.

        Returns:
            The output of :meth:`compile_features` for as many stages, or (n, 3, H, W) images for 0 -> (n, classes)
            logits and (n, num_features) features.
        """
        return CompiledClassifier(self.last_stages(num_stages))


def fuse_pairs(model: Classifier) -> list[FusedPair]:
    """Give each convolution that a BatchNorm follows a bias, and replace the BatchNorm by an identity.

    Returns:
        The pairs; the values of their convolutions are still to be set.
    """
    fused = []
    for pair in model.conv_norm_pairs():
        conv = layers.with_bias(pair.conv)
        conv_name = pair.conv.weight.name.removesuffix(".weight")
        norm_name = pair.norm.gamma.name.removesuffix(".gamma")
        fused.append(FusedPair(conv, conv_name, norm_name, pair.norm.eps))
        pair.replace(conv, nn.Identity())
        # only now, as a cell renames the parameters of a child that it is given
        conv.weight.name, conv.bias.name = f"{conv_name}.weight", f"{conv_name}.bias"
    return fused


class FirstStages(nn.Cell):
    """The first stages of a backbone, and the average over all positions with ``pooled``."""

    def __init__(self, cells: Sequence[nn.Cell], pooled: bool) -> None:
        super().__init__(auto_prefix=False)
        self.parts = nn.CellList(cells, auto_prefix=False)
        self.pooled = pooled

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """(n, 3, H, W) images -> (n, C, h, w) activations, or (n, C, 1, 1) averages."""
        for cell in self.parts:
            x = cell(x)
        x = float32(x)
        return ops.mean(x, (2, 3), True) if self.pooled else x


class LastStages(nn.Cell):
    """The last stages of a backbone, and the head."""

    def __init__(self, model: Classifier, cells: Sequence[nn.Cell]) -> None:
        super().__init__(auto_prefix=False)
        self.model = model
        self.parts = nn.CellList(cells, auto_prefix=False)

    def construct(self, x: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        """(n, C, h, w) activations, or images -> (n, classes) logits and (n, num_features) features."""
        for cell in self.parts:
            x = cell(x)
        return self.model.forward_head(x), ops.mean(float32(x), (2, 3))
