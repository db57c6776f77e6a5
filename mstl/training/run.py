"""A prepared training run: its batches, through the frozen layers, for training and for validation."""

import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

from mstl.data.loading.loader import Loader
from mstl.data.loading.mixup import Mixer
from mstl.engines.parts import ClassifierPart, Engines, FeaturesPart
from mstl.evaluation.evaluate import evaluate, evaluate_head
from mstl.evaluation.metrics import Evaluation
from mstl.features.extractor import FeatureExtractor
from mstl.features.feature_loader import FeatureLoader
from mstl.features.sharing import EngineRefused
from mstl.models import layers
from mstl.models.fusing import FusedModel
from mstl.runtime.memory import trim_memory
from mstl.runtime.processes import ProcessGroup
from mstl.training import run_dir
from mstl.training.clock import Clock
from mstl.training.freeze import BATCH_NORM_STATISTICS
from mstl.training.phase import Phase
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")


@dataclass
class TrainingRun:
    """Everything that a run needs besides its state.

    Frozen layers run in a fused copy of the model (:mod:`mstl.models.fusing`): once for each image if the results fit
    into the feature cache, else in every epoch.

    Attributes:
        state: The state of the run.
        train_loader, val_loader: Batches of this process's share of the images.
        mixer: From a batch's labels to targets; applies mixup and CutMix.
        class_weights: (classes,) factors in the loss; None for equal weights.
        processes: The processes of the run.
        engines: What may compute the frozen layers and the validation.
        features: Loaders of cached features for training and for validation; None if they are not cached.
        reason: Why the recipe's settings are what they are.
        clock: The time of the run.
    """

    state: TrainState
    train_loader: Loader
    val_loader: Loader
    mixer: Mixer
    class_weights: NDArray[np.float32] | None
    processes: ProcessGroup
    engines: Engines
    features: tuple[FeatureLoader, FeatureLoader] | None = None
    reason: str = ""
    clock: Clock = field(default_factory=Clock)
    _fused: FusedModel | None = None
    _frozen_parts: dict[int, FeaturesPart] = field(default_factory=dict)
    _trained_parts: dict[int, ClassifierPart] = field(default_factory=dict)

    @property
    def fused(self) -> FusedModel:
        """The fused copy of the model, made when it is first needed."""
        if self._fused is None:
            self._fused = FusedModel(self.state.model)
        return self._fused

    def frozen_part(self) -> FeaturesPart:
        """From images to activations of the frozen stages; made once for all epochs."""
        stages = self.state.phase.freeze.num_frozen_stages
        if stages not in self._frozen_parts:
            self._frozen_parts[stages] = FeaturesPart(self.fused, self.engines, stages)
        return self._frozen_parts[stages]

    def note_engine(self) -> None:
        """Record which engine computes, where another one had to take over."""
        state, choice = self.state, self.engines.choice
        if state.record.engine == choice:
            return
        state.record = dataclasses.replace(state.record, engine=choice)
        if self.processes.is_first:
            run_dir.write_config(state)

    def trained_part(self, stages: int) -> ClassifierPart:
        """From activations of the first ``stages``, or images for 0, to logits and features; made once."""
        if stages not in self._trained_parts:
            self._trained_parts[stages] = ClassifierPart(self.fused, self.engines, stages)
        return self._trained_parts[stages]

    def begin_phase(self, epoch: int) -> None:
        """Freeze what is to be frozen from this epoch on, and make a new optimizer for the rest."""
        state = self.state
        num_batches = len(self.train_loader)
        state.phase = Phase(state.config, state.model, epoch, self.class_weights, self.processes, num_batches)
        self.features = state.best_parameters = None

    def extractor(self) -> FeatureExtractor:
        """What computes and keeps the features of this phase."""
        state, freeze = self.state, self.state.phase.freeze
        frozen = (state.model, freeze.level, freeze.frozen_cells, self.frozen_part, self.engines)
        return FeatureExtractor(*frozen, state.preprocessing, state.config, self.processes)

    def compute_features(self) -> None:
        """Run all images through the frozen stages, if the features can be cached for the epochs of this phase."""
        with self.state.ledger.part("features"):
            self._compute_features()
        if self.features is not None:
            self._let_go()

    def _let_go(self) -> None:
        """Let go of what has computed the features: copies of the weights, and the memory that an engine works in."""
        self._frozen_parts.clear()
        if self.state.phase.freeze.level == "backbone":  # what is left is the head
            self._trained_parts.clear()
            self._fused = None
        trim_memory()  # also of the threads that decoded the images

    def _compute_features(self) -> None:
        """:meth:`compute_features`, which measures it."""
        state, freeze = self.state, self.state.phase.freeze
        config = state.config
        if freeze.num_frozen_stages == 0 or not config.cache:
            return
        if self.mixer.alphas:
            logger.info("features: computed in every epoch, as images are mixed")
            return
        extractor = self.extractor()
        fits = extractor.fits(len(state.train_set) * config.views + len(state.val_set))
        if self.processes.any(not fits)[0]:
            logger.info("features: computed in every epoch, as they do not fit into memory or onto the disk")
            return
        try:
            views = [extractor.activations(state.train_set, view) for view in range(config.views)]
            val_view = extractor.activations(state.val_set)
        except EngineRefused:
            self._compute_features()  # by the next engine, from the start: features of two are not mixed
            return
        if freeze.level == "backbone":  # pooled
            views, val_view = [view[:, :, 0, 0] for view in views], val_view[:, :, 0, 0]
        self.features = FeatureLoader(self.train_loader, views), FeatureLoader(self.val_loader, [val_view])
        views_text = "one view" if config.views == 1 else f"{config.views} views"
        computed = int(self.processes.sum(np.array([extractor.computed]))[0])
        state.ledger.note_features(computed, extractor.seconds)
        counts = (computed, extractor.known)
        logger.info("features: %s of each image, %d computed, %d from the cache", views_text, *counts)

    def batches(self, epoch: int) -> Iterator[tuple[ms.Tensor, ms.Tensor, int]]:
        """The training batches of an epoch: inputs of the trained part, (n, classes) targets, and n."""
        if self.features is not None:  # which are never mixed
            for rows, labels in self.features[0].arrays(epoch):
                targets = self.mixer.soft_targets(labels)
                yield ms.Tensor.from_numpy(rows), ms.Tensor.from_numpy(targets), len(labels)
            return
        for index, (images, labels) in enumerate(self.train_loader.batches(epoch)):
            inputs, targets = self.mixer(images, labels, epoch, index)
            if self.state.phase.freeze.num_frozen_stages:
                inputs = ms.Tensor.from_numpy(self.frozen_part()(inputs))
            yield inputs, targets, len(labels)

    def average_statistics(self) -> None:
        """Give all processes the mean of their BatchNorm statistics: each has followed its own share of the images."""
        if self.processes.size == 1:
            return
        frozen, ema = self.state.phase.freeze.frozen_ids, self.state.ema
        statistics = [
            parameter
            for parameter in self.state.model.get_parameters()
            if parameter.name.endswith(BATCH_NORM_STATISTICS) and id(parameter) not in frozen
        ]
        averages = {} if ema is None else ema.to_arrays()
        for parameter in statistics:
            layers.assign(parameter, self.processes.mean(parameter.asnumpy()))
            if ema is not None:
                averages[parameter.name][...] = self.processes.mean(averages[parameter.name])

    def validate(self) -> Evaluation:
        """Evaluate the model as it is on the validation images."""
        freeze = self.state.phase.freeze
        if self.features is not None and freeze.level == "backbone":
            (features,), head = self.features[1].views, self.state.model.fc
            return evaluate_head(features, head.weight.asnumpy(), head.bias.asnumpy(), self.features[1].images)
        self.fused.refresh()
        if self.features is not None:
            return evaluate(self.trained_part(freeze.num_frozen_stages), self.features[1], self.processes)
        return evaluate(self.trained_part(0), self.val_loader, self.processes)
