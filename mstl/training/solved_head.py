"""A head that is solved for: the weights of least loss on kept features, without steps of training."""

import dataclasses
import logging
from typing import NamedTuple

import numpy as np

from mstl.errors import MstlError
from mstl.evaluation.regularisation import FOLDS, choose_weight_decay, products
from mstl.evaluation.softmax_regression import Array, SoftmaxRegression
from mstl.features.cache_size import show_size
from mstl.features.row_storage import MEMORY_SHARE
from mstl.models import layers
from mstl.runtime import blas_threads
from mstl.runtime.memory import available_memory
from mstl.training import run_dir
from mstl.training.record import HeadRecord
from mstl.training.run import TrainingRun

logger = logging.getLogger("mstl")
TARGETS = 4  # arrays of (images, classes) float32 that there are at a time; of few classes, some more
MOST_EXACT = 20_000_000  # features, up to which the solution is found in float64: a copy of 160 MB


class SolvedHead(NamedTuple):
    """A head of least loss.

    Attributes:
        weight, bias: (classes, F) and (classes,).
        loss: The mean loss over the training images, in nats, without the weight decay.
        weight_decay: That of the loss.
        record: How the weight decay was chosen; None if it was given.
    """

    weight: Array
    bias: Array
    loss: float
    weight_decay: float
    record: HeadRecord | None


def solve_head(run: TrainingRun) -> float:
    """Give the model the head of least loss, all views of the training images taken together.

    The weight decay is that of the settings; if they have none, it is chosen on held-out images, and noted there. Of
    several processes, the first one solves for the head, and all of them get it.

    Returns:
        The mean loss over the training images, in nats, without the weight decay.

    Raises:
        MstlError: The features are not kept, or the targets do not fit into memory.
        Stopped: The process was asked to stop.
    """
    state = run.state
    head = run.processes.from_first(lambda: solved(run))
    layers.assign(state.model.fc.weight, head.weight)
    layers.assign(state.model.fc.bias, head.bias)
    if head.record is not None:
        state.config = dataclasses.replace(state.config, weight_decay=head.weight_decay)
        state.record = dataclasses.replace(state.record, head=head.record)
        if run.processes.is_first:
            run_dir.write_config(state)
    return head.loss


def solved(run: TrainingRun) -> SolvedHead:
    """The head of least loss; see :func:`solve_head`."""
    state = run.state
    if run.features is None:
        raise MstlError(
            f"the features of {len(state.train_set)} images do not fit into memory or onto the disk, where optimizer "
            "lbfgs needs them: add --optimizer momentum"
        )
    views, labels = run.features[0].views, state.train_set.labels
    groups = state.train_set.groups or range(len(labels))
    refuse_beyond_memory(len(labels), len(state.classes))
    targets = run.mixer.soft_targets(labels)
    if run.class_weights is not None:
        targets *= run.class_weights
    with blas_threads.suited_to(FOLDS * products(views, targets)):
        start, record, weight_decay = None, None, state.config.weight_decay
        if weight_decay is None:
            choice = choose_weight_decay(views, labels, targets, groups, state.config.seed)
            start, weight_decay = choice.start, choice.weight_decay
            trials = tuple((trial.weight_decay, trial.loss) for trial in choice.trials)
            record = HeadRecord(choice.folds, trials)
            logger.info("weight decay: %.3g, %s", weight_decay, reason(choice.folds, len(trials)))
        if sum(view.size for view in views) <= MOST_EXACT:
            views = [view.astype(np.float64) for view in views]
        problem = SoftmaxRegression(views, targets[None])
        solution = problem.solve(weight_decay / problem.scale**2, start)
    return SolvedHead(*problem.head(solution), float(problem.losses(solution)[0]), weight_decay, record)


def refuse_beyond_memory(images: int, classes: int) -> None:
    """Refuse a problem whose targets do not fit into memory: features are taken in blocks, but targets are not.

    Raises:
        MstlError: It is so large.
    """
    size = 4 * TARGETS * images * classes
    if size > MEMORY_SHARE * available_memory():
        raise MstlError(
            f"optimizer lbfgs would need {show_size(size)} of memory for {images:,} images of {classes:,} classes: add "
            "--optimizer momentum"
        )


def reason(folds: int, trials: int) -> str:
    """Why a weight decay was chosen."""
    if not folds:
        return "as no class has two pictures, of which one could be held out"
    held_out = "a fifth of the images" if folds == 1 else f"{folds} folds of the images in turn"
    return f"the strongest of {trials} that is no worse than the best, with {held_out} held out"
