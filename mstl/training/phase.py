"""A stretch of training in which the same parameters are trained: what is frozen, the optimizer, the step, the rate."""

import mindspore as ms

from mstl.training.freeze import Freeze
from mstl.training.optimizers import Stepper, make_groups
from mstl.training.schedules import factor
from mstl.training.train_step import make_train_step, soft_cross_entropy

GRAPH_PAYS = 200  # photos of 224 px after which a graph's compilation is made up for, on a CPU, whatever the net
WHOLE_NET_RATE = 0.3  # of the given rate, once everything is trained after the head


class Phase:
    """What is trained in an epoch, and how.

    Args:
        config: The settings, none of them open.
        net: The net.
        epoch: The first epoch of the phase, from 1.
        class_weights: (classes,) factors in the loss; None for equal ones.
        processes: The processes of the run.
        batches: In an epoch.

    Attributes:
        policy: The :class:`mstl.training.freeze.Freeze`.
        stepper: The :class:`mstl.training.optimizers.Stepper`.
        train_step: What :func:`mstl.training.train_step.make_train_step` gives.
    """

    def __init__(self, config, model, epoch, class_weights, processes, batches):
        self.config = config
        self.image_size = model.preprocessing.at(config.image_size).image_size
        self.first = epoch
        self.unfrozen = bool(config.unfreeze_at) and epoch >= config.unfreeze_at
        self.policy = Freeze(model, "none" if self.unfrozen else config.freeze)
        self.stepper = Stepper(
            config.optimizer, make_groups(model, config.layer_decay), config.momentum, config.weight_decay
        )
        self.train_step = make_train_step(
            self.policy.forward,
            soft_cross_entropy(class_weights),
            self.stepper,
            config.clip,
            config.accumulate,
            processes.gradient_mean(),
            mixed_precision(model, config.amp),
            config.batch_size // processes.size if self.in_graph_mode(batches) else 0,
        )

    def in_graph_mode(self, batches):
        """Whether steps are compiled.

        On a CPU, a step through convolutions takes a fifth to a third less time in graph mode (measured: benchmarks'
        ``finetune``), one of a head alone does not. Nobody has measured the other devices: there it is for the user to
        say.
        """
        config = self.config
        if config.mode != "auto":
            return config.mode == "graph"
        photos = (config.epochs - self.first + 1) * batches * config.batch_size
        pays = photos * (self.image_size / 224) ** 2 >= GRAPH_PAYS
        deep = len(self.policy.forward.parts) > 0
        return deep and pays and config.amp == "O0" and ms.get_context("device_target") == "CPU"

    def rate(self, done):
        """The base learning rate after ``done`` epochs of the run; each phase runs through the schedule once."""
        config = self.config
        start, stop, base = 0, config.epochs, config.lr
        if self.unfrozen:
            start, base = config.unfreeze_at - 1, config.lr * WHOLE_NET_RATE
        elif config.unfreeze_at:
            stop = min(stop, config.unfreeze_at - 1)
        return base * factor(
            config.schedule, done - start, stop - start, config.warmup, config.lr_step, config.lr_gamma
        )


def mixed_precision(model, level):
    """Make a net compute in float16 where ``level`` says so, and give the loss scaler that this needs, else None."""
    if level == "O0":
        return None
    ms.amp.auto_mixed_precision(model, level)
    return ms.amp.DynamicLossScaler(scale_value=2**16, scale_factor=2, scale_window=1000)
