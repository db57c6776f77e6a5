"""Acquisition: in which order images are to be labelled, so that the labels bring most."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
CHOSEN = 20  # images that are chosen one by one, each with regard to those before it; the order is renewed after 10
VOTERS = 2000  # images that are to be stood for; of more, a random sample
DOUBT = 0.5  # weight of an image that the model is sure of, where one that it cannot decide on has this and 1 more


def labelling_order(units: Floats, probabilities: Floats, seen: Floats, chosen: int = CHOSEN) -> NDArray[np.intp]:
    """Order images so that the first ones stand for all that have no label, above all for those the model is unsure of.

    Greedy maximisation of a facility location function: an image is stood for by the image with a label that is most
    like it, as well as they are alike (their cosine); the next image to be labelled is the one by which most is gained
    over all images (Wei, Iyer and Bilmes 2015, "Submodularity in Data Subset Selection and Active Learning"). There,
    the images that the model is unsure of are filtered first; here, an image counts the more, the smaller the margin
    between its two most probable classes is. Figures of other orders are in benchmarks/README.md.

    Args:
        units: (N, F) features of images without a label, each row of length 1.
        probabilities: (N, classes) of a model.
        seen: (M, F) features of images with a label; there may be none.
        chosen: How many are chosen so; those after them follow by what each would gain next.

    Returns:
        (N,) the places of all images.
    """
    voters = np.arange(len(units))
    if len(voters) > VOTERS:
        voters = np.sort(np.random.default_rng(0).permutation(voters)[:VOTERS])
    weights = doubts(probabilities[voters])
    stood_for = np.clip(units[voters] @ seen.T, 0, None).max(1, initial=0.0)
    alike = np.maximum(units[voters] @ units.T, 0)
    order: list[int] = []
    for _ in range(min(chosen, len(units))):
        gains = gained(alike, stood_for, weights)
        gains[order] = -1
        order.append(int(gains.argmax()))
        stood_for = np.maximum(stood_for, alike[:, order[-1]])
    gains = gained(alike, stood_for, weights)
    gains[order] = np.inf
    after = np.argsort(-gains, kind="stable")[len(order) :]
    return np.concatenate([np.array(order, np.intp), after])


def doubts(probabilities: Floats) -> Floats:
    """(N,) how much each image counts."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities))
    best = np.sort(probabilities, axis=1)
    return DOUBT + 1 - (best[:, -1] - best[:, -2])


def gained(alike: Floats, stood_for: Floats, weights: Floats) -> Floats:
    """(N,) by how much all voters together would be stood for better by each image.

    Args:
        alike: (V, N) how much each image is like each voter.
        stood_for: (V,) how well each voter is stood for so far.
        weights: (V,) how much each counts.
    """
    gains: Floats = weights @ np.maximum(alike - stood_for[:, None], 0)
    return gains
