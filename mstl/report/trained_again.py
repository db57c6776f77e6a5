"""Trained again: a run's settings on its data as a review has left it, and both runs compared."""

import dataclasses
import logging
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mstl.config import RECORD, TrainConfig
from mstl.data.checking.checks import check_dataset
from mstl.data.checking.messages import log_warnings
from mstl.data.dataset import ImageSet, subset
from mstl.data.evaluation_data import settings_beside
from mstl.data.finding.sources import find_dataset
from mstl.data.load_data import DataSplits, divided, refuse_errors
from mstl.data.manifest import Manifest
from mstl.errors import MstlError
from mstl.files import write_json
from mstl.models.weights_source import NONE
from mstl.predictor import Predictor
from mstl.report.before_after import BeforeAfter
from mstl.report.cross_validated_run import FoldWriter, kept_features
from mstl.report.final_test import FinalTest
from mstl.report.report_writer import ReportWriter
from mstl.report.suspects import trains_backbone
from mstl.review.review_data import ReviewData, ReviewSource
from mstl.review.reviewed_source import reviewed_source
from mstl.runtime import mindspore_thread, stopping
from mstl.training.record import RunRecord
from mstl.training.state import TrainState
from mstl.training.trainer import run_training

logger = logging.getLogger("mstl")
NAME = "before_after.json"


@mindspore_thread.held()
def train_again(checkpoint: Path, source: ReviewSource, device: str = "auto") -> BeforeAfter:
    """Train a run again on its data after a review, and compare.

    The backbone is that of the run, so that features come from the feature cache: labels change them as little as what
    was left out. What the run had split off to validate on is validated on again. The new run gets a folder of its own,
    beside the old one, with the comparison in before_after.json.

    Args:
        checkpoint: The run's best.ckpt.
        source: Its data.
        device: See :class:`mstl.Predictor`; "auto" for that of the run's settings.

    Raises:
        MstlError: More than the head was trained, decisions are not applied, nothing has changed since the run, or its
            images are unknown.
        Stopped: The process was asked to stop.
    """
    predictor = Predictor(checkpoint, device)
    manifest = known_images(predictor)
    review = ReviewData(source)
    reviewed = reviewed_source(review)
    config = settings_again(predictor, reviewed, device)
    splits = splits_again(predictor, review, reviewed, config)
    labels = {row.sha256: row.label for row in manifest.used if row.split == "val"}
    rows = [row for row, digest in enumerate(splits.val.digests) if digest in labels]
    if not rows:
        raise MstlError(f"none of the images that {checkpoint.parent} was validated on is left to compare by")
    refuse_unchanged(checkpoint.parent, manifest, splits)
    state = run_training(config, [FinalTest(), FoldWriter(), ReportWriter()], splits=splits)
    if state.best_evaluation is None or state.interrupted:
        raise stopping.Stopped(state.stopped_by or 0, "stopped before the end: nothing is compared")
    shared = subset(state.val_set, rows)
    result = BeforeAfter.of(
        [sample.label for sample in shared.samples],
        sum(labels[digest] != sample.label for digest, sample in zip(shared.digests, shared.samples, strict=True)),
        (str(checkpoint.parent), str(state.folder)),
        (sum(row.split == "train" for row in manifest.used), len(state.train_set)),
        (answers_before(predictor, shared), answers_after(state, rows)),
    )
    write_json(state.folder / NAME, result.to_dict())
    return result


def known_images(predictor: Predictor) -> Manifest:
    """The images of a run that can be trained again.

    Raises:
        MstlError: They are unknown, or more than the head was trained.
    """
    run, data = predictor.path.parent, predictor.run_data
    if trains_backbone(predictor.metadata["config"]):
        command = f"mstl train --config {shlex.quote(str(run / 'config.json'))}"
        raise MstlError(
            f"{run} has trained more than the head, which is not done again in seconds: `{command}` trains anew"
        )
    if data.manifest is None:
        raise MstlError(f"the images of {run} are unknown: {data.unknown}")
    return data.manifest


def settings_again(predictor: Predictor, source: ReviewSource, device: str) -> TrainConfig:
    """The settings of a run, for other data; a weight decay that was chosen for the old labels is chosen again."""
    metadata, run = predictor.metadata, predictor.path.parent
    recorded: Mapping[str, Any] = metadata.get(RECORD) or {}
    settings = settings_beside(predictor.path, recorded) or metadata["config"]
    record = RunRecord.from_dict(recorded)
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    values = {key: value for key, value in settings.items() if key in known}
    lists = source.lists
    values |= {"data": source.data, "val": source.val, "out": str(run), "images": lists.images}
    values |= {name: getattr(lists, name) for name in ("path_column", "label_column", "group_column")}
    if record.head is not None:
        values["weight_decay"] = None
    if device != "auto":
        values["device"] = device
    weights = record.weights
    if weights is None or weights.tag in ("", NONE):  # a file of the user's, or random: the checkpoint has the same
        kept = None if weights is None else weights.find_again()
        values["weights"] = str(kept or predictor.path)
    return TrainConfig.from_dict(values, str(run))


def splits_again(predictor: Predictor, review: ReviewData, source: ReviewSource, config: TrainConfig) -> DataSplits:
    """The images of reviewed data, split as the run had them.

    Raises:
        MstlError: They cannot be trained on.
    """
    is_same = source == review.source
    checked = review.checked if is_same else check_dataset(find_dataset(source.data, source.val, source.lists))
    warnings = log_warnings(checked)
    if config.strict:
        refuse_errors(source.data, checked)
    return divided(checked, warnings=warnings, parts=predictor.run_data.split_of)


def refuse_unchanged(run: Path, manifest: Manifest, splits: DataSplits) -> None:
    """Refuse to train on what a run was trained on.

    Raises:
        MstlError: Images, labels and parts are the same.
    """
    now = Counter((row.sha256, row.label, row.split) for row in Manifest.of(*splits).used)
    if now == Counter((row.sha256, row.label, row.split) for row in manifest.used):
        raise MstlError(f"the data is as {run} was trained on: relabel or exclude images, and apply that first")


def answers_before(predictor: Predictor, images: ImageSet) -> list[str]:
    """The classes that a run's head answers, on features that are kept."""
    head = predictor.model.fc
    logits = kept_features(predictor, images) @ head.weight.asnumpy().T + head.bias.asnumpy()
    return [predictor.classes[index] for index in logits.argmax(1)]


def answers_after(state: TrainState, rows: Sequence[int]) -> list[str]:
    """The classes that a new run answered about some validation images in its best epoch."""
    assert state.best_evaluation is not None
    return [state.classes[index] for index in state.best_evaluation.predictions[np.asarray(rows)]]
