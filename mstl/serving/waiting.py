"""Waiting for what a request asks: no longer than its client does, and not for ever."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from mstl.serving.problems import busy

Result = TypeVar("Result")


async def results_of(
    request: Request, futures: "Sequence[asyncio.Future[Result]]", seconds: float
) -> list[Result | BaseException]:
    """The results of futures, or their exceptions; they are cancelled if the wait ends before they are there.

    Args:
        request: Its body has been read.
        futures: What it waits for.
        seconds: At most.

    Raises:
        Problem: They take longer.
        ClientDisconnect: Nobody is there any more to answer.
    """
    there = asyncio.ensure_future(asyncio.wait(futures))
    gone = asyncio.ensure_future(is_gone(request))
    try:
        either: set[asyncio.Future[Any]] = {there, gone}
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if there.done():
            return [future.exception() or future.result() for future in futures]
        if gone.done():
            raise ClientDisconnect
        raise busy(f"there was no answer within {seconds:g} s", 5)
    finally:
        there.cancel()
        gone.cancel()
        for future in futures:
            future.cancel()


async def is_gone(request: Request) -> None:
    """Return once a request's client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
