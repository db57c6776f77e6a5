"""Pixels: a part of an image, resized as the preprocessing says; the one way by which all images reach a model."""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mstl.data.decode import decoded, upright_size
from mstl.data.loading.windows import ChooseWindow, Window, center, whole
from mstl.data.opening import ImageFile, open_image
from mstl.preprocessing import Preprocessing

if TYPE_CHECKING:  # Pillow is imported where it is used, to keep `mstl --help` quick
    from PIL import Image

Source: TypeAlias = "ImageFile | Image.Image"  # a file, the content of one, or an upright RGB image


def window_pixels(
    source: Source, choose: ChooseWindow, preprocessing: Preprocessing, rng: np.random.Generator | None = None
) -> NDArray[np.uint8]:
    """A part of an image, resized.

    Args:
        source: The image.
        choose: Chooses the part.
        preprocessing: Says how it is decoded and resized.
        rng: Random numbers for the choice; None where nothing is random.

    Returns:
        (H, W, 3) pixels.

    Raises:
        mstl.data.opening.UnreadableImage: The image cannot be used.
    """
    from PIL import Image

    rng = rng or np.random.default_rng(0)
    if isinstance(source, Image.Image):
        return resized(source, choose(source.size, rng), preprocessing)
    with open_image(source) as image:
        size = upright_size(image)
        window, draft = choose(size, rng), preprocessing.draft
        width, height = window.smallest(size)
        rgb = decoded(image, (round(width * draft), round(height * draft)) if draft else None)
    return resized(rgb, window.scaled(rgb.width / size[0], rgb.height / size[1]), preprocessing)


def resized(image: "Image.Image", window: Window, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """A part of a decoded image, resized to (H, W, 3) pixels."""
    from PIL.Image import Resampling, Transform

    resampling = {"bilinear": Resampling.BILINEAR, "bicubic": Resampling.BICUBIC}[preprocessing.interpolation]
    if preprocessing.antialias:
        part = image.resize(window.size, resampling, window.box)
    else:
        part = image.transform(window.size, Transform.EXTENT, window.box, resampling)
    return np.asarray(part.crop(window.crop) if window.crop else part)


def center_pixels(source: Source, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """What a model sees of an image that it answers for: (image_size, image_size, 3).

    Raises:
        mstl.data.opening.UnreadableImage: The image cannot be used.
    """
    choose = whole(preprocessing.image_size) if preprocessing.crop == "whole" else center(preprocessing)
    return window_pixels(source, choose, preprocessing)


def model_input(source: Source, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """The same as the model expects it: (3, image_size, image_size), normalized.

    Raises:
        mstl.data.opening.UnreadableImage: The image cannot be used.
    """
    mean, std = scaled_mean_std(preprocessing)
    values = np.ascontiguousarray(center_pixels(source, preprocessing).transpose(2, 0, 1), np.float32)
    values -= np.array(mean, np.float32)[:, None, None]
    values /= np.array(std, np.float32)[:, None, None]
    return values


def scaled_mean_std(preprocessing: Preprocessing) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, on the scale of 0 to 255."""
    return [255 * value for value in preprocessing.mean], [255 * value for value in preprocessing.std]
