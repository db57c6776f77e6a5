"""What the frozen part of a net makes of each photo: computed once, then kept in memory and on disk.

With a frozen backbone, a photo comes out of it the same in every epoch. So each photo goes through it once for each
view, and what is trained gets what came out. Donahue et al., "DeCAF", 2014, trained classifiers on such features.
"""

import hashlib
import logging
import sys
import time

import mindspore as ms
import numpy as np

from mstl.data.checking.scan import in_threads
from mstl.data.dataset import subset
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms, train_transforms
from mstl.errors import MstlError
from mstl.features.feature_cache import FeatureCache
from mstl.files import digest
from mstl.runtime.memory import available_memory

logger = logging.getLogger("mstl")
FORMAT = 1  # of what is kept; another one makes all that is on disk worthless
FETCHED = 1000  # photos whose features are read at a time, so that not all are in memory twice
SHARE = 0.5  # of the free memory that features may take
PACK_SECONDS = 60  # an extraction that is stopped loses no more than this


class FeatureExtractor:
    """The frozen beginning of a net, ready to be asked what it makes of photos.

    Args:
        net: The net.
        policy: The :class:`mstl.training.freeze.Freeze`, with at least one frozen stage.
        front: A function that gives what turns (n, 3, H, W) images into (n, C, h, w) activations, as
            :meth:`mstl.models.fusing.FusedModel.front` does; called when it is first needed.
        preprocessing: How a photo becomes the net's input.
        config: The run's settings: ``augment`` and ``seed`` for all views but the first, ``workers``.

    Attributes:
        computed, known: How many activations had to be computed so far, and how many were on disk.
    """

    def __init__(self, model, policy, front, preprocessing, config):
        self.front, self.preprocessing = front, preprocessing
        self.augment, self.seed, self.workers = config.augment, config.seed, config.workers
        self.computed = self.known = 0
        self.store = FeatureCache(
            {
                "format": FORMAT,
                "model": model.architecture,
                "stage": policy.upto,
                "weights": digest_of(policy.frozen),
                "padding": [model.padding, model.pool_padding],
                "preprocessing": preprocessing.to_dict(),
                "transforms": "squeezed" if config.augment == "food" else "centered",
                "mindspore": ms.__version__,
                "device": ms.get_context("device_target"),
            }
        )
        if policy.upto == "backbone":  # known without computing anything
            self.shape = (model.num_features, 1, 1)
        else:
            self.shape = front()(np.zeros((1, 3, *2 * [preprocessing.image_size]), np.float32)).shape[1:]

    def fits(self, photos):
        """Whether the activations of so many photos fit into memory."""
        return photos * self.row_bytes <= SHARE * available_memory()

    @property
    def row_bytes(self):
        """Memory that a photo's activations take."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    @property
    def dtype(self):
        """Pooled features are small and kept in full; maps of activations take half the memory in float16."""
        return np.dtype(np.float32 if self.shape[1:] == (1, 1) else np.float16)

    def activations(self, images, view=0):
        """What comes out for each photo of a set, from memory or disk where it is known.

        Args:
            images: An :class:`mstl.data.dataset.ImageSet`.
            view: 0 for the centre of the photo, as in validation; others are augmented, each in its own way.

        Returns:
            (N, C, h, w), in the set's order; float32, or float16 for maps.

        Raises:
            MstlError: A photo cannot be read.
        """
        contents = in_threads(content, images.paths, "reading")
        keys = [f"{text}-{view}-{self.augment}-{self.seed}" if view else f"{text}-0" for text in contents]
        rows = np.empty((len(images), *self.shape), self.dtype)
        missing = self.fetch(keys, rows)
        first = {keys[index]: index for index in reversed(missing)}
        if first:
            self.compute(images, np.array(sorted(first.values())), view, keys, rows)
            for index in missing:  # the same photo under two names
                rows[index] = rows[first[keys[index]]]
        return rows

    def fetch(self, keys, rows):
        """Put what is on disk into ``rows``; gives the indices of what is not."""
        missing = []
        for start in range(0, len(keys), FETCHED):
            part = keys[start : start + FETCHED]
            known = self.store.get(dict.fromkeys(part))
            for index, key in enumerate(part, start):
                if key in known:
                    rows[index] = known[key].reshape(self.shape)
                else:
                    missing.append(index)
        self.known += len(keys) - len(missing)
        return missing

    def compute(self, images, missing, view, keys, rows):
        """Put the missing photos through the net: into ``rows``, and into the store."""
        from tqdm import tqdm

        front = self.front()
        part = images if len(missing) == len(images) else subset(images, missing)
        if view == 0:
            transforms, seed = eval_transforms(self.preprocessing, self.augment), None
        else:
            transforms, seed = train_transforms(self.preprocessing, self.augment), self.seed
        loader = Loader(part, transforms, front.batch_size, seed, self.workers)
        order = missing[loader.order(view)]
        done, kept, since = 0, 0, time.monotonic()
        try:
            for batch, _ in tqdm(
                loader.batches(view), total=len(loader), desc="features", leave=False, disable=not sys.stderr.isatty()
            ):
                given = front(batch)
                if not np.isfinite(given).all():
                    raise MstlError("the frozen part of the net gives values that are not finite: wrong weights?")
                rows[order[done : done + len(given)]] = np.clip(given, *limits(self.dtype))
                done += len(given)
                if time.monotonic() - since > PACK_SECONDS:
                    self.keep(images, order[kept:done], keys, rows)
                    kept, since = done, time.monotonic()
        finally:  # what was computed before Ctrl-C or a bad photo is kept as well
            self.keep(images, order[kept:done], keys, rows)
            self.computed += done

    def keep(self, images, places, keys, rows):
        """Write activations to the store, those excepted whose photo has changed since it was read."""
        if len(places) == 0:
            return
        contents = in_threads(content, [images.paths[place] for place in places], "reading")
        shape = (-1,) if self.shape[1:] == (1, 1) else self.shape
        pairs = zip(places, contents, strict=True)
        self.store.put({keys[at]: rows[at].reshape(shape) for at, text in pairs if keys[at].startswith(text)})


class FeatureLoader:
    """Batches of activations, in the place of a :class:`mstl.data.loading.loader.Loader` of photos.

    Args:
        loader: The Loader whose order of photos it keeps.
        views: A list of (N, C, h, w) arrays, one a view; in each epoch a photo is seen in the next of its views.
    """

    def __init__(self, loader, views):
        self.loader, self.views, self.images = loader, views, loader.images

    def __len__(self):
        return len(self.loader)

    def batches(self, epoch=0):
        """One pass: (n, C, h, w) float32 activations and (n,) int32 labels, as Tensors."""
        order, size = self.loader.order(epoch), self.loader.batch_size
        for start in range(0, len(order), size):
            part = order[start : start + size]
            rows = np.empty((len(part), *self.views[0].shape[1:]), np.float32)
            view = (part + epoch) % len(self.views)
            for number, values in enumerate(self.views):
                rows[view == number] = values[part[view == number]]
            labels = self.images.labels[part].astype(np.int32)
            yield ms.Tensor.from_numpy(rows), ms.Tensor.from_numpy(labels)


def content(path):
    """A digest of a file's content.

    Raises:
        MstlError: It cannot be read.
    """
    try:
        return digest(path)[:32]
    except OSError as error:
        reason = error.strerror or error
        raise MstlError(f"cannot read {path} ({reason}): mend it, or start again without it") from error


def digest_of(cells):
    """A digest of the parameters of these cells: of their names, shapes and values."""
    value = hashlib.sha256()
    for cell in cells:
        for parameter in cell.get_parameters():
            array = np.ascontiguousarray(parameter.asnumpy())
            value.update(f"{parameter.name} {array.dtype} {array.shape}\n".encode())
            value.update(array.data)
    return value.hexdigest()


def limits(dtype):
    """The range of a kind of float: beyond float16's, an activation is held at its end."""
    info = np.finfo(dtype)
    return info.min, info.max
