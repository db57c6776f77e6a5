"""FeatureExtractor: what a frozen backbone makes of each image, computed once.

A frozen backbone gives the same activations for an image in every epoch. So each image runs through it once for each
view, and training starts from the activations, which are cached on disk for later runs. Donahue et al., "DeCAF", 2014,
trained classifiers on such features.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import mindspore as ms
import numpy as np
import PIL
from mindspore import nn
from numpy.typing import NDArray

from mstl import __version__
from mstl.config import TrainConfig
from mstl.data.dataset import ImageSet, subset
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import TRANSFORMS_VERSION, eval_transforms, train_transforms
from mstl.data.loading.views import view_batches
from mstl.data.samples import stamp
from mstl.engines.parts import Engines, FeaturesPart
from mstl.errors import MstlError
from mstl.features import row_storage
from mstl.features.digests import current_digests, parameter_digest
from mstl.features.extraction import Extraction
from mstl.features.feature_cache import FeatureCache
from mstl.features.shard import FloatArray
from mstl.features.sharing import EngineRefused, all_together
from mstl.models.contract import Classifier
from mstl.preprocessing import Preprocessing
from mstl.runtime import stopping
from mstl.runtime.memory import release_pages
from mstl.runtime.processes import ProcessGroup
from mstl.runtime.progress import Progress

FORMAT = 3  # of what is cached; raise it when features on disk would no longer be right
ROWS_AT_A_TIME = 1000  # read from the cache, so that not all are in memory twice
SHARD_BYTES = 16 * 10**6  # features that are cached together, which takes three times as much for a moment,
SHARD_SECONDS = 60  # or sooner: a run that is stopped loses no more than this


class FeatureExtractor:
    """The frozen stages of a model, ready to compute the activations of images.

    Args:
        model: The model.
        stage: Its last frozen stage, or ``"backbone"``.
        frozen_cells: The frozen layers.
        front: Gives the frozen stages, from (n, 3, H, W) images to (n, C, h, w) activations; called when they are first
            needed.
        engines: What may compute them.
        preprocessing: How an image becomes the model's input.
        config: The settings of the run: ``augment`` and ``seed`` for all views but the first, ``workers``, ``amp``.
        processes: The processes that share what is to be computed; this one alone if None.

    Attributes:
        computed: The number of activations that this process has computed so far.
        known: The number of activations that were cached.
        seconds: What computing has taken so far.
        shape: (C, h, w) of an image's activations.
    """

    def __init__(
        self,
        model: Classifier,
        stage: str,
        frozen_cells: Iterable[nn.Cell],
        front: Callable[[], FeaturesPart],
        engines: Engines,
        preprocessing: Preprocessing,
        config: TrainConfig,
        processes: ProcessGroup | None = None,
    ) -> None:
        self.processes = processes or ProcessGroup()
        self.front, self.preprocessing = front, preprocessing
        self.augment, self.seed, self.workers = config.augment, config.seed, config.workers
        self.views = config.views
        self.computed = self.known = 0
        self.seconds = 0.0
        self.shape: tuple[int, ...]
        if stage == "backbone":  # known without computing anything
            self.shape = (model.num_features, 1, 1)
        else:
            side = preprocessing.image_size
            self.shape = front().output_shape((3, side, side))
        self.engines, self.choice = engines, engines.choice
        self.cache = FeatureCache(
            {
                "format": FORMAT,
                "model": model.architecture,
                "stage": stage,
                "weights": parameter_digest(frozen_cells),
                "padding": [model.padding, model.pool_padding],
                "preprocessing": preprocessing.to_dict(),
                "transforms_version": TRANSFORMS_VERSION,
                "amp": config.amp,
                "device": ms.get_context("device_target"),
                "engine": dataclasses.asdict(self.choice),
                "mstl": __version__,
                "mindspore": ms.__version__,
                "pillow": PIL.__version__,
            }
        )

    @property
    def dtype(self) -> np.dtype[np.float32] | np.dtype[np.float16]:
        """Pooled features are small and keep float32; activation maps take half the memory in float16."""
        return np.dtype(np.float32) if self.shape[1:] == (1, 1) else np.dtype(np.float16)

    def fits(self, num_images: int) -> bool:
        """Whether the activations of so many images can be kept, in memory or on the disk."""
        return row_storage.fits(num_images * int(np.prod(self.shape)) * self.dtype.itemsize)

    def count_known(self, images: ImageSet, view: int = 0) -> int:
        """How many of the images have their activations in the cache; none is read.

        Raises:
            MstlError: An image cannot be read.
        """
        return self.cache.count(self._keys(current_digests(images, [stamp(path) for path in images.paths]), view))

    def _keys(self, digests: Sequence[str], view: int) -> list[str]:
        """The keys of images in the feature cache."""
        suffix = f"-{view}-{self.augment}-{self.seed}" if view else "-0"
        return [digest[:32] + suffix for digest in digests]

    def activations(self, images: ImageSet, view: int = 0) -> FloatArray:
        """The activations of all images, cached or computed; the same in all processes, which all must ask for them.

        Args:
            images: The images.
            view: 0 for the centre of each image, as in validation; any other is augmented, by the image's content, the
                view's number and the seed alone.

        Returns:
            (N, C, h, w), in the order of the images; float32, or float16 for activation maps. A memory map if they are
            many: see :mod:`mstl.features.row_storage`.

        Raises:
            EngineRefused: The engine that was to compute them was refused: by the next one, it is another extractor.
            MstlError: An image cannot be read, or the activations are not finite.
        """
        stamps = [stamp(path) for path in images.paths]
        digests = current_digests(images, stamps)
        keys = self._keys(digests, view)
        rows = row_storage.empty_rows((len(images), *self.shape), self.dtype)
        extraction = Extraction(images, stamps, digests, keys, rows)
        missing = self._read_cached(extraction, range(len(images)))
        self.known += len(images) - len(missing)
        if self.processes.size > 1 and self.cache.limit:
            with all_together(self.processes, self.engines) as share_of:
                own = share_of(extraction.different(missing))
                self._compute(extraction, view, own)
            computed = set(own.tolist())
            missing = self._read_cached(extraction, [index for index in missing if index not in computed])
        self._compute(extraction, view, extraction.different(missing))
        first = {keys[index]: index for index in reversed(missing)}
        for index in missing:  # the same image under two names
            extraction.rows[index] = extraction.rows[first[keys[index]]]
        release_pages(extraction.rows)
        return extraction.rows

    def _read_cached(self, extraction: Extraction, indices: Sequence[int]) -> list[int]:
        """Fill in the rows of images that are cached, and return the indices of the others."""
        missing = []
        for start in range(0, len(indices), ROWS_AT_A_TIME):
            part = indices[start : start + ROWS_AT_A_TIME]
            cached = self.cache.get(extraction.keys[index] for index in part)
            for index in part:
                row = cached.get(extraction.keys[index])
                if row is None:
                    missing.append(index)
                else:
                    extraction.rows[index] = row.reshape(self.shape)
            release_pages(extraction.rows)
        return missing

    def _compute(self, extraction: Extraction, view: int, missing: NDArray[np.int64]) -> None:
        """Fill in the missing rows by the frozen stages, and cache them."""
        if not len(missing):
            return
        uncached: list[int] = []
        started = since = time.monotonic()
        try:
            for indices, activations in self._batches(extraction, view, missing):
                extraction.rows[indices] = activations
                self.computed += len(indices)
                uncached += indices.tolist()
                size = len(uncached) * extraction.rows[0].nbytes
                if size > SHARD_BYTES or time.monotonic() - since > SHARD_SECONDS:
                    self._cache(extraction, uncached)
                    uncached, since = [], time.monotonic()
        finally:  # what was computed before Ctrl-C or an unreadable image is cached as well
            self._cache(extraction, uncached)
            self.seconds += time.monotonic() - started

    def _batches(
        self, extraction: Extraction, view: int, missing: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], FloatArray]]:
        """Run the missing images through the frozen stages, and yield batches of their indices and activations."""
        front, done = self.front(), 0
        limits = np.finfo(self.dtype)  # beyond those of float16, activations are clipped
        label = f"features, view {view + 1} of {self.views}" if view else "features"
        with Progress(label, len(missing), quiet=not self.processes.is_first) as progress:
            for batch in self._inputs(extraction, view, missing, front.batch_size):
                activations = front(batch)
                if self.engines.choice != self.choice:
                    raise EngineRefused
                if not np.isfinite(activations).all():
                    raise MstlError("the frozen layers give activations that are not finite: are the weights wrong?")
                indices = missing[done : done + len(activations)]
                yield indices, np.clip(activations, limits.min, limits.max)
                done += len(activations)
                progress.advance(len(activations))
                stopping.check()

    def _inputs(
        self, extraction: Extraction, view: int, missing: NDArray[np.int64], batch_size: int
    ) -> Iterator[ms.Tensor | NDArray[np.float32]]:
        """Batches of the missing images, in their order."""
        images = extraction.images
        part = images if len(missing) == len(images) else subset(images, missing)
        if view == 0:
            loader = Loader(part, eval_transforms(self.preprocessing), batch_size, workers=self.workers)
            yield from (batch for batch, _ in loader.batches())
            return
        digests = [extraction.digests[index] for index in missing]
        transforms = train_transforms(self.preprocessing, self.augment)
        yield from view_batches(part.paths, digests, transforms, batch_size, view, self.seed, self.workers)

    def _cache(self, extraction: Extraction, indices: Sequence[int]) -> None:
        """Cache rows, except those of images that have changed since their digest was taken."""
        shape = self.shape[:1] if self.shape[1:] == (1, 1) else self.shape
        paths, stamps = extraction.images.paths, extraction.stamps
        unchanged = [index for index in indices if stamp(paths[index]) == stamps[index]]
        self.cache.put({extraction.keys[index]: extraction.rows[index].reshape(shape) for index in unchanged})
        release_pages(extraction.rows)
