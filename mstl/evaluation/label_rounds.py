"""Label rounds: what a head learns from labels that were given by hand, and how much that helps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.data.finding.predict_inputs import counted
from mstl.evaluation.grouping import grouped_folds
from mstl.evaluation.softmax import softmax
from mstl.evaluation.softmax_regression import SoftmaxRegression
from mstl.runtime import blas_threads

FOLDS, SEED = 5, 0
DECAY = 1e-4  # weight decay over the mean squared length of centred features; of 20 to 160 images of two sets, what is
# chosen by cross-validation is no better, and takes a hundred times as long; 1e-3 is worse where classes are many
TOLERANCE = 1e-4  # of the solution: answers change by less than 0.001
Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Head:
    """A linear classifier of features.

    Attributes:
        weights: (K, F).
        biases: (K,).
        classes: (K,) numbers of its classes, ascending.
    """

    weights: NDArray[np.floating[Any]]
    biases: NDArray[np.floating[Any]]
    classes: NDArray[np.intp]

    def probabilities(self, features: NDArray[np.float32], num_classes: int) -> NDArray[np.float32]:
        """(N, num_classes) answers to (N, F) features; classes that it does not know have probability 0."""
        answers = np.zeros((len(features), num_classes), np.float32)
        answers[:, self.classes] = softmax((features @ self.weights.T + self.biases).astype(np.float32))
        return answers


@dataclass(frozen=True)
class Learnt:
    """What was learnt from labels.

    Attributes:
        head: Fitted to all examples and all images that were labelled by hand.
        answers: (N,) for each of the latter, the class that a head gives it which was fitted without it and its
            versions.
    """

    head: Head
    answers: NDArray[np.intp]


def learn(
    features: NDArray[np.float32],
    labels: Integers,
    groups: Integers,
    examples: NDArray[np.float32],
    example_labels: Integers,
) -> Learnt | None:
    """Fit heads to labels that were given by hand, and to images that had labels before.

    They are softmax regressions with a fixed weight decay: one of all images, and one for each of five folds, all
    solved for at once.

    Args:
        features: (N, F) of the images that were labelled by hand, each row of length 1.
        labels: (N,) numbers of their classes.
        groups: (N,) a number for each, which versions of one picture share.
        examples, example_labels: (M, F) and (M,) the same of the others; none may be there.

    Returns:
        None where there are fewer than two classes, or two groups.
    """
    every = np.concatenate([examples, features])
    classes, own = np.unique(np.concatenate([example_labels, labels]), return_inverse=True)
    if len(classes) < 2 or len(np.unique(groups)) < 2:
        return None
    fold = np.concatenate([np.full(len(examples), -1), grouped_folds(labels, groups, FOLDS, SEED)])
    held_out = np.arange(FOLDS + 1)[:, None] == fold  # nothing in the last problem
    targets = np.eye(len(classes), dtype=np.float32)[own]
    with blas_threads.suited_to(len(held_out) * every.size * len(classes)):
        problem = SoftmaxRegression([every], targets * ~held_out[:, :, None])
        solution = problem.solve(DECAY, tolerance=TOLERANCE)
        rows = np.arange(len(examples), len(every))
        answers = problem.answers(solution, rows, fold[rows]).argmax(1)
        weights, biases = problem.head(solution)
    last = slice(-len(classes), None)
    return Learnt(Head(weights[last], biases[last], classes), classes[answers])


@dataclass(frozen=True)
class Round:
    """What a round of labels has brought.

    Attributes:
        number: Of the round, from 1 on.
        labels: Labels that were given in it.
        proposed: How many of them had a proposal.
        as_proposed: How many of them were as proposed.
        total: Images that have been labelled so far.
        right_before: How many of these the model that was given answers rightly.
        right_now: How many of these a head answers rightly that has learnt from the others; None if none could learn.
        interval: 95 % confidence interval of the latter's share, (low, high).
    """

    number: int
    labels: int
    proposed: int
    as_proposed: int
    total: int
    right_before: int
    right_now: int | None
    interval: tuple[float, float]

    def line(self) -> str:
        """A line for the terminal."""
        labels = counted(range(self.labels), "label")
        told = f"round {self.number}: {labels}, {self.as_proposed} of {self.proposed} as proposed"
        before = f"of all {self.total}, the model that was given has {self.right_before} right"
        if self.right_now is None:
            return f"{told}; {before}"
        low, high = self.interval
        return f"{told}; {before}, one that learns from the others {self.right_now} ({low:.3f} to {high:.3f})"
