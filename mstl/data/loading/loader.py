"""Batches of photos, by MindSpore's C++ pipeline."""

import contextlib
import os
import re

import mindspore as ms
import mindspore.dataset as ds
import numpy as np

from mstl.data.decode import read_image_bytes, upright
from mstl.data.loading.sampler import balanced_order
from mstl.errors import MstlError
from mstl.runtime.interrupts import take_ctrl_c_back

STREAMS = 8  # unless the user says otherwise
PREFETCH = 2  # what each step of a stream keeps ready; MindSpore's 16 would hold gigabytes
SAMPLERS = (None, "balanced")
AHEAD = 8  # batches of a stream in which an error lies that is reported now
DUMP = "abnormal_image.jpg"  # MindSpore writes a JPEG that it cannot decode into the working directory


class FileSource:
    """The bytes of listed files, for GeneratorDataset."""

    def __init__(self, paths, labels):
        self.paths, self.labels = paths, labels

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return read_image_bytes(self.paths[index]), self.labels[index]


class Loader:
    """Batches of an ImageSet, the last one as small as it comes out.

    The photos go through several streams, each a pipeline with random numbers of its own: batch 0 comes from stream 0,
    batch 1 from stream 1, and so on around. One pipeline with many threads would augment differently on another
    machine, since MindSpore gives each thread its own random numbers and refuses more threads than there are cores.

    Args:
        images: An :class:`mstl.data.dataset.ImageSet`.
        transforms: Operations for each photo, such as :func:`mstl.data.loading.transforms.train_transforms` gives.
        batch_size: Photos in a batch.
        seed: Shuffles, differently in each epoch; None keeps the set's order.
        workers: Streams; 8 if not given. Another number augments differently.
        sampler: ``"balanced"`` draws as many photos as the set has, with replacement, all classes equally likely; None
            takes each photo once.
        num_shards: Devices that share the photos: n of them with a batch of B / n see at each step what one sees with a
            batch of B.
        shard_id: Which of them this is. With a seed, every shard gets equally many photos (a few are seen twice);
            without, each photo is in just one.
    """

    def __init__(
        self,
        images,
        transforms,
        batch_size,
        seed=None,
        workers=None,
        sampler=None,
        num_shards=1,
        shard_id=0,
    ):
        if sampler not in SAMPLERS or (sampler and seed is None):
            raise ValueError(f"sampler {sampler!r} with seed {seed}: known are {SAMPLERS}, and drawing needs a seed")
        if not 0 <= shard_id < num_shards:
            raise ValueError(f"shard {shard_id} of {num_shards}")
        self.images, self.transforms, self.batch_size = images, transforms, batch_size
        self.seed, self.streams, self.sampler = seed, max(1, workers or STREAMS), sampler
        self.num_shards, self.shard_id = num_shards, shard_id

    def __len__(self):
        return -(-len(self.order()) // self.batch_size)

    def batches(self, epoch=0):
        """One pass over the photos; order and augmentation depend on seed, epoch and shard (and workers) alone.

        Yields:
            (n, 3, size, size) float32 images and (n,) int32 labels, as Tensors.

        Raises:
            MstlError: A photo cannot be read, or the files are no longer those of the set.
        """
        order = self.order(epoch)
        dump = os.path.abspath(DUMP)
        theirs = os.path.lexists(dump)
        parts = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        count = min(self.streams, len(parts))
        streams = [self.stream(np.concatenate(parts[k::count]), epoch, k) for k in range(count)]
        take_ctrl_c_back()
        for number, part in enumerate(parts):
            stream = streams[number % count]
            try:
                images, labels = next(stream)
            except (RuntimeError, StopIteration) as error:
                if not theirs and os.path.lexists(dump):
                    os.unlink(dump)
                raise MstlError(self.reason(error, parts[number::count])) from error
            if not np.array_equal(labels, self.images.labels[part]):
                raise MstlError(
                    self.reason("the pipeline gave other photos than those of the set", parts[number::count])
                )
            yield ms.Tensor.from_numpy(images), ms.Tensor.from_numpy(labels.astype(np.int32))

    def reason(self, error, parts):
        """One line on why a stream ended early, with the name of a file that is gone or does not open, if one is."""
        paths = self.images.paths
        for path in paths:
            if not os.path.exists(path):
                return f"{path} has vanished: put it back, or start again without it"
        for index in np.concatenate(parts[:AHEAD]):
            try:
                upright(paths[index])
            except OSError as fault:
                return f"cannot read {paths[index]} ({fault.strerror or fault}): mend it, or start again without it"
        return f"cannot read the photos: {shorten(error)}; did files change meanwhile?"

    def order(self, epoch=0):
        """The indices of the photos that this shard sees, in the order of this epoch."""
        if self.seed is None:
            return np.arange(len(self.images))[self.shard_id :: self.num_shards]
        rng = np.random.default_rng([self.seed, epoch])
        if self.sampler == "balanced":
            order = balanced_order(self.images.labels, rng)
        else:
            order = rng.permutation(len(self.images))
        each = -(-len(order) // self.num_shards)
        return np.resize(order, each * self.num_shards)[self.shard_id :: self.num_shards]  # resize begins again

    def stream(self, order, epoch, number):
        """An iterator over batches of these photos, by one thread with random numbers of its own.

        MindSpore starts the random numbers of every operation from the same seed: mirroring left to right and top to
        bottom would always come together. So each random operation runs one photo ahead of the next one: the first
        photo is put in front once more for each, and skipped behind it.
        """
        if self.seed is not None:
            seeds = np.random.SeedSequence([self.seed, epoch, self.shard_id, number])
            ds.config.set_seed(int(seeds.generate_state(1)[0]))
        *ahead, last = split_at_random(self.transforms)
        dataset = self.source(np.concatenate([np.repeat(order[:1], len(ahead)), order]))
        for operations in ahead:
            dataset = dataset.map(operations, input_columns="image", num_parallel_workers=1).skip(1)
        dataset = dataset.map(last, input_columns="image", num_parallel_workers=1)
        dataset = dataset.batch(self.batch_size, drop_remainder=False, num_parallel_workers=1)
        with prefetch_size(PREFETCH):
            return dataset.create_tuple_iterator(num_epochs=1, output_numpy=True, do_copy=False)

    def source(self, order):
        """Undecoded photos and labels in this order: by ImageFolderDataset where a folder holds just these files."""
        if self.images.folder is not None:
            return ds.ImageFolderDataset(
                str(self.images.folder),
                num_parallel_workers=1,
                sampler=ds.SubsetSampler(order.tolist()),
                class_indexing={name: index for index, name in enumerate(self.images.classes)},
            )
        source = FileSource([self.images.paths[index] for index in order], self.images.labels[order])
        return ds.GeneratorDataset(source, ["image", "label"], shuffle=False, num_parallel_workers=1)


def split_at_random(operations):
    """Operations in groups, in their order, with at most one random operation in each."""
    groups = [[]]
    for operation in operations:
        if is_random(operation) and any(is_random(other) for other in groups[-1]):
            groups.append([])
        groups[-1].append(operation)
    return groups


def is_random(operation):
    """Whether an operation of MindSpore draws random numbers: all that mstl uses say so in their names."""
    return type(operation).__name__.startswith("Random")


@contextlib.contextmanager
def prefetch_size(size):
    """Pipelines that are started in this block keep so many items ready after each step."""
    before = ds.config.get_prefetch_size()
    ds.config.set_prefetch_size(size)
    try:
        yield
    finally:
        ds.config.set_prefetch_size(before)


def shorten(error):
    """The line of MindSpore's long message that says what happened."""
    text = str(error)
    found = re.search(r"(?:\[ERROR\]|RuntimeError:|Error:)\s*([^\n]+)", text) or re.search(r"\s*([^\n]+)", text)
    return found.group(1).strip() if found else "unknown error"
