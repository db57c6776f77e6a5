"""One try to transfer a file, by the ``download`` package, which resumes what an earlier try has received."""

import importlib.util
import logging
import os
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from types import ModuleType, SimpleNamespace

from mstl.download.failures import Refused
from mstl.download.opener import ask, strict_urlopen
from mstl.files import hidden

logger = logging.getLogger("mstl")


class PartialFile:
    """The hidden files of an unfinished download, beside its destination.

    Attributes:
        complete: The file once all of it has arrived.
        part: What has arrived so far; the ``download`` package gives it this name.
        origin: What the server said of the file that ``part`` is a part of.
    """

    def __init__(self, path: Path) -> None:
        self.complete = hidden(path, ".incoming")
        self.part = hidden(path, ".incoming.part")
        self.origin = hidden(path, ".incoming.origin")

    @property
    def received(self) -> int:
        """Bytes in ``part``; 0 if there is none."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def restart_unless(self, identity: bytes | None, length: int | None) -> None:
        """Drop ``part`` unless it is part of the file with this identity (None if unknown) and length."""
        known = identity is not None and self.origin.is_file() and self.origin.read_bytes() == identity
        if not known or length is None or self.received > length:
            self.part.unlink(missing_ok=True)
            self.origin.write_bytes(identity or b"")

    def discard(self) -> None:
        """Delete all of them."""
        for path in (self.complete, self.part, self.origin):
            path.unlink(missing_ok=True)


def transfer(url: str, partial: PartialFile, sha256: str | None, size: int | None, deadline: float) -> None:
    """Make one try to complete a partial file.

    The ``download`` package resumes a partial file without asking whether it is still the same file. So what the server
    says of it is kept, and when that changes, the download starts again.

    Args:
        url: The file.
        partial: What has been received so far.
        sha256: Its digest or the first digits, if known.
        size: Its bytes, if known.
        deadline: Of :func:`time.monotonic`, for the server's first answer.

    Raises:
        Refused: The server's file has another size, or does not say its size and there is no digest.
        OSError: The network or the disk fails.
        RuntimeError: Anything fails within the package; see :func:`mstl.download.failures.root_cause`.
    """
    answer = ask(url, deadline - time.monotonic())
    expected = size if answer.length is None else answer.length
    if size not in (None, expected):
        raise Refused(f"the server's file has {expected} bytes where {size} were expected")
    if expected is None and not answer.chunked and not sha256:
        raise Refused("the server does not say how long the file is, so an incomplete one would pass for complete")
    version = sha256 or answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    identity = f"{answer.length} {version} {'' if sha256 else url}".encode() if version else None
    partial.restart_unless(identity, answer.length)
    if partial.part.is_file() and partial.received == answer.length:  # interrupted after the last byte
        os.replace(partial.part, partial.complete)
        return
    logger.info("downloading %s", url)
    package = private_package()
    package.download(url, str(partial.complete), replace=True, verbose=False, progressbar=sys.stderr.isatty())
    received = partial.complete.stat().st_size
    if expected not in (None, received):  # the package checks this only if the server said a length
        partial.complete.unlink()
        raise ConnectionError(f"{received} bytes came where {expected} were expected")


def private_package() -> ModuleType:
    """A private copy of the ``download`` package's module that opens URLs strictly and never writes to stdout.

    The package has no parameters for either. Setting urllib's opener and ``sys.stdout`` instead would affect the whole
    process: all threads, and others who use urllib or the package.
    """
    spec = importlib.util.find_spec("download.download")
    if spec is None or spec.loader is None:
        raise ImportError("the package `download` has no module `download`")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    request = SimpleNamespace(Request=urllib.request.Request, urlopen=strict_urlopen)
    module.__dict__["urllib"] = SimpleNamespace(request=request, parse=urllib.parse)
    module.__dict__["sys"] = SimpleNamespace(stdout=sys.stderr)
    return module
