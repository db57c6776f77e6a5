"""The web server: a socket, and uvicorn on it, until a signal asks it to end."""

import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from mstl.errors import MstlError
from mstl.runtime.memory import keep_no_large_blocks
from mstl.serving.connections import connections
from mstl.serving.guard import HEADER_BYTES
from mstl.serving.serve_settings import ServeSettings

SWITCH_SECONDS = 0.0005  # after which a thread gives Python to another: by default 10 times as many, and the event loop
# waits for it after each of its many system calls
KEEP_ALIVE = 15  # seconds that a connection stays open for another request


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to an address, which does not listen yet.

    Args:
        host: A name or an IP address.
        port: 0 for one that is free.

    Raises:
        MstlError: There is no such address here, or the port is taken.
    """
    try:
        family, address = addresses(host, port)[0]
        # Named, as asyncio then turns off Nagle's algorithm, by which an answer in two parts takes 40 ms longer
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise MstlError(f"--host {host}: {error.strerror or error}; give an address of this machine") from error
    if os.name == "posix":
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just left is free
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        hint = "choose another port, or end what uses it (--port 0 takes one that is free)"
        raise MstlError(f"cannot serve at {url(host, port)}: {error.strerror or error}; {hint}") from error
    return bound


def addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    """The addresses that a host's name stands for, each with its family, IPv4 first.

    Raises:
        OSError: There are none.
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return sorted(((each[0], each[4]) for each in found), key=lambda each: each[0] != socket.AF_INET)


def is_loopback(host: str) -> bool:
    """Whether an address is only within reach of this machine.

    Raises:
        MstlError: There is no such address.
    """
    try:
        found = {str(address[0]) for _, address in addresses(host, 0)}
    except OSError as error:
        raise MstlError(f"--host {host}: {error.strerror or error}; give an address of this machine") from error
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def url(host: str, port: int) -> str:
    """The address of a server, for a browser on this machine; one that listens everywhere is there at loopback."""
    name = host.strip("[]")
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


class Server(uvicorn.Server):
    """uvicorn, with limits, that says when it listens.

    Args:
        app: From :func:`mstl.serving.app.create_app`, for the same settings.
        settings: Say how many connections there may be, and how long it may take to end.
        on_start: Called once it listens.
    """

    def __init__(self, app: FastAPI, settings: ServeSettings, on_start: Callable[[], None]) -> None:
        logging.getLogger("uvicorn").setLevel(logging.ERROR)  # it warns of each request that is no HTTP
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=connections(settings.connections),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
            h11_max_incomplete_event_size=HEADER_BYTES,
        )
        super().__init__(config)
        self.on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self.on_start()


def run(app: FastAPI, bound: socket.socket, settings: ServeSettings, on_start: Callable[[], None]) -> None:
    """Serve an app until a signal asks to end: what has been accepted is then finished, and nothing more accepted.

    Args:
        app, settings, on_start: As :class:`Server` takes them.
        bound: From :func:`bind`.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    keep_no_large_blocks()  # for the event loop: large bodies grow, and end, in a moment
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn sends itself the signal again, once it has ended
        signal.signal(number, ignore)
    Server(app, settings, on_start).run([bound])


def ignore(_signum: int, _frame: FrameType | None) -> None:
    """A signal that has been heeded."""
