"""Weights from a file of any layout into a model, strictly: no parameter is silently left at a random value."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mstl.checkpoint import Arrays, read_checkpoint
from mstl.errors import MstlError
from mstl.models import key_mapping
from mstl.models.bodies import find_bodies, without_wrappers
from mstl.models.contract import Classifier
from mstl.models.file_kinds import kind_of
from mstl.models.key_mapping import Layout
from mstl.models.padding import SAME, SYMMETRIC, Padding
from mstl.models.pretrained import LITE0_PREPROCESSING, published_as
from mstl.models.sound_numbers import refuse_not_finite, usable
from mstl.models.torch_reader import read_torch_file
from mstl.preprocessing import Preprocessing

logger = logging.getLogger("mstl")

SUFFIXES = (".ckpt", ".safetensors", ".pth", ".pt", ".bin", ".tar")  # of names that are never a tag
HEAD = ("fc.weight", "fc.bias")


@dataclass
class Weights:
    """What a weights file holds.

    Attributes:
        path: The file.
        parameters: Arrays by mstl's parameter names.
        layout: The layout of the file.
        padding: Padding of the convolutions that the weights were trained with.
        pool_padding: Padding of the max-pool that they were trained with.
        metadata: The record of an mstl checkpoint; None for other files.
        extras: What an mstl checkpoint holds beside the model's parameters, by name.
    """

    path: Path
    parameters: Arrays
    layout: Layout
    padding: Padding
    pool_padding: Padding
    metadata: dict[str, Any] | None
    extras: Arrays = field(default_factory=dict)

    @property
    def num_classes(self) -> int | None:
        """Outputs of the head; None if there is no head."""
        head = self.parameters.get(HEAD[0])
        return None if head is None else int(head.shape[0])

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes the model's input.

        From the record, from the table of weights (for a file that has its published name), or the layout's usual one.
        """
        if self.metadata is not None:
            return Preprocessing.from_record(self.metadata)
        entry = published_as(self.path.name)
        if entry is not None:
            return entry.preprocessing
        return LITE0_PREPROCESSING if self.layout == "lite0" else Preprocessing()

    def padded(self, padding: Padding | None, pool_padding: Padding | None) -> "Weights":
        """These weights with the padding that a user knows them to be trained with, where mstl has to guess it.

        The names of MindSpore's tutorial are also those of mstl's own models: a file with them that neither has a
        record nor is published may have been written by either.
        """
        if self.metadata is not None or self.layout != "tutorial" or published_as(self.path.name) is not None:
            return self
        if padding is None:
            logger.info(
                "%s: padding %r is taken, as these are the names of MindSpore's tutorial; if a model of mstl was saved "
                "there by MindSpore itself, give padding=%r",
                self.path.name,
                self.padding,
                SYMMETRIC,
            )
            return self
        return dataclasses.replace(self, padding=padding, pool_padding=pool_padding or padding)

    @property
    def architecture(self) -> str | None:
        """The architecture, recognised from names and shapes; None if mstl does not build it."""
        return key_mapping.recognise({name: value.shape for name, value in self.parameters.items()})


def read_weights(path: str | Path) -> Weights:
    """Read a weights file of any layout and format that mstl knows; its content decides which it is, not its name.

    What is guessed, and what is left out, is logged.

    Args:
        path: A file of MindSpore (.ckpt), safetensors or PyTorch (.pth and the like).

    Raises:
        MstlError: The file does not exist, is damaged, is something else, has parameter names of no known layout, or
            numbers that cannot be used.
    """
    path = Path(path)
    arrays, metadata = (read_torch_file(path), None) if kind_of(path) == "torch" else read_checkpoint(path)
    # names with a slash, which no layout has, belong to a run's state or to rejection
    extras = {name: value for name, value in arrays.items() if "/" in name}
    named = without_wrappers({name: value for name, value in arrays.items() if "/" not in name})
    bodies = find_bodies(named)
    if not bodies:
        some = ", ".join(sorted(arrays)[:3])
        raise MstlError(f"{path} has parameter names of no layout that mstl knows (such as {some})")
    body = bodies[0]
    if len(bodies) > 1:
        others = ", ".join(repr(other.prefix) for other in bodies[1:])
        logger.info("%s: the model with the prefix %r is taken, not that with %s", path.name, body.prefix, others)
    parameters, left_out = body.take(named)
    parameters, odd_head = without_odd_head(parameters)
    if left_out := [*left_out, *odd_head]:
        some = ", ".join(left_out[:4]) + (f", ... ({len(left_out)} tensors)" if len(left_out) > 4 else "")
        logger.info("%s: left out, as no part of the body: %s", path.name, some)
    parameters = usable(path, parameters)
    refuse_not_finite(path, extras)
    padding, pool_padding = key_mapping.PADDING[body.layout]
    if metadata is not None:
        padding, pool_padding = read_padding(path, metadata)
    return Weights(path, parameters, body.layout, padding, pool_padding, metadata, extras)


