"""The app of a review: a page to decide about images, one after the other, and what it asks the server for."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from mstl.data.image_files import printable
from mstl.review.applying import Applied
from mstl.review.standing import Image
from mstl.serving.explainer import Explainer
from mstl.serving.image_routes import image_routes
from mstl.serving.library_calls import answer_of, in_library, values_of
from mstl.serving.local_page import local_app
from mstl.serving.problems import Problem
from mstl.serving.request_bodies import Room
from mstl.serving.review_desk import Desk
from mstl.serving.review_items import ReviewItem
from mstl.serving.review_training import ReviewTraining, training_routes
from mstl.serving.serve_settings import ServeSettings


def create_review_app(
    desk: Desk, name: str, settings: ServeSettings, explainer: Explainer | None, training: ReviewTraining
) -> FastAPI:
    """An app for a review.

    Args:
        desk: The decisions.
        name: Of the data, for people.
        settings: Who may use it, and limits.
        explainer: Makes heat maps by a run's model; None without one.
        training: Trains the run again.
    """
    routers = (
        reading_routes(desk, name, explainer),
        image_routes(desk.image_file, explainer),
        deciding_routes(desk, settings),
        training_routes(training),
    )
    return local_app("mstl review", ("page", "review_page"), routers, settings)


def reading_routes(desk: Desk, name: str, explainer: Explainer | None) -> APIRouter:
    """What there is to be looked at."""
    router = APIRouter()

    @router.get("/items")
    async def items() -> Response:
        def found() -> dict[str, Any]:
            records = [item_record(each, item) for each, item in desk.items.items()]
            known = () if explainer is None else explainer.model.classes
            is_list = all(split.folder is None for split in desk.review.checked.found.splits.values())
            told = {
                "name": name,
                "is_list": is_list,
                "classes": desk.review.classes,
                "explained": known,
                "items": records,
            }
            return {**told, "state": desk.state}

        return answer_of(await in_library(found))

    return router


def deciding_routes(desk: Desk, settings: ServeSettings) -> APIRouter:
    """What changes decisions, and the data."""
    router = APIRouter()
    room = Room(settings.room)

    @router.post("/decisions")
    async def decide(request: Request) -> Response:
        values = await values_of(request, settings, room)
        item, decision, label = (values.get(key) for key in ("item", "decision", "label"))
        if not (isinstance(item, str) and isinstance(decision, str) and isinstance(label, str)):
            raise Problem(422, "a decision has an item, a decision and a label, all texts", "send all three")
        return answer_of(await in_library(lambda: desk.decide(item, decision, label)))

    @router.delete("/decisions/{item}")
    async def take_back(item: str) -> Response:
        return answer_of(await in_library(lambda: desk.take_back(item)))

    @router.post("/apply")
    async def apply(request: Request) -> Response:
        plan = (await values_of(request, settings, room)).get("plan")
        if not isinstance(plan, list):
            raise Problem(422, "it is not said what is to be applied", "send the plan that was confirmed")
        return answer_of(await in_library(lambda: applied_record(desk.apply(plan), desk)))

    @router.post("/undo")
    async def undo() -> Response:
        return answer_of(await in_library(lambda: applied_record(desk.undo(), desk)))

    return router


def item_record(name: str, item: ReviewItem) -> dict[str, Any]:
    """An item for the page."""
    return {
        "id": name,
        **image_record(item.image),
        "reasons": [{"kind": reason.kind, "detail": printable(reason.detail)} for reason in item.reasons],
        "answer": [{"label": label, "probability": probability} for label, probability in item.answer],
        "versions": [image_record(image) for image in item.versions],
        "of_label": [image_record(image) for image in item.of_label],
        "of_answer": [image_record(image) for image in item.of_answer],
    }


def image_record(image: Image) -> dict[str, Any]:
    """An image for the page."""
    return {"sha256": image.sha256, "path": printable(image.place), "label": image.label, "split": image.split}


def applied_record(applied: Applied, desk: Desk) -> dict[str, Any]:
    """What has come of an Apply, for the page."""
    return {
        "moved": applied.moved,
        "lists": [printable(path) for path in applied.lists],
        "problems": list(applied.problems),
        "state": desk.state,
    }
