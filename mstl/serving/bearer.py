"""Bearer tokens: a request must bring the server's token, except for the page and what tells of the server's health."""

import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from mstl.serving.problems import Problem

OPEN_PATHS = ("/", "/healthz", "/readyz")
OPEN_FOLDER = "/assets/"
HEADERS = {"WWW-Authenticate": "Bearer"}


class Bearer:
    """Middleware that asks for a token.

    Args:
        app: What is guarded.
        token: The token.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token.encode("utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] != "http" or is_open(scope["path"]) or self.is_right(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        hint = "send the header Authorization: Bearer TOKEN, with the token that mstl serve was given"
        given = "wrong" if "authorization" in Headers(scope=scope) else "missing"
        await Problem(401, f"the token is {given}", hint, HEADERS).response()(scope, receive, send)

    def is_right(self, headers: Headers) -> bool:
        """Whether the headers have the token; how long that takes to find out does not depend on what is wrong."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return hmac.compare_digest(given.strip().encode("latin-1"), self.token) and scheme.lower() == "bearer"


def is_open(path: str) -> bool:
    """Whether an address needs no token."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)
