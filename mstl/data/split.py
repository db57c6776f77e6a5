"""Split: divide samples into those to train on and those to validate on."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mstl.data.samples import Sample
from mstl.errors import MstlError


def split_samples(
    samples: Sequence[Sample], groups: Mapping[str, int], share: float, seed: int, where: Path
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Split samples, the same share of each class.

    Args:
        samples: To divide.
        groups: A number for each path, the same for versions of one picture, which are kept together.
        share: Of validation samples, from 0 to 1, both excluded.
        seed: Another seed chooses other samples.
        where: Where the samples come from, for messages.

    Returns:
        Samples to train on and samples to validate on.

    Raises:
        MstlError: The share is out of its range, or no class has two pictures.
    """
    chosen = stratified([sample.label for sample in samples], share, seed, [groups[sample.path] for sample in samples])
    if not chosen.any():
        raise MstlError(f"{where} has one picture of each class: none can be split off to validate on")
    named = [
        dataclasses.replace(sample, split="val" if val else "train")
        for sample, val in zip(samples, chosen, strict=True)
    ]
    train, val = (tuple(sample for sample in named if sample.split == name) for name in ("train", "val"))
    return train, val


def stratified(
    labels: Sequence[str] | Sequence[int], share: float, seed: int, groups: Sequence[int] | None = None
) -> NDArray[np.bool_]:
    """Choose validation images, the same share of each class.

    Args:
        labels: The class of each image.
        share: From 0 to 1, both excluded.
        seed: Another seed chooses other images.
        groups: The group of each image: versions of one picture, or images of one patient, which are kept together,
            also if they are of several classes. None: each on its own.

    Returns:
        (N,) true for validation. A class with two groups or more has one on each side, whatever the share, unless all
        its groups have images of other classes, too; one is always left to train on.

    Raises:
        MstlError: The share is out of its range.
    """
    if not 0 < share < 1:
        raise MstlError(f"val_split must be between 0 and 1, not {share}")
    classes = np.asarray(labels)
    group_of = np.arange(len(classes)) if groups is None else np.asarray(groups)
    members_of, classes_in = indexed(group_of, classes)
    left = Counter(label for inside in classes_in.values() for label in inside)  # groups to train on, of each class
    chosen, decided = np.zeros(len(classes), bool), set[int]()
    for number, label in enumerate(np.unique(classes).tolist()):
        members = np.flatnonzero(classes == label)
        names = list(dict.fromkeys(group_of[members].tolist()))  # by first appearance, whatever the given numbers
        wanted = max(1, round(share * len(members)))
        order = np.random.default_rng([seed, number]).permutation(len(names))
        count = int(chosen[members].sum())
        for pick in order[:-1]:  # the last group stays for training
            if count >= wanted:
                break
            inside = classes_in[names[pick]]
            if names[pick] in decided or any(left[each] < 2 for each in inside):
                continue
            if count + inside[label] <= wanted or not count:
                chosen[members_of[names[pick]]] = True
                left.subtract(inside.keys())
                count += inside[label]
        decided.update(names)
    return chosen


def indexed(
    group_of: NDArray[Any], classes: NDArray[Any]
) -> tuple[dict[int, NDArray[np.intp]], dict[int, Counter[Any]]]:
    """Of each group, the indices of its images, and how many it has of each class."""
    order = np.argsort(group_of, kind="stable")
    names, starts = np.unique(group_of[order], return_index=True)
    members = dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
    return members, {name: Counter(classes[inside].tolist()) for name, inside in members.items()}
