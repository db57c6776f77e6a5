"""The architectures by name, as plain data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ResNetSpec:
    """What tells the members of the ResNet family apart.

    Attributes:
        bottleneck: Whether its blocks are Bottlenecks; else BasicBlocks.
        blocks: The number of blocks in each of the four layers.
        groups: Groups of the 3 x 3 convolutions.
        base_width: Channels per group of the first layer's 3 x 3 convolutions.
    """

    bottleneck: bool
    blocks: tuple[int, int, int, int]
    groups: int = 1
    base_width: int = 64


RESNETS = {
    "resnet18": ResNetSpec(False, (2, 2, 2, 2)),
    "resnet34": ResNetSpec(False, (3, 4, 6, 3)),
    "resnet50": ResNetSpec(True, (3, 4, 6, 3)),
    "resnet101": ResNetSpec(True, (3, 4, 23, 3)),
    "resnet152": ResNetSpec(True, (3, 8, 36, 3)),
    "resnext50_32x4d": ResNetSpec(True, (3, 4, 6, 3), groups=32, base_width=4),
    "resnext101_32x8d": ResNetSpec(True, (3, 4, 23, 3), groups=32, base_width=8),
    "resnext101_64x4d": ResNetSpec(True, (3, 4, 23, 3), groups=64, base_width=4),
    "wide_resnet50_2": ResNetSpec(True, (3, 4, 6, 3), base_width=128),
    "wide_resnet101_2": ResNetSpec(True, (3, 4, 23, 3), base_width=128),
}
EFFICIENTNET_LITE0 = "efficientnet_lite0"
ARCHITECTURES = (*RESNETS, EFFICIENTNET_LITE0)
