"""Batches of photos, by MindSpore's C++ pipeline."""

import re
import signal
import threading

import mindspore as ms
import mindspore.dataset as ds
import numpy as np

from mstl.errors import MstlError
from mstl.runtime import clamp_workers


class FileSource:
    """The bytes of listed files, for GeneratorDataset."""

    def __init__(self, paths, labels):
        self.paths, self.labels = paths, labels

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return np.fromfile(self.paths[index], dtype=np.uint8), self.labels[index]


class Loader:
    """Batches of an ImageSet, the last one as small as it comes out.

    Args:
        images: An :class:`mstl.data.datasets.ImageSet`.
        transforms: Operations for each photo, such as :func:`mstl.data.transforms.train_transforms` gives.
        batch_size: Photos in a batch.
        seed: Shuffles, differently in each epoch; None keeps the set's order.
        workers: Threads; one a core if not given, never more.
    """

    def __init__(self, images, transforms, batch_size, seed=None, workers=None):
        self.images, self.transforms, self.batch_size = images, transforms, batch_size
        self.seed, self.workers = seed, clamp_workers(workers)

    def __len__(self):
        return -(-len(self.images) // self.batch_size)

    def batches(self, epoch=0):
        """One pass over the photos; the order depends on seed and epoch alone.

        Yields:
            (n, 3, size, size) float32 images and (n,) int32 labels, as Tensors.

        Raises:
            MstlError: A photo cannot be read.
        """
        dataset = self.source(self.order(epoch))
        if self.seed is not None:
            ds.config.set_seed((self.seed * 1_000_003 + epoch) % 2**31)
        dataset = dataset.map(self.transforms, input_columns="image", num_parallel_workers=self.workers)
        dataset = dataset.batch(self.batch_size, drop_remainder=False, num_parallel_workers=1)
        seen = 0
        iterator = dataset.create_tuple_iterator(num_epochs=1)
        take_ctrl_c_back()
        while True:
            try:
                images, labels = next(iterator)
            except StopIteration:
                break
            except RuntimeError as error:
                raise MstlError(f"cannot read the photos: {shorten(error)}") from error
            seen += len(labels)
            yield images, labels.astype(ms.int32)
        if seen != len(self.images):
            raise MstlError(f"the pipeline gave {seen} of {len(self.images)} photos: did the files change?")

    def order(self, epoch):
        """The indices of the photos, in the order of this epoch."""
        if self.seed is None:
            return np.arange(len(self.images))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.images))

    def source(self, order):
        """Undecoded photos and labels in this order: by ImageFolderDataset where a folder holds just these files."""
        if self.images.folder is not None:
            return ds.ImageFolderDataset(
                str(self.images.folder),
                num_parallel_workers=self.workers,
                sampler=ds.SubsetSampler(order.tolist()),
                class_indexing={name: index for index, name in enumerate(self.images.classes)},
            )
        source = FileSource(self.images.paths, self.images.labels)
        sampler = ds.SubsetSampler(order.tolist())
        return ds.GeneratorDataset(source, ["image", "label"], sampler=sampler, num_parallel_workers=1)


def take_ctrl_c_back():
    """Put Python's own handler for Ctrl-C back in place.

    MindSpore's pipeline installs one when it starts that ends the process by SIGTERM, with nothing saved.
    """
    if threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)  # what Python still believes to be installed
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


def shorten(error):
    """The line of MindSpore's long message that says what happened."""
    text = str(error)
    found = re.search(r"(?:\[ERROR\]|RuntimeError:|Error:)\s*([^\n]+)", text) or re.search(r"\s*([^\n]+)", text)
    return found.group(1).strip() if found else "unknown error"
