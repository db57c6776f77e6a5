"""The app of a review: a page to decide about images, one after the other, and what it asks the server for."""

import asyncio
import hashlib
import io
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, FastAPI, Query, Request
from starlette.responses import Response

import mstl
from mstl.data.decode import decoded
from mstl.data.image_files import printable
from mstl.data.opening import UnreadableImage, open_image
from mstl.errors import MstlError
from mstl.review.applying import Applied
from mstl.review.standing import Image
from mstl.serving.app import page_routes, surround
from mstl.serving.counters import Counters
from mstl.serving.explainer import Explainer
from mstl.serving.page_files import page_files
from mstl.serving.problems import Problem
from mstl.serving.request_bodies import Room, body_of
from mstl.serving.review_desk import Desk
from mstl.serving.review_items import ReviewItem
from mstl.serving.serve_settings import ServeSettings

Result = TypeVar("Result")
LARGEST, SMALLEST = 1600, 32  # pixels of the longer side of an image that is shown
QUALITY = 88  # of JPEG
DECODED_AT_ONCE = 4  # images: each may take hundreds of MB
BODY_BYTES = 100_000  # of a request: a plan has a line for each two classes
Side = Annotated[int, Query(ge=SMALLEST, le=LARGEST, description="Pixels of the longer side at most.")]


def create_review_app(desk: Desk, name: str, settings: ServeSettings, explainer: Explainer | None = None) -> FastAPI:
    """An app for a review.

    Args:
        desk: The decisions.
        name: Of the data, for people.
        settings: Who may use it, and limits.
        explainer: Makes heat maps by a run's model; None without one.
    """
    app = FastAPI(
        title="mstl review",
        version=mstl.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.include_router(reading_routes(desk, name, explainer))
    app.include_router(deciding_routes(desk, settings))
    app.include_router(page_routes(page_files("page", "review_page")))
    surround(app, settings, Counters())
    return app


def reading_routes(desk: Desk, name: str, explainer: Explainer | None) -> APIRouter:
    """What there is to be looked at."""
    router = APIRouter()
    turns = asyncio.Semaphore(DECODED_AT_ONCE)

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

    @router.get("/image/{content}")
    async def image(content: str, side: Side = LARGEST) -> Response:
        """An image of the dataset, known by the SHA-256 of its content alone."""
        async with turns:
            return Response(
                await in_library(lambda: shown(desk.image_file(content), content, side)), media_type="image/jpeg"
            )

    @router.get("/heat/{content}")
    async def heat(content: str, label: str) -> Response:
        """Where in an image of the dataset the model sees a class (Grad-CAM)."""
        if explainer is None:
            raise Problem(404, "there is no model", "review a run")
        data = await in_library(lambda: content_of(desk.image_file(content), content))
        return Response(await explainer.explain(data, label), media_type="image/png")

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


def review_settings() -> ServeSettings:
    """Settings of a review's server: only this machine reaches it, and only who has its token, which is a new one."""
    return ServeSettings(token=secrets.token_urlsafe(), max_bytes=BODY_BYTES)


def answer_of(values: Mapping[str, Any]) -> Response:
    """Values as JSON in ASCII: the names of classes may be those of folders that are not UTF-8."""
    return Response(json.dumps(values), media_type="application/json")


async def in_library(function: Callable[[], Result]) -> Result:
    """Call a function of the library in a thread; what a user can fix becomes a problem.

    Raises:
        Problem: It failed so.
    """
    try:
        return await asyncio.to_thread(function)
    except MstlError as error:
        raise Problem(409, str(error), "") from error


async def values_of(request: Request, settings: ServeSettings, room: Room) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises:
        Problem: There is none.
    """
    async with body_of(request, settings, room) as body:
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            values = None
    if not isinstance(values, dict):
        raise Problem(422, "the body is not a JSON object", "send one")
    return values


def shown(path: str, content: str, side: int) -> bytes:
    """An image as a JPEG of at most so many pixels a side.

    Args:
        path: The file.
        content: The SHA-256 that it must have.
        side: Pixels.

    Raises:
        Problem: It is another image by now, or cannot be read.
    """
    data = content_of(path, content)
    try:
        with open_image(data) as image:
            small = decoded(image, (side, side))
        small.thumbnail((side, side))
    except UnreadableImage as error:
        raise Problem(409, f"{printable(path)} cannot be read: {error.detail}", "see to that file") from error
    answer = io.BytesIO()
    small.save(answer, "JPEG", quality=QUALITY)
    return answer.getvalue()


def content_of(path: str, content: str) -> bytes:
    """The content of an image file.

    Args:
        path: The file.
        content: The SHA-256 that it must have.

    Raises:
        Problem: It has another one by now, or cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Problem(
            409, f"{printable(path)} cannot be read: {error.strerror or error}", "see to that file"
        ) from error
    if hashlib.sha256(data).hexdigest() != content:
        raise Problem(409, f"{printable(path)} has changed since it was read", "start the review again")
    return data


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
