"""Opening URLs: with a timeout, and without ever giving up encryption."""

import http.client
import threading
import urllib.parse
import urllib.request
from typing import IO

from mstl.download.failures import Refused

TIMEOUT = 10.0  # seconds that a server may stay silent


class NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http, and to no other scheme than these two."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The next request as urllib makes it.

        Raises:
            Refused: It would give up encryption.
        """
        scheme = urllib.parse.urlsplit(req.full_url).scheme
        if urllib.parse.urlsplit(newurl).scheme not in ("https", scheme):
            raise Refused(f"it redirects from {scheme} to {newurl}, which is refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def strict_urlopen(request: urllib.request.Request, timeout: float | None = None) -> http.client.HTTPResponse:
    """Like :func:`urllib.request.urlopen`, with :class:`NoDowngrade` and always the timeout of this module.

    Args:
        request: What to open.
        timeout: Ignored; the ``download`` package passes one for some of its requests only.
    """
    response: http.client.HTTPResponse = urllib.request.build_opener(NoDowngrade).open(request, timeout=TIMEOUT)
    return response


def ask(url: str, seconds: float) -> http.client.HTTPResponse:
    """The server's answer to a request, its body unread.

    Args:
        url: What to ask for.
        seconds: To wait for the answer, at most. The request runs in a thread of its own, as looking up a host's
            address has no timeout and can take half a minute.

    Raises:
        TimeoutError: No answer in time.
        OSError: The network fails, or the server answers with an error.
    """
    outcome: list[http.client.HTTPResponse | Exception] = []

    def run() -> None:
        try:
            with strict_urlopen(urllib.request.Request(url, headers={"User-Agent": "mstl"})) as response:
                outcome.append(response)
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    if not outcome:
        raise TimeoutError("no answer")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]
