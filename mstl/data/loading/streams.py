"""Streams: what MindSpore's pipelines are made of, their source and groups of random operations."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias

import mindspore.dataset as ds
import numpy as np
from mindspore.dataset.transforms.transforms import TensorOperation
from numpy.typing import NDArray

Batch: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int32]]


class Stream(Protocol):
    """A pipeline that runs: MindSpore's iterator."""

    def __next__(self) -> Batch: ...

    def stop(self) -> None:
        """End its threads, and wait for them."""


class FileSource:
    """The content and labels of files, for GeneratorDataset."""

    def __init__(self, paths: Sequence[str], labels: NDArray[np.int32]) -> None:
        self.paths, self.labels = paths, labels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], np.int32]:
        return np.fromfile(self.paths[index], dtype=np.uint8), self.labels[index]


def split_at_random(operations: Iterable[TensorOperation]) -> list[list[TensorOperation]]:
    """Operations in groups, in their order, with at most one random operation in each."""
    groups: list[list[TensorOperation]] = [[]]
    for operation in operations:
        if is_random(operation) and any(is_random(other) for other in groups[-1]):
            groups.append([])
        groups[-1].append(operation)
    return groups


def is_random(operation: TensorOperation) -> bool:
    """Whether an operation of MindSpore draws random numbers: all that mstl uses say so in their names."""
    return type(operation).__name__.startswith("Random")


@contextlib.contextmanager
def prefetch_size(size: int) -> Iterator[None]:
    """Pipelines that are started in this block keep so many items ready after each step."""
    before = ds.config.get_prefetch_size()
    ds.config.set_prefetch_size(size)
    try:
        yield
    finally:
        ds.config.set_prefetch_size(before)


def summary(error: str) -> str:
    """The line of MindSpore's long message that says what happened."""
    found = re.search(r"(?:\[ERROR\]|RuntimeError:|Error:)\s*([^\n]+)", error) or re.search(r"\s*([^\n]+)", error)
    return found.group(1).strip() if found else "unknown error"
