"""MindSpore layers whose names or defaults change between releases, built with every argument explicit.

MindSpore 2.9 announced new defaults for ``Conv2d``, ``BatchNorm2d`` and the pooling layers, and the end of
``nn.Momentum``. All of mstl takes them from here, so that a release that carries this out is met in one place.
"""

import contextlib
from collections.abc import Iterator
from typing import Literal

import mindspore as ms
from mindspore import nn, ops
from mindspore.common.initializer import HeUniform, Normal, Uniform

Padding = Literal["symmetric", "same"]
SYMMETRIC: Padding = "symmetric"
SAME: Padding = "same"


@contextlib.contextmanager
def without_values():
    """Layers that are made in this block get no values until some are loaded: drawing random ones takes long.

    MindSpore's means to this end is to go after 2.9 and still there in 2.10; without it, values are drawn in vain.
    """
    try:
        from mindspore.nn.utils import no_init_parameters
    except ImportError:
        yield
        return
    with no_init_parameters():
        yield


def conv2d(in_channels, out_channels, kernel_size, stride=1, groups=1, padding=SYMMETRIC):
    """A convolution without bias, He-initialised (He et al. 2015, fan out).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel, odd.
        stride: Step in both directions.
        groups: Number of channel groups; ``in_channels`` makes it depthwise.
        padding: ``"symmetric"`` pads ``kernel_size // 2`` on every side, as PyTorch does; ``"same"`` pads as TensorFlow
            and MindSpore's tutorials do, which with stride 2 and an even size is only below and to the right.
    """
    symmetric = padding == SYMMETRIC
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        pad_mode="pad" if symmetric else "same",
        padding=kernel_size // 2 if symmetric else 0,
        dilation=1,
        group=groups,
        has_bias=False,
        # by hand, because MindSpore's HeNormal does not divide the fan by the groups: depthwise signals would die out
        weight_init=Normal(sigma=(2 * groups / (out_channels * kernel_size**2)) ** 0.5),
    )


def with_bias(conv):
    """A convolution like another, with a bias, its values still to be set."""
    return nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        kernel_size=conv.kernel_size,
        stride=conv.stride,
        pad_mode=conv.pad_mode,
        padding=conv.padding,
        dilation=1,
        group=conv.group,
        has_bias=True,
        weight_init="zeros",
        bias_init="zeros",
    )


def batch_norm2d(channels, eps=1e-5):
    """Batch normalisation whose moving statistics keep 0.9 of their old value at each training step."""
    return nn.BatchNorm2d(
        channels,
        eps=eps,
        momentum=0.9,
        affine=True,
        gamma_init="ones",
        beta_init="zeros",
        moving_mean_init="zeros",
        moving_var_init="ones",
    )


def dense(in_channels, out_channels):
    """A fully connected layer with bias, initialised uniformly within ``1 / sqrt(in_channels)``."""
    bound = in_channels**-0.5
    return nn.Dense(
        in_channels,
        out_channels,
        weight_init=HeUniform(negative_slope=5**0.5),
        bias_init=Uniform(bound),
        has_bias=True,
    )


def avg_pool2d(kernel_size):
    """Average pooling over windows of ``kernel_size`` that do not overlap."""
    return nn.AvgPool2d(kernel_size=kernel_size, stride=kernel_size, pad_mode="valid")


class MaxPool3x3(nn.Cell):
    """3 x 3 maximum over steps of 2, for inputs that are never negative (they come out of a ReLU).

    Args:
        padding: ``"same"`` pads below and to the right, ``"symmetric"`` one row and column on every side.

    MindSpore's own padded max-pool is slow on the CPU (a fifth of a ResNet-18's forward pass). Zeros never win against
    what a ReLU gives, so the border that the symmetric windows reach is put on by concatenation, which is exact. With
    an even height or width, only the first row or column of that border is ever reached.

    In training on the CPU, the pool that keeps where each maximum was takes a third of the time of the other one, which
    looks for it again in the backward pass.
    """

    def __init__(self, padding=SYMMETRIC):
        super().__init__()
        self.symmetric = padding == SYMMETRIC
        self.mode = "valid" if self.symmetric else "same"
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode=self.mode)
        self.on_cpu = ms.get_context("device_target") == "CPU"

    def construct(self, x):
        """(N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2))."""
        if self.symmetric:
            n, c, h, w = x.shape
            row = ops.zeros((n, c, 1, w), x.dtype)
            x = ops.cat((row, x, row), 2) if h % 2 else ops.cat((row, x), 2)
            column = ops.zeros((n, c, x.shape[2], 1), x.dtype)
            x = ops.cat((column, x, column), 3) if w % 2 else ops.cat((column, x), 3)
        if self.training and self.on_cpu:
            return ops.MaxPoolWithArgmax(kernel_size=3, strides=2, pad_mode=self.mode)(x)[0]
        return self.pool(x)


def assign(parameter, value):
    """Change a parameter in place.

    ``Parameter.set_data`` gives it another memory instead, and an optimizer that has made a step goes on with the old.
    """
    if not isinstance(value, ms.Tensor):
        value = ms.Tensor(value, parameter.dtype)
    ops.assign(parameter, value)
