"""Label material: what a model makes of images without a label, and the examples with one that it has learnt from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet, subset
from mstl.data.image_files import printable
from mstl.data.samples import Sample
from mstl.errors import MstlError
from mstl.evaluation.feature_sample import sample_rows
from mstl.evaluation.rejection import normalised
from mstl.evaluation.softmax import softmax
from mstl.review.standing import Image

if TYPE_CHECKING:  # MindSpore is loaded once features are computed
    from mstl.predictor import Predictor

logger = logging.getLogger("mstl")
MOST_EXAMPLES = 1000  # of which heads learn after each round of labels, in a second or two


@dataclass(frozen=True)
class Material:
    """What a model makes of images without a label, and examples with one.

    Attributes:
        classes: The model's.
        units: (N, F) features of the images, each row of length 1.
        probabilities: (N, classes) the model's answers to them.
        examples: M images that the model was trained on; none if they are not at hand.
        example_units: (M, F) the same of these.
    """

    classes: tuple[str, ...]
    units: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    examples: tuple[Image, ...]
    example_units: NDArray[np.float32]


def label_material(predictor: "Predictor", samples: Sequence[Sample]) -> Material:
    """Compute the features of images, as far as they are not kept, and what a model makes of them.

    Args:
        predictor: The model.
        samples: The images, with their scans; their labels are "".

    Raises:
        MstlError: An image cannot be read any more.
    """
    from mstl.report.cross_validated_run import kept_features
    from mstl.runtime import mindspore_thread

    features = kept_features(predictor, ImageSet(tuple(samples), ("",)))
    head = predictor.model.fc
    weight, bias = mindspore_thread.run(lambda: (head.weight.asnumpy(), head.bias.asnumpy()))
    logits = np.asarray(features @ weight.T + bias, np.float32)
    if not np.isfinite(logits).all():
        raise MstlError(f"the outputs of {predictor.path} are not finite: its training diverged; train again")
    probabilities = softmax(logits / predictor.temperature)
    examples = examples_of(predictor)
    units = normalised(kept_features(predictor, examples)) if len(examples) else np.zeros((0, features.shape[1]))
    shown = tuple(
        Image(sample.path, printable(sample.path), sample.label, sample.split, digest)
        for sample, digest in zip(examples.samples, examples.digests, strict=True)
    )
    return Material(predictor.classes, normalised(features), probabilities, shown, units.astype(np.float32))


def examples_of(predictor: "Predictor") -> ImageSet:
    """The images that a model was trained on, of many a sample; none, which is logged, if they are not at hand."""
    try:
        train = predictor.splits().get("train")
    except MstlError:
        train = None
    if train is None or not len(train):
        logger.warning(
            "label: the images that %s was trained on are not at hand: all that is learnt between the rounds is learnt "
            "from your labels",
            predictor.path,
        )
        return ImageSet((), predictor.classes)
    return subset(train, sample_rows(train.labels, MOST_EXAMPLES))
