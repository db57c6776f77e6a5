"""Costs: what the parts of a run take on this machine, measured on a few of its own images."""

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

from mstl.config import FreezeName
from mstl.data.dataset import ImageSet, subset
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms
from mstl.features.cache_size import size_limit
from mstl.models import layers
from mstl.runtime.memory import trim_memory
from mstl.runtime.peak_memory import resident_memory
from mstl.training.freeze import BATCH_NORM_STATISTICS, Freeze
from mstl.training.run import TrainingRun
from mstl.training.train_step import loss_and_gradients, soft_cross_entropy

FEW, SAMPLE = 24, 96  # images that are measured; up to the larger number where that is a twentieth of all,
BATCH = 8  # so many at a time,
STEP_BATCH = 8  # in training, so that little memory is taken:
STEP_BYTES = 250 * 10**6  # of it, this goes to the graph and to gradients, whatever the batch


class Meter:
    """Measures what a run's images take: each cost once, when it is first asked for.

    The processes of a run measure together, as they will compute together, and go by what the first one has found.

    Args:
        run: The run, before its first epoch. Its model is left as it was.
        now: Gives seconds.

    Attributes:
        step_bytes: Memory that an image of a training batch takes, as far as steps were measured.
        compiling: Seconds to compile a step; so.
        opening: Seconds for an engine to take in the weights and be proved, as far as one was measured.
    """

    def __init__(self, run: TrainingRun, now: Callable[[], float] = time.perf_counter) -> None:
        self.run, self.now = run, now
        self.steps: dict[FreezeName, float] = {}
        self.step_bytes = 0
        self.compiling = self.opening = 0.0

    @property
    def sharing(self) -> int:
        """How many processes compute a part of the activations each: they give them to each other by the cache."""
        return self.run.processes.size if size_limit() else 1

    @cached_property
    def missing(self) -> tuple[tuple[int, ...], int]:
        """The activations that this process is to compute: of training images, for each view; of validation images."""
        state, extractor = self.run.state, self.run.extractor()
        views = range(state.config.views)
        train = [len(state.train_set) - extractor.count_known(state.train_set, view) for view in views]
        val = len(state.val_set) - extractor.count_known(state.val_set)
        *train, val = (-(-int(count) // self.sharing) for count in self._first_ones(np.array([*train, val])))
        return tuple(train), val

    @cached_property
    def load(self) -> float:
        """Seconds to read, decode and crop an image."""
        return self._through(lambda _: None)

    @cached_property
    def features(self) -> float:
        """Seconds to read an image and run it through the frozen layers, by the engine that will do so."""
        choice = self.run.engines.choice
        seconds = self._through(self.run.frozen_part())
        (is_refused,) = self.run.processes.any(self.run.engines.choice != choice)
        if is_refused:  # the features that are cached may be another engine's
            self.__dict__.pop("missing", None)
        return seconds

    @cached_property
    def answer(self) -> float:
        """Seconds to read a validation image and run it through the whole model."""
        if self.run.state.phase.freeze.level == "backbone":
            return self.features
        return self._through(self.run.trained_part(0))

    def step(self, level: FreezeName) -> float:
        """Seconds that an image takes in a training step, reading and frozen layers left out.

        Args:
            level: What is frozen; see :class:`mstl.training.freeze.Freeze`.
        """
        if level not in self.steps:
            self.steps[level] = self._measure_step(level)
        return self.steps[level]

    def _sample(self, count: int) -> ImageSet:
        """Some of the training images, alike in all processes."""
        images = self.run.state.train_set
        return subset(images, np.random.default_rng(0).permutation(len(images))[:count])

    def _batches(self, images: ImageSet) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """Batches of images, as validation takes them."""
        state = self.run.state
        yield from Loader(images, eval_transforms(state.preprocessing), BATCH, workers=state.config.workers).batches()

    def _timed(self, work: Callable[[], int]) -> float:
        """Seconds for each image of some work that gives their number."""
        started = self.now()
        images = work()
        return float(self._first_ones(np.array([(self.now() - started) / max(1, images)]))[0])

    def _through(self, part: Callable[[Any], Any]) -> float:
        """Seconds to read an image and run it through a part of the model."""

        def work(images: ImageSet) -> int:
            for inputs, _ in self._batches(images):
                part(inputs)
            return len(images)

        images = self.run.state.train_set
        # An engine is proved by the first images, as it would be without a measurement
        first = subset(images, range(min(BATCH, len(images))))
        self.opening = len(first) * self._timed(lambda: work(first))
        seconds = self._timed(lambda: work(self._sample(FEW)))
        more = min(SAMPLE, len(images) // 20)
        return seconds if more < FEW else self._timed(lambda: work(self._sample(more)))

    def _measure_step(self, level: FreezeName) -> float:
        """Take three steps without an optimizer, compiled as they will be, and time the quicker one of the last two."""
        run, model = self.run, self.run.state.model
        statistics = {
            parameter.name: parameter.asnumpy().copy()
            for parameter in model.get_parameters()
            if parameter.name.endswith(BATCH_NORM_STATISTICS)
        }
        before = resident_memory() or 0
        freeze = Freeze(model, level)
        freeze.set_train()
        images, labels = next(self._batches(self._sample(STEP_BATCH)))
        count = min(STEP_BATCH, len(labels))
        inputs = ms.Tensor(images[:count])
        for cell in freeze.frozen_cells:
            inputs = cell(inputs)
        targets = ms.Tensor(np.eye(len(run.state.classes), dtype=np.float32)[labels[:count]])
        parameters = [parameter for parameter in model.get_parameters() if parameter.requires_grad]
        is_compiled = ms.get_context("device_target") == "CPU" and run.state.config.mode != "pynative"
        graph_batch_size = count if is_compiled else 0
        step = loss_and_gradients(freeze.trained_part, soft_cross_entropy(), parameters, None, graph_batch_size)

        gradients: tuple[ms.Tensor, ...] = ()
        average = run.processes.gradient_mean()

        def work() -> int:
            nonlocal gradients
            loss, gradients = step(inputs, targets)
            loss.asnumpy()
            gradients[0].asnumpy()
            return count

        def share() -> int:
            if average is not None:
                average(gradients)[0].asnumpy()
            return run.train_loader.batch_size

        first = self._timed(work)
        seconds = min(self._timed(work), self._timed(work))
        self.compiling = count * max(0.0, first - seconds)
        seconds += min(self._timed(share), self._timed(share))  # once a step, however many images it has
        grown = (resident_memory() or 0) - before - STEP_BYTES
        self.step_bytes = max(self.step_bytes, grown // count)
        for parameter in model.get_parameters():
            if parameter.name in statistics:
                layers.assign(parameter, statistics[parameter.name])
        Freeze(model, run.state.phase.freeze.level)  # which parameters are trained is theirs to say
        trim_memory()
        return seconds

    def _first_ones(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values that the first process has."""
        processes = self.run.processes
        return processes.sum(values if processes.is_first else np.zeros_like(values))
