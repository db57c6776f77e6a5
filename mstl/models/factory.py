"""build_model: an architecture by its name, with or without pretrained weights."""

import os
from pathlib import Path

from mstl.errors import MstlError
from mstl.models import layers
from mstl.models.architectures import ARCHITECTURES, RESNETS
from mstl.models.contract import Classifier
from mstl.models.efficientnet_lite import EfficientNetLite
from mstl.models.file_kinds import kind_of
from mstl.models.loading import (
    SUFFIXES,
    Weights,
    head_that_differs,
    load_weights,
    read_weights,
    refuse_differences,
)
from mstl.models.padding import SYMMETRIC, Padding
from mstl.models.pretrained import WeightsEntry, find_entry
from mstl.models.resnet import BasicBlock, Bottleneck, ResNet
from mstl.models.weights_files import first_local, locate
from mstl.runtime.environment import offline


def build_model(
    name: str,
    num_classes: int = 1000,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """Build an architecture, and load weights into it.

    Args:
        name: One of :data:`mstl.models.architectures.ARCHITECTURES`.
        num_classes: Outputs of the head. If the weights have a head of another size, it is left out, and the model's
            stays random.
        weights: None or ``"none"`` for random weights, ``"default"``, a tag of ``mstl weights list``, or a file.
        padding: Padding of the convolutions, ``"symmetric"`` or ``"same"``; by default that of the weights, or
            ``"symmetric"`` without weights.
        pool_padding: Padding of the max-pool; by default that of the weights, or ``padding`` without weights.

    A padding that is not that of the weights is refused, where it is known: by their record, names or publication.

    Raises:
        MstlError: The name is unknown, or the weights cannot be found or do not fit.
    """
    refuse_unknown_architecture(name)
    if num_classes < 1:
        raise MstlError(f"num_classes must be 1 or more, not {num_classes}")
    if weights is None or str(weights) == "none":
        model = make(name, num_classes, padding, pool_padding)
    else:
        loaded = read_weights(find_weights(name, weights)).padded(padding, pool_padding)
        with layers.without_values():
            model = make(name, num_classes, padding or loaded.padding, pool_padding or loaded.pool_padding)
        model.reset_head(num_classes)  # this one has values: the head of the weights may be left out
        load_weights(model, loaded)
        model.preprocessing = loaded.preprocessing
    return model


def refuse_unknown_architecture(name: str) -> None:
    """Refuse a name that is not that of an architecture.

    Raises:
        MstlError: It is not.
    """
    if name not in ARCHITECTURES:
        raise MstlError(f"unknown model {name!r}: choose one of {', '.join(ARCHITECTURES)}")


def make(name: str, num_classes: int, padding: Padding | None, pool_padding: Padding | None) -> Classifier:
    """An architecture with random weights."""
    model: Classifier
    if name in RESNETS:
        spec = RESNETS[name]
        block = Bottleneck if spec.bottleneck else BasicBlock
        model = ResNet(
            block, spec.blocks, num_classes, padding or SYMMETRIC, pool_padding, spec.groups, spec.base_width
        )
    else:
        model = EfficientNetLite(num_classes)
    model.architecture = name
    return model


def refuse_incomplete(weights: Weights) -> list[str]:
    """Refuse weights in which anything of their architecture is missing, or has another shape.

    Args:
        weights: Weights of an architecture that mstl builds.

    Returns:
        The names of the head's parameters if the head does not fit the body, else none.

    Raises:
        MstlError: They are incomplete.
    """
    with layers.without_values():
        model = make(weights.architecture or "", weights.num_classes or 1, weights.padding, weights.pool_padding)
    shapes = {parameter.name: tuple(parameter.shape) for parameter in model.get_parameters()}
    odd_head = head_that_differs(weights, shapes)
    refuse_differences(weights, {name: shape for name, shape in shapes.items() if name not in odd_head}, odd_head)
    return odd_head


def find_weights(name: str, weights: str | Path) -> Path:
    """The file of weights for an architecture, downloaded if necessary.

    Args:
        name: The architecture.
        weights: A file, a tag of ``mstl weights list``, or ``"default"``: the architecture's first entry there. Where
            the network may not be used, the first entry whose file is on this machine.

    Raises:
        MstlError: There are no such weights, or their file cannot be downloaded.
    """
    return find_weights_entry(name, weights)[0]


def find_weights_entry(name: str, weights: str | Path) -> tuple[Path, WeightsEntry | None]:
    """The file of :func:`find_weights`, and its entry in the table of weights; None if ``weights`` is a file."""
    refuse_unknown_architecture(name)
    if os.path.isfile(weights):
        return Path(weights), None
    if os.sep in str(weights) or str(weights).lower().endswith(SUFFIXES):
        kind_of(Path(weights))  # says why it is no file
    entry = find_entry(name, str(weights))
    if str(weights) == "default" and offline():
        entry = first_local(name) or entry
    return locate(entry), entry
