"""ResNet: BasicBlock, Bottleneck, make_layer, and what ResNeXt and Wide ResNet change in them.

He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015; Xie et al., "Aggregated Residual
Transformations for Deep Neural Networks", 2016 (groups); Zagoruyko and Komodakis, "Wide Residual Networks", 2016 (base
width). As in torchvision and in MindSpore's tutorial, a Bottleneck has its stride in the 3 x 3 convolution ("v1.5").

Parameter names are those of MindSpore's tutorial, so that its checkpoints load without conversion. Unlike there, a
BasicBlock has a BatchNorm for each of its convolutions.
"""

from collections.abc import Sequence

import mindspore as ms
from mindspore import nn

from mstl.models import layers
from mstl.models.contract import Classifier
from mstl.models.conv_norm import ConvNorm
from mstl.models.padding import SYMMETRIC, Padding


class BasicBlock(nn.Cell):
    """Two 3 x 3 convolutions and a shortcut: the block of ResNet-18 and ResNet-34.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        stride: Stride of the first convolution.
        down_sample: Brings the shortcut to the output's shape; None where input and output agree.
        padding: See :func:`mstl.models.layers.conv2d`.
        groups, base_width: Always 1 and 64.

    Raises:
        ValueError: Other groups or another base width.
    """

    expansion = 1
    conv_norms = (("conv1", "norm1"), ("conv2", "norm2"))

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        down_sample: ConvNorm | None = None,
        padding: Padding = SYMMETRIC,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__()
        if (groups, base_width) != (1, 64):
            raise ValueError("only a Bottleneck can have groups or another base width")
        self.conv1 = layers.conv2d(in_channels, channels, 3, stride, padding=padding)
        self.norm1 = layers.batch_norm2d(channels)
        self.conv2 = layers.conv2d(channels, channels, 3, padding=padding)
        self.norm2 = layers.batch_norm2d(channels)
        self.relu = nn.ReLU()
        self.down_sample = down_sample

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        identity = x if self.down_sample is None else self.down_sample(x)
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return self.relu(out + identity)


class Bottleneck(nn.Cell):
    """1 x 1, 3 x 3 and 1 x 1 convolutions and a shortcut: the block of ResNet-50 and deeper.

    Args:
        in_channels: Channels of the input.
        channels: A quarter of the output's channels; with one group of base width 64, also the inner width.
        stride: Stride of the 3 x 3 convolution.
        down_sample: Brings the shortcut to the output's shape; None where input and output agree.
        padding: See :func:`mstl.models.layers.conv2d`.
        groups: Groups of the 3 x 3 convolution (ResNeXt's cardinality).
        base_width: Channels of each group for every 64 of ``channels``.
    """

    expansion = 4
    conv_norms = (("conv1", "norm1"), ("conv2", "norm2"), ("conv3", "norm3"))

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        down_sample: ConvNorm | None = None,
        padding: Padding = SYMMETRIC,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
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

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """(N, in_channels, H, W) -> (N, 4 * channels, H / stride, W / stride)."""
        identity = x if self.down_sample is None else self.down_sample(x)
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)))
        out = self.norm3(self.conv3(out))
        return self.relu(out + identity)


Block = type[BasicBlock] | type[Bottleneck]


def make_layer(
    in_channels: int,
    block: Block,
    channels: int,
    blocks: int,
    stride: int = 1,
    padding: Padding = SYMMETRIC,
    groups: int = 1,
    base_width: int = 64,
) -> nn.SequentialCell:
    """Stack blocks; the first one has the stride and changes the number of channels.

    Args:
        in_channels: Channels of the input.
        block: The class of the blocks.
        channels: The ``channels`` of each block.
        blocks: The number of blocks.
        stride: Stride of the first block.
        padding: See :func:`mstl.models.layers.conv2d`.
        groups, base_width: See :class:`Bottleneck`.

    Returns:
        (N, in_channels, H, W) -> (N, channels * expansion, H / stride, W / stride).
    """
    out_channels = channels * block.expansion
    down_sample = None
    if stride != 1 or in_channels != out_channels:
        down_sample = ConvNorm(
            [layers.conv2d(in_channels, out_channels, 1, stride, padding=padding), layers.batch_norm2d(out_channels)]
        )
    cells = [block(in_channels, channels, stride, down_sample, padding, groups, base_width)]
    cells += [block(out_channels, channels, 1, None, padding, groups, base_width) for _ in range(1, blocks)]
    return nn.SequentialCell(cells)


class ResNet(Classifier):
    """A residual network.

    Args:
        block: The class of the blocks.
        blocks: The number of blocks in each of the four layers.
        num_classes: Outputs of the head.
        padding: Padding of the convolutions: ``"symmetric"`` (torchvision, mindcv) or ``"same"`` (the tutorial).
        pool_padding: Padding of the max-pool; by default that of the convolutions. mindcv's weights need ``"same"``.
        groups, base_width: See :class:`Bottleneck`; 1 and 64 make an ordinary ResNet.

    Attributes:
        width: Channels of the stem, and ``channels`` of the first layer's blocks; each further layer doubles it.
    """

    width = 64
    conv_norms = (("conv1", "norm"),)

    def __init__(
        self,
        block: Block,
        blocks: Sequence[int],
        num_classes: int = 1000,
        padding: Padding = SYMMETRIC,
        pool_padding: Padding | None = None,
        groups: int = 1,
        base_width: int = 64,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.pool_padding = pool_padding or padding
        width, out = self.width, self.width * block.expansion
        self.num_features = 8 * out
        self.conv1 = layers.conv2d(3, width, 7, stride=2, padding=padding)
        self.norm = layers.batch_norm2d(width)
        self.relu = nn.ReLU()
        self.max_pool = layers.MaxPool3x3(self.pool_padding)
        self.layer1 = make_layer(width, block, width, blocks[0], 1, padding, groups, base_width)
        self.layer2 = make_layer(out, block, width * 2, blocks[1], 2, padding, groups, base_width)
        self.layer3 = make_layer(out * 2, block, width * 4, blocks[2], 2, padding, groups, base_width)
        self.layer4 = make_layer(out * 4, block, width * 8, blocks[3], 2, padding, groups, base_width)
        self.reset_head(num_classes)

    def stages(self) -> dict[str, list[nn.Cell]]:
        """The backbone in parts that can be frozen, each with its cells in the order in which they run."""
        return {
            "stem": [self.conv1, self.norm, self.relu, self.max_pool],
            "layer1": [self.layer1],
            "layer2": [self.layer2],
            "layer3": [self.layer3],
            "layer4": [self.layer4],
        }

    def forward_features(self, x: ms.Tensor) -> ms.Tensor:
        """(N, 3, H, W) images -> (N, num_features, H / 32, W / 32) activations."""
        x = self.max_pool(self.relu(self.norm(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))
