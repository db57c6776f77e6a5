"""The app of labelling: a page to label images, one after the other, and what it asks the server for."""

from collections.abc import Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from mstl.data.image_files import printable
from mstl.evaluation.label_rounds import Round
from mstl.serving.explainer import Explainer
from mstl.serving.image_routes import image_routes
from mstl.serving.label_desk import LabelDesk
from mstl.serving.library_calls import answer_of, in_library, values_of
from mstl.serving.local_page import local_app
from mstl.serving.problems import Problem
from mstl.serving.request_bodies import Room
from mstl.serving.review_app import image_record
from mstl.serving.serve_settings import ServeSettings

SHOWN = 3  # images that the page is told of: the one that it shows, and what it makes ready
TOP = 3  # classes of an answer
BESIDE = 3  # nearest images of a class


def create_label_app(desk: LabelDesk, name: str, settings: ServeSettings, explainer: Explainer) -> FastAPI:
    """An app for labelling.

    Args:
        desk: The labels.
        name: Of the folder, for people.
        settings: Who may use it, and limits.
        explainer: Makes heat maps by the model that was given.
    """
    routers = (label_routes(desk, name, settings, explainer), image_routes(desk.image_file, explainer))
    return local_app("mstl label", ("page", "review_page", "label_page"), routers, settings)


def label_routes(desk: LabelDesk, name: str, settings: ServeSettings, explainer: Explainer) -> APIRouter:
    """What there is to be labelled, and what changes labels; each answer is the state after it."""
    router = APIRouter()
    room = Room(settings.room)

    @router.get("/items")
    async def items() -> Response:
        told = {"name": name, "list": printable(desk.labels.path), "explained": explainer.model.classes}
        return answer_of({**told, **await in_library(lambda: state_of(desk))})

    @router.post("/labels")
    async def label(request: Request) -> Response:
        values = await values_of(request, settings, room)
        item, given = values.get("item"), values.get("label")
        if not (isinstance(item, str) and isinstance(given, str)):
            raise Problem(422, "a label has an item and a label, both texts", "send both")
        return await changed(lambda: desk.label(item, given))

    @router.post("/skips")
    async def skip(request: Request) -> Response:
        item = (await values_of(request, settings, room)).get("item")
        if not isinstance(item, str):
            raise Problem(422, "it is not said which item is to be skipped", "send an item")
        return await changed(lambda: desk.skip(item))

    @router.delete("/last")
    async def take_back() -> Response:
        return await changed(desk.take_back)

    async def changed(change: Callable[[], None]) -> Response:
        def work() -> dict[str, Any]:
            with desk.lock:
                change()
                return state_of(desk)

        return answer_of(await in_library(work))

    return router


def state_of(desk: LabelDesk) -> dict[str, Any]:
    """What the page is to show now."""
    with desk.lock:
        given = desk.given()
        queue = desk.queue(given)
        return {
            "classes": desk.names,
            "done": len(desk.images) - len(queue),
            "count": len(desk.images),
            "left": min(desk.left(given), len(queue)),
            "can_undo": bool(desk.history),
            "queue": [item_record(desk, index, given) for index in queue[:SHOWN]],
            "rounds": [round_record(each) for each in desk.rounds],
        }


def item_record(desk: LabelDesk, index: int, given: dict[int, str]) -> dict[str, Any]:
    """An image for the page, its proposal as its label."""
    image, probabilities = desk.images[index], desk.lesson.probabilities[index]
    best = np.argsort(-probabilities, kind="stable")[:TOP]
    answer = [{"label": desk.names[row], "probability": float(probabilities[row])} for row in best]
    near = [[image_record(each) for each in desk.nearest(index, one["label"], given, BESIDE)] for one in answer[:2]]
    return {
        **image_record(image),
        "id": image.sha256,
        "label": desk.proposal(index),
        "reasons": [],
        "answer": answer,
        "versions": [],
        "of_label": near[0],
        "of_answer": near[1] if len(near) > 1 else [],
    }


def round_record(done: Round) -> dict[str, Any]:
    """A round for the page."""
    low, high = done.interval
    return {
        "number": done.number,
        "labels": done.labels,
        "proposed": done.proposed,
        "as_proposed": done.as_proposed,
        "total": done.total,
        "right_before": done.right_before,
        "right_now": done.right_now,
        "low": low,
        "high": high,
    }
