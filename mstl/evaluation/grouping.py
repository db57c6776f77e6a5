"""Grouping: images dealt out to folds, the same share of each class to each, and those of a group together."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.integer[Any]]


def grouped_folds(labels: ArrayLike, groups: ArrayLike | None, count: int, seed: int) -> NDArray[np.intp]:
    """Deal images out to folds.

    The largest groups are dealt first, each to the fold that has the smallest share of its classes so far; of several
    such folds, to the smallest. So each fold gets the same number of images of a class, or one more, where all groups
    are single images; where they are larger, as nearly so as dealing in turn allows.

    Args:
        labels: (N,) class indices.
        groups: (N,) a number for each image; images that share it come into one fold. None: each on its own.
        count: Number of folds; some are empty if there are fewer groups.
        seed: Another seed deals otherwise. What numbers the groups have makes no difference.

    Returns:
        (N,) fold numbers from 0 on.
    """
    labels = np.asarray(labels)
    group_of = by_first_appearance(np.arange(len(labels)) if groups is None else np.asarray(groups))
    sizes = np.bincount(group_of)
    classes_in: list[dict[int, int]] = [{} for _ in sizes]
    for group, label in zip(group_of.tolist(), labels.tolist(), strict=True):
        classes_in[group][label] = classes_in[group].get(label, 0) + 1
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]

    total = Counter(labels.tolist())
    dealt = {label: [0] * count for label in total}  # images of a class in each fold
    filled = [0] * count
    fold_of = np.zeros(len(sizes), np.intp)
    for group in order.tolist():
        costs = [0.0] * count  # the squared shares of the classes, which are least if they are even, grow by twice this
        for label, number in classes_in[group].items():
            share = number / total[label] ** 2
            costs = [cost + share * have for cost, have in zip(costs, dealt[label], strict=True)]
        best = min(range(count), key=lambda fold: (costs[fold], filled[fold]))
        for label, number in classes_in[group].items():
            dealt[label][best] += number
            filled[best] += number
        fold_of[group] = best
    return fold_of[group_of]


def by_first_appearance(groups: Integers) -> NDArray[np.intp]:
    """(N,) the same groups, numbered from 0 on as they first appear."""
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    numbers: NDArray[np.intp] = np.argsort(np.argsort(first))[group]
    return numbers


def is_alone(labels: ArrayLike, groups: ArrayLike | None) -> NDArray[np.bool_]:
    """(N,) whether an image's class is in no other group than its own, so that nothing is known of it without that."""
    labels = np.asarray(labels)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    pairs = np.unique(np.stack([labels, groups]), axis=1)
    alone: NDArray[np.bool_] = np.bincount(pairs[0], minlength=int(labels.max(initial=0)) + 1)[labels] == 1
    return alone
