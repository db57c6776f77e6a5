"""/healthz under load, asked by a process of its own."""

import contextlib
import multiprocessing
import socket
import time

EVERY = 0.02  # seconds between two questions


@contextlib.contextmanager
def healthy(port):
    """Ask for /healthz in this block, from a process of its own; gives a list of what :func:`probe` finds."""
    context = multiprocessing.get_context("spawn")
    ended, (ours, theirs), found = context.Event(), context.Pipe(False), []
    process = context.Process(target=probe, args=[port, ended, theirs])
    process.start()
    assert ours.poll(60) and ours.recv() == "started"
    try:
        yield found
    finally:
        ended.set()
        found += ours.recv()
        process.join()


def probe(port, ended, pipe):
    """Ask for /healthz until told to end, each time on a connection of its own.

    Pipes a list of seconds that the answers took, and how many seconds late this process itself was before.
    """
    found = []
    pipe.send("started")
    due = time.monotonic() + EVERY
    while not ended.wait(max(0, due - time.monotonic())):
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))  # noqa: B023  # of this round
        now = time.monotonic()
        found.append((now - began if answer.startswith(b"HTTP/1.1 200 ") else float("inf"), began - due))
        due = now + EVERY
    pipe.send(found)
