"""What a run is worth, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl.evaluation.metrics import Evaluation
from mstl.report.plots.style import share
from mstl.runtime.language import plural
from mstl.runtime.language import translated as _


def verdict(evaluation: Evaluation, warnings: Sequence[str] = ()) -> str:
    """One sentence: accuracy with its interval, the most frequent confusion, and whether the data make it doubtful.

    Args:
        evaluation: Of the validation images.
        warnings: What is wrong with the data, one text each.
    """
    low, high = evaluation.interval
    text = _(
        "Right on {correct:,} of {total:,} validation images, {accuracy} (95% interval {low} to {high}); {confused}",
        correct=evaluation.correct,
        total=evaluation.total,
        accuracy=share(evaluation.accuracy),
        low=share(low),
        high=share(high),
        confused=confused(evaluation),
    )
    if warnings:
        text += plural(
            "; {count:,} data warning makes this doubtful",
            "; {count:,} data warnings make this doubtful",
            len(warnings),
        )
    return _("{sentence}.", sentence=text)


def confused(evaluation: Evaluation) -> str:
    """The most frequent confusion, as part of a sentence."""
    pairs = most_confused(evaluation, 2)
    if not pairs:
        return _("no image is taken for another class")
    first = pairs[0]
    if first.count == 1 and len(pairs) > 1:
        return _("no two classes are confused more than once")
    return _(
        "the most frequent confusion is “{own}” taken for “{predicted}” ({count:,} of {total:,})",
        own=first.own,
        predicted=first.predicted,
        count=first.count,
        total=first.total,
    )


@dataclass(frozen=True)
class Confusion:
    """One class taken for another.

    Attributes:
        own: The class of the images.
        predicted: The one that they are taken for.
        count: How many are.
        total: Images of the own class.
    """

    own: str
    predicted: str
    count: int
    total: int


def most_confused(evaluation: Evaluation, limit: int) -> list[Confusion]:
    """At most ``limit`` confusions, the most frequent first."""
    confusion, support = evaluation.confusion, evaluation.support
    errors = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-errors, axis=None, kind="stable")[:limit]
    rows, columns = np.unravel_index(order, errors.shape)
    return [
        Confusion(evaluation.classes[row], evaluation.classes[column], int(errors[row, column]), int(support[row]))
        for row, column in zip(rows, columns, strict=True)
        if errors[row, column]
    ]


def against_guessing(evaluation: Evaluation) -> str:
    """One sentence: how the accuracy compares with always answering the most frequent class."""
    support = evaluation.support
    name, guessed = evaluation.classes[support.argmax()], support.max() / evaluation.total
    if evaluation.interval[0] <= guessed:
        return _(
            "This is not significantly better than always answering “{name}”, which is right for {share}.",
            name=name,
            share=share(guessed),
        )
    return _("Always answering “{name}” would be right for {share}.", name=name, share=share(guessed))


def about_calibration(evaluation: Evaluation) -> str:
    """One sentence: how sure the model is, beside how often it is right."""
    confidence = float(evaluation.confidences.mean())
    low, high = evaluation.interval
    text = _(
        "Its answers have a probability of {confidence} on average, and {accuracy} are right",
        confidence=share(confidence),
        accuracy=share(evaluation.accuracy),
    )
    if confidence > high:
        text += _(": it is too sure of itself")
    elif confidence < low:
        text += _(": it is right more often than it says")
    return _("{sentence}.", sentence=text)


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> tuple[int, int, float]:
    """McNemar's exact test of whether two classifiers differ on the same images (McNemar 1947).

    Args:
        first: (N,) whether the first is right on each image.
        second: The same of the second.

    Returns:
        How many images only the first got right, how many only the second, and the two-sided p value: the probability
        of a difference at least as large if both were equally good.
    """
    from scipy.stats import binomtest

    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 0, 0, 1.0
    return only_first, only_second, float(binomtest(only_first, only_first + only_second).pvalue)
