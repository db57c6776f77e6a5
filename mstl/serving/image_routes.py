"""Image routes: images of data that is on this machine for a page, as JPEGs, and where in them a model sees a class."""

import asyncio
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from mstl.data.decode import decoded
from mstl.data.image_files import printable
from mstl.data.opening import UnreadableImage, open_image
from mstl.serving.explainer import Explainer
from mstl.serving.library_calls import in_library
from mstl.serving.problems import Problem

LARGEST, SMALLEST = 1600, 32  # pixels of the longer side of an image that is shown
QUALITY = 88  # of JPEG
DECODED_AT_ONCE = 4  # images: each may take hundreds of MB
Side = Annotated[int, Query(ge=SMALLEST, le=LARGEST, description="Pixels of the longer side at most.")]


def image_routes(image_file: Callable[[str], str], explainer: Explainer | None) -> APIRouter:
    """The routes of images, each known by the SHA-256 of its content alone.

    Args:
        image_file: Gives the path of an image with this content; raises a Problem if there is none.
        explainer: Makes heat maps by a model; None without one.
    """
    router = APIRouter()
    turns = asyncio.Semaphore(DECODED_AT_ONCE)

    @router.get("/image/{content}")
    async def image(content: str, side: Side = LARGEST) -> Response:
        """The image."""
        async with turns:
            return Response(
                await in_library(lambda: shown(image_file(content), content, side)), media_type="image/jpeg"
            )

    @router.get("/heat/{content}")
    async def heat(content: str, label: str) -> Response:
        """Where in the image the model sees a class (Grad-CAM)."""
        if explainer is None:
            raise Problem(404, "there is no model", "review a run")
        data = await in_library(lambda: content_of(image_file(content), content))
        return Response(await explainer.explain(data, label), media_type="image/png")

    return router


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
