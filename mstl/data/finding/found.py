"""FoundDataset: the samples that a dataset consists of, before any of their files is read."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mstl.data.samples import Sample


class Oddity(NamedTuple):
    """Something odd that was met while looking for samples: its path, the kind in a word, and a sentence for users."""

    path: str
    problem: str
    detail: str


@dataclass(frozen=True)
class Split:
    """Samples to train on, to validate on, or to test on.

    Attributes:
        where: The folder or list file they come from, for messages.
        samples: Ordered by class and path, or as listed.
        folder: The folder that has the class folders; None for a list.
        class_order: Classes in the order that a file gives; None if they are to be sorted by name.
        oddities: Images outside of class folders, and links that lead back.
    """

    where: Path
    samples: tuple[Sample, ...]
    folder: Path | None = None
    class_order: tuple[str, ...] | None = None
    oddities: tuple[Oddity, ...] = ()

    @property
    def labels(self) -> set[str]:
        """Names of the classes that have samples."""
        return {sample.label for sample in self.samples}

    def renamed(self, name: str) -> "Split":
        """The same samples as another split, "train", "val" or "test"."""
        return dataclasses.replace(
            self, samples=tuple(dataclasses.replace(sample, split=name) for sample in self.samples)
        )


@dataclass(frozen=True)
class FoundSplits:
    """The splits that a folder or a list file holds.

    Attributes:
        train: Samples to train on.
        val: Samples to validate on; None if they are to be split off ``train``.
        test: Samples to test on, by which nothing is chosen; None if there are none.
        val_is_test: Whether ``val`` is what the dataset calls its test split, as it has none to validate on.
    """

    train: Split
    val: Split | None = None
    test: Split | None = None
    val_is_test: bool = False

    @property
    def splits(self) -> dict[str, Split]:
        """Each split by its name, "train", "val" or "test"."""
        splits = {"train": self.train, "val": self.val, "test": self.test}
        return {name: split for name, split in splits.items() if split is not None}

    @classmethod
    def of(cls, train: Split, val: Split | None, test: Split | None) -> "FoundSplits":
        """The three of a dataset; without one to validate on, that to test on takes its place."""
        if val is None and test is not None:
            return cls(train, test.renamed("val"), None, val_is_test=True)
        return cls(train, val, test)


@dataclass(frozen=True)
class FoundDataset(FoundSplits):
    """All samples of a dataset.

    Attributes:
        key: Tells this dataset from others.
    """

    key: str = ""
