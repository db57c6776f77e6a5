"""Limits: bodies that are too large or too slow, too many images at a time, clients that hang up, models that fail."""

import asyncio
import contextlib
import gc
import socket
import threading
import tracemalloc

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnx")
from mstl.serving import explainer, request_bodies
from mstl.serving.app import create_app
from mstl.serving.request_bodies import Room
from mstl.serving.serve_settings import ServeSettings
from mstl.serving.served_model import ServedModel
from tests.serving.color_model import COLORS
from tests.serving.requests import Exchange, client_of, exchange, image_file, wait_until

GOOD = image_file(COLORS["blue"])
FAILURE = "a secret of the server"


class Held(ServedModel):
    """A model that answers once it is let, and fails for what is said.

    Attributes:
        let: Lets it answer.
        asked: Numbers of images that it was asked about at a time.
    """

    def __init__(self, predictor):
        super().__init__(predictor)
        self.let, self.asked, self.fails_above = threading.Event(), [], 99

    def answer(self, inputs, top):
        self.let.wait(10)
        self.asked.append(len(inputs))
        if any(each.mean() > self.fails_above for each in inputs):
            raise RuntimeError(FAILURE)
        return super().answer(inputs, top)


@pytest.fixture
def held(color_file):
    model = Held.load(color_file)
    model.warm_up()
    yield model
    model.let.set()


def run(model, settings, scenario):
    """Run a coroutine function of an app, which is running."""

    async def running():
        app = create_app(model, settings)
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(scenario(app), 20)

    asyncio.run(running())


# bodies


@pytest.fixture(scope="module")
def client(color_file):
    with client_of(color_file, max_bytes=100_000, body_seconds=0.3) as client:
        yield client


def test_bodies_that_are_too_large(client):
    """Those that say so, and those that do not: the answer can be read, though most of the body is never taken."""
    for content in (b"x" * 100_001, b"x" * 3_000_000, iter([b"x" * 50_000] * 3), iter([b"x" * 10_000] * 300)):
        answer = client.post("/predict", content=content)
        assert answer.status_code == 413 and answer.json()["detail"] == "the body has more than 100,000 bytes"
    assert answer.headers["connection"] == "close"
    assert client.post("/predict", content=GOOD.ljust(100_000, b"\0")).status_code == 200
    assert client.post("/predict", content=iter([GOOD, b"\0" * 90_000])).status_code == 200


def test_a_body_without_end(client, monkeypatch):
    monkeypatch.setattr("mstl.serving.lingering.SECONDS", 0.2)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    answer = exchange(client, head, *[chunk] * 4000)  # 262 MB, unless the server closes the connection
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")
    assert client.get("/healthz").status_code == 200


def test_bodies_that_come_too_slowly(client, monkeypatch):
    monkeypatch.setattr("mstl.serving.lingering.SECONDS", 0.2)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
    for more in (b"Content-Length: 1000\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"):
        assert exchange(client, head + more).startswith(b"HTTP/1.1 408 ")


def test_headers_that_come_too_slowly(client, monkeypatch):
    monkeypatch.setattr("mstl.serving.connections.HEADER_SECONDS", 0.2)
    whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert exchange(client, b"GET /healthz HTTP/1.1\r\nHost: ") == b""
    assert exchange(client, b"") == b""
    with socket.create_connection(("127.0.0.1", client.base_url.port), timeout=10) as connection:
        connection.sendall(whole)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        connection.sendall(whole[:20])  # also after a whole request
        while connection.recv(1 << 16):
            continue


def test_connections_are_limited(color_file):
    with client_of(color_file, connections=3) as client:
        assert client.get("/healthz").status_code == 200  # which keeps its connection
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(socket.create_connection(("127.0.0.1", client.base_url.port)))
            answer = exchange(client, b"")
            assert answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After: 5" in answer
            assert client.get("/healthz").status_code == 200
        whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert exchange(client, whole).startswith(b"HTTP/1.1 200 ")


def test_room_is_given_in_turn():
    async def scenario():
        room = Room(10)
        await room.take(6)
        large, small = (asyncio.ensure_future(room.take(size)) for size in (8, 2))
        await asyncio.sleep(0)
        assert not small.done() and room.left == 4  # it came later
        large.cancel()
        await asyncio.wait_for(small, 1)
        assert room.left == 2
        late = asyncio.ensure_future(room.take(10))
        room.give_back(6)
        await asyncio.sleep(0)
        room.give_back(2)
        late.cancel()  # at the moment at which it is let in
        await asyncio.gather(late, return_exceptions=True)
        assert room.left == 10 and not room.waiting

    asyncio.run(scenario())


def test_large_bodies_wait_for_room_and_small_ones_do_not(held, monkeypatch):
    monkeypatch.setattr(request_bodies, "SMALL", 1000)
    settings = ServeSettings(max_bytes=10_000, body_seconds=0.5)  # room for 4

    async def scenario(app):
        large = [Exchange(app) for _ in range(7)]
        for each in large:
            each.send(b"x" * 2000, more=True)
        small = Exchange(app)
        small.send(GOOD)
        held.let.set()
        await asyncio.wait_for(small.task, 5)
        assert small.status == 200
        large[0].hang_up()  # its room is another's
        large[1].send()
        await asyncio.gather(*(each.task for each in large))
        assert [each.status for each in large] == [400, 422, 408, 408, 408, 408, 503]  # 400: nobody reads it
        assert large[6].headers["retry-after"] == "1"

    run(held, settings, scenario)


