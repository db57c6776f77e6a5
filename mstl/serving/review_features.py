"""Features for a review: of all images of a dataset, by a backbone that has not seen their labels."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mstl.data.checking.checks import CheckedDataset
from mstl.data.dataset import ImageSet
from mstl.evaluation.class_outliers import class_outliers
from mstl.evaluation.grouping import grouped_folds, is_alone
from mstl.evaluation.label_errors import LabelError, out_of_fold, rank_label_errors
from mstl.evaluation.rejection import normalised

if TYPE_CHECKING:  # MindSpore is loaded once features are computed
    from mstl.evaluation.metrics import Evaluation
    from mstl.predictor import Predictor

logger = logging.getLogger("mstl")
FOLDS, SEED = 5, 0  # as where label errors are looked for
TOP = 3  # classes of an answer
BESIDE = 3  # nearest images of a class
ROWS_AT_A_TIME = 500  # whose likeness to all images is in memory


@dataclass(frozen=True)
class FeaturedImages:
    """What a backbone, and heads that have not seen an image, make of each.

    Attributes:
        paths: N files.
        labels: (N,) indices of classes.
        classes: Names, sorted.
        features: (N, F), each row of length 1.
        probabilities: (N, classes) of each image, by heads fitted without it and its versions; None where the backbone
            has seen the labels.
        groups: (N,) numbers, which versions of one picture share.
        suspects: The images whose label is probably wrong, the most suspicious first.
        outliers: The places of images that are unlike the others of their class, the most unlike first.
    """

    paths: tuple[str, ...]
    labels: NDArray[np.int32]
    classes: tuple[str, ...]
    features: NDArray[np.float32]
    groups: NDArray[np.intp]
    probabilities: NDArray[np.float32] | None = None
    suspects: Sequence[LabelError] = ()
    outliers: tuple[int, ...] = ()

    def answer(self, row: int) -> tuple[tuple[str, float], ...]:
        """The most probable classes of an image with their probabilities; none where they are unknown."""
        if self.probabilities is None:
            return ()
        order = np.argsort(-self.probabilities[row], kind="stable")[:TOP]
        return tuple((self.classes[index], float(self.probabilities[row, index])) for index in order)

    def margin(self, row: int) -> float:
        """By how much the most probable class of an image is more probable than the next; 1 where that is unknown."""
        if self.probabilities is None:
            return 1.0
        second, first = np.sort(self.probabilities[row])[-2:]
        return float(first - second)

    def nearest(self, rows: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
        """The images that are most like each of some images, the most like first, versions of it left out.

        Yields:
            Those of its class; and of the class that it is taken for, none if that is the same.
        """
        for start in range(0, len(rows), ROWS_AT_A_TIME):
            part = list(rows[start : start + ROWS_AT_A_TIME])
            for row, likeness in zip(part, self.features[part] @ self.features.T, strict=True):
                likeness[self.groups == self.groups[row]] = -np.inf
                label, taken_for = int(self.labels[row]), self.taken_for(row)
                yield self._most_like(likeness, label), self._most_like(likeness, taken_for)

    def taken_for(self, row: int) -> int:
        """The class that an image is taken for, if that is not its own; -1 otherwise."""
        if self.probabilities is None:
            return -1
        best = int(self.probabilities[row].argmax())
        return -1 if best == self.labels[row] else best

    def _most_like(self, likeness: NDArray[np.float32], label: int) -> list[int]:
        """Up to ``BESIDE`` images of a class."""
        members = np.flatnonzero((self.labels == label) & np.isfinite(likeness))
        return [int(each) for each in members[np.argsort(-likeness[members], kind="stable")[:BESIDE]]]


def featured_images(predictor: "Predictor", checked: CheckedDataset) -> FeaturedImages:
    """Compute features of all usable images of a dataset, whatever their split, and what follows from them.

    Args:
        predictor: Of a run's best.ckpt.
        checked: The dataset as it is now; its classes need not be those of the run.

    Raises:
        MstlError: An image cannot be read any more.
    """
    from mstl.report.suspects import pretrained_features, unseen_backbone

    weights, reason = unseen_backbone(predictor.metadata)
    samples = tuple(sample for split in checked.usable.values() for sample in split)
    classes = tuple(sorted({sample.label for sample in samples}))
    images = ImageSet(samples, classes, groups=tuple(checked.groups[sample.path] for sample in samples))
    evaluation = own_features(predictor, images) if weights is None else pretrained_features(predictor, images, weights)
    rows = np.arange(len(images)) if evaluation.featured is None else evaluation.featured
    if len(rows) < len(images):
        logger.info("review: label errors are looked for in a random sample of %d images", len(rows))
    assert evaluation.features is not None
    groups = [checked.groups[images.paths[row]] for row in rows]
    paths = tuple(images.paths[row] for row in rows)
    if reason:
        logger.warning("review: wrong labels are not looked for, as %s", reason)
    return answered(paths, images.labels[rows], classes, evaluation.features, groups, not reason)


def own_features(predictor: "Predictor", images: ImageSet) -> "Evaluation":
    """An evaluation without logits, whose features are the model's; the images may be of classes that are new to it."""
    from mstl.data.loading.loader import Loader
    from mstl.data.loading.transforms import eval_transforms
    from mstl.evaluation.evaluate import evaluate
    from mstl.prediction.image_predictor import BATCH_SIZE

    def features(batch: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = predictor.answers(batch)[1]
        return np.zeros((len(rows), len(images.classes)), np.float32), rows

    return evaluate(features, Loader(images, eval_transforms(predictor.preprocessing), BATCH_SIZE))


def answered(
    paths: tuple[str, ...],
    labels: NDArray[np.int32],
    classes: tuple[str, ...],
    features: NDArray[np.float32],
    groups: Sequence[int],
    unseen: bool = True,
) -> FeaturedImages:
    """What heads that have not seen an image say of each.

    Args:
        paths, labels, classes: Of N images; see :class:`FeaturedImages`.
        features: (N, F), finite.
        groups: N numbers, which versions of one picture share.
        unseen: Whether the backbone has not seen the labels.
    """
    probabilities, suspects = None, list[LabelError]()
    if unseen and len(classes) > 1:
        folds = grouped_folds(labels, groups, FOLDS, SEED)
        probabilities = out_of_fold(np.asarray(features, np.float32), labels, len(classes), folds)
        suspects = rank_label_errors(probabilities, labels, classes, paths, is_alone(labels, groups))
    units = normalised(features)
    outliers = tuple(each.index for each in class_outliers(units, labels))
    numbers = np.asarray(groups, np.intp)
    return FeaturedImages(paths, labels, classes, units, numbers, probabilities, suspects, outliers)
