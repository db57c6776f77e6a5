"""The confusion matrix as a plot."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.evaluation.metrics import Evaluation
from mstl.report.plots.fonts import legible
from mstl.report.plots.style import label, new_figure
from mstl.runtime.wide_text import columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

POINTS = 72  # in an inch
NAMED = 110  # classes up to which their names fit beside the matrix
EVERY = 5  # classes there is a line, along which the eye finds the name
SMALLEST = 5  # points of text that can be read


def confusion(evaluation: Evaluation, normalize: bool = False) -> "Figure":
    """Images by their own class, from top to bottom, and the predicted one, from left to right.

    Colours follow the square root, so that a single image shows beside hundreds. Numbers are in the cells if they fit;
    0 is left out.

    Args:
        evaluation: What is drawn.
        normalize: Whether to give percentages of each class's images instead of their number.
    """
    values = percentages(evaluation.confusion) if normalize else evaluation.confusion.astype(float)
    total = len(values)
    cell = float(np.clip(6.5 / total, 0.12, 0.8)) if total <= NAMED else 0.12 * NAMED / total  # inches
    names = [label(name, 24) for name in evaluation.classes] if total <= NAMED else []
    size = min(10, max(SMALLEST, 0.75 * cell * POINTS))
    longest = max((columns(name) for name in names), default=0) * 0.6 * size / POINTS
    turned = longest > cell
    figure = new_figure(total * cell + longest + 1.8, total * cell + (longest if turned else 0.2) + 1.2)
    axes = figure.subplots()
    drawn = draw_cells(axes, values, 100 if normalize else max(1, values.max()), cell)
    if names:
        axes.set_xticks(range(total), names, fontsize=size, rotation=90 if turned else 0)
        axes.set_yticks(range(total), names, fontsize=size)
        for place in range(EVERY, total, EVERY):
            axes.axhline(place - 0.5, color="0.8", linewidth=0.6)
            axes.axvline(place - 0.5, color="0.8", linewidth=0.6)
    axes.tick_params(length=2 if names else 4, color="0.7")
    bar = figure.colorbar(drawn, shrink=min(1, 4 / (total * cell)), aspect=25, pad=0.02)
    bar.set_label("% of the images of the class" if normalize else "images")
    figure.suptitle(
        f"{evaluation.correct:,} of {evaluation.total:,} images of {total} classes right ({evaluation.accuracy:.3f})",
        fontsize=11,
    )
    return legible(figure)


def percentages(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(classes, classes) numbers of images as percentages of their row; NaN in a row without images."""
    images = counts.sum(axis=1, keepdims=True)
    return np.divide(100.0 * counts, images, out=np.full(counts.shape, np.nan), where=images > 0)


def draw_cells(axes: "Axes", values: NDArray[np.float64], top: float, cell: float) -> "AxesImage":
    """Draw the cells, darkest at ``top``, each ``cell`` inches wide."""
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    colors = colormaps["Blues"].with_extremes(bad="0.9")
    drawn = axes.imshow(values, cmap=colors, norm=PowerNorm(0.5, vmin=0, vmax=top), interpolation="none")
    axes.set(xlabel="predicted class", ylabel="own class")
    for edge in axes.spines.values():
        edge.set_color("0.7")
    write_numbers(axes, drawn, values, cell)
    return drawn


def write_numbers(axes: "Axes", drawn: "AxesImage", values: NDArray[np.float64], cell: float) -> None:
    """Write what is not 0 into the cells, if they are large enough; light on dark ones."""
    digits = len(f"{np.nanmax(values, initial=0):.0f}")
    size = min(11, cell * POINTS / (0.62 * (digits + 0.8)))
    if size < SMALLEST:
        return
    dark = np.asarray(drawn.norm(values)) > 0.55
    for row, column in np.argwhere(values >= 0.5):
        text, color = f"{values[row, column]:.0f}", "white" if dark[row, column] else "#1b1f24"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color)
