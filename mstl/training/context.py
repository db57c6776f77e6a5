"""A run that is ready to start: what is trained on, what is validated on, and the way from one to the other."""

import logging
from dataclasses import dataclass, field

import mindspore as ms

from mstl.data.loading.loader import Loader
from mstl.data.loading.mixup import Mixer
from mstl.evaluation.evaluate import evaluate
from mstl.features.extractor import FeatureExtractor, FeatureLoader
from mstl.models.fusing import FusedModel
from mstl.runtime.memory import trim_memory
from mstl.runtime.processes import ProcessGroup
from mstl.training.phase import Phase
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")


@dataclass
class TrainingContext:
    """A run that is ready to start.

    What is frozen runs through a folded copy of the net (:mod:`mstl.models.fusing`), once for each photo where its
    results can be kept, else in every epoch.

    Attributes:
        state: Where the run stands.
        train_loader, val_loader: Batches of this process's share of the photos.
        mixer: From images and labels to images and target distributions.
        class_weights: (classes,) factors in the loss; None for equal ones.
        processes: The processes of the run.
        features: A pair of :class:`mstl.features.extractor.FeatureLoader`, for training and validation, while what is
            frozen is kept; None else.
    """

    state: TrainState
    train_loader: Loader
    val_loader: Loader
    mixer: Mixer
    class_weights: object
    processes: ProcessGroup
    features: tuple | None = None
    _fused: FusedModel | None = None
    _runners: dict = field(default_factory=dict)

    @property
    def fused(self):
        """The folded copy of the net, made when it is first asked for."""
        if self._fused is None:
            self._fused = FusedModel(self.state.model)
        return self._fused

    def runner(self, kind, stages):
        """A part of the folded copy (``"front"`` or ``"answers"``), compiled once for all epochs."""
        if (kind, stages) not in self._runners:
            self._runners[kind, stages] = getattr(self.fused, kind)(stages)
        return self._runners[kind, stages]

    def begin_phase(self, epoch):
        """Freeze what is frozen from this epoch on, with a new optimizer for the rest."""
        state = self.state
        state.phase = Phase(state.config, state.model, epoch, self.class_weights, self.processes, len(self.train_loader))
        self.features = state.best_values = None

    def compute_features(self):
        """Put all photos through what is frozen, if what comes out can be kept for the epochs of this phase."""
        state, policy = self.state, self.state.phase.policy
        if policy.stages == 0 or not state.config.cache:
            return
        if self.mixer.alphas or self.processes.size > 1:
            reason = "photos are mixed" if self.mixer.alphas else "there are several processes"
            logger.info("features: computed in every epoch, as %s", reason)
            return
        config, sets = state.config, (self.train_loader.images, self.val_loader.images)
        frozen = FeatureExtractor(
            state.model, policy, lambda: self.runner("front", policy.stages), state.preprocessing, config
        )
        if not frozen.fits(len(sets[0]) * config.views + len(sets[1])):
            logger.info("features: computed in every epoch, as they do not fit into the memory")
            return
        views = [frozen.activations(sets[0], view) for view in range(config.views)]
        self.features = (
            FeatureLoader(self.train_loader, views),
            FeatureLoader(self.val_loader, [frozen.activations(sets[1])]),
        )
        trim_memory()  # of the threads that have decoded the photos
        count = "one view" if config.views == 1 else f"{config.views} views"
        logger.info("features: %s of each photo, %d computed, %d from disk", count, frozen.computed, frozen.known)

    def batches(self, epoch):
        """What the trained part is given in an epoch: inputs, (n, classes) targets, and n."""
        policy = self.state.phase.policy
        if self.features is not None:
            for index, (rows, labels) in enumerate(self.features[0].batches(epoch)):
                yield *self.mixer(rows, labels, epoch, index), len(labels)
            return
        for index, (images, labels) in enumerate(self.train_loader.batches(epoch)):
            images, targets = self.mixer(images, labels, epoch, index)
            if policy.stages:
                images = ms.Tensor.from_numpy(self.runner("front", policy.stages)(images))
            yield images, targets, len(labels)

    def validate(self):
        """An :class:`mstl.evaluation.metrics.Evaluation` of the validation photos by the net as it is."""
        policy = self.state.phase.policy
        if self.features is not None and policy.upto == "backbone":
            return evaluate(self.ask_head, self.features[1], self.processes)
        self.fused.refresh()
        if self.features is not None:
            return evaluate(self.runner("answers", policy.stages), self.features[1], self.processes)
        return evaluate(self.runner("answers", 0), self.val_loader, self.processes)

    def ask_head(self, rows):
        """(n, num_features, 1, 1) features to logits and features."""
        model = self.state.model
        model.set_train(False)
        return model.forward_head(rows).asnumpy(), rows.asnumpy()[:, :, 0, 0]
