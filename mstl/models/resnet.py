"""ResNet: BasicBlock, Bottleneck, make_layer, and what ResNeXt and wide ResNets change in them.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015; Xie et al., "Aggregated Residual
Transformations for Deep Neural Networks", 2016 (groups); Zagoruyko and Komodakis, "Wide Residual Networks", 2016 (base
width). As in torchvision and in MindSpore's tutorial, a Bottleneck strides in its 3 x 3 convolution ("v1.5").

Parameter names are those of MindSpore's tutorial, so that its checkpoints load as they are; a BasicBlock has a
BatchNorm for each of its convolutions.
"""

import mindspore as ms
from mindspore import nn

from mstl.models import layers
from mstl.models.contract import Classifier
from mstl.models.conv_norm import ConvNorm


class BasicBlock(nn.Cell):
    """Two 3 x 3 convolutions and a shortcut: the block of ResNet-18 and ResNet-34.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        stride: Step of the first convolution.
        down_sample: What turns the input into the output's shape, where the two differ.
        padding: ``"symmetric"`` or ``"same"``; see :func:`mstl.models.layers.conv2d`.
        groups, base_width: 1 and 64; this block knows no others.
    """

    expansion = 1
    conv_norms = (("conv1", "norm1"), ("conv2", "norm2"))

    def __init__(
        self, in_channels, channels, stride=1, down_sample=None, padding=layers.SYMMETRIC, groups=1, base_width=64
    ):
        super().__init__()
        if (groups, base_width) != (1, 64):
            raise ValueError("only a Bottleneck can have groups or another width")
        self.conv1 = layers.conv2d(in_channels, channels, 3, stride, padding=padding)
        self.norm1 = layers.batch_norm2d(channels)
        self.conv2 = layers.conv2d(channels, channels, 3, padding=padding)
        self.norm2 = layers.batch_norm2d(channels)
        self.relu = nn.ReLU()
        self.down_sample = down_sample

    def construct(self, x):
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        identity = x if self.down_sample is None else self.down_sample(x)
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return self.relu(out + identity)


class Bottleneck(nn.Cell):
    """1 x 1, 3 x 3 and 1 x 1 convolutions and a shortcut: the block of ResNet-50 and deeper.

    Args:
        in_channels: Channels of the input.
        channels: A fourth of the output's channels; of the 3 x 3 convolution too, unless groups or width change it.
        stride: Step of the 3 x 3 convolution.
        down_sample: What turns the input into the output's shape, where the two differ.
        padding: ``"symmetric"`` or ``"same"``; see :func:`mstl.models.layers.conv2d`.
        groups: Groups of the 3 x 3 convolution (ResNeXt's cardinality).
        base_width: Channels of the 3 x 3 convolution a group, for each 64 of ``channels``.
    """

    expansion = 4
    conv_norms = (("conv1", "norm1"), ("conv2", "norm2"), ("conv3", "norm3"))

    def __init__(
        self, in_channels, channels, stride=1, down_sample=None, padding=layers.SYMMETRIC, groups=1, base_width=64
    ):
        super().__init__()
        width = channels * base_width // 64 * groups
        self.conv1 = layers.conv2d(in_channels, width, 1, padding=padding)
        self.norm1 = layers.batch_norm2d(width)
        self.conv2 = layers.conv2d(width, width, 3, stride, groups, padding=padding)
        self.norm2 = layers.batch_norm2d(width)
        self.conv3 = layers.conv2d(width, channels * self.expansion, 1, padding=padding)
        self.norm3 = layers.batch_norm2d(channels * self.expansion)
        self.relu = nn.ReLU()
        self.down_sample = down_sample

    def construct(self, x):
        """(N, in_channels, H, W) -> (N, 4 * channels, H / stride, W / stride)."""
        identity = x if self.down_sample is None else self.down_sample(x)
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)))
        out = self.norm3(self.conv3(out))
        return self.relu(out + identity)


def make_layer(in_channels, block, channels, blocks, stride=1, padding=layers.SYMMETRIC, groups=1, base_width=64):
    """Stack ``blocks`` blocks, of which the first strides and widens.

    Args:
        in_channels: Channels of the input.
        block: BasicBlock or Bottleneck.
        channels: The block's inner width.
        blocks: How many blocks.
        stride: Step of the first block.
        padding: ``"symmetric"`` or ``"same"``.
        groups, base_width: The block's.

    Returns:
        A SequentialCell from (N, in_channels, H, W) to (N, channels * expansion, H / stride, W / stride).
    """
    out_channels = channels * block.expansion
    down_sample = None
    if stride != 1 or in_channels != out_channels:
        down_sample = ConvNorm(
            [layers.conv2d(in_channels, out_channels, 1, stride, padding=padding), layers.batch_norm2d(out_channels)]
        )
    shared = {"padding": padding, "groups": groups, "base_width": base_width}
    cells = [block(in_channels, channels, stride, down_sample, **shared)]
    cells += [block(out_channels, channels, **shared) for _ in range(1, blocks)]
    return nn.SequentialCell(cells)


class ResNet(Classifier):
    """A residual network that keeps mstl's model contract.

    Args:
        block: BasicBlock or Bottleneck.
        blocks: How many blocks each of the four layers has.
        num_classes: Width of the head.
        padding: Padding of the convolutions, ``"symmetric"`` (torchvision, mindcv) or ``"same"`` (the tutorial).
        pool_padding: Padding of the max-pool; the convolutions' by default. mindcv's weights want ``"same"`` here.
        groups, base_width: A Bottleneck's; 1 and 64 make an ordinary ResNet.

    Attributes:
        width: Channels of the stem and of the first layer's blocks; each further layer has twice as many.
        num_features: Channels of what ``forward_features`` gives.
        padding, pool_padding: As given; a checkpoint keeps them.
    """

    width = 64
    conv_norms = (("conv1", "norm"),)

    def __init__(
        self, block, blocks, num_classes=1000, padding=layers.SYMMETRIC, pool_padding=None, groups=1, base_width=64
    ):
        super().__init__()
        self.padding = padding
        self.pool_padding = pool_padding or padding
        width, out = self.width, self.width * block.expansion
        self.num_features = 8 * out
        self.conv1 = layers.conv2d(3, width, 7, stride=2, padding=padding)
        self.norm = layers.batch_norm2d(width)
        self.relu = nn.ReLU()
        self.max_pool = layers.MaxPool3x3(self.pool_padding)
        shared = {"padding": padding, "groups": groups, "base_width": base_width}
        self.layer1 = make_layer(width, block, width, blocks[0], **shared)
        self.layer2 = make_layer(out, block, width * 2, blocks[1], stride=2, **shared)
        self.layer3 = make_layer(out * 2, block, width * 4, blocks[2], stride=2, **shared)
        self.layer4 = make_layer(out * 4, block, width * 8, blocks[3], stride=2, **shared)
        self.reset_head(num_classes)

    def stages(self):
        """The backbone in parts that can be frozen: a dict from name to cells, which follow on each other."""
        return {
            "stem": [self.conv1, self.norm, self.relu, self.max_pool],
            "layer1": [self.layer1],
            "layer2": [self.layer2],
            "layer3": [self.layer3],
            "layer4": [self.layer4],
        }

    def forward_features(self, x):
        """(N, 3, H, W), normalised, -> (N, num_features, H / 32, W / 32)."""
        x = self.max_pool(self.relu(self.norm(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))
