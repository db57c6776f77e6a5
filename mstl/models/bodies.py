"""Bodies: the models among the tensors of a file, whatever prefix and spelling their parameter names have."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mstl.models.key_mapping import MAPS, Layout

T = TypeVar("T")

# what PyTorch's wrappers put between the names of a model's parts: for several devices, compiled, sharded, recomputed
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# the first part of a name that a body can have, in any layout; all else is a head, or no part of the model
BODY = re.compile(r"(conv|bn|norm|layer|_bn)\d*|_conv_\w+|_blocks|stem|blocks|top|maxpool|embedder|encoder")
HUGGING_FACE_ENDS = {"convolution": "conv", "normalization": "bn"}
CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


def as_it_is(name: str) -> str:
    """The usual spelling."""
    return name


def from_hugging_face(name: str) -> str:
    """The name in torchvision of a parameter of Hugging Face's ``ResNetModel``; other names stay as they are."""
    if found := re.fullmatch(r"embedder\.embedder\.(convolution|normalization)\.(\w+)", name):
        return f"{HUGGING_FACE_ENDS[found[1]]}1.{found[2]}"
    block = r"encoder\.stages\.(\d)\.layers\.(\d+)"
    if found := re.fullmatch(rf"{block}\.layer\.(\d)\.(convolution|normalization)\.(\w+)", name):
        stage, number, index, kind, array = found.groups()
        return f"layer{int(stage) + 1}.{number}.{HUGGING_FACE_ENDS[kind]}{int(index) + 1}.{array}"
    if found := re.fullmatch(rf"{block}\.shortcut\.(convolution|normalization)\.(\w+)", name):
        stage, number, kind, array = found.groups()
        return f"layer{int(stage) + 1}.{number}.downsample.{int(kind == 'normalization')}.{array}"
    return name


def from_sequential(name: str) -> str:
    """The name in torchvision of a parameter of ``nn.Sequential(*list(model.children())[:-1])``, which has numbers."""
    first, dot, rest = name.partition(".")
    return CHILDREN.get(first, first) + dot + rest


# names by which a body is known, for each spelling of each layout
SIGNS: tuple[tuple[Layout, Callable[[str], str], tuple[str, ...]], ...] = (
    ("lite0", as_it_is, ("_conv_stem.weight", "_bn0.running_mean")),
    ("torchvision", as_it_is, ("conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight")),
    ("mindcv", as_it_is, ("conv1.weight", "bn1.moving_mean", "layer1.0.conv1.weight")),
    ("tutorial", as_it_is, ("conv1.weight", "norm.moving_mean", "layer1.0.conv1.weight")),
    ("tutorial", as_it_is, ("stem.0.weight", "top.1.moving_mean")),
    (
        "torchvision",
        from_hugging_face,
        (
            "embedder.embedder.convolution.weight",
            "embedder.embedder.normalization.running_mean",
            "encoder.stages.0.layers.0.layer.0.convolution.weight",
        ),
    ),
    ("torchvision", from_sequential, ("0.weight", "1.running_mean", "4.0.conv1.weight")),
)


@dataclass(frozen=True)
class Body:
    """A model among the tensors of a file.

    Attributes:
        prefix: What all its parameter names begin with, such as ``"model."``.
        layout: Their layout.
        spelling: From a name without the prefix to the layout's.
    """

    prefix: str
    layout: Layout
    spelling: Callable[[str], str]

    def take(self, parameters: Mapping[str, T]) -> tuple[dict[str, T], list[str]]:
        """What belongs to the model.

        Args:
            parameters: All tensors of the file, their names as :func:`without_wrappers` leaves them.

        Returns:
            Its body and its head ``fc``, by mstl's names; and the names of all that is neither.
        """
        inside = {name: value for name, value in parameters.items() if name.startswith(self.prefix)}
        own = MAPS[self.layout]({self.spelling(name[len(self.prefix) :]): value for name, value in inside.items()})
        kept = {name: value for name, value in own.items() if name.startswith("fc.") or is_body(name)}
        left_out = [name for name in parameters if name not in inside] + [name for name in own if name not in kept]
        return kept, left_out


def is_body(name: str) -> bool:
    """Whether a name is one that a parameter of a body could have, if perhaps of another model's."""
    return BODY.fullmatch(name.partition(".")[0]) is not None


def without_wrappers(parameters: Mapping[str, T]) -> dict[str, T]:
    """The same without the parts of names that PyTorch's wrappers add; unchanged if two names became the same."""
    renamed = {".".join(part for part in name.split(".") if part not in WRAPPERS): name for name in parameters}
    if len(renamed) < len(parameters):
        return dict(parameters)
    return {short: parameters[name] for short, name in renamed.items()}


def find_bodies(names: Iterable[str]) -> list[Body]:
    """The models that have their parameters among these names, those that are averages (EMA) of others first."""
    known = dict.fromkeys(names)
    found = [
        Body(prefix, layout, spelling)
        for layout, spelling, signs in SIGNS
        for prefix in prefixes(known, signs[0])
        if all(prefix + sign in known for sign in signs)
    ]
    order = {name: index for index, name in enumerate(known)}
    found.sort(key=lambda body: (not is_average(body.prefix), order[first_name(known, body.prefix)]))
    return found


def prefixes(names: Iterable[str], sign: str) -> list[str]:
    """What stands before a sign in each of the names that end with it."""
    return [name[: -len(sign)] for name in names if name == sign or name.endswith(f".{sign}")]


def first_name(names: Iterable[str], prefix: str) -> str:
    """The first name that has a prefix."""
    return next(name for name in names if name.startswith(prefix))


def is_average(text: str) -> bool:
    """Whether a key or prefix says that what it holds is a moving average, which is better than the last weights."""
    return "ema" in re.split(r"[^a-z]+", text.lower())
