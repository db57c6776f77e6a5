"""The feature map: images as points in the plane, similar features near each other."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.evaluation.metrics import Evaluation
from mstl.report.plots.charts import sign
from mstl.report.plots.fonts import legible
from mstl.report.plots.style import WRONG, label, new_figure
from mstl.runtime.wide_text import columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGE = 50  # classes from which on a map is larger
LISTED = 120  # classes up to which a map has a legend of them


def feature_map(points: NDArray[np.float64], evaluation: Evaluation, method: str = "pca") -> "Figure":
    """Images as points: those of a class look alike, wrongly predicted ones are ringed.

    Args:
        points: (N, 2), as :func:`mstl.report.plots.projection.project` gives.
        evaluation: Of the same N images.
        method: What made the points, ``"pca"`` or ``"tsne"``.
    """
    names = [label(name, 28) for name in evaluation.classes]
    side = 6 if len(names) < LARGE else 8.5  # inches
    if len(names) > LISTED:
        names = []
    legend_columns = -(-(len(names) + 1) // int(4 * side))
    longest = max(columns(name) for name in names or ["wrongly predicted"])
    figure = new_figure(side + 0.5 + legend_columns * (0.45 + 0.075 * longest), side)
    axes = figure.subplots()
    size = float(np.clip(500 / evaluation.total**0.5, 9, 30))  # points, squared
    for number in range(len(evaluation.classes)):
        x, y = points[evaluation.labels == number].T
        name = names[number] if names else None
        axes.scatter(x, y, s=size, alpha=0.8, linewidths=0.3, edgecolors="white", label=name, **sign(number))
    wrong = evaluation.predictions != evaluation.labels
    x, y = points[wrong].T
    axes.scatter(x, y, s=4 * size, facecolors="none", edgecolors=WRONG, linewidths=size / 25, label="wrongly predicted")
    axes.set_title(f"Features of {evaluation.total:,} images, {wrong.sum():,} wrongly predicted")
    axes.set_aspect("equal", adjustable="datalim")
    if method == "pca":
        axes.set(xlabel="first principal component", ylabel="second principal component")
        axes.grid(alpha=0.3)
    else:
        axes.set(xlabel="t-SNE: near means alike, far means little", xticks=[], yticks=[])
    figure.legend(loc="outside right upper", ncols=legend_columns, frameon=False, fontsize=9, markerscale=1.3)
    return legible(figure)
