"""The ResNet family in PyTorch, under torchvision's parameter names: what mstl's nets are held against.

Written from the papers (He et al. 2015; Xie et al. 2016; Zagoruyko and Komodakis 2016), with the 3 x 3 convolution of a
bottleneck taking the stride, as every published torchvision file expects. It shares nothing with mstl, not even the
table of architectures, so that a slip in one is not repeated in the other.
"""

import torch
from torch import nn

FAMILY = {  # name: (bottleneck?, blocks, groups, width of a group where a layer has 64 channels)
    "resnet18": (False, (2, 2, 2, 2), 1, 64),
    "resnet34": (False, (3, 4, 6, 3), 1, 64),
    "resnet50": (True, (3, 4, 6, 3), 1, 64),
    "resnet101": (True, (3, 4, 23, 3), 1, 64),
    "resnet152": (True, (3, 8, 36, 3), 1, 64),
    "resnext50_32x4d": (True, (3, 4, 6, 3), 32, 4),
    "resnext101_32x8d": (True, (3, 4, 23, 3), 32, 8),
    "resnext101_64x4d": (True, (3, 4, 23, 3), 64, 4),
    "wide_resnet50_2": (True, (3, 4, 6, 3), 1, 128),
    "wide_resnet101_2": (True, (3, 4, 23, 3), 1, 128),
}


def convolution(inputs, outputs, size, stride=1, groups=1):
    """A convolution without bias that pads half its size on every side."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False)


class Block(nn.Module):
    """A residual block; subclasses set what is on the branch."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.branch(x) + shortcut)


class BasicBlock(Block):
    expansion = 1

    def __init__(self, inputs, channels, stride, groups, group_width):
        super().__init__(inputs, channels, stride)
        self.conv1 = convolution(inputs, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)

    def branch(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(Block):
    expansion = 4

    def __init__(self, inputs, channels, stride, groups, group_width):
        super().__init__(inputs, channels * 4, stride)
        width = groups * (group_width * channels // 64)
        self.conv1 = convolution(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, stride, groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, channels * 4, 1)
        self.bn3 = nn.BatchNorm2d(channels * 4)

    def branch(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class ResNet(nn.Module):
    def __init__(self, name, num_classes=1000):
        super().__init__()
        bottleneck, counts, groups, group_width = FAMILY[name]
        block = Bottleneck if bottleneck else BasicBlock
        self.conv1 = convolution(3, 64, 7, stride=2)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = 64
        for index, count in enumerate(counts):
            channels, blocks = 64 * 2**index, []
            for place in range(count):
                blocks.append(block(inputs, channels, 2 if index and not place else 1, groups, group_width))
                inputs = channels * block.expansion
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, num_classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def shapes(net):
    """Names and shapes of all that a state dict of ``net`` holds."""
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def compute(net, parameters, images):
    """Logits in evaluation mode, from arrays and as arrays: one (N, classes) for each of ``images``."""
    net.load_state_dict({name: torch.tensor(value) for name, value in parameters.items()})
    net.eval()
    with torch.no_grad():
        return [net(torch.tensor(batch)).numpy() for batch in images]
