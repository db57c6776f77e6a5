"""What the net sees of photos: the evaluation view and augmented ones, as pixels."""

import numpy as np

from mstl.data.dataset import subset
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms, train_transforms
from mstl.report.gradcam import shown
from mstl.report.plots.fonts import legible
from mstl.report.plots.style import label, new_figure

COLUMNS = 6


def augmentation_sheet(image_set, augment, preprocessing, count=24, seed=0):
    """A row for each photo: as it is evaluated, then augmented again and again.

    Args:
        image_set: An :class:`mstl.data.dataset.ImageSet`; the photos are drawn from it, each class equally likely.
        augment: A recipe, one of :data:`mstl.data.loading.transforms.AUGMENTS`.
        preprocessing: A :class:`mstl.config.Preprocessing`.
        count: Pictures on the sheet, 6 in each row.
        seed: Of the draw and of the augmentation.

    Returns:
        A matplotlib Figure.
    """
    rows = min(max(1, count // COLUMNS), len(image_set))
    chosen = draw(image_set.labels, rows, np.random.default_rng(seed))
    plain = views(image_set, chosen, eval_transforms(preprocessing, augment), preprocessing)
    repeated = np.repeat(chosen, COLUMNS - 1)
    augmented = views(image_set, repeated, train_transforms(preprocessing, augment), preprocessing, seed)
    figure = new_figure(1.9 * COLUMNS, 1.95 * rows + 0.7)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for row, axes in enumerate(grid):
        pictures = [plain[row], *augmented[row * (COLUMNS - 1) : (row + 1) * (COLUMNS - 1)]]
        for place, picture in zip(axes, pictures, strict=True):
            place.imshow(picture)
            place.set(xticks=[], yticks=[])
        axes[0].set_ylabel(label(image_set.classes[image_set.labels[chosen[row]]]), fontsize=11)
    grid[0, 0].set_title("evaluation", fontsize=11)
    grid[0, 1].set_title("training", fontsize=11)
    figure.suptitle(f"--augment {augment}: what the net sees, {preprocessing.image_size} pixels wide", fontsize=11)
    return legible(figure)


def draw(labels, count, rng):
    """Indices of ``count`` different photos, from the classes in turn."""
    order = rng.permutation(len(labels))
    turn = np.zeros(len(labels), dtype=int)  # how many of its class come before each photo
    for value in np.unique(labels):
        of_class = labels[order] == value
        turn[of_class] = np.arange(of_class.sum())
    return order[np.lexsort((labels[order], turn))][:count]


def views(image_set, indices, transforms, preprocessing, seed=None):
    """The photos as the net gets them, turned back into pixels: (n, size, size, 3) uint8."""
    loader = Loader(subset(image_set, indices), transforms, batch_size=COLUMNS, seed=seed)
    pixels = shown(np.concatenate([images.asnumpy() for images, _ in loader.batches()]), preprocessing)
    in_order = np.empty_like(pixels)
    in_order[loader.order()] = pixels
    return in_order
