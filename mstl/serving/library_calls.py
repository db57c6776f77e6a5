"""Library calls: functions of the library, asked for by a page, with values as JSON on both ways."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastapi import Request
from starlette.responses import Response

from mstl.errors import MstlError
from mstl.serving.problems import Problem
from mstl.serving.request_bodies import Room, body_of
from mstl.serving.serve_settings import ServeSettings

Result = TypeVar("Result")


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
