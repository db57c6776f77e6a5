"""What the page about a run tells of its classes: the confusion matrix, and metrics of each class."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mstl.evaluation.metrics import Evaluation, wilson
from mstl.report.inline_images import figure_uri
from mstl.report.plots.matrix import confusion

READABLE = 40  # classes up to which the confusion matrix is a table; above, it is a picture
FEW, SHORT = 5, 12  # classes, and characters of their names, up to which the matrix has wide cells


@dataclass(frozen=True)
class MatrixCell:
    """A cell of the confusion matrix: a number of images, and the classes of its style."""

    count: int
    style: str


@dataclass(frozen=True)
class Matrix:
    """The confusion matrix: as rows of a table, or if there are many classes, as a picture.

    Attributes:
        rows: Pairs of a class and its cells.
        few: Whether there is room for wide cells.
        picture: A data URI; empty for a table.
    """

    rows: list[tuple[str, list[MatrixCell]]]
    few: bool = False
    picture: str = ""


def matrix(evaluation: Evaluation) -> Matrix:
    """The confusion matrix; the darker a cell, the larger its share of the row."""
    classes, counts = evaluation.classes, evaluation.confusion
    if len(classes) > READABLE:
        return Matrix([], picture=figure_uri(confusion(evaluation), dpi=100, tight=True))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [
        (own, [matrix_cell(int(counts[row, at]), float(shares[row, at]), row == at) for at in range(len(classes))])
        for row, own in enumerate(classes)
    ]
    return Matrix(rows, few=len(classes) <= FEW and max(map(len, classes)) <= SHORT)


def matrix_cell(count: int, share_of_row: float, diagonal: bool) -> MatrixCell:
    """A cell in one of ten strengths of colour; none for 0."""
    style = ["own"] if diagonal else []
    if count:
        level = max(1, round(10 * share_of_row))
        style += [f"h{level}", "h"] if level > 5 else [f"h{level}"]
    return MatrixCell(count, " ".join(style))


@dataclass(frozen=True)
class ClassRow:
    """The metrics of a class.

    Attributes:
        name: The class.
        support: Its number of images.
        precision, recall, f1: From 0 to 1, or NaN.
        low, high: 95 % interval of the recall.
        taken_for: The class that it is confused with most often.
        errors: How often.
    """

    name: str
    support: int
    precision: float
    recall: float
    f1: float
    low: float
    high: float
    taken_for: str
    errors: int


def class_table(evaluation: Evaluation) -> dict[str, Any]:
    """A row for each class, and where the drawings of their recalls begin."""
    counts, support = evaluation.confusion, evaluation.support
    right = np.diag(counts)
    errors = counts - np.diag(right)
    precision, recall, f1 = evaluation.precision, evaluation.recall, evaluation.f1
    rows = []
    for index, name in enumerate(evaluation.classes):
        images, other = int(support[index]), int(errors[index].argmax())
        low, high = wilson(int(right[index]), images) if images else (1.0, 1.0)
        rows.append(
            ClassRow(
                name,
                support=images,
                precision=float(precision[index]),
                recall=float(recall[index]),
                f1=float(f1[index]),
                low=low,
                high=high,
                taken_for=evaluation.classes[other],
                errors=int(errors[index, other]),
            )
        )
    return {"classes": rows, "recall_start": math.floor(10 * min(row.low for row in rows)) / 10}
