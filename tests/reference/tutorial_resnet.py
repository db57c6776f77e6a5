"""The ResNet-50 of MindSpore's transfer-learning tutorial: its layer shapes, parameter names and "same" padding.

Built from MindSpore's layers with every argument written out, since what the tutorial leaves to defaults is what its
published checkpoint was trained with. It takes nothing from mstl.
"""

from mindspore import nn, ops


def convolution(inputs, outputs, size, stride=1):
    return nn.Conv2d(
        inputs,
        outputs,
        kernel_size=size,
        stride=stride,
        pad_mode="same",
        padding=0,
        dilation=1,
        group=1,
        has_bias=False,
        weight_init="zeros",
    )


def batch_norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.9, affine=True)


class ResidualBlock(nn.Cell):
    def __init__(self, inputs, channels, stride, widen):
        super().__init__()
        self.conv1 = convolution(inputs, channels, 1)
        self.norm1 = batch_norm(channels)
        self.conv2 = convolution(channels, channels, 3, stride)
        self.norm2 = batch_norm(channels)
        self.conv3 = convolution(channels, channels * 4, 1)
        self.norm3 = batch_norm(channels * 4)
        self.relu = nn.ReLU()
        self.down_sample = None
        if widen:
            self.down_sample = nn.SequentialCell(
                [convolution(inputs, channels * 4, 1, stride), batch_norm(channels * 4)]
            )

    def construct(self, x):
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)))
        out = self.norm3(self.conv3(out))
        if self.down_sample is not None:
            x = self.down_sample(x)
        return self.relu(out + x)


class ResNet50(nn.Cell):
    def __init__(self, num_classes=1000):
        super().__init__()
        self.conv1 = convolution(3, 64, 7, 2)
        self.norm = batch_norm(64)
        self.relu = nn.ReLU()
        self.max_pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="same", padding=0)
        self.layer1 = self.make_layer(64, 64, 3, 1)
        self.layer2 = self.make_layer(256, 128, 4, 2)
        self.layer3 = self.make_layer(512, 256, 6, 2)
        self.layer4 = self.make_layer(1024, 512, 3, 2)
        self.flatten = nn.Flatten()
        self.fc = nn.Dense(2048, num_classes, weight_init="zeros", bias_init="zeros", has_bias=True)

    @staticmethod
    def make_layer(inputs, channels, blocks, stride):
        first = ResidualBlock(inputs, channels, stride, widen=True)
        return nn.SequentialCell(
            [first, *(ResidualBlock(channels * 4, channels, 1, widen=False) for _ in range(1, blocks))]
        )

    def construct(self, x):
        x = self.max_pool(self.relu(self.norm(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        # the tutorial's AvgPool2d(7) is the mean of all there is at 224 px; at other sizes it would not be defined
        return self.fc(self.flatten(ops.mean(x, (2, 3), True)))
