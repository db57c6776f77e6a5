"""Loader: a dataset's images in batches, by MindSpore's C++ pipeline."""

import contextlib
import os
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from mindspore.dataset.transforms.transforms import TensorOperation
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet
from mstl.data.decode import read_image_bytes, upright
from mstl.data.loading.sampler import balanced_order
from mstl.errors import MstlError
from mstl.runtime import mindspore_thread

Indices: TypeAlias = NDArray[np.int64]
Batch: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int32]]

STREAMS = 8  # unless the user says otherwise
PREFETCH = 2  # items that each step of a pipeline keeps ready; MindSpore's 16 would hold gigabytes
SAMPLERS = (None, "balanced")
AHEAD = 8  # batches of a stream among which an error lies that is reported now
DUMP = "abnormal_image.jpg"  # MindSpore writes a JPEG that it cannot decode into the working directory


class FileSource:
    """The bytes and labels of files, for GeneratorDataset."""

    def __init__(self, paths: Sequence[str], labels: NDArray[np.int32]) -> None:
        self.paths, self.labels = paths, labels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], np.int32]:
        return read_image_bytes(self.paths[index]), self.labels[index]


class Loader:
    """Batches of an ImageSet; the last one may be smaller.

    The batches come from several *streams* in turn: batch 0 from stream 0, batch 1 from stream 1, and so on around. A
    stream is a MindSpore pipeline of one thread with its own random seed, so that the same seed gives the same batches
    on every machine. One pipeline with many threads would augment differently elsewhere: MindSpore gives each thread
    random numbers of its own, and refuses more threads than there are cores.

    When several devices train together, each reads a *shard*: every ``num_shards``-th image of the order that all of
    them share. n devices with a batch size of B / n see at each step what one device sees with a batch size of B.

    Args:
        images: The images.
        transforms: Operations on each image, such as :func:`mstl.data.loading.transforms.train_transforms` returns.
        batch_size: Images in a batch.
        seed: Random seed; shuffles differently in each epoch. None keeps the order of the set.
        workers: The number of streams; None or 0 for 8. Another number augments differently.
        sampler: ``"balanced"`` draws as many images as the set has, with replacement, all classes equally likely; None
            takes each image once.
        num_shards: The number of devices that share the images.
        shard_id: Which of the shards to read, from 0. With a seed, all shards are equally long (a few images are seen
            twice); without one, each image is in exactly one.

    Raises:
        ValueError: An unknown sampler, a sampler without a seed, or a shard that is out of range.
    """

    def __init__(
        self,
        images: ImageSet,
        transforms: Sequence[TensorOperation],
        batch_size: int,
        seed: int | None = None,
        workers: int | None = None,
        sampler: Literal["balanced"] | None = None,
        num_shards: int = 1,
        shard_id: int = 0,
    ) -> None:
        if sampler not in SAMPLERS or (sampler and seed is None):
            raise ValueError(f"sampler {sampler!r} with seed {seed}: known are {SAMPLERS}, and drawing needs a seed")
        if not 0 <= shard_id < num_shards:
            raise ValueError(f"shard {shard_id} of {num_shards}")
        self.images, self.transforms, self.batch_size = images, transforms, batch_size
        self.seed, self.streams, self.sampler = seed, max(1, workers or STREAMS), sampler
        self.num_shards, self.shard_id = num_shards, shard_id

    def __len__(self) -> int:
        return -(-len(self.order()) // self.batch_size)

    def batches(self, epoch: int = 0) -> Iterator[tuple[ms.Tensor, ms.Tensor]]:
        """One pass over the images; their order and augmentation depend on seed, epoch, shard and workers alone.

        Yields:
            (n, 3, size, size) float32 images and (n,) int32 labels.

        Raises:
            MstlError: An image cannot be read, or the files are no longer those of the set.
        """
        yield from mindspore_thread.read(self._batches, epoch)

    def _batches(self, epoch: int) -> Generator[tuple[ms.Tensor, ms.Tensor], None, None]:
        """:meth:`batches`, in the MindSpore thread."""
        order = self.order(epoch)
        dump = os.path.abspath(DUMP)
        had_dump = os.path.lexists(dump)
        parts = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        count = min(self.streams, len(parts))
        streams = [self._stream(np.concatenate(parts[k::count]), epoch, k) for k in range(count)]
        for number, part in enumerate(parts):
            try:
                images, labels = next(streams[number % count])
            except (RuntimeError, StopIteration) as error:
                if not had_dump and os.path.lexists(dump):
                    os.unlink(dump)
                raise MstlError(self._reason(str(error), parts[number::count])) from error
            if not np.array_equal(labels, self.images.labels[part]):
                text = "the pipeline returned other images than those of the set"
                raise MstlError(self._reason(text, parts[number::count]))
            yield ms.Tensor.from_numpy(images), ms.Tensor.from_numpy(labels.astype(np.int32))

    def order(self, epoch: int = 0) -> Indices:
        """The indices of the images in this shard, in the order of this epoch."""
        if self.seed is None:
            return np.arange(len(self.images))[self.shard_id :: self.num_shards]
        rng = np.random.default_rng([self.seed, epoch])
        if self.sampler == "balanced":
            order = balanced_order(self.images.labels, rng)
        else:
            order = rng.permutation(len(self.images))
        length = -(-len(order) // self.num_shards)
        return np.resize(order, length * self.num_shards)[self.shard_id :: self.num_shards]  # resize starts over

    def _stream(self, order: Indices, epoch: int, number: int) -> Iterator[Batch]:
        """Batches of these images by one thread, with its own random seed.

        MindSpore seeds the random numbers of every operation alike: horizontal and vertical flips would always come
        together. So each random operation runs one image ahead of the next one: the first image is repeated at the
        front, once for each of them, and skipped behind it.
        """
        if self.seed is not None:
            seeds = np.random.SeedSequence([self.seed, epoch, self.shard_id, number])
            ds.config.set_seed(int(seeds.generate_state(1)[0]))
        *ahead, last = split_at_random(self.transforms)
        dataset = self._source(np.concatenate([np.repeat(order[:1], len(ahead)), order]))
        for operations in ahead:
            dataset = dataset.map(operations, input_columns="image", num_parallel_workers=1).skip(1)
        dataset = dataset.map(last, input_columns="image", num_parallel_workers=1)
        dataset = dataset.batch(self.batch_size, drop_remainder=False, num_parallel_workers=1)
        with prefetch_size(PREFETCH):
            stream: Iterator[Batch] = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True, do_copy=False)
        return stream

    def _source(self, order: Indices) -> ds.Dataset:
        """Encoded images and labels in this order: by ImageFolderDataset if a folder holds exactly these files."""
        if self.images.folder is not None:
            return ds.ImageFolderDataset(
                str(self.images.folder),
                num_parallel_workers=1,
                sampler=ds.SubsetSampler(order.tolist()),
                class_indexing=dict(self.images.class_to_idx),
            )
        source = FileSource([self.images.paths[index] for index in order], self.images.labels[order])
        return ds.GeneratorDataset(source, ["image", "label"], shuffle=False, num_parallel_workers=1)

    def _reason(self, error: str, parts: Sequence[Indices]) -> str:
        """One line on why a stream ended early; names a file that has vanished or cannot be read, if there is one."""
        paths = self.images.paths
        for path in paths:
            if not os.path.exists(path):
                return f"{path} has vanished: put it back, or start again without it"
        for index in np.concatenate(parts[:AHEAD]):
            try:
                upright(paths[index])
            except OSError as fault:
                return f"cannot read {paths[index]} ({fault.strerror or fault}): repair it, or start again without it"
        return f"cannot read the images: {summary(error)}; did files change meanwhile?"


def split_at_random(operations: Iterable[TensorOperation]) -> list[list[TensorOperation]]:
    """Operations in groups, in their order, with at most one random operation in each."""
    groups: list[list[TensorOperation]] = [[]]
    for operation in operations:
        if is_random(operation) and any(is_random(other) for other in groups[-1]):
            groups.append([])
        groups[-1].append(operation)
    return groups


def is_random(operation: TensorOperation) -> bool:
    """Whether an operation of MindSpore draws random numbers: all that mstl uses say so in their names."""
    return type(operation).__name__.startswith("Random")


@contextlib.contextmanager
def prefetch_size(size: int) -> Iterator[None]:
    """Pipelines that are started in this block keep so many items ready after each step."""
    before = ds.config.get_prefetch_size()
    ds.config.set_prefetch_size(size)
    try:
        yield
    finally:
        ds.config.set_prefetch_size(before)


def summary(error: str) -> str:
    """The line of MindSpore's long message that says what happened."""
    found = re.search(r"(?:\[ERROR\]|RuntimeError:|Error:)\s*([^\n]+)", error) or re.search(r"\s*([^\n]+)", error)
    return found.group(1).strip() if found else "unknown error"