def test_memory_is_given_back(color_file):
    """Of bodies that are answered or refused, nothing is kept."""

    def ask(number):
        for _ in range(number):
            client.post("/predict", content=GOOD.ljust(2_000_000, b"\0"))
            client.post("/predict", content=b"x" * 2_000_000)
            client.post("/predict", content=b"x" * 3_000_001)

    with client_of(color_file, max_bytes=3_000_000) as client:
        ask(3)
        gc.collect()
        tracemalloc.start()
        ask(20)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert kept < 1_500_000  # less than a body


# images


def test_a_full_queue(held):
    async def scenario(app):
        waiting = [Exchange(app) for _ in range(4)]
        for each in waiting:
            each.send(GOOD)
        await asyncio.sleep(0.1)
        late = Exchange(app)
        late.send(GOOD)
        await asyncio.wait_for(late.task, 5)
        assert late.status == 503 and late.headers["retry-after"] == "1" and b"4 images are waiting" in late.body
        assert not any(each.task.done() for each in waiting)
        healthy = Exchange(app, "/healthz", method="GET")
        await asyncio.wait_for(healthy.task, 1)  # though the model is busy
        assert healthy.status == 200
        held.let.set()
        await asyncio.gather(*(each.task for each in waiting))
        assert [each.status for each in waiting] == [200] * 4 and sum(held.asked) == 4

    run(held, ServeSettings(queue=4), scenario)


def test_images_that_wait_are_computed_together(held):
    async def scenario(app):
        waiting = [Exchange(app) for _ in range(12)]
        for each in waiting:
            each.send(GOOD)
        await asyncio.sleep(0.3)
        held.let.set()
        await asyncio.gather(*(each.task for each in waiting))
        assert [each.status for each in waiting] == [200] * 12
        assert max(held.asked) == 5 and sum(held.asked) == 12 and len(held.asked) <= 5

    run(held, ServeSettings(batch_size=5), scenario)


def test_who_hangs_up_frees_a_place(held):
    """And is not computed for."""

    async def scenario(app):
        first = Exchange(app)
        first.send(GOOD)
        await asyncio.sleep(0.1)  # the model is at it
        gone = [Exchange(app) for _ in range(3)]
        for each in gone:
            each.send(GOOD)
        await asyncio.sleep(0.1)
        for each in gone:
            each.hang_up()
        await asyncio.gather(*(each.task for each in gone))
        others = [Exchange(app) for _ in range(3)]
        for each in others:
            each.send(GOOD)
        held.let.set()
        await asyncio.gather(first.task, *(each.task for each in others))
        assert [each.status for each in (first, *others)] == [200] * 4
        assert sum(held.asked) == 4

    run(held, ServeSettings(queue=4), scenario)


def test_an_answer_that_takes_too_long(held):
    async def scenario(app):
        late = Exchange(app)
        late.send(GOOD)
        await late.task
        assert late.status == 503 and late.headers["retry-after"] == "5" and b"no answer within 0.2 s" in late.body
        held.let.set()

    run(held, ServeSettings(answer_seconds=0.2), scenario)


def test_a_model_that_fails(held, caplog):
    """For one image: that one has no answer, the others in its batch do. What failed is in the log alone."""
    held.fails_above = 230

    async def scenario(app):
        waiting = [Exchange(app) for _ in range(6)]
        for index, each in enumerate(waiting):
            each.send(image_file((255, 255, 255)) if index == 3 else GOOD)
        await asyncio.sleep(0.2)
        held.let.set()
        await asyncio.gather(*(each.task for each in waiting))
        assert [each.status for each in waiting] == [200, 200, 200, 500, 200, 200]
        assert FAILURE.encode() not in waiting[3].body and b"problem" in waiting[3].headers["content-type"].encode()

    run(held, ServeSettings(), scenario)
    assert caplog.messages == [f"serve: unexpected RuntimeError: {FAILURE} (MSTL_DEBUG=1 shows where)"]


def test_a_fault_of_a_route(held, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError(FAILURE)

    monkeypatch.setattr("mstl.serving.service.record_of", fail)
    held.let.set()

    async def scenario(app):
        failed = Exchange(app)
        failed.send(GOOD)
        await failed.task
        assert failed.status == 500 and FAILURE.encode() not in failed.body and b"Traceback" not in failed.body
        assert failed.headers["content-type"] == "application/problem+json" and "x-frame-options" in failed.headers

    run(held, ServeSettings(), scenario)
    assert len(caplog.messages) == 1 and FAILURE in caplog.text


def test_explanations_have_a_place_of_their_own(held, monkeypatch):
    """At most so many wait; predictions go on meanwhile."""
    begun = threading.Event()

    def explain(_content, label):
        begun.wait(10)
        return label.encode()

    monkeypatch.setattr(type(held), "explaining", property(lambda self: self))
    monkeypatch.setattr(held, "explain", explain)
    held.let.set()

    async def scenario(app):
        waiting = [Exchange(app, "/explain", b"label=blue") for _ in range(explainer.MOST + 1)]
        for each in waiting:
            each.send(GOOD)
        await wait_until(lambda: any(each.task.done() for each in waiting))
        asked = Exchange(app)
        asked.send(GOOD)
        await asyncio.wait_for(asked.task, 5)
        assert asked.status == 200
        begun.set()
        await asyncio.gather(*(each.task for each in waiting))
        assert sorted(each.status for each in waiting) == [*[200] * explainer.MOST, 503]
        unknown = Exchange(app, "/explain", b"label=purple")
        unknown.send(GOOD)
        await unknown.task
        assert unknown.status == 422

    run(held, ServeSettings(), scenario)
