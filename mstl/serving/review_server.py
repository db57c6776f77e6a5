"""The server of a review: what there is to be looked at is found, and a page about it served until a signal comes."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mstl.data.finding.folders.other_folders import holds_run
from mstl.review.review_data import ReviewData, ReviewSource
from mstl.serving import web_server
from mstl.serving.explainer import Explainer
from mstl.serving.local_page import HOST, local_settings, serve_page
from mstl.serving.review_app import create_review_app
from mstl.serving.review_desk import Desk
from mstl.serving.review_features import featured_images
from mstl.serving.review_items import review_items
from mstl.serving.served_model import ServedModel

if TYPE_CHECKING:  # MindSpore, without which data alone is reviewed
    from mstl.predictor import Predictor

logger = logging.getLogger("mstl")
CHECKPOINT = "best.ckpt"


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
    app = create_review_app(desk, source.where.name, settings, explainer)
    try:
        serve_page(app, bound, settings, announce)
    finally:
        if explainer is not None:
            explainer.close()


def predictor_of(what: str, device: str) -> "Predictor | None":
    """The model of a run; None where data was given, which has none.

    Raises:
        MstlError: The run cannot be used.
    """
    path = Path(what).expanduser()
    checkpoint = path if path.suffix == ".ckpt" else path / CHECKPOINT
    if not holds_run(checkpoint.parent):
        logger.info("review: only what can be told without a model is looked for; give a run to look for wrong labels")
        return None
    from mstl.predictor import Predictor

    return Predictor(checkpoint, device)
