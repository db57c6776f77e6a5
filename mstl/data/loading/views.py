"""Augmented views of images, each decided by the image's content, the view's number and a seed, and by nothing else.

A :class:`mstl.data.loading.loader.Loader` augments by one stream of random numbers for many images: what an image gets
depends on the images before it, and on the number of streams. That is right for epochs that all differ, but not for
views that the feature cache keeps under the digest of one image. Here each operation on each image has a seed of its
own.
"""

import contextlib
import io
import random
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import mindspore.dataset as ds
import numpy as np
from mindspore.dataset import transforms, vision
from mindspore.dataset.transforms.transforms import TensorOperation
from numpy.typing import NDArray

from mstl.config import SEEDS
from mstl.data.decode import read_image_bytes, upright
from mstl.errors import MstlError
from mstl.runtime.devices import clamp_workers

Pixels: TypeAlias = NDArray[np.uint8]
Image: TypeAlias = NDArray[Any]  # uint8 pixels at first, float32 once they are normalised


def view_batches(
    paths: Sequence[str],
    digests: Sequence[str],
    operations: Sequence[TensorOperation],
    batch_size: int,
    view: int,
    seed: int,
    workers: int | None = None,
) -> Iterator[NDArray[np.float32]]:
    """An augmented view of each image, in batches; the last one may be smaller.

    Args:
        paths: The image files.
        digests: The SHA-256 of each file's content, or the beginning of it, in hexadecimal.
        operations: On each image, such as :func:`mstl.data.loading.transforms.train_transforms` returns.
        batch_size: Images in a batch.
        view: Number of the view.
        seed: Random seed.
        workers: Threads that decode, at most one for each core; None for one each, up to 8. They change no pixel.

    Yields:
        (n, 3, size, size) images, in the order of the paths.

    Raises:
        MstlError: An image cannot be read.
    """
    operations = on_pixels(operations)
    batch: list[NDArray[np.float32]] = []
    with contextlib.closing(decoded(paths, clamp_workers(workers))) as images:
        for pixels, digest in zip(images, digests, strict=True):
            rng = np.random.default_rng([int(digest, 16), view, seed])
            with global_seeds_kept():
                batch.append(augmented(pixels, operations, rng))
            if len(batch) == batch_size:
                yield np.stack(batch)
                batch = []
    if batch:
        yield np.stack(batch)


def on_pixels(operations: Sequence[TensorOperation]) -> list[TensorOperation]:
    """Operations on an image file, as operations on its pixels."""
    first, *others = operations
    if isinstance(first, vision.Decode):
        return others
    if isinstance(first, vision.RandomCropDecodeResize):
        crop = vision.RandomResizedCrop(first.size, first.scale, first.ratio, first.interpolation, first.max_attempts)
        return [crop, *others]
    raise ValueError(f"{type(first).__name__} does not decode: it cannot be the first operation on a file")


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


def decoded(paths: Sequence[str], threads: int) -> Generator[Pixels, None, None]:
    """The pixels of each image, in order, decoded in threads a few images ahead: large ones would fill the memory.

    Raises:
        MstlError: An image cannot be read.
    """
    pending: deque[Future[Pixels]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for path in paths:
            pending.append(pool.submit(read_pixels, path))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def read_pixels(path: str) -> Pixels:
    """(H, W, 3) pixels of an image file, by Pillow, which decodes as MindSpore does.

    Raises:
        MstlError: It cannot be read.
    """
    try:
        return np.asarray(upright(io.BytesIO(read_image_bytes(path).data), reduce=False))
    except OSError as error:
        raise MstlError(
            f"cannot read {path} ({error.strerror or error}): repair it, or start again without it"
        ) from error
