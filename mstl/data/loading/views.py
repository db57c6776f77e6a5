"""Augmented views of images, each decided by the image's content, the view's number and a seed, and by nothing else.

A :class:`mstl.data.loading.loader.Loader` augments by one stream of random numbers for many images: what an image gets
depends on the images before it, and on the number of streams. That is right for epochs that all differ, but not for
views that the feature cache keeps under the digest of one image. Here each operation on each image has a seed of its
own.
"""

import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import mindspore.dataset as ds
import numpy as np
from mindspore.dataset import transforms
from mindspore.dataset.transforms.transforms import TensorOperation
from numpy.typing import NDArray

from mstl.config import SEEDS
from mstl.data.loading.loader import cannot_read
from mstl.data.loading.pixels import model_input
from mstl.data.loading.transforms import Transforms
from mstl.data.opening import UnreadableImage
from mstl.data.threads import ahead
from mstl.runtime.devices import clamp_workers

Image: TypeAlias = NDArray[Any]  # uint8 pixels at first, float32 once they are normalized


def view_batches(
    paths: Sequence[str],
    digests: Sequence[str],
    transforms: Transforms,
    batch_size: int,
    view: int,
    seed: int,
    workers: int | None = None,
) -> Iterator[NDArray[np.float32]]:
    """An augmented view of each image, in batches; the last one may be smaller.

    Args:
        paths: The image files.
        digests: The SHA-256 of each file's content, or the beginning of it, in hexadecimal.
        transforms: What happens to each image; from :func:`mstl.data.loading.transforms.train_transforms`.
        batch_size: Images in a batch.
        view: Number of the view.
        seed: Random seed.
        workers: Threads that decode, at most one for each core; None for one each, up to 8. They change no pixel.

    Yields:
        (n, 3, size, size) images, in the order of the paths.

    Raises:
        MstlError: An image cannot be read.
    """

    def read(item: tuple[str, str]) -> tuple[Image, np.random.Generator]:
        path, digest = item
        rng = np.random.default_rng([int(digest, 16), view, seed])
        try:
            if not transforms.operations:
                return model_input(path, transforms.preprocessing), rng
            return transforms.pixels(path, rng), rng
        except UnreadableImage as error:
            raise cannot_read(path, error) from error

    threads = clamp_workers(workers)
    batch: list[NDArray[np.float32]] = []
    # MindSpore's operations are seeded by a global number: they run here, one image after the other
    with contextlib.closing(ahead(read, zip(paths, digests, strict=True), threads, threads)) as images:
        for pixels, rng in images:
            with global_seeds_kept():
                batch.append(augmented(pixels, transforms.operations, rng))
            if len(batch) == batch_size:
                yield np.stack(batch)
                batch = []
    if batch:
        yield np.stack(batch)


def augmented(pixels: Image, operations: Sequence[TensorOperation], rng: np.random.Generator) -> Image:
    """The operations on one image, one after the other, each with a seed that ``rng`` draws.

    MindSpore's RandomChoice and RandomApply are decided here: they would give their own seed to what they choose, so
    that, say, the angle of a rotation would follow from its having been chosen.
    """
    for operation in operations:
        if isinstance(operation, transforms.RandomChoice):
            pixels = augmented(pixels, [operation.transforms[rng.integers(len(operation.transforms))]], rng)
        elif isinstance(operation, transforms.RandomApply):
            if rng.random() < operation.prob:
                pixels = augmented(pixels, operation.transforms, rng)
        else:
            ds.config.set_seed(int(rng.integers(SEEDS)))
            pixels = operation(pixels)
    return pixels


@contextlib.contextmanager
def global_seeds_kept() -> Iterator[None]:
    """Leave MindSpore's seed of dataset operations, and NumPy's and Python's that are set with it, as they were."""
    seed, of_python, of_numpy = ds.config.get_seed(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        ds.config.set_seed(seed)
        random.setstate(of_python)
        np.random.set_state(of_numpy)
