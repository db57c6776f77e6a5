"""Weights drawn from a seed, by name and shape: the same for any implementation that is given the same names."""

import json
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
SIZES = ((224, 224), (160, 192))
CLASSES = 100  # of the nets whose head can be chosen; a thousand would only make the files larger


def draw(name, shape):
    """Plausible random values for a parameter, from a generator seeded by its name.

    Convolutions get half of He's variance: the residual sums of a deep net grow with every block, and at full variance
    a ResNet-152's logits reach 1e13, where no shift and no running mean is felt any more.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if len(shape) >= 2:  # convolutions and the head
        return rng.standard_normal(shape, np.float32) * np.float32(np.prod(shape[1:]) ** -0.5)
    if last in ("running_var", "moving_variance", "weight", "gamma"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return np.float32(0.2) * rng.standard_normal(shape, np.float32)


def draw_all(shapes):
    """A state dict for a dict from name to shape."""
    return {name: draw(name, tuple(shape)) for name, shape in shapes.items()}


def image_batch(height, width):
    """Two images, (2, 3, height, width): coloured gradients under noise.

    Of noise alone a random net makes nearly the same logits whatever the noise, and then they prove little.
    """
    noise = np.random.default_rng([height, width]).normal(size=(2, 3, height, width))
    down, across = np.linspace(-2, 2, height)[:, None], np.linspace(-2, 2, width)[None, :]
    colours = np.array([[1, -1, 0.5], [-0.5, 1, 1]])[:, :, None, None]
    gradients = np.stack([down * across / 2, down + across])[:, None]
    return (noise + colours * gradients).astype(np.float32)


def image_batches():
    """A batch of each of ``SIZES``, by "HxW"."""
    return {f"{height}x{width}": image_batch(height, width) for height, width in SIZES}


def save(name, shapes, logits):
    """Keep names, shapes and logits; ``logits`` is a dict from "HxW" to (2, classes)."""
    np.savez_compressed(
        FOLDER / f"{name}.npz",
        shapes=json.dumps({key: list(shape) for key, shape in shapes.items()}),
        **{size: values.astype(np.float32) for size, values in logits.items()},
    )


def load(name):
    """The shapes and the logits of a golden file."""
    with np.load(FOLDER / f"{name}.npz") as file:
        shapes = {key: tuple(shape) for key, shape in json.loads(str(file["shapes"])).items()}
        return shapes, {key: file[key] for key in file.files if key != "shapes"}


def names():
    """Of all golden files, ``<layout>-<architecture>``."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))
