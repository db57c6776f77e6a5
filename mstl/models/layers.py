"""MindSpore layers with every argument explicit, as their names and defaults change between releases.

MindSpore 2.9 announced new defaults for ``Conv2d``, ``BatchNorm2d`` and the pooling layers, and the removal of
``nn.Momentum``. All models take their layers from here, so only this file has to follow.
"""

import contextlib
from collections.abc import Iterator

import mindspore as ms
from mindspore import nn, ops
from mindspore.common.initializer import HeUniform, Normal, Uniform
from numpy.typing import ArrayLike

from mstl.models.padding import SYMMETRIC, Padding


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Leave the parameters of layers made in this block without values: they are about to be loaded.

    This only saves the time of drawing random values. MindSpore announced the removal of its function for release 2.9
    (2.10 still has it); without it, the values are drawn.
    """
    try:
        from mindspore.nn.utils import no_init_parameters
    except ImportError:
        yield
        return
    with no_init_parameters():
        yield


def conv2d(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    padding: Padding = SYMMETRIC,
) -> nn.Conv2d:
    """A convolution without bias, He-initialised (He et al. 2015, fan out).

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Side of the square kernel, odd.
        stride: Stride in both directions.
        groups: Number of channel groups; ``in_channels`` makes the convolution depthwise.
        padding: ``"symmetric"`` pads ``kernel_size // 2`` on every side, as PyTorch does. ``"same"`` pads as TensorFlow
            and MindSpore's tutorial do: with stride 2 and an even size, only at the bottom and on the right.
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
        # MindSpore's HeNormal does not divide the fan by the groups, so depthwise convolutions would lose the signal
        weight_init=Normal(sigma=(2 * groups / (out_channels * kernel_size**2)) ** 0.5),
    )


def with_bias(conv: nn.Conv2d) -> nn.Conv2d:
    """A convolution of the same geometry as ``conv``, with a bias, all values zero."""
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


def batch_norm2d(channels: int, eps: float = 1e-5) -> nn.BatchNorm2d:
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


def dense(in_channels: int, out_channels: int) -> nn.Dense:
    """A fully connected layer with bias, both initialised uniformly within ``1 / sqrt(in_channels)``."""
    bound = in_channels**-0.5
    return nn.Dense(
        in_channels,
        out_channels,
        weight_init=HeUniform(negative_slope=5**0.5),
        bias_init=Uniform(bound),
        has_bias=True,
    )


def avg_pool2d(kernel_size: int) -> nn.AvgPool2d:
    """Average pooling over windows of ``kernel_size`` that do not overlap."""
    return nn.AvgPool2d(kernel_size=kernel_size, stride=kernel_size, pad_mode="valid")


class MaxPool3x3(nn.Cell):
    """3 x 3 max-pooling with stride 2, for inputs that are never negative, as after a ReLU.

    MindSpore's own padded max-pool is slow on the CPU (a fifth of a ResNet-18's forward pass). Here a border of zeros
    is concatenated for the symmetric padding, which is exact, since zeros never exceed what a ReLU gives. At an even
    height or width, the windows only reach the border's first row or column.

    In training on the CPU, the pool that also returns the position of each maximum takes a third of the time of the
    plain one, which searches for it again in the backward pass.

    Args:
        padding: ``"symmetric"`` pads one row or column on every side, ``"same"`` as TensorFlow does.
    """

    def __init__(self, padding: Padding = SYMMETRIC) -> None:
        super().__init__()
        self.symmetric = padding == SYMMETRIC
        self.mode = "valid" if self.symmetric else "same"
        self.pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode=self.mode)
        self.on_cpu = ms.get_context("device_target") == "CPU"

    def construct(self, x: ms.Tensor) -> ms.Tensor:
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


def assign(parameter: ms.Parameter, value: ms.Tensor | ArrayLike) -> None:
    """Change the value of a parameter in place.

    ``Parameter.set_data`` moves it to other memory, and an optimizer that has made a step would go on with the old one.
    """
    if not isinstance(value, ms.Tensor):
        value = ms.Tensor(value, parameter.dtype)
    ops.assign(parameter, value)
