"""Problems: every answer that is not a success, as problem+json (RFC 9457): what is wrong, and what to do."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TypedDict

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
ROUTES_HINT = "GET /openapi.json lists what there is"
logger = logging.getLogger("mstl")


class ProblemRecord(TypedDict):
    """A problem as plain values."""

    type: str
    title: str
    status: int
    detail: str
    hint: str


class Problem(Exception):
    """Why a request is not answered as it was meant.

    Args:
        status: HTTP's code.
        detail: What is wrong with what, in a sentence without a full stop.
        hint: What to do.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, detail: str, hint: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.hint, self.headers = status, detail, hint, dict(headers or {})

    @property
    def record(self) -> ProblemRecord:
        """As plain values."""
        title = HTTPStatus(self.status).phrase
        return {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "hint": self.hint,
        }

    def response(self) -> Response:
        """As an answer."""
        content = json.dumps(self.record, ensure_ascii=False).encode("utf-8", "backslashreplace")
        return Response(content, self.status, self.headers, MEDIA_TYPE)


def busy(detail: str, seconds: int = 1) -> Problem:
    """A request that may be repeated after some seconds."""
    return Problem(503, detail, f"try again in {seconds} s", {"Retry-After": str(seconds)})


def unreadable(name: str | None, reason: str) -> Problem:
    """An image that cannot be read."""
    return Problem(422, f"cannot read {name or 'the image'}: {reason}", "send the content of a JPEG, PNG or WebP file")


def unexpected(error: BaseException) -> Problem:
    """A fault of the server: what it is goes to the log, not to whoever asks."""
    text = " ".join(str(error).split())[:300]
    logger.error("serve: unexpected %s: %s (MSTL_DEBUG=1 shows where)", type(error).__name__, text)
    return Problem(500, "the server failed at this request", "its log says why")


def answer_problems(app: FastAPI) -> None:
    """Make an app answer by problems whatever goes wrong in it."""

    async def of_problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    async def of_values(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return wrong_values(error).response()

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            detail = f"{request.method[:20]} is not possible here"
            return Problem(405, detail, f"use {allowed}", error.headers).response()
        if error.status_code == 404:
            return Problem(404, "there is nothing at this address", ROUTES_HINT).response()
        return Problem(error.status_code, str(error.detail), ROUTES_HINT, error.headers).response()

    async def of_nobody(_request: Request, _error: Exception) -> Response:
        return Response(status_code=400)  # which nobody reads: the client is gone

    app.add_exception_handler(Problem, of_problem)
    app.add_exception_handler(RequestValidationError, of_values)
    app.add_exception_handler(HTTPException, of_http)
    app.add_exception_handler(ClientDisconnect, of_nobody)


def wrong_values(error: RequestValidationError) -> Problem:
    """Values of a query that cannot be used; long ones are cut."""
    wrong = error.errors()[0]
    name, value = str(wrong["loc"][-1]), repr(wrong.get("input"))
    shown = value if len(value) <= 40 else f"{value[:40]}..."
    return Problem(422, f"{name} is {shown}: {wrong['msg'][:200]}", "GET /openapi.json says what is possible")
