"""The architectures by name, with or without pretrained weights."""

import contextlib
from pathlib import Path

from mstl.config import Preprocessing
from mstl.errors import MstlError
from mstl.models import layers
from mstl.models.efficientnet_lite import EfficientNetLite
from mstl.models.loading import load_weights, read_weights
from mstl.models.pretrained import find_entry, first_local, locate
from mstl.models.resnet import BasicBlock, Bottleneck, ResNet
from mstl.runtime.environment import offline

RESNETS = {  # name: (block, blocks of each layer, groups, base width)
    "resnet18": (BasicBlock, (2, 2, 2, 2), 1, 64),
    "resnet34": (BasicBlock, (3, 4, 6, 3), 1, 64),
    "resnet50": (Bottleneck, (3, 4, 6, 3), 1, 64),
    "resnet101": (Bottleneck, (3, 4, 23, 3), 1, 64),
    "resnet152": (Bottleneck, (3, 8, 36, 3), 1, 64),
    "resnext50_32x4d": (Bottleneck, (3, 4, 6, 3), 32, 4),
    "resnext101_32x8d": (Bottleneck, (3, 4, 23, 3), 32, 8),
    "resnext101_64x4d": (Bottleneck, (3, 4, 23, 3), 64, 4),
    "wide_resnet50_2": (Bottleneck, (3, 4, 6, 3), 1, 128),
    "wide_resnet101_2": (Bottleneck, (3, 4, 23, 3), 1, 128),
}
ARCHITECTURES = (*RESNETS, "efficientnet_lite0")
SUFFIXES = (".ckpt", ".safetensors", ".pth", ".pt", ".bin")


def build_model(name, num_classes=1000, weights=None, padding=None, pool_padding=None):
    """Build an architecture, and load weights if any are named.

    Args:
        name: One of ``ARCHITECTURES``.
        num_classes: Width of the head; where it is not the weights' own, the head is new and random.
        weights: None or ``"none"`` for random values, ``"default"``, a tag of the weights table, or a file.
        padding: ``"symmetric"`` or ``"same"``; the weights' own, or ``"symmetric"`` without weights, if not given.
        pool_padding: The max-pool's, likewise.

    Returns:
        The net, with the attributes ``model`` (its name) and ``preprocessing`` (what its weights expect).

    Raises:
        MstlError: An unknown name, or weights that cannot be found or do not fit.
    """
    if name not in ARCHITECTURES:
        raise MstlError(f"unknown model {name!r}: choose one of {', '.join(ARCHITECTURES)}")
    if num_classes < 1:
        raise MstlError(f"num_classes must be 1 or more, not {num_classes}")
    loaded = None
    if weights is not None and str(weights) != "none":
        loaded = read_weights(find_weights(name, weights))
        padding, pool_padding = padding or loaded.padding, pool_padding or loaded.pool_padding
    with contextlib.nullcontext() if loaded is None else layers.without_values():
        if name in RESNETS:
            block, counts, groups, base_width = RESNETS[name]
            model = ResNet(block, counts, num_classes, padding or layers.SYMMETRIC, pool_padding, groups, base_width)
        else:
            model = EfficientNetLite(num_classes)
    if loaded is not None:
        model.reset_head(num_classes)  # with values: the loaded head may have another size
        load_weights(model, loaded)
    model.architecture, model.preprocessing = name, Preprocessing() if loaded is None else loaded.preprocessing
    return model


def find_weights(model, weights):
    """The file of named weights.

    Args:
        model: The architecture.
        weights: A file, ``"default"``, or a tag of the table. Where the network is forbidden, the default is the first
            of the table whose file is here.
    """
    if Path(weights).is_file():
        return Path(weights)
    if str(weights).endswith(SUFFIXES):
        raise MstlError(f"no weights file at {weights}")
    entry = find_entry(model, str(weights))
    if str(weights) == "default" and offline():
        entry = first_local(model) or entry
    return locate(entry)


def _builder(name):
    def build(num_classes=1000, pretrained=False, weights=None, padding=None, pool_padding=None):
        if pretrained and weights is None:
            weights = "default"
        return build_model(name, num_classes, weights, padding, pool_padding)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"""Build {name}; ``pretrained=True`` loads the default weights, ``weights`` names others.

    Takes what :func:`build_model` takes. A net for (N, 3, H, W) float32 images, normalised as its ``preprocessing``
    says, that gives (N, num_classes) logits.
    """
    return build


resnet18, resnet34, resnet50 = _builder("resnet18"), _builder("resnet34"), _builder("resnet50")
resnet101, resnet152 = _builder("resnet101"), _builder("resnet152")
resnext50_32x4d, resnext101_32x8d = _builder("resnext50_32x4d"), _builder("resnext101_32x8d")
resnext101_64x4d = _builder("resnext101_64x4d")
wide_resnet50_2, wide_resnet101_2 = _builder("wide_resnet50_2"), _builder("wide_resnet101_2")
efficientnet_lite0 = _builder("efficientnet_lite0")
