"""Bodies in tiny chunks, which take the event loop long to read."""

import time

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnx")
from tests.serving.color_model import COLORS
from tests.serving.requests import client_of, exchange, image_file, noise_file

HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


def in_chunks(content, size):
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def test_tiny_chunks(color_file):
    """A few thousand are refused, in one line; meanwhile nobody waits for long."""
    large = noise_file(0, (900, 1200))
    assert len(large) > 400_000
    with client_of(color_file) as client:
        began = time.monotonic()
        answer = exchange(client, HEAD, in_chunks(large, 1))
        assert time.monotonic() - began < 2  # 5 s if all of them are read
        assert answer.startswith(b"HTTP/1.1 400 ") or answer == b"", answer  # none, if it was still sending
        assert exchange(client, HEAD, in_chunks(large[:20_000], 19))[:13] == b"HTTP/1.1 400 "
        small = image_file(COLORS["blue"])
        assert len(small) < 1000
        for content, size in ((small, 1), (large, 400), (large[:100_000], 120)):
            assert exchange(client, HEAD, in_chunks(content, size))[:13] in (b"HTTP/1.1 200 ", b"HTTP/1.1 422 ")
        refused = exchange(client, HEAD, in_chunks(bytes(3000), 1))
        assert refused == b"" or b"too many tiny chunks" in refused and b"256 bytes" in refused
        assert client.get("/healthz").status_code == 200


def test_chunks_are_counted_anew_for_each_request(color_file):
    """On a connection that is kept."""
    small = image_file(COLORS["green"])
    head = HEAD.replace(b"Connection: close\r\n", b"")
    with client_of(color_file) as client:
        count = 1 + 1500 // len(small)
        answers = exchange(client, *[head + in_chunks(small, 1)] * count, HEAD + in_chunks(small, 1))
        assert answers.count(b"HTTP/1.1 200 ") == count + 1