def without_odd_head(parameters: Arrays) -> tuple[Arrays, list[str]]:
    """The parameters without a head that is not one linear layer with a bias, and the names of what that leaves out."""
    weight, bias = (parameters.get(name) for name in HEAD)
    usual = weight is not None and bias is not None and weight.ndim == 2 and bias.shape == weight.shape[:1]
    left_out = [name for name in parameters if name.startswith("fc.") and not (usual and name in HEAD)]
    return {name: value for name, value in parameters.items() if name not in left_out}, left_out


def read_padding(path: Path, metadata: Any) -> tuple[Padding, Padding]:
    """The paddings of a record, which must have all that a model is built from.

    Raises:
        MstlError: It has not.
    """
    try:
        padding, pool_padding = metadata["padding"], metadata["pool_padding"]
        if not {padding, pool_padding} <= {SAME, SYMMETRIC}:
            raise ValueError(f"padding {padding!r}")
        Preprocessing.from_record(metadata)
    except (KeyError, TypeError, ValueError, AttributeError, MstlError) as error:
        raise MstlError(f"{path} has a record that mstl cannot read ({error}); convert or train it again") from error
    return padding, pool_padding


def load_weights(model: Classifier, weights: str | Path | Weights) -> list[str]:
    """Load weights into a model; all parameters of its backbone must be there, with their shapes.

    Args:
        model: The model.
        weights: A file, or the result of :func:`read_weights`.

    Returns:
        The names of the parameters that were not loaded: none, or those of the head if it has another size in the file
        or is missing there (which is logged).

    Raises:
        MstlError: The parameters of the backbone differ, or the padding does.
    """
    import mindspore as ms

    if not isinstance(weights, Weights):
        weights = read_weights(weights)
    wanted = {parameter.name: parameter for parameter in model.get_parameters()}
    given = weights.parameters
    shapes = {name: tuple(parameter.shape) for name, parameter in wanted.items()}
    skipped = head_that_differs(weights, shapes)
    refuse_differences(weights, {name: shape for name, shape in shapes.items() if name not in skipped}, skipped)
    if (model.padding, model.pool_padding) != (weights.padding, weights.pool_padding):
        raise MstlError(
            f"{weights.path} was trained with padding {weights.padding!r} (max-pool {weights.pool_padding!r}), but the "
            f"model pads {model.padding!r} ({model.pool_padding!r}): build it from the weights, as build_model does"
        )
    for name, parameter in wanted.items():
        if name not in skipped:
            parameter.set_data(ms.Tensor(given[name], dtype=parameter.dtype))
    if skipped:
        new, count = wanted[HEAD[0]].shape[0], weights.num_classes
        found = "no head" if count is None else f"a head of {count} classes{', for another body' * (count == new)}"
        logger.info("%s has %s: the model gets a new one of %d, to be trained", weights.path.name, found, new)
    return skipped


def head_that_differs(weights: Weights, wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The names of the head's parameters if one of them is missing or has another shape than wanted, else none."""
    given = weights.parameters
    differs = any(name in wanted and (name not in given or given[name].shape != wanted[name]) for name in HEAD)
    return list(HEAD) if differs else []  # weights without their bias, or the reverse, are no use


def refuse_differences(weights: Weights, wanted: Mapping[str, tuple[int, ...]], skipped: Sequence[str]) -> None:
    """Refuse weights of another architecture, or with parameters missing, unexpected or misshapen.

    Args:
        weights: The weights.
        wanted: The shape of each parameter that must be there, by name.
        skipped: Names that are not compared.

    Raises:
        MstlError: They differ.
    """
    given = {name: tuple(value.shape) for name, value in weights.parameters.items() if name not in skipped}
    missing = sorted(wanted.keys() - given.keys())
    unexpected = sorted(given.keys() - wanted.keys())
    misshapen = sorted(name for name in wanted.keys() & given.keys() if wanted[name] != given[name])
    if not (missing or unexpected or misshapen):
        return
    found = weights.architecture
    if found and found != key_mapping.recognise(wanted):
        raise MstlError(f"{weights.path} is a {found}; use --model {found}")
    parts = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if names
    ]
    raise MstlError(f"{weights.path} does not fit the model: parameters {'; '.join(parts)}")
