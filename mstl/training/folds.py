"""Folds: the cross-validation of a run, in which each image is answered about by a head that has not seen it."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mstl.config import TrainConfig
from mstl.data.dataset import ImageSet
from mstl.data.loading.mixup import Mixer
from mstl.data.loading.sampler import class_weights
from mstl.errors import MstlError
from mstl.evaluation.fold_evaluation import FoldEvaluation, check_groups, evaluate_folds
from mstl.evaluation.softmax_regression import Array
from mstl.features import row_storage
from mstl.training.recipes import ResolvedConfig
from mstl.training.run import TrainingRun
from mstl.training.solved_head import refuse_beyond_memory

logger = logging.getLogger("mstl")


def check_folds(config: ResolvedConfig, image_sets: Sequence[ImageSet]) -> None:
    """Check that a run can be cross-validated, if it is to be.

    Raises:
        MstlError: Its backbone learns from the labels, its features are not kept, or there are too few pictures.
    """
    if config.folds is None:
        return
    why = ""
    if config.freeze != "backbone" or config.unfreeze_at:
        why = "more than the head is trained, which would have to be done anew for each fold"
    elif not config.cache or config.mixup or config.cutmix:
        why = "the features are not kept"
    if why:
        raise MstlError(
            f"folds {config.folds} needs the kept features of a frozen backbone, but {why}: add --recipe linear, or "
            "leave --folds out"
        )
    check_groups(image_sets, config.folds)


def folds_of_run(run: TrainingRun) -> FoldEvaluation | None:
    """Cross-validate a run on its kept features, all training and validation images together; the result is logged.

    Returns:
        The result; None if it is not wanted, or the features could not be kept, which is logged.

    Raises:
        Stopped: The process was asked to stop.
    """
    state, config = run.state, run.state.config
    if config.folds is None or not run.processes.is_first:
        return None
    if run.features is None:
        logger.warning("folds: left out, as the features do not fit into memory or onto the disk")
        return None
    sets = [state.train_set, state.val_set]
    is_given = config.optimizer == "lbfgs" and state.record.head is None
    result = cross_validated(config, sets, [loader.views[0] for loader in run.features], config.folds, is_given)
    report(result)
    return result


def cross_validated(
    config: TrainConfig, image_sets: Sequence[ImageSet], features: Sequence[Array], count: int, keeps_decay: bool
) -> FoldEvaluation:
    """Cross-validate a head with a run's settings on features.

    Args:
        config: The settings of the run.
        image_sets: Its images.
        features: Of each set, (N, F), a single view.
        count: Number of folds.
        keeps_decay: Whether the weight decay is that of the settings; else it is chosen for each fold.

    Raises:
        MstlError: There are fewer pictures than folds, or there is not enough memory.
        Stopped: The process was asked to stop.
    """
    labels, classes = np.concatenate([images.labels for images in image_sets]), len(image_sets[0].classes)
    refuse_beyond_memory(len(labels), classes)
    targets = Mixer(classes, smoothing=config.smoothing or 0.0, seed=config.seed).soft_targets(labels)
    if config.class_weights == "balanced":
        targets *= class_weights(labels, classes)
    decay = config.weight_decay if keeps_decay else None
    return evaluate_folds(image_sets, joined(features), targets, count, config.seed, decay)


def report(result: FoldEvaluation) -> None:
    """Log what is not obvious, and print the accuracy."""
    alone = result.unlearnt
    if alone:
        logger.warning(
            "folds: %d images are of a class that no other picture or group has, so that none could be learnt from",
            alone,
        )
    print(result.line(), flush=True)


def joined(parts: Sequence[Array]) -> NDArray[np.float32]:
    """Features of several sets as one array, on the disk if it is large."""
    rows = row_storage.empty_rows((sum(map(len, parts)), parts[0].shape[1]), np.dtype(np.float32))
    start = 0
    for part in parts:
        rows[start : start + len(part)] = part
        start += len(part)
    return rows
