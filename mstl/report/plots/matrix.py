"""The confusion matrix as a picture."""

import numpy as np

from mstl.report.plots.fonts import legible
from mstl.report.plots.style import columns, label, new_figure

POINTS = 72  # in an inch
NAMED = 110  # classes up to which their names fit beside the matrix
EVERY = 5  # classes there is a line, along which the eye finds the name
SMALLEST = 5  # points of text that can be read


def confusion(evaluation, normalize=False):
    """Photos by their own class, from top to bottom, and the predicted one, from left to right.

    Colours follow the square root, so that a single photo shows beside hundreds. Numbers are in the cells where they
    fit; 0 is left out.

    Args:
        evaluation: An :class:`mstl.evaluation.metrics.Evaluation`.
        normalize: Whether to give the percentage of each class's photos, in the place of their number.

    Returns:
        A matplotlib Figure.
    """
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    values = evaluation.confusion.astype(float)
    if normalize:
        photos = values.sum(axis=1, keepdims=True)
        values = np.divide(100 * values, photos, out=np.full_like(values, np.nan), where=photos > 0)
    total = len(values)
    cell = np.clip(6.5 / total, 0.12, 0.8) if total <= NAMED else 0.12 * NAMED / total  # inches
    names = [label(name, 24) for name in evaluation.classes] if total <= NAMED else []
    size = min(10, max(SMALLEST, 0.75 * cell * POINTS))
    longest = max((columns(name) for name in names), default=0) * 0.6 * size / POINTS
    turned = longest > cell
    figure = new_figure(total * cell + longest + 1.8, total * cell + (longest if turned else 0.2) + 1.2)
    axes = figure.subplots()
    top = 100 if normalize else max(1, values.max())
    colors = colormaps["Blues"].with_extremes(bad="0.9")
    picture = axes.imshow(values, cmap=colors, norm=PowerNorm(0.5, vmin=0, vmax=top), interpolation="none")
    axes.set(xlabel="predicted class", ylabel="own class")
    if names:
        axes.set_xticks(range(total), names, fontsize=size, rotation=90 if turned else 0)
        axes.set_yticks(range(total), names, fontsize=size)
    write_numbers(axes, picture, values, cell)
    for edge in axes.spines.values():
        edge.set_color("0.7")
    for place in range(EVERY, total, EVERY) if names else ():
        axes.axhline(place - 0.5, color="0.8", linewidth=0.6)
        axes.axvline(place - 0.5, color="0.8", linewidth=0.6)
    axes.tick_params(length=2 if names else 4, color="0.7")
    bar = figure.colorbar(picture, shrink=min(1, 4 / (total * cell)), aspect=25, pad=0.02)
    bar.set_label("% of the photos of the class" if normalize else "photos")
    figure.suptitle(
        f"{evaluation.correct:,} of {evaluation.total:,} photos of {total} classes right ({evaluation.accuracy:.3f})",
        fontsize=11,
    )
    return legible(figure)


def write_numbers(axes, picture, values, cell):
    """Write what is not 0 into the cells, if they are large enough; light on dark ones."""
    digits = len(f"{np.nanmax(values, initial=0):.0f}")
    size = min(11, cell * POINTS / (0.62 * (digits + 0.8)))
    if size < SMALLEST:
        return
    for row, column in np.argwhere(values >= 0.5):
        dark = picture.norm(values[row, column]) > 0.55
        text, color = f"{values[row, column]:.0f}", "white" if dark else "#1b1f24"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color)
