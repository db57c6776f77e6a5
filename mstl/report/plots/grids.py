"""Photos in rows and columns, with what a net says of them above."""

import numpy as np

from mstl.data.decode import upright
from mstl.report.plots.fonts import legible
from mstl.report.plots.style import MARK, RIGHT, WRONG, label, new_figure, share

NAME = 22  # columns of a class name above a photo


def prediction_grid(evaluation, count=12, seed=0):
    """Photos with the predicted class above: blue where it is right, red and with a cross where it is wrong.

    Args:
        evaluation: An :class:`mstl.evaluation.metrics.Evaluation`.
        count: Photos, drawn at random from the set.
        seed: Of the draw.

    Returns:
        A matplotlib Figure.
    """
    chosen = np.random.default_rng(seed).permutation(evaluation.total)[:count]
    figure, places = grid(len(chosen), 2.6, 2.8)
    probabilities, predictions = evaluation.probabilities, evaluation.predictions
    for place, index in zip(places, chosen, strict=True):
        predicted, own = predictions[index], evaluation.labels[index]
        title = f"{label(evaluation.classes[predicted], NAME)} {probabilities[index, predicted]:.0%}"
        if predicted != own:
            title = f"{MARK} {title}\n(is {label(evaluation.classes[own], NAME)})"
        place.imshow(photo(evaluation.paths[index]))
        place.set_title(title, color=RIGHT if predicted == own else WRONG, fontsize=11)
    figure.suptitle(
        f"{evaluation.correct} of {evaluation.total} photos right ({evaluation.accuracy:.3f}); "
        f"blue is right, red with {MARK} is wrong",
        fontsize=11,
    )
    return legible(figure)


def worst_grid(evaluation, count=12):
    """The photos whose own class was given the least probability, the worst first.

    Args:
        evaluation: An :class:`mstl.evaluation.metrics.Evaluation`.
        count: Photos, at the most.

    Returns:
        A matplotlib Figure.
    """
    probabilities, predictions = evaluation.probabilities, evaluation.predictions
    chosen = sorted(evaluation.worst(count), key=lambda index: probabilities[index, evaluation.labels[index]])
    figure, places = grid(len(chosen), 2.6, 3.0)
    for place, index in zip(places, chosen, strict=True):
        predicted, own = predictions[index], evaluation.labels[index]
        title = f"is {label(evaluation.classes[own], NAME)} ({share(probabilities[index, own])})"
        if predicted != own:
            title += f"\n{MARK} {label(evaluation.classes[predicted], NAME)} ({share(probabilities[index, predicted])})"
        place.imshow(photo(evaluation.paths[index]))
        place.set_title(title, color=RIGHT if predicted == own else WRONG, fontsize=10)
    figure.suptitle(
        f"The {len(chosen)} worst of {evaluation.total} photos, with the probabilities of own and the predicted class",
        fontsize=11,
    )
    return legible(figure)


def heat_grid(photos, heat_maps, titles):
    """Photos, each beside itself in grey under a heat map.

    Args:
        photos: (N, H, W, 3) uint8, as the net sees them.
        heat_maps: (N, H, W) from 0 to 1, as :func:`mstl.report.gradcam.gradcam` gives.
        titles: N texts.

    Returns:
        A matplotlib Figure.
    """
    from matplotlib.cm import ScalarMappable

    from mstl.report.gradcam import COLORS, overlay

    figure, places = grid(len(photos), 4.4, 2.6, columns=2)
    for place, picture, heat, title in zip(places, photos, heat_maps, titles, strict=True):
        gap = np.full((len(picture), len(picture) // 40, 3), 255, np.uint8)
        place.imshow(np.concatenate([picture, gap, overlay(picture, heat)], axis=1))
        place.set_title(label(title, 60), fontsize=10)
    bar = figure.colorbar(
        ScalarMappable(cmap=COLORS), ax=figure.axes, location="bottom", shrink=0.6, aspect=40, pad=0.02
    )
    bar.set_label("what speaks for the class, as a share of its strongest place (Grad-CAM)")
    return legible(figure)


def grid(count, width, height, columns=4):
    """A figure with a place for each of ``count`` pictures, ``width`` by ``height`` inches large.

    Returns:
        The Figure, and its first ``count`` Axes.
    """
    columns = max(1, min(columns, count))
    rows = max(1, -(-count // columns))
    figure = new_figure(width * columns, height * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place in axes:
        place.axis("off")
    return figure, axes[:count]


def photo(path, side=256):
    """A photo as an array for drawing, its middle square, ``side`` pixels wide.

    Raises:
        OSError: It cannot be read.
    """
    from PIL import ImageOps

    return np.asarray(ImageOps.fit(upright(path), (side, side)))
