"""Dividing photos into those to train on and those to validate on."""

import numpy as np

from mstl.errors import MstlError


def stratified(labels, share, seed, groups=None):
    """Choose validation photos, the same share of each class.

    Args:
        labels: The class of each photo, as anything that can be sorted.
        share: From 0 to 1, both excluded.
        seed: Another one chooses others.
        groups: The group of each photo; versions of one picture, which must not be divided. Each its own by default.

    Returns:
        (N,) booleans, true for validation. A class with two pictures or more has one on each side, whatever the share.

    Raises:
        MstlError: The share is out of its range.
    """
    if not 0 < share < 1:
        raise MstlError(f"val_split must be between 0 and 1, not {share}")
    labels = np.asarray(labels)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    chosen = np.zeros(len(labels), bool)
    for number, label in enumerate(np.unique(labels)):
        members = np.flatnonzero(labels == label)
        _, first, group = np.unique(groups[members], return_index=True, return_inverse=True)
        group = np.argsort(np.argsort(first))[group]  # numbered as they come, whatever they are called
        wanted = max(1, round(share * len(members)))
        order = np.random.default_rng([seed, number]).permutation(len(first))
        for pick in order[:-1]:  # the last group stays for training
            more = group == pick
            if chosen[members].sum() + more.sum() <= wanted or not chosen[members].any():
                chosen[members[more]] = True
            if chosen[members].sum() >= wanted:
                break
    return chosen
