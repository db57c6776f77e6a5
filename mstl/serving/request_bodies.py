"""Bodies of requests: read whole into memory, within limits on bytes, time, and the memory of all of them together."""

import asyncio
import contextlib
import io
from collections import deque
from collections.abc import AsyncIterator

from starlette.requests import Request

from mstl.serving.problems import Problem, busy
from mstl.serving.serve_settings import ServeSettings

SMALL = 1_000_000  # bytes that every body may take: who sends a large one slowly must not keep out others for long


class Room:
    """Memory for large bodies: who needs more than is left waits.

    Args:
        size: Bytes.

    Attributes:
        left: Bytes that are not taken.
    """

    def __init__(self, size: int) -> None:
        self.left = size
        self.waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size: int) -> None:
        """Take so many bytes, once there are as many and all who came before have theirs."""
        if self.left >= size and not self.waiting:
            self.left -= size
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(size)
            else:
                self.waiting.remove((size, turn))
                self.let_in()
            raise

    def give_back(self, size: int) -> None:
        """Give back so many bytes."""
        self.left += size
        self.let_in()

    def let_in(self) -> None:
        """Give those who wait longest what they need, if it is there."""
        while self.waiting and self.waiting[0][0] <= self.left:
            size, turn = self.waiting.popleft()
            if not turn.cancelled():
                self.left -= size
                turn.set_result(None)


class Place:
    """What a request has taken of the room.

    Args:
        room: The room.
    """

    def __init__(self, room: Room) -> None:
        self.room, self.size, self.is_waiting = room, 0, False

    async def take(self, size: int) -> None:
        """Take so many bytes."""
        self.is_waiting = True
        await self.room.take(size)
        self.size, self.is_waiting = size, False


@contextlib.asynccontextmanager
async def body_of(request: Request, settings: ServeSettings, room: Room) -> AsyncIterator[bytes]:
    """The whole body of a request, for which there is room in this block.

    Raises:
        Problem: It has too many bytes, comes too slowly, or there is no room for it.
        ClientDisconnect: It ends before it is whole.
    """
    place = Place(room)
    try:
        yield await within_time(request, settings, place)
    finally:
        room.give_back(place.size)


async def within_time(request: Request, settings: ServeSettings, place: Place) -> bytes:
    """:func:`read`, unless it takes too long."""
    try:
        return await asyncio.wait_for(read(request, settings.max_bytes, place), settings.body_seconds)
    except asyncio.TimeoutError as error:
        if place.is_waiting:
            raise busy("too many large images are being sent") from error
        detail = f"the body has not come within {settings.body_seconds:g} s"
        raise Problem(408, detail, "send it faster, or a smaller image") from error


async def read(request: Request, most: int, place: Place) -> bytes:
    """The body of a request of at most so many bytes."""
    declared = declared_length(request)
    if declared is not None and declared > most:
        raise too_large(most)
    buffer = io.BytesIO()
    async for chunk in request.stream():
        size = buffer.tell() + len(chunk)
        if size > most:
            raise too_large(most)
        if size > SMALL and not place.size:
            await place.take(most if declared is None else declared)
        buffer.write(chunk)
    return buffer.getvalue()


def declared_length(request: Request) -> int | None:
    """The length of the body as a request tells it; None if it does not."""
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else None


def too_large(most: int) -> Problem:
    """A body of too many bytes."""
    return Problem(413, f"the body has more than {most:,} bytes", "make the image smaller, or send fewer at a time")
