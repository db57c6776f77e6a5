"""FoldEvaluation: how good answers are that heads give about images which they have not seen, over all images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet
from mstl.errors import MstlError
from mstl.evaluation.calibration import fit_temperature
from mstl.evaluation.cross_validation import OutOfFold, cross_validate
from mstl.evaluation.feature_sample import KEEP_FEATURES, sample_rows
from mstl.evaluation.grouping import is_alone
from mstl.evaluation.metrics import Evaluation, wilson
from mstl.evaluation.softmax_regression import Array


@dataclass(frozen=True)
class FoldEvaluation:
    """The result of a cross-validation.

    Attributes:
        evaluation: Of all images, each answered about by the head that has not seen its fold. The temperature is fitted
            on these answers, or a random sample of them if they are many.
        folds: (N,) the fold of each image.
        groups: (N,) a number for each image; images that share it were held out together.
        weight_decays: Of each fold's head.
        splits: (N,) what each image is in the run, "train" or "val".
        doubt: Why the features may have seen the labels, as the part of a sentence; "" if they have not.
    """

    evaluation: Evaluation
    folds: NDArray[np.intp]
    groups: NDArray[np.intp]
    weight_decays: tuple[float, ...]
    splits: tuple[str, ...]
    doubt: str = ""

    @property
    def count(self) -> int:
        """Number of folds."""
        return len(self.weight_decays)

    @property
    def num_groups(self) -> int:
        """Number of groups."""
        return len(np.unique(self.groups))

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether each answer is right."""
        right: NDArray[np.bool_] = self.evaluation.predictions == self.evaluation.labels
        return right

    @property
    def by_fold(self) -> list[tuple[int, int]]:
        """For each fold, how many answers are right, and how many there are."""
        totals = np.bincount(self.folds, minlength=self.count)
        return list(
            zip(np.bincount(self.folds[self.right], minlength=self.count).tolist(), totals.tolist(), strict=True)
        )

    @property
    def spread(self) -> float:
        """The standard deviation of the accuracy over the folds; part of it is the chance of small folds."""
        accuracies = [correct / total for correct, total in self.by_fold if total]
        return float(np.std(accuracies, ddof=1))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy, (low, high); see :func:`grouped_interval`."""
        return grouped_interval(self.right, self.groups)

    @property
    def unlearnt(self) -> int:
        """Number of images whose class is in their own group only, so that their head knows nothing of the class."""
        return int(is_alone(self.evaluation.labels, self.groups).sum())

    def line(self) -> str:
        """A line for the terminal."""
        low, high = self.interval
        accuracies = [correct / total for correct, total in self.by_fold if total]
        return (
            f"out-of-fold accuracy {self.evaluation.accuracy:.3f} ({low:.3f} to {high:.3f}), n = "
            f"{self.evaluation.total}; {self.count} folds, from {min(accuracies):.3f} to {max(accuracies):.3f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """All metrics as plain JSON values."""
        return {
            **self.evaluation.to_dict(),
            "interval": list(self.interval),
            "groups": self.num_groups,
            "doubt": self.doubt,
            "folds": [
                {"correct": correct, "total": total, "weight_decay": decay}
                for (correct, total), decay in zip(self.by_fold, self.weight_decays, strict=True)
            ],
        }


def grouped_interval(right: NDArray[np.bool_], groups: NDArray[np.integer[Any]]) -> tuple[float, float]:
    """95 % confidence interval of an accuracy over images that come in groups.

    It is Wilson's score interval for as many independent images as tell the same: images of one group tend to be right
    or wrong together, by how much is estimated from them (the design effect of cluster samples; Kish 1965). Single
    images give Wilson's interval itself. It takes a cross-validation for answers of one classifier: that its heads
    learn from much the same images is ignored, which makes the interval a little short (Bates, Hastie and Tibshirani
    2023, "Cross-Validation: What Does It Estimate and How Well Does It Do It?"), and so is that the final head learns
    from all of them, which makes it a little better. Of a handful of groups, nobody can tell.

    Args:
        right: (N,) whether each answer is right.
        groups: (N,) a number for each image.

    Returns:
        (low, high).
    """
    accuracy, number = float(right.mean()), len(right)
    _, own = np.unique(groups, return_inverse=True)
    together = float((np.bincount(own, right - accuracy) ** 2).sum())
    apart = number * accuracy * (1 - accuracy)
    effect = max(1.0, together / apart) if apart else number / (int(own.max()) + 1)
    return wilson(accuracy * number / effect, number / effect)


def check_groups(image_sets: Sequence[ImageSet], count: int) -> None:
    """Check that there are enough groups for so many folds.

    Raises:
        MstlError: There are fewer.
    """
    groups = len(np.unique(groups_of_all(image_sets)))
    if groups < count:
        raise MstlError(
            f"folds {count}: the {sum(map(len, image_sets))} images are only {groups} pictures or groups, which cannot "
            f"be divided; give {groups} folds or fewer"
        )


def groups_of_all(image_sets: Sequence[ImageSet]) -> NDArray[np.intp]:
    """(N,) a number for each image of several sets, which versions of one picture and images of one group share.

    Where it is not known which belong together, those of one content do.
    """
    if all(images.groups is not None for images in image_sets):
        return np.array([group for images in image_sets for group in images.groups or ()], np.intp)
    numbers: dict[str, int] = {}
    digests = (digest for images in image_sets for digest in images.digests)
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], np.intp)


def evaluate_folds(
    image_sets: Sequence[ImageSet],
    features: Array,
    targets: NDArray[np.float32],
    count: int,
    seed: int,
    weight_decay: float | None = None,
) -> FoldEvaluation:
    """Cross-validate a head on the features of all images.

    Args:
        image_sets: The images.
        features: (N, F) of all of them, in their order.
        targets: (N, classes); see :func:`mstl.evaluation.cross_validation.cross_validate`, as for the rest.
        count: Number of folds.
        seed: Another seed deals the images out otherwise.
        weight_decay: That of all heads; None to choose one for each.

    Raises:
        MstlError: There are fewer groups than folds.
        Stopped: The process was asked to stop.
    """
    check_groups(image_sets, count)
    labels, groups = np.concatenate([images.labels for images in image_sets]), groups_of_all(image_sets)
    found: OutOfFold = cross_validate(features, labels, targets, groups, count, seed, weight_decay)
    paths = tuple(path for images in image_sets for path in images.paths)
    evaluation = Evaluation(found.logits, labels, image_sets[0].classes, paths)
    sample = sample_rows(labels, KEEP_FEATURES)
    return FoldEvaluation(
        evaluation.calibrated(fit_temperature(found.logits[sample], labels[sample])),
        found.folds,
        groups,
        tuple(float(decay) for decay in found.weight_decays),
        tuple(sample.split for images in image_sets for sample in images.samples),
    )
