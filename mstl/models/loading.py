"""Any weights file into a net, strictly: nothing is ever left at random values in silence."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

from mstl.checkpoint import read_checkpoint
from mstl.config import Preprocessing
from mstl.errors import MstlError
from mstl.models import key_mapping
from mstl.models.pretrained import LITE, published_as
from mstl.models.torch_reader import read_torch_file

logger = logging.getLogger("mstl")
HEAD = ("fc.weight", "fc.bias")


@dataclass
class Weights:
    """A weights file that has been read.

    Attributes:
        path: The file.
        parameters: A dict from mstl's parameter names to arrays.
        layout: The layout that the file came in.
        padding: Padding of the convolutions that the weights were trained with.
        pool_padding: Padding of the max-pool, likewise.
        metadata: The record of an mstl checkpoint; None for other files.
        extras: What an mstl checkpoint holds beside the net's own parameters, a dict from name to array.
    """

    path: Path
    parameters: dict
    layout: str
    padding: str
    pool_padding: str
    metadata: dict | None
    extras: dict = field(default_factory=dict)

    @property
    def num_classes(self):
        """Width of the head; None for a file without one."""
        head = self.parameters.get(HEAD[0])
        return None if head is None else int(head.shape[0])

    @property
    def preprocessing(self):
        """What the net expects: by the record, else by the table (for a file under its published name), else usual."""
        if self.metadata is not None:
            return Preprocessing.from_dict(self.metadata["preprocessing"])
        entry = published_as(self.path.name)
        if entry is not None:
            return entry.preprocessing
        return LITE if self.layout == "lite0" else Preprocessing()

    @property
    def model(self):
        """The architecture, found from names and shapes; None for one that mstl does not build."""
        return key_mapping.recognise({name: value.shape for name, value in self.parameters.items()})


def read_weights(path):
    """Read a weights file of any layout and format that mstl knows.

    Args:
        path: A .ckpt, .safetensors, .pth or .pt file.

    Returns:
        A :class:`Weights`.

    Raises:
        MstlError: The file is not there, is damaged, or has names of no known layout.
    """
    path = Path(path)
    if not path.is_file():
        raise MstlError(f"no weights file at {path}")
    metadata = None
    if path.suffix in (".pth", ".pt", ".bin"):
        parameters = read_torch_file(path)
    else:
        parameters, metadata = read_checkpoint(path)
    # mstl's checkpoints also hold a run's state and what rejection needs, under names with a slash, which no layout has
    extras = {name: value for name, value in parameters.items() if "/" in name}
    parameters = {name: value for name, value in parameters.items() if "/" not in name}
    layout = key_mapping.find_layout(parameters)
    if layout is None:
        some = ", ".join(sorted(parameters)[:3])
        raise MstlError(f"{path} has parameter names of no layout that mstl knows (such as {some})")
    padding, pool_padding = key_mapping.PADDING[layout]
    if metadata is not None:
        try:
            padding, pool_padding = metadata["padding"], metadata["pool_padding"]
            Preprocessing.from_dict(metadata["preprocessing"])
        except (KeyError, TypeError) as error:
            raise MstlError(
                f"{path} has a record that mstl cannot read ({error}); convert or train it again"
            ) from error
    return Weights(path, key_mapping.MAPS[layout](parameters), layout, padding, pool_padding, metadata, extras)


def load_weights(model, weights):
    """Put weights into a net; every parameter of its body must be found, with its shape.

    Args:
        net: A net that keeps mstl's model contract.
        weights: A path, or what :func:`read_weights` gave.

    Returns:
        The names that were not loaded: empty, or the head's where its size differs (which is logged).

    Raises:
        MstlError: The body differs in any way, or the padding does.
    """
    import mindspore as ms

    if not isinstance(weights, Weights):
        weights = read_weights(weights)
    wanted = {parameter.name: parameter for parameter in model.get_parameters()}
    given = weights.parameters
    skipped = [
        name for name in HEAD if name in wanted and (name not in given or given[name].shape != wanted[name].shape)
    ]
    if skipped:
        skipped = list(HEAD)  # half a head is no head
    refuse_differences(weights, {name: tuple(p.shape) for name, p in wanted.items() if name not in skipped}, skipped)
    if (model.padding, model.pool_padding) != (weights.padding, weights.pool_padding):
        raise MstlError(
            f"{weights.path} was trained with padding {weights.padding!r} (max-pool {weights.pool_padding!r}), but the "
            f"model pads {model.padding!r} ({model.pool_padding!r}): build it from the weights, as build_model does"
        )
    for name, parameter in wanted.items():
        if name not in skipped:
            parameter.set_data(ms.Tensor(given[name], dtype=parameter.dtype))
    if skipped:
        had = "no head" if weights.num_classes is None else f"a head of {weights.num_classes} classes"
        logger.info(
            "%s has %s: the net keeps a new one of %d, to be trained", weights.path.name, had, wanted[HEAD[0]].shape[0]
        )
    return skipped


def refuse_differences(weights, wanted, skipped):
    """Raise one line that names what is missing, unexpected or of another shape."""
    given = {name: tuple(value.shape) for name, value in weights.parameters.items() if name not in skipped}
    missing = sorted(wanted.keys() - given.keys())
    unexpected = sorted(given.keys() - wanted.keys())
    misshapen = sorted(name for name in wanted.keys() & given.keys() if wanted[name] != given[name])
    if not (missing or unexpected or misshapen):
        return
    found = weights.model
    if found and found != key_mapping.recognise(wanted):
        raise MstlError(f"{weights.path} is a {found}; use --model {found}")
    parts = [
        f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if names
    ]
    raise MstlError(f"{weights.path} does not fit the net: parameters {'; '.join(parts)}")
