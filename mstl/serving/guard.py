"""Guard: requests that no honest client sends, or that a page of another server makes a browser send, are refused.

A server on this machine's own address is within reach of every page that is open in a browser here. A page of another
server names that in ``Origin``, and if it has its own name lead here (DNS rebinding), in ``Host``.
"""

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mstl.serving.problems import Problem
from mstl.serving.serve_settings import ServeSettings

READING = ("GET", "HEAD", "OPTIONS")  # methods that change nothing
HEADER_BYTES = 16_384  # of an address and headers
PORTS = {"http": 80, "https": 443}


class Guard:
    """Middleware that refuses websockets, foreign hosts and origins, and bodies whose length is told in two ways.

    Args:
        app: What is guarded.
        settings: Says which hosts and origins may be.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self.app, self.settings = app, settings
        self.hosts = frozenset(host.lower() for host in settings.hosts)
        self.origins = frozenset(origin.lower() for origin in settings.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self.app(scope, receive, send)
        elif problem := too_long(scope) or self.problem(scope["method"], Headers(scope=scope)):
            await problem.response()(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def problem(self, method: str, headers: Headers) -> Problem | None:
        """What is wrong with a request; None if nothing is."""
        hosts = headers.getlist("host")
        if len(hosts) != 1:
            return Problem(400, f"the request names {len(hosts)} hosts", "send one Host header")
        if not self.is_known_host(hosts[0]):
            return Problem(421, f"this server is not {shown(hosts[0])}", "name it to mstl serve by --allow-host")
        if "content-length" in headers and "transfer-encoding" in headers:
            hint = "send either Content-Length or Transfer-Encoding"
            return Problem(400, "the request tells the length of its body in two ways", hint, {"Connection": "close"})
        if "websocket" in headers.get("upgrade", "").lower():
            return Problem(400, "there are no websockets here", "send plain requests", {"Connection": "close"})
        if method in READING:
            return None
        return self.foreign(headers, hosts[0])

    def foreign(self, headers: Headers, host: str) -> Problem | None:
        """What is wrong with the origin of a request that may change something; None if nothing is."""
        hint = "name the page's origin to mstl serve by --allow-origin"
        origin = headers.get("origin")
        if origin is None:  # no browser, or an old one
            if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
                return None
            return Problem(403, "a page of another server may not use this one", hint)
        if origin.lower() in self.origins or is_same(origin, host):
            return None
        return Problem(403, f"a page of {shown(origin)} may not use this server", hint)

    def is_known_host(self, host: str) -> bool:
        """Whether a Host header names this server."""
        name, _ = split_host(host)
        if host.lower() in self.hosts or name in self.hosts:
            return True
        return self.settings.any_address and is_address(name)


def too_long(scope: Scope) -> Problem | None:
    """What is wrong with a request whose address and headers are too long together; None if they are not.

    What comes all at once is beyond the limit of the library that reads it, which is on what has not come to its end.
    """
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    size += sum(len(name) + len(value) for name, value in scope["headers"])
    if size <= HEADER_BYTES:
        return None
    hint = f"send less than {HEADER_BYTES // 1024} kB; an image belongs into the body"
    return Problem(431, "the address and the headers are too long", hint, {"Connection": "close"})


def split_host(host: str) -> tuple[str, str]:
    """Name and port of a Host header, in small letters; the port is "" if there is none."""
    host = host.lower()
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and not port.endswith("]") else (host, "")


def is_address(name: str) -> bool:
    """Whether the name of a host is an IP address; one of version 6 is in brackets."""
    try:
        if name.startswith("[") and name.endswith("]"):
            ipaddress.IPv6Address(name[1:-1])
        else:
            ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def is_same(origin: str, host: str) -> bool:
    """Whether an origin is that of a host; a proxy may have taken the encryption off."""
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    if parts.scheme not in PORTS or parts.path or parts.query or parts.fragment:
        return False
    usual = str(PORTS[parts.scheme])
    (name, port), (own_name, own_port) = split_host(parts.netloc), split_host(host)
    return name == own_name and (port or usual) == (own_port or usual)


def shown(text: str) -> str:
    """A header for a message: not too long."""
    return text if len(text) <= 100 else f"{text[:100]}..."
