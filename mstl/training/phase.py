"""A phase of training, in which the same parameters are trained: what is frozen, the optimizer, the training step."""

import mindspore as ms
from numpy.typing import ArrayLike

from mstl.models.contract import Classifier
from mstl.runtime.processes import ProcessGroup
from mstl.training.freeze import Freeze
from mstl.training.head_step import IN_GRAPHS, HeadStep
from mstl.training.optimizers import Optimizer, Unstepped, make_groups
from mstl.training.recipes import ResolvedConfig
from mstl.training.schedules import lr_factor
from mstl.training.train_step import TrainStep, soft_cross_entropy

GRAPH_MODE_IMAGES = 200  # of 224 px, from which compiling a graph pays on a CPU, whatever the model
GRAPH_MODE_HEAD_STEPS = 50  # of a head alone: each saves 8 ms, and compiling takes 0.3 s
UNFROZEN_LR_FACTOR = 0.3  # on the learning rate, once all layers are trained after the head alone


class Phase:
    """What is trained from an epoch on, and how.

    Args:
        config: The settings.
        model: The model.
        first_epoch: The first epoch of the phase, from 1.
        class_weights: (classes,) factors in the loss; None for equal weights.
        processes: The processes of the run.
        num_batches: Batches in an epoch.

    Attributes:
        freeze: Which layers are frozen.
        optimizer: Updates the others.
        train_step: Takes in a batch; not there if the head is solved for.
        loss_scaler: Scales the loss where gradients are computed in float16; None for float32.
    """

    def __init__(
        self,
        config: ResolvedConfig,
        model: Classifier,
        first_epoch: int,
        class_weights: ArrayLike | None,
        processes: ProcessGroup,
        num_batches: int,
    ) -> None:
        self.config = config
        self.image_size = model.preprocessing.at(config.image_size).image_size
        self.first_epoch = first_epoch
        self.is_unfrozen = bool(config.unfreeze_at) and first_epoch >= config.unfreeze_at
        self.freeze = Freeze(model, "none" if self.is_unfrozen else config.freeze)
        self.optimizer: Optimizer | Unstepped
        self.loss_scaler = None if config.amp == "O0" else ms.amp.DynamicLossScaler(2**16, 2, 1000)
        if config.optimizer == "lbfgs":
            self.optimizer = Unstepped(make_groups(model))
            return
        groups = make_groups(model, config.layer_decay)
        self.optimizer = Optimizer(config.optimizer, groups, config.momentum, config.weight_decay)
        self.train_step = self.make_train_step(self.optimizer, class_weights, processes, num_batches)

    def make_train_step(
        self, optimizer: Optimizer, class_weights: ArrayLike | None, processes: ProcessGroup, num_batches: int
    ) -> TrainStep | HeadStep:
        """The training step: compiled as a whole, its gradients alone, or not at all."""
        config, trained_part = self.config, self.freeze.trained_part
        batch_size = config.batch_size // processes.size if self.uses_graph_mode(num_batches) else 0
        loss, reduce = soft_cross_entropy(class_weights), processes.gradient_mean()
        is_plain = config.accumulate == 1 and reduce is None and self.loss_scaler is None
        if batch_size and self.trains_head_alone and is_plain and config.optimizer in IN_GRAPHS:
            return HeadStep(trained_part, loss, optimizer, batch_size, config.clip)
        clip, accumulate = config.clip, config.accumulate
        return TrainStep(trained_part, loss, optimizer, clip, accumulate, reduce, self.loss_scaler, batch_size)

    @property
    def trains_head_alone(self) -> bool:
        """Whether all layers but the head are frozen."""
        return len(self.freeze.trained_part.parts) == 0

    def uses_graph_mode(self, num_batches: int) -> bool:
        """Whether steps are compiled.

        On a CPU, graph mode saves 20 to 33 % of the time of a step through convolutions (``benchmarks`` has the
        figures), and 95 % of that of a head alone. It has not been measured on other devices, where it is the user's
        choice.
        """
        config = self.config
        if config.mode != "auto":
            return config.mode == "graph"
        steps = (self.last_epoch - self.first_epoch + 1) * num_batches
        if self.trains_head_alone:
            pays = steps >= GRAPH_MODE_HEAD_STEPS
        else:
            pays = steps * config.batch_size * (self.image_size / 224) ** 2 >= GRAPH_MODE_IMAGES
        on_cpu: bool = ms.get_context("device_target") == "CPU"
        return pays and config.amp == "O0" and on_cpu

    @property
    def last_epoch(self) -> int:
        """The last epoch of the phase."""
        unfreeze_at = self.config.unfreeze_at
        return self.config.epochs if self.is_unfrozen or not unfreeze_at else unfreeze_at - 1

    @property
    def loss_scale(self) -> dict[str, ms.Parameter]:
        """The state of the loss scaler by name; empty without one."""
        scaler = self.loss_scaler
        return {} if scaler is None else {item.name: item for item in (scaler.scale_value, scaler.counter)}

    def learning_rate(self, epochs_done: float) -> float:
        """The base learning rate after so many epochs of the run; each phase has the whole schedule to itself."""
        config = self.config
        start, end, base = 0, config.epochs, config.lr
        if self.is_unfrozen:
            start, base = config.unfreeze_at - 1, config.lr * UNFROZEN_LR_FACTOR
        elif config.unfreeze_at:
            end = min(end, self.last_epoch)
        return base * lr_factor(
            config.schedule, epochs_done - start, end - start, config.warmup, config.lr_step, config.lr_gamma
        )
