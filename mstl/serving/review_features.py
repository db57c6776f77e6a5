"""Features for a review: of all images of a dataset, by a backbone that has not seen their labels."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.data.checking.checks import CheckedDataset
from mstl.data.dataset import ImageSet, subset
from mstl.evaluation.class_outliers import class_outliers
from mstl.evaluation.feature_sample import KEEP_FEATURES, sample_rows
from mstl.evaluation.grouping import grouped_folds, is_alone
from mstl.evaluation.label_errors import LabelError, out_of_fold, rank_label_errors
from mstl.evaluation.rejection import normalised

if TYPE_CHECKING:  # MindSpore is loaded once features are computed
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
    from mstl.report.cross_validated_run import kept_features
    from mstl.report.suspects import pretrained_features, unseen_backbone

    weights, reason = unseen_backbone(predictor.metadata)
    if reason:
        logger.warning("review: wrong labels are not looked for, as %s", reason)
    samples = tuple(sample for split in checked.usable.values() for sample in split)
    every = ImageSet(samples, tuple(sorted({sample.label for sample in samples})))
    images = subset(every, sample_rows(every.labels, KEEP_FEATURES))
    if len(images) < len(every):
        logger.warning(
            "review: %d images are looked at by the model, a random sample of all %d", len(images), len(every)
        )
    if weights is None:
        features = kept_features(predictor, images)  # most of them have been computed for the training
    else:
        of_weights = pretrained_features(predictor, images, weights).features
        assert of_weights is not None and len(of_weights) == len(images)
        features = of_weights
    groups = [checked.groups[path] for path in images.paths]
    return answered(images.paths, images.labels, images.classes, features, groups, not reason)


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
