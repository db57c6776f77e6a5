"""Before and after: two runs on the same images, the second one trained again after the data was reviewed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.data.image_files import printable
from mstl.evaluation.metrics import wilson
from mstl.report.plots.style import share
from mstl.report.verdict import mcnemar

SHOWN = 10  # classes that are named


@dataclass(frozen=True)
class Side:
    """One of the two runs.

    Attributes:
        run: Its folder.
        train_images: How many images it was trained on.
        correct: How many of the compared images it is right on.
        interval: The 95 % Wilson interval of its accuracy on them.
    """

    run: str
    train_images: int
    correct: int
    interval: tuple[float, float]


@dataclass(frozen=True)
class ClassChange:
    """How many images of a class both runs are right on."""

    name: str
    images: int
    before: int
    after: int


@dataclass(frozen=True)
class BeforeAfter:
    """Two runs, judged by the same images and labels.

    Attributes:
        images: Number of images that both were validated on.
        corrected: How many of these have another label than the first run had.
        before, after: The two runs.
        only_before, only_after: How many images only the one is right on.
        p: Of McNemar's exact test.
        classes: Those of which the two are right on different numbers of images, the largest difference first.
    """

    images: int
    corrected: int
    before: Side
    after: Side
    only_before: int
    only_after: int
    p: float
    classes: tuple[ClassChange, ...]

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        corrected: int,
        runs: tuple[str, str],
        train_images: tuple[int, int],
        answers: tuple[Sequence[str], Sequence[str]],
    ) -> "BeforeAfter":
        """Compare the answers of two runs.

        Args:
            labels: The class of each of N images, at least one.
            corrected: How many of these are not as the first run had them.
            runs: The folders of both.
            train_images: How many images each was trained on.
            answers: N classes each.
        """
        right = [np.array([a == b for a, b in zip(labels, each, strict=True)]) for each in answers]
        sides = [
            Side(run, count, int(each.sum()), wilson(int(each.sum()), len(labels)))
            for run, count, each in zip(runs, train_images, right, strict=True)
        ]
        tested, classes = mcnemar(right[0], right[1]), by_class(np.asarray(labels, object), right[0], right[1])
        return cls(len(labels), corrected, sides[0], sides[1], *tested, classes)

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The comparison for a terminal, in two columns."""
        sides = (self.before, self.after)
        rows = [
            ("", "before", "after"),
            ("run", *(printable(side.run) for side in sides)),
            ("training images", *(f"{side.train_images:,}" for side in sides)),
            (f"right of {self.images:,}", *(f"{x.correct:,} ({share(x.correct / self.images)})" for x in sides)),
            ("95% interval", *(" to ".join(map(share, side.interval)) for side in sides)),
        ]
        rows += [(printable(each.name), *in_class(each)) for each in self.classes[:SHOWN]]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return [
            *(f"{name:<{widths[0]}}  {before:<{widths[1]}}  {after}".rstrip() for name, before, after in rows),
            f"only before right on {self.only_before:,}, only after on {self.only_after:,}: p = {self.p:.3g} "
            "(McNemar's exact test)",
            f"both judged by the labels as they are now: {self.corrected:,} of these {self.images:,} were corrected",
        ]


def in_class(change: ClassChange) -> tuple[str, str]:
    """How many images of a class the first and the second run are right on, as texts."""
    return f"{change.before:,} of {change.images:,}", f"{change.after:,} of {change.images:,}"


def by_class(
    labels: NDArray[np.object_], before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> tuple[ClassChange, ...]:
    """The classes in which two runs are right on different numbers of images."""
    found = []
    for name in sorted(set(labels.tolist())):
        own = labels == name
        found.append(ClassChange(name, int(own.sum()), int(before[own].sum()), int(after[own].sum())))
    return tuple(sorted((x for x in found if x.before != x.after), key=lambda x: -abs(x.after - x.before)))
