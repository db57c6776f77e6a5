"""Windows: which part of an image is resized to the pixels that a model sees."""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from mstl.preprocessing import Preprocessing

TRIES = 10  # at a random crop that fits into the image
ROUNDING = 1e-6  # pixels that a length may be off because of rounding

Size: TypeAlias = tuple[int, int]  # width, height


class Window(NamedTuple):
    """A part of an image, which is resized, and perhaps cropped afterwards.

    Attributes:
        box: Left, top, right and bottom edge, in pixels of the upright image.
        size: Width and height that it is resized to, in pixels.
        crop: Left, top, right and bottom edge of what is kept of that; None for all.
    """

    box: tuple[float, float, float, float]
    size: Size
    crop: tuple[int, int, int, int] | None = None

    def scaled(self, x: float, y: float) -> "Window":
        """The same part of the image at another size: ``x`` times as wide and ``y`` times as high."""
        left, top, right, bottom = self.box
        return self._replace(box=(left * x, top * y, right * x, bottom * y))

    def smallest(self, image: Size) -> Size:
        """How large the whole image must be for the part not to be enlarged more than it is anyway."""
        left, top, right, bottom = self.box
        width, height = image[0] * self.size[0] / (right - left), image[1] * self.size[1] / (bottom - top)
        return math.ceil(width - ROUNDING), math.ceil(height - ROUNDING)


# From the size of an upright image, and random numbers where it draws some, to the part that is seen of it
ChooseWindow: TypeAlias = Callable[[Size, np.random.Generator], Window]


def center(preprocessing: Preprocessing) -> ChooseWindow:
    """The middle square, where the shorter side of the whole image is resized to ``resize`` pixels."""
    side, resize, down = preprocessing.image_size, preprocessing.resize, preprocessing.rounding == "down"

    def choose(image: Size, rng: np.random.Generator) -> Window:
        shorter = min(image)
        # In integers, so that every machine rounds alike
        width, height = ((length * resize + (0 if down else shorter // 2)) // shorter for length in image)
        left, top = (width - side) // 2, (height - side) // 2
        return Window((0.0, 0.0, *image), (width, height), (left, top, left + side, top + side))

    return choose


def whole(side: int) -> ChooseWindow:
    """The whole image, squeezed into a square of ``side`` pixels."""

    def choose(image: Size, rng: np.random.Generator) -> Window:
        return Window((0.0, 0.0, *image), (side, side))

    return choose


def random_crop(side: int, area: tuple[float, float], ratio: tuple[float, float]) -> ChooseWindow:
    """A crop of random place, area and aspect ratio, squeezed into a square, after Szegedy et al. 2014.

    Args:
        side: Of the square, in pixels.
        area: Smallest and largest share of the image that the crop covers.
        ratio: Smallest and largest ratio of its width to its height; the logarithm is drawn uniformly.
    """

    def choose(image: Size, rng: np.random.Generator) -> Window:
        width, height = image
        for _ in range(TRIES):
            target = width * height * rng.uniform(*area)
            aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
            w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
            if 0 < w <= width and 0 < h <= height:
                left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
                return Window((left, top, left + w, top + h), (side, side))
        # None fits: the middle, as much of it as the ratios allow
        w, h = min(width, max(1, round(height * ratio[1]))), min(height, max(1, round(width / ratio[0])))
        left, top = (width - w) // 2, (height - h) // 2
        return Window((left, top, left + w, top + h), (side, side))

    return choose
