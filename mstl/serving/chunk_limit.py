"""Chunk limit: a body in thousands of tiny chunks is refused: to read one takes as long as to read a large one."""

import h11

FREE = 1000  # chunks that may have any size
MEAN = 256  # bytes that more of them must have, on average

Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class ChunkLimit(h11.Connection):
    """HTTP as h11 reads it, with a limit on the number of chunks.

    Attributes:
        is_exceeded: Whether a body had too many.
    """

    is_exceeded = False
    chunks = size = 0  # of this request's body

    def next_event(self) -> Event:
        """The next event.

        Raises:
            h11.RemoteProtocolError: What comes is no HTTP, or has too many tiny chunks.
        """
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.chunks = self.size = 0
        elif isinstance(event, h11.Data):
            self.chunks += event.chunk_start
            self.size += len(event.data)
            if self.chunks > FREE and self.size < MEAN * self.chunks:
                self.is_exceeded = True
                raise h11.RemoteProtocolError("too many tiny chunks")
        return event
