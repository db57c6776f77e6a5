"""What a run is worth, in sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl.evaluation.metrics import Evaluation
from mstl.report.plots.style import share


def verdict(evaluation: Evaluation, warnings: Sequence[str] = ()) -> str:
    """One sentence: accuracy with its interval, the most frequent confusion, and whether the data make it doubtful.

    Args:
        evaluation: Of the validation images.
        warnings: What is wrong with the data, one text each.
    """
    low, high = evaluation.interval
    text = (
        f"Right on {evaluation.correct:,} of {evaluation.total:,} validation images, {share(evaluation.accuracy)} "
        f"(95% interval {share(low)} to {share(high)}); {confused(evaluation)}"
    )
    if warnings:
        text += f"; {len(warnings):,} data warning{'s make' if len(warnings) > 1 else ' makes'} this doubtful"
    return text + "."


def confused(evaluation: Evaluation) -> str:
    """The most frequent confusion, as part of a sentence."""
    pairs = most_confused(evaluation, 2)
    if not pairs:
        return "no image is taken for another class"
    first = pairs[0]
    if first.count == 1 and len(pairs) > 1:
        return "no two classes are confused more than once"
    return (
        f"the most frequent confusion is “{first.own}” taken for “{first.predicted}” "
        f"({first.count:,} of {first.total:,})"
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
        return f"This is not significantly better than always answering “{name}”, which is right for {share(guessed)}."
    return f"Always answering “{name}” would be right for {share(guessed)}."


def about_calibration(evaluation: Evaluation) -> str:
    """One sentence: how sure the model is, beside how often it is right."""
    confidence = float(evaluation.confidences.mean())
    low, high = evaluation.interval
    text = (
        f"Its answers have a probability of {share(confidence)} on average, and {share(evaluation.accuracy)} are right"
    )
    if confidence > high:
        return f"{text}: it is too sure of itself."
    return f"{text}: it is right more often than it says." if confidence < low else f"{text}."


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
