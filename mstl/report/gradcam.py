"""Grad-CAM: where in an image a model saw what made it predict a class.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017.
"""

import contextlib
from collections.abc import Generator, Iterator

import mindspore as ms
import numpy as np
from mindspore import nn
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mstl.data.dataset import ImageSet
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import Transforms
from mstl.models.precision import float32
from mstl.preprocessing import Preprocessing
from mstl.runtime import mindspore_thread

COLORS = "inferno"  # perceptually uniform, and read alike by people with every kind of colour vision
AT_A_TIME = 2  # images that go through the model together: more take memory and gain no time
READ_TOGETHER = 16  # images
LUMA = (0.299, 0.587, 0.114)  # the share of red, green and blue in grey, by ITU-R BT.601


def gradcam(model: nn.Cell, images: ms.Tensor | ArrayLike, targets: ArrayLike | None = None) -> NDArray[np.float32]:
    """Heat maps of what speaks for a class.

    The features are computed without a gradient: only the head is differentiated, which costs next to nothing. The
    model runs in evaluation mode, and gets its own mode back.

    Args:
        model: A model with ``forward_features`` and ``forward_head``.
        images: (N, 3, H, W) float32, normalised as the model expects.
        targets: (N,) class indices, or one for all; each image's predicted class if not given.

    Returns:
        (N, H, W) from 0 to 1. The hottest place of each map is 1; a map is 0 everywhere if nothing speaks for the
        class.
    """
    return mindspore_thread.run(heat_maps, model, images, targets)


def heat_maps(model: nn.Cell, images: ms.Tensor | ArrayLike, targets: ArrayLike | None) -> NDArray[np.float32]:
    """:func:`gradcam`, in the MindSpore thread."""
    pixels = np.asarray(images, np.float32)
    count, height, width = len(pixels), *pixels.shape[2:]
    heat = np.zeros((count, height, width), np.float32)
    of_each = None if targets is None else np.broadcast_to(np.asarray(targets), count)
    with evaluation_mode(model):
        for start in range(0, count, AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            maps = activation_maps(model, pixels[part], None if of_each is None else of_each[part])
            for index, cam in enumerate(maps, start):
                # Pillow puts a feature's value into the middle of the pixels that it stands for
                heat[index] = Image.fromarray(cam).resize((width, height), Image.Resampling.BILINEAR)
    hottest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, hottest, out=np.zeros_like(heat), where=hottest > 0)


def activation_maps(
    model: nn.Cell, images: NDArray[np.float32], targets: NDArray[np.int64] | None
) -> NDArray[np.float32]:
    """What speaks for a class at each place of the features: (n, h, w), 0 and more.

    Args:
        model: In evaluation mode.
        images: (n, 3, H, W).
        targets: (n,) class indices, or None for the predicted ones.
    """
    features = float32(model.forward_features(ms.Tensor(images)))
    logits = model.forward_head(features).asnumpy()
    classes = logits.argmax(axis=1) if targets is None else targets
    chosen = ms.Tensor(np.eye(logits.shape[1], dtype=np.float32)[classes])

    def summed(features: ms.Tensor) -> ms.Tensor:
        # an image's logit depends on its own features alone, so the gradient of the sum holds that of each image
        return (model.forward_head(features) * chosen).sum()

    weights = ms.grad(summed)(features).asnumpy().mean(axis=(2, 3), dtype=np.float32, keepdims=True)
    maps: NDArray[np.float32] = np.maximum((weights * features.asnumpy()).sum(axis=1), 0)
    return maps


def gradcam_images(
    model: nn.Cell, images: ImageSet, transforms: Transforms
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Images of a set, and where in each the model saw the class that it predicts.

    Args:
        model: As :func:`gradcam` takes it.
        images: Not empty.
        transforms: What turns an image into the model's input.

    Returns:
        (N, H, W, 3) images as the model sees them, and (N, H, W) heat maps.
    """

    def parts() -> Generator[tuple[NDArray[np.uint8], NDArray[np.float32]], None, None]:
        for batch, _ in Loader(images, transforms, READ_TOGETHER).batches():
            yield to_pixels(batch, transforms.preprocessing), gradcam(model, batch)

    pixels, heat = zip(*mindspore_thread.iterate(parts), strict=True)
    return np.concatenate(pixels), np.concatenate(heat)


@contextlib.contextmanager
def evaluation_mode(model: nn.Cell) -> Iterator[None]:
    """In this block, a model runs in evaluation mode; after it, each of its cells is in the mode that it was in."""
    modes = [(cell, cell.training) for _, cell in model.cells_and_names()]
    model.set_train(False)
    try:
        yield
    finally:
        for cell, mode in modes:  # parents come before their parts, which may differ from them
            cell.set_train(mode)


def overlay(image: NDArray[np.uint8], heat: NDArray[np.float32], alpha: float = 0.7) -> NDArray[np.uint8]:
    """A heat map over its image: the hotter a place, the less of the image shows through.

    The image is drawn in grey, so that all colour is heat: on a yellow flower, a hot place would not stand out.

    Args:
        image: (..., H, W, 3).
        heat: (..., H, W) from 0 to 1.
        alpha: Opacity of the hottest place, from 0 to 1; that of others is in proportion.

    Returns:
        In the image's shape.
    """
    from matplotlib import colormaps

    grey = (image @ np.array(LUMA))[..., None]
    colors = 255 * colormaps[COLORS](heat)[..., :3]
    opacity = alpha * heat[..., None]
    drawn: NDArray[np.uint8] = np.rint(grey * (1 - opacity) + colors * opacity).astype(np.uint8)
    return drawn


def to_pixels(images: ms.Tensor | ArrayLike, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """The model's input, turned back into pixels.

    Args:
        images: (N, 3, H, W) float32, normalised.
        preprocessing: What they were normalised by.

    Returns:
        (N, H, W, 3).
    """
    mean, std = np.array(preprocessing.mean, np.float32), np.array(preprocessing.std, np.float32)
    values = np.asarray(images).transpose(0, 2, 3, 1) * std + mean
    pixels: NDArray[np.uint8] = np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)
    return pixels
