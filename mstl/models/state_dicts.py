"""State dicts: the dict of a model's tensors, wherever in a PyTorch file it is."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

from mstl.errors import MstlError
from mstl.models.bodies import find_bodies, is_average, without_wrappers
from mstl.models.torch_pickle import LazyTensor, Skipped

logger = logging.getLogger("mstl")

DEPTH = 8  # dicts in dicts that are looked into
SAVE = "in PyTorch, save torch.save(model.state_dict(), 'weights.pth')"
# the functions by which PyTorch makes tensors of other kinds, what these are, and what to do
KINDS = {
    "_rebuild_sparse_tensor": ("sparse", "make it dense (.to_dense()) and save it again"),
    "_rebuild_sparse_csr_tensor": ("sparse", "make it dense (.to_dense()) and save it again"),
    "_rebuild_qtensor": ("quantised", "save the weights as they were before quantisation"),
    "_rebuild_meta_tensor_no_storage": ("without numbers (on the meta device)", "save it after it is loaded"),
}


def find_state_dict(root: object, path: Path) -> dict[str, LazyTensor]:
    """The tensors of the dict that holds a model, by name; of several, an average (EMA), or the first, which is logged.

    Args:
        root: What was pickled.
        path: The file, for messages.

    Raises:
        MstlError: There is none, or it has tensors of a kind that mstl does not read.
    """
    found = list(dicts_of_tensors(root))
    parts = any("." in name for _, state in found for name in state)  # those of an optimizer's state have no dots
    if not found or (holds_objects(root) and not parts):
        raise MstlError(f"{path} {without_tensors(root)}; {SAVE}")
    models = [(keys, state) for keys, state in found if find_bodies(without_wrappers(state))]
    models.sort(key=lambda model: not any(is_average(key) for key in model[0]))  # stable: otherwise the first
    keys, state = models[0] if models else max(found, key=lambda one: len(one[1]))
    if len(models) > 1:
        others = ", ".join(repr(".".join(other)) for other, _ in models[1:])
        logger.info("%s: the model under %r is taken, not that under %s", path.name, ".".join(keys), others)
    tensors = {}
    for name, value in state.items():
        if isinstance(value, LazyTensor):
            tensors[name] = value
        elif is_odd_tensor(value):
            what, advice = KINDS.get(value.kind.rpartition(".")[2], (f"of a kind unknown here ({value.kind})", SAVE))
            raise MstlError(f"{path} has a tensor {name} that is {what}; {advice}")
    return tensors


def dicts_of_tensors(root: object) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    """The dicts that hold tensors themselves, and the keys that lead to them: outer ones first."""
    level: list[tuple[tuple[str, ...], object]] = [((), root)]
    seen: set[int] = set()
    for _ in range(DEPTH):
        below: list[tuple[tuple[str, ...], object]] = []
        for keys, value in level:
            if not isinstance(value, dict) or id(value) in seen:
                continue
            seen.add(id(value))
            if any(isinstance(item, LazyTensor) or is_odd_tensor(item) for item in value.values()):
                yield keys, {str(name): item for name, item in value.items()}
            below += [((*keys, str(key)), item) for key, item in value.items()]
        level = below


def is_odd_tensor(value: object) -> TypeGuard[Skipped]:
    """Whether a skipped object is a tensor that is not simply numbers in a storage."""
    return isinstance(value, Skipped) and "_rebuild_" in value.kind


def holds_objects(root: object) -> bool:
    """Whether a dict holds an object that was skipped, such as a whole model."""
    return isinstance(root, dict) and any(isinstance(value, Skipped) for value in root.values())


def without_tensors(root: object) -> str:
    """What a file has in place of a dict of tensors, in words."""
    if isinstance(root, Skipped):
        return f"is a whole pickled object, such as a model ({root.kind}), and no dict of tensors"
    if isinstance(root, LazyTensor):
        return "is a single tensor, no dict of tensors"
    if not isinstance(root, dict):
        return f"holds one object of type {type(root).__name__}, no dict of tensors"
    if not root:
        return "holds an empty dict"
    keys = ", ".join(repr(key) for key in list(root)[:6])
    objects = [f" ({key!r} holds {value.kind})" for key, value in root.items() if isinstance(value, Skipped)]
    return f"has no model's tensors, but {keys}{objects[0] if objects else ''}"
