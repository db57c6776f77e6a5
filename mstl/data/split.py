"""Split: divide samples into those to train on and those to validate on."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

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
        groups: The group of each image: versions of one picture, which are kept together. None: each on its own.

    Returns:
        (N,) true for validation. A class with two groups or more has one on each side, whatever the share.

    Raises:
        MstlError: The share is out of its range.
    """
    if not 0 < share < 1:
        raise MstlError(f"val_split must be between 0 and 1, not {share}")
    classes = np.asarray(labels)
    group_of = np.arange(len(classes)) if groups is None else np.asarray(groups)
    chosen = np.zeros(len(classes), bool)
    for number, label in enumerate(np.unique(classes)):
        members = np.flatnonzero(classes == label)
        _, first, group = np.unique(group_of[members], return_index=True, return_inverse=True)
        group = np.argsort(np.argsort(first))[group]  # numbered by first appearance, whatever the given numbers
        wanted = max(1, round(share * len(members)))
        order = np.random.default_rng([seed, number]).permutation(len(first))
        for pick in order[:-1]:  # the last group stays for training
            more = group == pick
            if chosen[members].sum() + more.sum() <= wanted or not chosen[members].any():
                chosen[members[more]] = True
            if chosen[members].sum() >= wanted:
                break
    return chosen
