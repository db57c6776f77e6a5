"""What a run is worth, in a sentence."""

import math

import numpy as np

from mstl.report.plots.style import share


def verdict(evaluation, warnings=()):
    """Accuracy with its interval, the most frequent confusion, and whether the data make it doubtful.

    Args:
        evaluation: An :class:`mstl.evaluation.metrics.Evaluation`.
        warnings: What is wrong with the data, a text each.

    Returns:
        One sentence.
    """
    low, high = evaluation.interval
    text = (
        f"Right on {evaluation.correct:,} of {evaluation.total:,} validation photos, {share(evaluation.accuracy)} "
        f"(95% interval {share(low)} to {share(high)}); {confused(evaluation)}"
    )
    if warnings:
        text += f"; {len(warnings):,} data warning{'s make' if len(warnings) > 1 else ' makes'} this doubtful"
    return text + "."


def confused(evaluation):
    """The most frequent confusion, as part of a sentence."""
    pairs = most_confused(evaluation, 2)
    if not pairs:
        return "no photo is taken for another class"
    own, predicted, count, photos = pairs[0]
    if count == 1 and len(pairs) > 1:
        return "no two classes are confused more than once"
    return f"the most frequent confusion is “{own}” taken for “{predicted}” ({count:,} of {photos:,})"


def most_confused(evaluation, limit):
    """The most frequent confusions.

    Args:
        evaluation: An :class:`mstl.evaluation.metrics.Evaluation`.
        limit: How many, at the most.

    Returns:
        Tuples, the most frequent first: own class, predicted class, photos confused so, photos of the own class.
    """
    confusion, support = evaluation.confusion, evaluation.support
    errors = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-errors, axis=None, kind="stable")[:limit]
    rows, columns = np.unravel_index(order, errors.shape)
    return [
        (evaluation.classes[row], evaluation.classes[column], int(errors[row, column]), int(support[row]))
        for row, column in zip(rows, columns, strict=True)
        if errors[row, column]
    ]


def against_guessing(evaluation):
    """How the accuracy stands beside the best that one can do without looking, in a sentence."""
    support = evaluation.support
    name, guessed = evaluation.classes[support.argmax()], support.max() / evaluation.total
    if evaluation.interval[0] <= guessed:
        return f"This is not surely better than always answering “{name}”, which is right for {share(guessed)}."
    return f"Always answering “{name}” would be right for {share(guessed)}."


def about_calibration(evaluation):
    """How sure the net is beside how often it is right, in a sentence."""
    confidence = float(evaluation.confidences.mean())
    low, high = evaluation.interval
    text = (
        f"Its answers have a probability of {share(confidence)} on average, and {share(evaluation.accuracy)} are right"
    )
    if confidence > high:
        return f"{text}: it is too sure of itself."
    return f"{text}: it is right more often than it says." if confidence < low else f"{text}."


def mcnemar(first, second):
    """Whether two classifiers differ on the same photos: McNemar's exact test (1947).

    Args:
        first: (N,) whether the first is right on each photo.
        second: The same of the second.

    Returns:
        Photos that only the first got right, those that only the second did, and the probability of a difference as
        large as this (p value, two-sided) if both were equally good.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    total = only_first + only_second
    tail = sum(math.comb(total, count) for count in range(min(only_first, only_second) + 1))
    return only_first, only_second, min(1.0, 2 * tail / 2**total)
