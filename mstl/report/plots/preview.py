"""What the model sees of images: as evaluated, and augmented."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet, subset
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import Transforms, cropped_for, eval_transforms, train_transforms
from mstl.preprocessing import Preprocessing
from mstl.report.gradcam import to_pixels
from mstl.report.plots.fonts import legible
from mstl.report.plots.style import label, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 6


def augmentation_sheet(
    image_set: ImageSet, augment: str, preprocessing: Preprocessing, count: int = 24, seed: int = 0
) -> "Figure":
    """A row for each image: as it is evaluated, then as several training epochs would see it.

    Args:
        image_set: The images are drawn from it, each class equally likely.
        augment: A name in :data:`mstl.config.AUGMENTS`.
        preprocessing: What the model expects.
        count: Views on the sheet, 6 in each row.
        seed: Of the draw and of the augmentation.
    """
    rows = min(max(1, count // COLUMNS), len(image_set))
    chosen = draw(image_set.labels, rows, np.random.default_rng(seed))
    plain = views(image_set, chosen, eval_transforms(cropped_for(preprocessing, augment)))
    repeated = np.repeat(chosen, COLUMNS - 1)
    augmented = views(image_set, repeated, train_transforms(preprocessing, augment), seed)
    figure = new_figure(1.9 * COLUMNS, 1.95 * rows + 0.7)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for row, axes in enumerate(grid):
        images = [plain[row], *augmented[row * (COLUMNS - 1) : (row + 1) * (COLUMNS - 1)]]
        for place, image in zip(axes, images, strict=True):
            place.imshow(image)
            place.set(xticks=[], yticks=[])
        axes[0].set_ylabel(label(image_set.classes[image_set.labels[chosen[row]]]), fontsize=11)
    grid[0, 0].set_title("evaluation", fontsize=11)
    grid[0, 1].set_title("training", fontsize=11)
    figure.suptitle(f"--augment {augment}: what the model sees, {preprocessing.image_size} pixels wide", fontsize=11)
    return legible(figure)


def draw(labels: NDArray[np.int32], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of ``count`` different images, from the classes in turn."""
    order = rng.permutation(len(labels))
    turn = np.zeros(len(labels), dtype=int)  # how many of its class come before each image
    for value in np.unique(labels):
        of_class = labels[order] == value
        turn[of_class] = np.arange(of_class.sum())
    chosen: NDArray[np.int64] = order[np.lexsort((labels[order], turn))][:count]
    return chosen


def views(
    image_set: ImageSet,
    indices: NDArray[np.int64],
    transforms: Transforms,
    seed: int | None = None,
) -> NDArray[np.uint8]:
    """The images as the model gets them, turned back into pixels: (n, size, size, 3)."""
    loader = Loader(subset(image_set, indices), transforms, batch_size=COLUMNS, seed=seed)
    pixels = to_pixels(np.concatenate([images.asnumpy() for images, _ in loader.batches()]), transforms.preprocessing)
    in_order = np.empty_like(pixels)
    in_order[loader.order()] = pixels
    return in_order
