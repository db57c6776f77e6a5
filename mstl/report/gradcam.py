"""Grad-CAM: where in a photo a net saw what made it answer a class.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017.
"""

import contextlib

import mindspore as ms
import numpy as np
from PIL import Image

from mstl.data.loading.loader import Loader

COLORS = "inferno"  # perceptually uniform, and read alike by people with every kind of colour vision
AT_A_TIME = 2  # images that go through the net together: more take memory and gain no time
READ_TOGETHER = 16  # photos
LUMA = (0.299, 0.587, 0.114)  # the share of red, green and blue in a grey picture, by ITU-R BT.601


def gradcam(model, images, targets=None):
    """Heat maps of what speaks for a class.

    The features are computed without a gradient: only the head is differentiated, which costs next to nothing. The net
    runs in evaluation mode, and gets its own mode back.

    Args:
        net: A net that keeps mstl's model contract (``forward_features`` and ``forward_head``).
        images: (N, 3, H, W) float32, normalised as the net expects, a Tensor or an array.
        targets: (N,) class indices, or one for all; each image's predicted class if not given.

    Returns:
        (N, H, W) float32 from 0 to 1. The hottest place of each map is 1; a map is 0 everywhere where nothing speaks
        for the class.
    """
    images = np.asarray(images, np.float32)
    count, height, width = len(images), *images.shape[2:]
    heat = np.zeros((count, height, width), np.float32)
    targets = None if targets is None else np.broadcast_to(targets, count)
    with evaluation_mode(model):
        for start in range(0, count, AT_A_TIME):
            part = slice(start, start + AT_A_TIME)
            maps = activation_maps(model, images[part], None if targets is None else targets[part])
            for index, cam in enumerate(maps, start):
                # Pillow puts a feature's value into the middle of the pixels that it stands for
                heat[index] = Image.fromarray(cam).resize((width, height), Image.Resampling.BILINEAR)
    hottest = heat.max(axis=(1, 2), keepdims=True)
    return np.divide(heat, hottest, out=np.zeros_like(heat), where=hottest > 0)


def activation_maps(model, images, targets):
    """What speaks for a class at each place of the features: (n, h, w) float32, 0 and more.

    Args:
        net: A net in evaluation mode.
        images: (n, 3, H, W) float32.
        targets: (n,) class indices, or None for the predicted ones.
    """
    features = model.forward_features(ms.Tensor(images))
    logits = model.forward_head(features).asnumpy()
    targets = logits.argmax(axis=1) if targets is None else targets
    chosen = ms.Tensor(np.eye(logits.shape[1], dtype=np.float32)[targets])

    def summed(features):  # an image's logit depends on its own features alone: the sum's gradient holds each one's
        return (model.forward_head(features) * chosen).sum()

    weights = ms.grad(summed)(features).asnumpy().mean(axis=(2, 3), dtype=np.float32, keepdims=True)
    return np.maximum((weights * features.asnumpy()).sum(axis=1), 0)


def gradcam_images(model, images, transforms, preprocessing):
    """Photos of a set, and where in each the net saw the class that it predicts.

    Args:
        net: As :func:`gradcam` takes it.
        images: An :class:`mstl.data.dataset.ImageSet`, not empty.
        transforms: What turns a photo into the net's input.
        preprocessing: The :class:`mstl.config.Preprocessing` that they normalise by.

    Returns:
        (N, H, W, 3) uint8 photos as the net sees them, and (N, H, W) heat maps.
    """
    photos, heat = [], []
    for batch, _ in Loader(images, transforms, READ_TOGETHER).batches():
        photos.append(shown(batch, preprocessing))
        heat.append(gradcam(model, batch))
    return np.concatenate(photos), np.concatenate(heat)


@contextlib.contextmanager
def evaluation_mode(model):
    """In this block a net runs in evaluation mode; after it, each of its cells is in the mode that it was in."""
    modes = [(cell, cell.training) for _, cell in model.cells_and_names()]
    model.set_train(False)
    try:
        yield
    finally:
        for cell, mode in modes:  # parents come before their parts, which may differ from them
            cell.set_train(mode)


def overlay(photo, heat, alpha=0.7):
    """A heat map over its photo: the hotter a place, the less of the photo shows through.

    The photo is drawn in grey, so that all colour is heat: on a yellow flower, a hot place would not stand out.

    Args:
        photo: (..., H, W, 3) uint8.
        heat: (..., H, W) from 0 to 1.
        alpha: Opacity of the hottest place, from 0 to 1; that of others is in proportion.

    Returns:
        uint8, in the photo's shape.
    """
    from matplotlib import colormaps

    grey = (photo @ np.array(LUMA))[..., None]
    colors = 255 * colormaps[COLORS](heat)[..., :3]
    opacity = alpha * heat[..., None]
    return np.rint(grey * (1 - opacity) + colors * opacity).astype(np.uint8)


def shown(images, preprocessing):
    """Photos as a net sees them, turned back into pixels.

    Args:
        images: (N, 3, H, W) float32, normalised, a Tensor or an array.
        preprocessing: The :class:`mstl.config.Preprocessing` that they were normalised with.

    Returns:
        (N, H, W, 3) uint8.
    """
    pixels = np.asarray(images).transpose(0, 2, 3, 1) * np.float32(preprocessing.std) + np.float32(preprocessing.mean)
    return np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
