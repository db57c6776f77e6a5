"""Connections on which requests are written byte by byte, and what their answers must be."""

import contextlib
import http.client
import json
import select
import socket
import struct
import time
from typing import NamedTuple

PIECE = 1 << 18  # bytes that are sent before a client looks whether it has an answer already
PATIENCE = 150.0  # seconds for an answer, on a machine that has other things to do
CLOSED = (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected, http.client.IncompleteRead)


class Answer(NamedTuple):
    """What a server answers."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Talk:
    """A connection, on which a request is written byte by byte."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.is_used, self.last = False, time.monotonic()

    def send(self, parts):
        """Send parts, one after the other, until the server answers or closes the connection."""
        for part in parts:
            for start in range(0, len(part), PIECE):
                if select.select([self.socket], [], [], 0)[0]:
                    return
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                    self.socket.sendall(memoryview(part)[start : start + PIECE])

    def answer(self):
        """What the server answers."""
        with http.client.HTTPResponse(self.socket, method="POST") as response:
            response.begin()
            answer = Answer(response.status, response.headers, response.read())
        self.is_used, self.last = True, time.monotonic()
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def close(self, reset=False):
        """Hang up; rudely if told so."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def is_over(self):
        """Whether one of the two has closed it."""
        return self.socket.fileno() < 0 or bool(select.select([self.socket], [], [], 0)[0])


def head(path, *lines, method="POST"):
    """The head of a request."""
    return "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "")).encode()


def whole(content, path="/predict", *lines):
    """A request, in two parts."""
    return [head(path, f"Content-Length: {len(content)}", *lines), content]


def chunked(parts):
    """A body without a length, in chunks; it does not end with the parts."""
    return (b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


CHUNKED, LAST_CHUNK = head("/predict", "Transfer-Encoding: chunked"), b"0\r\n\r\n"


def same(answer, records, names=(None,)):
    """Check that an answer is what ``mstl predict`` says; None is a file that it cannot read."""
    assert answer.status == 200, answer
    given = json.loads(answer.body)["predictions"]
    assert len(given) == len(records)
    for one, record, name in zip(given, records, names, strict=True):
        if record is None:
            assert one["path"] == name and one["problem"]["status"] == 422, one
        else:
            assert one == {**record, "path": name}, (one, record)
    return "200"


def problem_of(answer, *statuses):
    """Check that an answer is a problem of one of these kinds."""
    assert answer.status in statuses, (answer.status, answer.body[:300])
    assert answer.headers["content-type"] == "application/problem+json", answer
    record = json.loads(answer.body)
    assert record["status"] == answer.status and record["detail"] and record["hint"] and b"Traceback" not in answer.body
    assert (answer.headers["retry-after"] is not None) == (answer.status == 503)
    return str(answer.status)
