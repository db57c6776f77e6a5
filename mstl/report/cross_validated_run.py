"""A run cross-validated: at its end, or later by ``mstl evaluate --folds``; kept in its folder, told on its page."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstl.config import RECORD, TrainConfig
from mstl.data.dataset import ImageSet
from mstl.engines.parts import FeaturesPart
from mstl.errors import MstlError
from mstl.evaluation.feature_sample import KEEP_FEATURES, sample_rows
from mstl.evaluation.fold_evaluation import FoldEvaluation
from mstl.evaluation.metrics import Evaluation
from mstl.features.extractor import FeatureExtractor
from mstl.features.sharing import EngineRefused
from mstl.models.fusing import FusedModel
from mstl.predictor import Predictor
from mstl.report.describe_run import describe_folder
from mstl.report.fold_files import write_folds
from mstl.report.run_page import write_report
from mstl.report.run_report import KEPT
from mstl.report.suspects import trains_backbone, unseen_backbone
from mstl.runtime import mindspore_thread
from mstl.training.folds import cross_validated, report
from mstl.training.record import RunRecord
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")
PAGE = "report.html"


class FoldWriter:
    """The callback that writes the cross-validation of a run at its end."""

    def on_end(self, state: TrainState) -> None:
        """Write it, if there is one."""
        if state.out_of_fold is not None:
            state.out_of_fold = with_doubt(state.out_of_fold, state.metadata())
            write_folds(state.folder, state.out_of_fold)


def with_doubt(result: FoldEvaluation, metadata: Mapping[str, object]) -> FoldEvaluation:
    """A cross-validation that says why features may have seen the labels, if they may; that is logged, too."""
    _, doubt = unseen_backbone(metadata)
    if doubt:
        logger.warning("folds: the figures may flatter, as %s", doubt)
    return dataclasses.replace(result, doubt=doubt)


def cross_validate_run(
    predictor: Predictor, splits: Mapping[str, ImageSet], count: int
) -> tuple[FoldEvaluation, list[ImageSet], list[Evaluation]]:
    """Cross-validate a finished run whose backbone was frozen, with its settings, on features that are kept.

    Args:
        predictor: Its checkpoint.
        splits: Its images, as :meth:`mstl.Predictor.splits` gives them.
        count: Number of folds.

    Returns:
        The result; the training and the validation images; and for each of these, its part of the result, with
        features.

    Raises:
        MstlError: The backbone was trained on the labels, or these are not the images of the run.
    """
    settings = predictor.metadata["config"]
    if trains_backbone(settings):
        raise MstlError(
            f"{predictor.path}: its backbone was trained on the labels, so that it would have to be trained anew for "
            "each fold; --folds is for runs with --freeze backbone, such as --recipe linear"
        )
    names = ("train", "val")
    if any(name not in splits or {sample.split for sample in splits[name].samples} != {name} for name in names):
        raise MstlError("--folds is about the images that the run was trained and validated on: leave --data out")
    sets = [splits[name] for name in names]
    features = [kept_features(predictor, images) for images in sets]
    is_given = settings["optimizer"] == "lbfgs" and RunRecord.from_dict(predictor.metadata.get(RECORD)).head is None
    result = cross_validated(TrainConfig.from_dict(settings), sets, features, count, is_given)
    report(result)
    return with_doubt(result, predictor.metadata), sets, parts_of(result, sets, features)


@mindspore_thread.held()
def kept_features(predictor: Predictor, images: ImageSet) -> NDArray[np.float32]:
    """(N, F) features of images, from the feature cache as far as it has them."""
    stages, config = predictor.model.stages(), TrainConfig.from_dict(predictor.metadata["config"])
    cells = [cell for part in stages.values() for cell in part]
    front = FeaturesPart(FusedModel(predictor.model), predictor.engines, len(stages))
    while True:
        extractor = FeatureExtractor(
            *(predictor.model, "backbone", cells, lambda: front, predictor.engines, predictor.preprocessing, config)
        )
        try:
            return extractor.activations(images)[:, :, 0, 0]
        except EngineRefused:  # by the next engine, from the start
            continue


def parts_of(
    result: FoldEvaluation, sets: Sequence[ImageSet], features: Sequence[NDArray[np.float32]]
) -> list[Evaluation]:
    """The evaluation of each set of images, with the features of all of them or of a sample."""
    starts, parts = np.cumsum([0, *map(len, sets)]), []
    for start, images, rows in zip(starts, sets, features, strict=False):
        own = result.evaluation.part(np.arange(start, start + len(images)))
        kept = sample_rows(images.labels, KEEP_FEATURES)
        featured = None if len(kept) == len(images) else kept
        parts.append(dataclasses.replace(own, features=np.asarray(rows[kept]), featured=featured))
    return parts


def keep(folder: Path, result: FoldEvaluation) -> list[str]:
    """Write the cross-validation into the folder of its run, and the page about the run anew if there is one.

    Returns:
        The names of what was written.
    """
    write_folds(folder, result)
    if not (folder / KEPT).exists() or not (folder / PAGE).exists():
        return ["folds.csv"]
    write_report(folder / PAGE, describe_folder(folder))
    return ["folds.csv", PAGE]
