"""Classifier: the base class of all architectures, and all that the other rooms rely on in one."""

import mindspore as ms
from mindspore import nn, ops

from mstl.models import layers
from mstl.models.conv_norm import ConvNormPair, find_pairs
from mstl.models.padding import Padding
from mstl.models.precision import PrecisionLevel, float32
from mstl.preprocessing import Preprocessing


class Classifier(nn.Cell):
    """An image classifier: a backbone of named stages, and a head.

    (N, 3, H, W) float32 images, normalised as ``preprocessing`` says -> (N, num_classes) logits.

    A subclass implements :meth:`stages` and :meth:`forward_features`, sets ``padding``, ``pool_padding`` and
    ``num_features``, and calls :meth:`reset_head` once its backbone is made.

    Attributes:
        architecture: The name by which :func:`mstl.build_model` makes it, such as ``"resnet50"``; empty if it was made
            in another way.
        preprocessing: How an image becomes the model's input.
        padding: Padding of the convolutions.
        pool_padding: Padding of the max-pool.
        num_features: Channels of the activations that :meth:`forward_features` returns.
        fc: The head's fully connected layer.
        precision: What :func:`mstl.models.precision.set_precision` was told.
    """

    architecture: str = ""
    preprocessing: Preprocessing = Preprocessing()
    padding: Padding
    pool_padding: Padding
    num_features: int
    fc: nn.Dense
    precision: PrecisionLevel = "O0"

    def __init__(self) -> None:
        super().__init__()
        self.flatten = nn.Flatten()

    def stages(self) -> dict[str, list[nn.Cell]]:
        """The backbone in parts that can be frozen, each with its cells in the order in which they run.

        Their names are those of ``--freeze``: stem, layer1, layer2, layer3 and layer4.
        """
        raise NotImplementedError

    def forward_features(self, x: ms.Tensor) -> ms.Tensor:
        """(N, 3, H, W) images -> (N, num_features, H / 32, W / 32) activations."""
        raise NotImplementedError

    def forward_head(self, features: ms.Tensor) -> ms.Tensor:
        """(N, num_features, h, w) activations, or (N, num_features) pooled ones -> (N, num_classes) float32 logits."""
        if len(features.shape) == 2:
            return float32(self.fc(features))
        if features.shape[-2:] == (7, 7):  # at 224 px, pooled as in MindSpore's tutorial
            pooled = self.avg_pool(features)
        else:
            pooled = ops.mean(features, (2, 3), True)
        return float32(self.fc(self.flatten(pooled)))

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """(N, 3, H, W) images -> (N, num_classes) logits."""
        return self.forward_head(self.forward_features(x))

    def reset_head(self, num_classes: int) -> None:
        """Replace the head by a randomly initialised one with ``num_classes`` outputs."""
        self.avg_pool = layers.avg_pool2d(7)
        self.fc = layers.dense(self.num_features, num_classes)
        self.fc.update_parameters_name("fc.")

    def conv_norm_pairs(self) -> list[ConvNormPair]:
        """Each convolution of the backbone with its BatchNorm."""
        return find_pairs(self)
