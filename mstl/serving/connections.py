"""Connections: HTTP as uvicorn and h11 read it, with limits on their number, and on how long a request may begin."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mstl.serving.chunk_limit import MEAN, ChunkLimit
from mstl.serving.guard import HEADER_BYTES
from mstl.serving.outer import SAFE
from mstl.serving.problems import MEDIA_TYPE, Problem

HEADER_SECONDS = 10.0  # within which they must have come
CLOSE_HEADER = (b"connection", b"close")
LAST_SECONDS = 1.0  # that the server leaves at its end for requests that are on their way


class Connection(H11Protocol):
    """A connection. What cannot be read as HTTP is answered by a problem, and the connection is closed.

    Attributes:
        most: The most connections that may be open.
        begins: Closes the connection if a request does not begin in time; None while one is answered.
        ends: Whether the server ends, so that no more than one request is answered.
    """

    most = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn: ChunkLimit = ChunkLimit(h11.SERVER, self.config.h11_max_incomplete_event_size or HEADER_BYTES)
        self.begins: asyncio.TimerHandle | None = None
        self.ends = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A client has connected."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self.refuse(Problem(503, "too many connections are open", "try again in 5 s", {"Retry-After": "5"}))
        else:
            self.expect(HEADER_SECONDS)

    def data_received(self, data: bytes) -> None:
        """A client has sent something."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.is_idle():
            if self.begins is None:  # a request after others, on the same connection
                self.expect(HEADER_SECONDS)
            return
        self.expect(None)
        if self.ends:
            self.make_last()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self.expect(None)
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server ends: what has been asked is answered, also what is on its way here."""
        self.ends = True
        if self.is_idle():
            self.expect(LAST_SECONDS)
        else:
            self.make_last()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has headers that are too long, or chunks that are too small."""
        if self.conn.is_exceeded:
            hint = f"send chunks of at least {MEAN} bytes, or a Content-Length"
            self.refuse(Problem(400, "the body comes in too many tiny chunks", hint))
            return
        hint = f"send HTTP/1.1, with headers of less than {HEADER_BYTES // 1024} kB"
        self.refuse(Problem(400, "this is not a request that can be read", hint))

    def make_last(self) -> None:
        """Close the connection after the answer that is being made, and say so in it: the client sends no other."""
        self.cycle.keep_alive = False
        if CLOSE_HEADER not in self.cycle.default_headers:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def expect(self, seconds: float | None) -> None:
        """Close the connection unless a request begins within so many seconds; None: there is one."""
        if self.begins is not None:
            self.begins.cancel()
            self.begins = None
        if seconds is not None:
            self.begins = self.loop.call_later(seconds, self.transport.close)

    def refuse(self, problem: Problem) -> None:
        """Answer, if nothing else is being answered, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            content = problem.response().body
            headers = {
                "Content-Type": MEDIA_TYPE,
                "Content-Length": str(len(content)),
                "Connection": "close",
                **SAFE,
                **problem.headers,
            }
            response = h11.Response(status_code=problem.status, headers=list(headers.items()))
            for event in (response, h11.Data(data=bytes(content)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def connections(most: int) -> type[Connection]:
    """The class of a server's connections, of which so many may be open."""
    return type("Connection", (Connection,), {"most": most})
