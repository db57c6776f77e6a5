"""Loader: a dataset's images in batches; those that are augmented come through MindSpore's C++ pipeline."""

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from typing import Literal, TypeAlias

import mindspore as ms
import mindspore.dataset as ds
import numpy as np
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet
from mstl.data.loading.pixels import model_input
from mstl.data.loading.sampler import balanced_order
from mstl.data.loading.streams import FileSource, Stream, prefetch_size, split_at_random, summary
from mstl.data.loading.transforms import Transforms
from mstl.data.opening import UnreadableImage
from mstl.data.threads import ahead
from mstl.errors import MstlError
from mstl.runtime import mindspore_thread
from mstl.runtime.devices import clamp_workers

Indices: TypeAlias = NDArray[np.int64]

STREAMS = 8  # unless the user says otherwise
PREFETCH = 2  # items that each step of a pipeline keeps ready; MindSpore's 16 would hold gigabytes
SAMPLERS = (None, "balanced")
PLAIN_AHEAD = 64  # images that threads read before they are asked for


class Loader:
    """Batches of an ImageSet; the last one may be smaller.

    Where nothing is random, threads make the batches. Otherwise they come from several *streams* in turn: batch 0 from
    stream 0, batch 1 from stream 1, and so on around. A stream is a MindSpore pipeline of one thread with its own
    random seed, so that the same seed gives the same batches on every machine. One pipeline with many threads would
    augment differently elsewhere: MindSpore gives each thread random numbers of its own, and refuses more threads than
    there are cores. MindSpore's decoder sees no file: each is decoded and cropped by :mod:`mstl.data.loading.pixels`.

    When several devices train together, each reads a *shard*: every ``num_shards``-th image of the order that all of
    them share. n devices with a batch size of B / n see at each step what one device sees with a batch size of B.

    Args:
        images: The images.
        transforms: What happens to each image; from :func:`mstl.data.loading.transforms.train_transforms` or
            ``eval_transforms``.
        batch_size: Images in a batch.
        seed: Random seed; shuffles differently in each epoch. None keeps the order of the set.
        workers: The number of streams, or of threads; None or 0 for 8 streams, or a thread for each core. Another
            number of streams augments differently.
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
        transforms: Transforms,
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
        self.seed, self.workers, self.sampler = seed, workers, sampler
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
        if self.transforms.operations:
            yield from mindspore_thread.read(self._augmented, epoch)
        else:
            yield from self._plain(epoch)

    def _plain(self, epoch: int) -> Generator[tuple[ms.Tensor, ms.Tensor], None, None]:
        """:meth:`batches` in which nothing is random, made by threads."""
        order = self.order(epoch)
        paths = (self.images.paths[index] for index in order)
        with contextlib.closing(ahead(self._read, paths, clamp_workers(self.workers or None), PLAIN_AHEAD)) as inputs:
            for start in range(0, len(order), self.batch_size):
                part = order[start : start + self.batch_size]
                images = np.stack([next(inputs) for _ in part])
                yield ms.Tensor.from_numpy(images), ms.Tensor.from_numpy(self.images.labels[part])

    def _read(self, path: str) -> NDArray[np.float32]:
        """An image as the model expects it.

        Raises:
            MstlError: It cannot be read.
        """
        try:
            return model_input(path, self.transforms.preprocessing)
        except UnreadableImage as error:
            raise cannot_read(path, error) from error

    def _augmented(self, epoch: int) -> Generator[tuple[ms.Tensor, ms.Tensor], None, None]:
        """:meth:`batches` of augmented images, in the MindSpore thread."""
        order = self.order(epoch)
        parts = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        count = min(max(1, self.workers or STREAMS), len(parts))
        faults: list[MstlError] = []
        streams = [self._stream(np.concatenate(parts[k::count]), epoch, k, faults) for k in range(count)]
        try:
            for number, part in enumerate(parts):
                try:
                    images, labels = next(streams[number % count])
                except (RuntimeError, StopIteration) as error:
                    raise faults[0] if faults else MstlError(self._reason(str(error))) from error
                if faults:
                    raise faults[0]
                if not np.array_equal(labels, self.images.labels[part]):
                    raise MstlError(self._reason("the pipeline returned other images than those of the set"))
                yield ms.Tensor.from_numpy(images), ms.Tensor.from_numpy(labels.astype(np.int32))
        finally:
            # Here and now: an error's traceback would keep them, until another thread frees them while pipelines run,
            # and of those, MindSpore then loses threads: one in a thousand stands still for ever.
            for stream in streams:
                stream.stop()

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

    def _stream(self, order: Indices, epoch: int, number: int, faults: list[MstlError]) -> Stream:
        """Batches of these images by one thread, with its own random seed; images that cannot be read go to ``faults``.

        MindSpore seeds the random numbers of every operation alike: horizontal and vertical flips would always come
        together. So each random operation runs one image ahead of the next one: the first image is repeated at the
        front, once for each of them, and skipped behind it.
        """
        seeds = np.random.SeedSequence([self.seed or 0, epoch, self.shard_id, number])
        ds.config.set_seed(int(seeds.generate_state(1)[0]))
        *before, last = split_at_random(self.transforms.operations)
        order = np.concatenate([np.repeat(order[:1], len(before)), order])
        dataset = self._source(order)
        read = self._reader(order, np.random.default_rng(seeds), faults)
        dataset = dataset.map(read, input_columns="image", num_parallel_workers=1)
        for operations in before:
            dataset = dataset.map(operations, input_columns="image", num_parallel_workers=1).skip(1)
        dataset = dataset.map(last, input_columns="image", num_parallel_workers=1)
        dataset = dataset.batch(self.batch_size, drop_remainder=False, num_parallel_workers=1)
        with prefetch_size(PREFETCH):
            stream: Stream = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True, do_copy=False)
        return stream

    def _reader(
        self, order: Indices, rng: np.random.Generator, faults: list[MstlError]
    ) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
        """A function from the content of one file after the other, in this order, to its pixels.

        It raises nothing, as MindSpore's threads would not pass it on.
        """
        paths = iter([self.images.paths[index] for index in order])
        nothing = np.zeros((self.transforms.preprocessing.image_size,) * 2 + (3,), np.uint8)

        def read(content: NDArray[np.uint8]) -> NDArray[np.uint8]:
            path = next(paths)
            try:
                return self.transforms.pixels(content, rng)
            except UnreadableImage as error:
                faults.append(cannot_read(path, error))
                return nothing

        return read

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

    def _reason(self, error: str) -> str:
        """One line on why a stream ended early; names a file that has vanished, if there is one."""
        for path in self.images.paths:
            if not os.path.exists(path):
                return f"{path} has vanished: put it back, or start again without it"
        return f"cannot read the images: {summary(error)}; did files change meanwhile?"


def cannot_read(path: str, error: UnreadableImage) -> MstlError:
    """The error of an image that cannot be read any more: the check of the data has read it."""
    if not os.path.exists(path):
        return MstlError(f"{path} has vanished: put it back, or start again without it")
    return MstlError(f"cannot read {path} ({error.detail}): repair it, or start again without it")
