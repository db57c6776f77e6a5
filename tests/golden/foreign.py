"""Weights drawn from a seed, by name and shape: the same for any implementation that is given the same names."""

import json
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def draw(name, shape):
    """Plausible random values for a parameter, from a generator seeded by its name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    last = name.rsplit(".", 1)[-1]
    if last == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if len(shape) >= 2:  # convolutions and the head, He's variance
        return (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    if last in ("running_var", "moving_variance", "weight", "gamma"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return (0.2 * rng.normal(size=shape)).astype(np.float32)


def draw_all(shapes):
    """A state dict for a dict from name to shape."""
    return {name: draw(name, tuple(shape)) for name, shape in shapes.items()}


def image_batch(height, width):
    """Two images of noise, (2, 3, height, width)."""
    return np.random.default_rng([height, width]).normal(size=(2, 3, height, width)).astype(np.float32)


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
    """Of all golden files."""
    return sorted(path.stem for path in FOLDER.glob("*.npz"))
