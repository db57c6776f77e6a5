"""Images in rows and columns, with what a model says of them above."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.data.loading.pixels import center_pixels
from mstl.data.opening import UnreadableImage
from mstl.evaluation.metrics import Evaluation
from mstl.preprocessing import Preprocessing
from mstl.report.plots.fonts import legible
from mstl.report.plots.style import MARK, RIGHT, WRONG, label, new_figure, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY = 128  # of an image whose file is gone
NAME = 22  # columns of a class name above an image


def prediction_grid(evaluation: Evaluation, count: int = 12, seed: int = 0) -> "Figure":
    """Images with the predicted class above: blue where it is right, red and with a cross where it is wrong.

    Args:
        evaluation: Of the images. One whose file cannot be read any more is grey.
        count: Number of images, drawn at random.
        seed: Of the draw.
    """
    chosen = np.random.default_rng(seed).permutation(evaluation.total)[:count]
    figure, places = grid(len(chosen), 2.6, 2.8)
    probabilities, predictions = evaluation.probabilities, evaluation.predictions
    for place, index in zip(places, chosen, strict=True):
        predicted, own = predictions[index], evaluation.labels[index]
        title = f"{label(evaluation.classes[predicted], NAME)} {probabilities[index, predicted]:.0%}"
        if predicted != own:
            title = f"{MARK} {title}\n(is {label(evaluation.classes[own], NAME)})"
        place.imshow(image_or_grey(evaluation.paths[index]))
        place.set_title(title, color=RIGHT if predicted == own else WRONG, fontsize=11)
    figure.suptitle(
        f"{evaluation.correct} of {evaluation.total} images right ({evaluation.accuracy:.3f}); "
        f"blue is right, red with {MARK} is wrong",
        fontsize=11,
    )
    return legible(figure)


def worst_grid(evaluation: Evaluation, count: int = 12) -> "Figure":
    """The images whose own class was given the least probability, the worst first.

    Args:
        evaluation: Of the images. One whose file cannot be read any more is grey.
        count: Number of images, at most.
    """
    probabilities, predictions = evaluation.probabilities, evaluation.predictions
    chosen = sorted(evaluation.worst(count), key=lambda index: float(probabilities[index, evaluation.labels[index]]))
    figure, places = grid(len(chosen), 2.6, 3.0)
    for place, index in zip(places, chosen, strict=True):
        predicted, own = predictions[index], evaluation.labels[index]
        title = f"is {label(evaluation.classes[own], NAME)} ({share(probabilities[index, own])})"
        if predicted != own:
            title += f"\n{MARK} {label(evaluation.classes[predicted], NAME)} ({share(probabilities[index, predicted])})"
        place.imshow(image_or_grey(evaluation.paths[index]))
        place.set_title(title, color=RIGHT if predicted == own else WRONG, fontsize=10)
    figure.suptitle(
        f"The {len(chosen)} worst of {evaluation.total} images, with the probabilities of own and predicted class",
        fontsize=11,
    )
    return legible(figure)


def heat_grid(images: NDArray[np.uint8], heat_maps: NDArray[np.float32], titles: Sequence[str]) -> "Figure":
    """Images, each beside itself in grey under its heat map.

    Args:
        images: (N, H, W, 3), as the model sees them.
        heat_maps: (N, H, W) from 0 to 1, as :func:`mstl.report.gradcam.gradcam` gives.
        titles: N texts.
    """
    from matplotlib.cm import ScalarMappable

    from mstl.report.gradcam import COLORS, overlay

    figure, places = grid(len(images), 4.4, 2.6, columns=2)
    for place, image, heat, title in zip(places, images, heat_maps, titles, strict=True):
        gap = np.full((len(image), len(image) // 40, 3), 255, np.uint8)
        place.imshow(np.concatenate([image, gap, overlay(image, heat)], axis=1))
        place.set_title(label(title, 60), fontsize=10)
    bar = figure.colorbar(
        ScalarMappable(cmap=COLORS), ax=figure.axes, location="bottom", shrink=0.6, aspect=40, pad=0.02
    )
    bar.set_label("what speaks for the class, as a share of its strongest place (Grad-CAM)")
    return legible(figure)


def grid(count: int, width: float, height: float, columns: int = 4) -> tuple["Figure", "list[Axes]"]:
    """A figure with ``count`` places for images, each ``width`` by ``height`` inches large.

    Returns:
        The Figure, and the Axes of these places.
    """
    columns = max(1, min(columns, count))
    rows = max(1, -(-count // columns))
    figure = new_figure(width * columns, height * rows + 0.5)
    axes: list[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for place in axes:
        place.axis("off")
        place.set(xticks=[], yticks=[])  # which would be laid out all the same
    return figure, axes[:count]


def image_or_grey(path: str | os.PathLike[str], side: int = 256) -> NDArray[np.uint8]:
    """An image's :func:`middle_square`; grey if it cannot be read, as its file may be gone by now."""
    try:
        return middle_square(path, side)
    except UnreadableImage:
        return np.full((side, side, 3), GREY, np.uint8)


def middle_square(path: str | os.PathLike[str], side: int = 256) -> NDArray[np.uint8]:
    """The middle square of an image, ``side`` pixels wide: (side, side, 3).

    Raises:
        UnreadableImage: It cannot be used.
    """
    return center_pixels(path, Preprocessing(side, side, "bicubic"))
