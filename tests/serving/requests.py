"""Requests to a server of :mod:`mstl.serving`: by httpx, byte by byte, and as messages to its app."""

import asyncio
import contextlib
import io
import socket
import threading

import httpx
import numpy as np
from PIL import Image

from mstl.serving import web_server
from mstl.serving.app import create_app
from mstl.serving.serve_settings import ServeSettings
from mstl.serving.served_model import ServedModel


def image_file(color, size=(40, 30), kind="PNG"):
    """The content of an image file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, kind)
    return file.getvalue()


def noise_file(seed, size=(60, 50)):
    """The content of a JPEG of noise around a colour."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, 3) * 0.5 + rng.integers(0, 128, (*size, 3))
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


@contextlib.contextmanager
def client_of(path, model=None, **settings):
    """A client of a server for a model's file, which runs in a thread."""
    settings = ServeSettings(**settings)
    with client_of_app(create_app(model or ServedModel.load(path), settings), settings) as client:
        yield client


@contextlib.contextmanager
def client_of_app(app, settings):
    """A client of an app's server, which runs in a thread."""
    started, bound = threading.Event(), web_server.bind("127.0.0.1", 0)
    server = web_server.Server(app, settings, started.set)
    thread = threading.Thread(target=server.run, args=[[bound]])
    thread.start()
    try:
        assert started.wait(10)
        address = web_server.url("localhost", bound.getsockname()[1])
        limits = httpx.Limits(max_keepalive_connections=None)
        with httpx.Client(base_url=address, limits=limits, timeout=30, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def exchange(client, data, *more, seconds=10.0):
    """All that a server answers to these bytes; it closes the connection, or is given so much time to do so.

    Args:
        client: Of the server.
        data: Sent at once.
        more: Sent thereafter, one after the other.
        seconds: Without an answer, after which it is b"".
    """
    with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=seconds) as connection:
        answer = b""
        with contextlib.suppress(OSError):
            for part in (data, *more):
                connection.sendall(part)
            while received := connection.recv(1 << 16):
                answer += received
        return answer


def wait_until(condition, seconds=10.0):
    """What waits, in an event loop, until a condition is met."""

    async def wait():
        while not condition():
            await asyncio.sleep(0.005)

    return asyncio.wait_for(wait(), seconds)


class Exchange:
    """A request to an app, message by message, in an event loop in which the app is running.

    Attributes:
        status: Of the answer; None before there is one.
        body: Of the answer, as far as it has come.
    """

    def __init__(self, app, path="/predict", query=b"", headers=(), method="POST"):
        self.incoming = asyncio.Queue()
        self.status, self.body, self.headers = None, b"", {}
        names = [(b"host", b"localhost"), *headers]
        scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": names}
        self.task = asyncio.ensure_future(app(scope | {"raw_path": path.encode()}, self.incoming.get, self.take))

    async def take(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        self.body += message.get("body", b"")

    def send(self, body=b"", more=False):
        """Send a part of the body."""
        self.incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def hang_up(self):
        """End the connection."""
        self.incoming.put_nowait({"type": "http.disconnect"})
