"""The server of a review: what there is to be looked at is found, and a page about it served until a signal comes."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from mstl.review.review_data import ReviewData, ReviewSource, checkpoint_of
from mstl.serving import web_server
from mstl.serving.explainer import Explainer
from mstl.serving.local_page import HOST, local_settings, serve_page
from mstl.serving.review_app import create_review_app
from mstl.serving.review_desk import Desk
from mstl.serving.review_features import featured_images
from mstl.serving.review_items import review_items
from mstl.serving.review_training import ReviewTraining
from mstl.serving.served_model import ServedModel
from mstl.serving.training_process import TrainingProcess

if TYPE_CHECKING:  # MindSpore, without which data alone is reviewed
    from mstl.predictor import Predictor

logger = logging.getLogger("mstl")


def serve_review(what: str, source: ReviewSource, port: int, device: str, announce: Callable[[str], None]) -> None:
    """Serve the page of a review to this machine.

    Args:
        what: A run's folder, a checkpoint in it, or data.
        source: The data, from :meth:`mstl.review.review_data.ReviewSource.of`.
        port: 0 for one that is free.
        device: See :class:`mstl.Predictor`.
        announce: Called with the page's address, the token in it, once it can be opened.

    Raises:
        MstlError: There is no such data, the run cannot be used, or the port is taken.
    """
    bound = web_server.bind(HOST, port)
    review = ReviewData(source)
    predictor = predictor_of(what, device)
    featured = None if predictor is None else featured_images(predictor, review.checked)
    explainer = None if predictor is None else Explainer(ServedModel(predictor))
    desk, settings = Desk(review, review_items(review.images, review.checked, featured)), local_settings()
    checkpoint = checkpoint_of(what)
    training = ReviewTraining(desk, None if checkpoint is None else TrainingProcess(checkpoint, source, device))
    app = create_review_app(desk, source.where.name, settings, explainer, training)
    try:
        serve_page(app, bound, settings, announce)
    finally:
        training.close()
        if explainer is not None:
            explainer.close()


def predictor_of(what: str, device: str) -> "Predictor | None":
    """The model of a run; None where data was given, which has none.

    Raises:
        MstlError: The run cannot be used.
    """
    checkpoint = checkpoint_of(what)
    if checkpoint is None:
        logger.info("review: only what can be told without a model is looked for; give a run to look for wrong labels")
        return None
    from mstl.predictor import Predictor

    return Predictor(checkpoint, device)
