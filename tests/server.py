"""A small HTTP server on this machine that misbehaves as told."""

import hashlib
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What the server gives under one path, and how it fails at it. A failure meets the first requests, in order.

    One try of `fetch` makes four requests, of which only the last reads the body.
    """

    body: bytes = b""
    errors: int = 0  # requests answered with 500
    cuts: int = 0  # requests for the whole body that end after half of it
    silence: float = 0.0  # seconds between the two halves of the whole body
    late: float = 0.0  # seconds before anything is said
    ranges: bool = True
    version: str = ""  # the ETag; "" for that of the body, None for none
    length: str = "said"  # or "chunked" or "none"
    redirects_to: str = ""
    redirects_after: int = 0  # requests


class Server:
    """`with Server() as server:` set `server.pages["/name"] = Page(...)`, ask `server.url + "/name"`."""

    def __init__(self):
        self.pages = {}
        self.requests = []  # (path, Range header or None)
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *args: None  # clients that hang up are part of the game
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def ranges_of(self, path):
        return [wanted for asked, wanted in self.requests if asked == path and wanted]

    def answer(self, request):
        wanted = request.headers.get("Range")
        self.requests.append((request.path, wanted))
        page = self.pages.get(request.path)
        if page is None:
            return request.send_error(404)
        self.closing.wait(page.late)
        if page.errors:
            page.errors -= 1
            return request.send_error(500)
        if page.redirects_to:
            if not page.redirects_after:
                request.send_response(302)
                request.send_header("Location", page.redirects_to)
                return request.end_headers()
            page.redirects_after -= 1
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and page.ranges else 0
        if start and start >= len(page.body):
            return request.send_error(416)
        return self.send(request, page, start)

    def send(self, request, page, start):
        rest = page.body[start:]
        cut = not start and page.cuts > 0
        page.cuts -= cut
        half = len(rest) // 2 if cut or (page.silence and not start) else 0
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(page.body) - 1}/{len(page.body)}")
        if page.version is not None:
            request.send_header("ETag", f'"{page.version or hashlib.sha256(page.body).hexdigest()[:8]}"')
        if page.length == "said":
            request.send_header("Content-Length", str(len(rest)))
        elif page.length == "chunked":
            request.send_header("Transfer-Encoding", "chunked")
            rest = b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest)
        request.end_headers()
        request.wfile.write(rest[:half])
        if half and not cut:
            self.closing.wait(page.silence)
        if not cut:
            request.wfile.write(rest[half:])


def wait_until(condition, seconds=10.0):
    """Wait for what another process or thread does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
