"""Lingering: a client whose request is refused before all of it has come gets to read why.

To close a connection on which more is coming makes the client's system drop the answer. What still comes is therefore
read, and thrown away, for a while.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = 5.0
BYTES = 100_000_000


class Lingering:
    """Middleware that closes a connection only after its client had time to read the answer.

    Args:
        app: What it surrounds.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or not has_body(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        is_whole = False

        async def receive_and_note() -> Message:
            nonlocal is_whole
            message = await receive()
            is_whole = is_whole or message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def send_and_linger(message: Message) -> None:
            if is_whole:
                await send(message)
                return
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
                await send(message)
            elif message.get("more_body", False):
                await send(message)
            else:  # the client has all of the answer before the end of it is told to the server
                await send({**message, "more_body": True})
                await drain(receive)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app(scope, receive_and_note, send_and_linger)


def has_body(headers: Headers) -> bool:
    """Whether a request says that it has a body."""
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def drain(receive: Receive) -> None:
    """Read what still comes of a request, within limits."""

    async def read() -> None:
        left = BYTES
        while left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                return

    try:
        await asyncio.wait_for(read(), SECONDS)
    except asyncio.TimeoutError:
        return
