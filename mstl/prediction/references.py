"""References: the answers that an exported model must give about image files, from a predictor's evaluation of them."""

import numpy as np
from numpy.typing import NDArray

from mstl.engines.export_record import RejectionLimits
from mstl.engines.proof import Reference
from mstl.errors import MstlError
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.rejection import Rejector

MOST_IMAGES = 256  # that an exported model is asked about


def spread(total: int) -> NDArray[np.int64]:
    """The indices of the images that a model is asked about: all, or 256, as evenly from all of them as possible."""
    return np.linspace(0, total - 1, min(total, MOST_IMAGES)).astype(np.int64)


def reference_from(evaluation: Evaluation, rejector: Rejector | None, source: str) -> Reference:
    """The answers of an evaluation, and of a rejector to it.

    Args:
        evaluation: With the features of all its images.
        rejector: None if the model cannot reject.
        source: Who answers so, for messages.

    Raises:
        MstlError: Some are not finite.
    """
    features = evaluation.features
    if features is None or not np.isfinite(evaluation.logits).all():
        raise MstlError(f"the answers of {source} are not finite: the training diverged; train again")
    return Reference(
        evaluation.paths,
        evaluation.classes,
        evaluation.probabilities,
        features,
        None if rejector is None else rejector.distances(features),
        None if rejector is None else rejector.rejected(evaluation.logits, features),
        source,
    )


def settled_limits(rejector: Rejector | None, reference: Reference) -> RejectionLimits | None:
    """The limits of a rejector, as :meth:`mstl.engines.proof.Reference.settled` has them; None without one."""
    if rejector is None:
        return None
    fitted = RejectionLimits(rejector.distance_limit, rejector.probability_limit, rejector.neighbours)
    return reference.settled(fitted)
