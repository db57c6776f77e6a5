"""ServeSettings: who may use a server, and how much of anything it takes."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
ROOM_FOR = 4  # of the largest bodies at a time


@dataclass(frozen=True)
class ServeSettings:
    """Who may use a server, and how much of anything it takes.

    Attributes:
        hosts: What a request's Host may name: ``name`` or ``[address]``, with any port, or ``name:port``.
        any_address: Whether it may name any IP address, too: a page of another server can be opened under a name of its
            own that leads here (DNS rebinding), but not under an address.
        origins: Of pages of other servers that may use this one, such as ``"https://example.org"``.
        token: What a request must bring, except one for the page or about the server's health; None if nothing.
        collect: Folder for images whose label was corrected; None if none are kept.
        max_bytes: Of a request's body, whether it is an image or several.
        max_files: Images in a request.
        body_seconds: Within which a request's body must have come.
        answer_seconds: Within which a request is answered, from then on.
        grace_seconds: Within which accepted requests are finished once the server is asked to end.
        queue: Images that wait for an answer.
        batch_size: Images that go through the model together.
        connections: Open connections.
    """

    hosts: tuple[str, ...] = LOOPBACK_NAMES
    any_address: bool = False
    origins: tuple[str, ...] = ()
    token: str | None = None
    collect: Path | None = None
    max_bytes: int = 50_000_000
    max_files: int = 32
    body_seconds: float = 30.0
    answer_seconds: float = 60.0
    grace_seconds: float = 30.0
    queue: int = 256
    batch_size: int = 16
    connections: int = 512

    @property
    def room(self) -> int:
        """Bytes of large bodies that are in memory at a time."""
        return ROOM_FOR * self.max_bytes
