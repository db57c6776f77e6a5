"""Suspects: images whose label is probably wrong, found on features of a backbone that has not seen the labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

from mstl.config import RECORD
from mstl.data.dataset import ImageSet
from mstl.data.image_files import printable
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms
from mstl.engines.parts import ClassifierPart
from mstl.evaluation.evaluate import evaluate
from mstl.evaluation.feature_sample import featured_part
from mstl.evaluation.fold_evaluation import groups_of_all
from mstl.evaluation.label_errors import find_label_errors, write_label_errors
from mstl.evaluation.metrics import Evaluation
from mstl.models.factory import build_model
from mstl.models.fusing import FusedModel
from mstl.models.loading import read_weights
from mstl.prediction.image_predictor import BATCH_SIZE
from mstl.predictor import Predictor
from mstl.runtime import mindspore_thread
from mstl.training.record import RunRecord

SHOWN = 5  # suspects that are named


def check_labels(
    predictor: Predictor, image_sets: Sequence[ImageSet], evaluations: Sequence[Evaluation], out: Path
) -> str:
    """Write suspects.csv about images that a model was evaluated on.

    Args:
        predictor: The model.
        image_sets: The images.
        evaluations: The model's, of each set.
        out: The folder to write into; an older suspects.csv there is removed.

    Returns:
        Lines that say what was found, or why nothing was looked for.
    """
    file = out / "suspects.csv"
    file.unlink(missing_ok=True)
    weights, reason = unseen_backbone(predictor.metadata)
    if reason:
        return f"labels: not checked, as {reason}"
    notes = ["suspects.csv"]
    if weights is not None:
        evaluations = [pretrained_features(predictor, images, weights) for images in image_sets]
        notes.append(f"by the features of {weights.name}, from which the model was fine-tuned")
    total = sum(evaluation.total for evaluation in evaluations)
    parts = [featured_part(evaluation) for evaluation in evaluations]
    looked_at = sum(part.total for part in parts)
    labels = np.concatenate([part.labels for part in parts])
    paths = [path for part in parts for path in part.paths]
    features = np.concatenate([part.features for part in parts])
    groups = groups_of(image_sets, evaluations)
    found = find_label_errors(features, labels, parts[0].classes, paths, groups=groups)
    write_label_errors(file, found)
    if looked_at < total:
        notes.append(f"a random sample of all {total:,} images")
    lines = [
        f"labels: {len(found):,} of {looked_at:,} look wrong ({'; '.join(notes)})" + (", most of all" if found else "")
    ]
    for each in found[:SHOWN]:
        lines.append(f"  {printable(each.path)}: {printable(each.label)}, looks like {printable(each.suggested)}")
    return "\n".join(lines)


def groups_of(image_sets: Sequence[ImageSet], evaluations: Sequence[Evaluation]) -> list[int]:
    """A number for each image that is looked at, which versions of one picture share."""
    numbers, groups, start = groups_of_all(image_sets), [], 0
    for images, evaluation in zip(image_sets, evaluations, strict=True):
        own = numbers[start : start + len(images)]
        groups += (own if evaluation.featured is None else own[evaluation.featured]).tolist()
        start += len(images)
    return groups


def unseen_backbone(metadata: Mapping[str, Any]) -> tuple[Path | None, str]:
    """Weights of a backbone that was not trained on the labels of a run.

    Fine-tuning makes features memorise the labels, wrong ones too, whatever a classifier on top is trained on.

    Args:
        metadata: The record of the run's checkpoint.

    Returns:
        The file that the run started from; None for the checkpoint itself, whose backbone was frozen. And why labels
        cannot be checked, as the part of a sentence; "" if they can.
    """
    fine_tuned = trains_backbone(metadata["config"])
    source = RunRecord.from_dict(metadata.get(RECORD)).weights
    if not fine_tuned and (source is None or source.tag):
        return None, ""
    memorised = "the backbone was fine-tuned on them"
    if source is None:
        return None, f"{memorised}, and the checkpoint does not record from which weights"
    if not source.file:
        return None, f"{memorised}, from random weights"
    path = source.find_again()
    if path is None:
        return None, f"{memorised}, and the weights that it started from are not here: {source}" if fine_tuned else ""
    if trains_backbone((read_weights(path).metadata or {}).get("config") or {}):
        return None, f"the weights that training started from, {source}, are another run's, which may have seen them"
    return (path if fine_tuned else None), ""


def trains_backbone(config: Mapping[str, Any]) -> bool:
    """Whether settings train any part of the backbone, in some epoch."""
    return config.get("freeze") not in (None, "backbone") or bool(config.get("unfreeze_at"))


@mindspore_thread.held()
def pretrained_features(predictor: Predictor, images: ImageSet, weights: Path) -> Evaluation:
    """An evaluation without logits, whose features are those of other weights, of images as the model sees them."""
    num_outputs = read_weights(weights).num_classes or len(images.classes)
    model = build_model(predictor.metadata["model"], num_outputs, weights)
    answers = ClassifierPart(FusedModel(model), predictor.engines, 0)

    def features(batch: ms.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = answers(batch)[1]
        return np.zeros((len(rows), len(images.classes)), np.float32), rows

    return evaluate(features, Loader(images, eval_transforms(predictor.preprocessing), BATCH_SIZE))
