"""Label learner: what is learnt from the labels so far: answers to all images, and the order in which to label on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mstl.evaluation.acquisition import labelling_order
from mstl.evaluation.fold_evaluation import grouped_interval
from mstl.evaluation.label_rounds import learn
from mstl.serving.label_material import Material


@dataclass(frozen=True)
class Lesson:
    """What was learnt from labels.

    Attributes:
        probabilities: (N, classes) answers to all images.
        order: All images: those without a label first, and of these, those whose labels bring most.
        right_before: How many of the labelled images the model that was given answers rightly.
        right_now: How many of them a head answers rightly that has learnt from the others; None if none could learn.
        interval: 95 % confidence interval of the latter's share, (low, high).
    """

    probabilities: NDArray[np.float32]
    order: tuple[int, ...]
    right_before: int
    right_now: int | None
    interval: tuple[float, float]


class Learner:
    """Learns from labels.

    Args:
        material: The images, and what the model that was given makes of them.
        groups: (N,) a number for each image, which versions of one picture share.
    """

    def __init__(self, material: Material, groups: Sequence[int]) -> None:
        self.material, self.groups = material, np.asarray(groups, np.intp)
        self.before = material.probabilities.argmax(1)

    def learn(self, given: Mapping[int, str], names: Sequence[str]) -> Lesson:
        """Learn from all labels so far.

        The answers are those of a head that has learnt from them and from the examples, unless the model that was given
        is right more often about the labelled images than a head that has not seen them.

        Args:
            given: The labels of images by their places.
            names: The classes, those of the model first.
        """
        number = {name: index for index, name in enumerate(names)}
        rows = np.array(list(given), np.intp)
        labels = np.array([number[label] for label in given.values()], np.intp)
        examples = np.array([number[image.label] for image in self.material.examples], np.intp)
        units, example_units = self.material.units, self.material.example_units
        right_before, right_now, interval = int((self.before[rows] == labels).sum()), None, (0.0, 1.0)
        probabilities = np.zeros((len(units), len(names)), np.float32)
        probabilities[:, : len(self.material.classes)] = self.material.probabilities
        learnt = learn(units[rows], labels, self.groups[rows], example_units, examples)
        if learnt is not None:
            right = learnt.answers == labels
            right_now, interval = int(right.sum()), grouped_interval(right, self.groups[rows])
            if right_now >= right_before:
                probabilities = learnt.head.probabilities(units, len(names))
        rest = np.setdiff1d(np.arange(len(units)), rows)
        order = labelling_order(units[rest], probabilities[rest], np.concatenate([example_units, units[rows]]))
        whole = tuple(np.concatenate([rest[order], rows]).tolist())
        return Lesson(probabilities, whole, right_before, right_now, interval)
