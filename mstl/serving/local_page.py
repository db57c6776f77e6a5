"""Local page: an app with a page that only this machine reaches, and only who has the token in its address."""

import secrets
import socket
from collections.abc import Callable, Iterable

from fastapi import APIRouter, FastAPI

import mstl
from mstl.serving import web_server
from mstl.serving.app import page_routes, surround
from mstl.serving.counters import Counters
from mstl.serving.page_files import page_files
from mstl.serving.serve_settings import ServeSettings

HOST = "127.0.0.1"
BODY_BYTES = 100_000  # of a request, which is a few words: the plan of a review has a line for each two classes


def local_settings() -> ServeSettings:
    """Settings of the server of such a page; its token is a new one."""
    return ServeSettings(token=secrets.token_urlsafe(), max_bytes=BODY_BYTES)


def local_app(title: str, folders: Iterable[str], routers: Iterable[APIRouter], settings: ServeSettings) -> FastAPI:
    """The app of a page.

    Args:
        title: The command's name.
        folders: With the page's files; see :func:`mstl.serving.page_files.page_files`.
        routers: What the page asks for.
        settings: Who may use it, and limits.
    """
    app = FastAPI(
        title=title,
        version=mstl.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    for router in (*routers, page_routes(page_files(*folders))):
        app.include_router(router)
    surround(app, settings, Counters())
    return app


def serve_page(app: FastAPI, bound: socket.socket, settings: ServeSettings, announce: Callable[[str], None]) -> None:
    """Serve a page until a signal comes.

    Args:
        app, settings: From :func:`local_app` and :func:`local_settings`.
        bound: From :func:`mstl.serving.web_server.bind`.
        announce: Called with the page's address, the token in it, once it can be opened.
    """
    address = f"{web_server.url(HOST, bound.getsockname()[1])}#token={settings.token}"
    web_server.run(app, bound, settings, lambda: announce(address))
