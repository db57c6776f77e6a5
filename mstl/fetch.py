"""Getting a file from the network: whole and right, or not at all.

The ``download`` package does the transfer, and goes on where a broken one stopped; what is around it here decides
where the file may come from, how often it is tried, and when it gets its final name.
"""

import contextlib
import hashlib
import os
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from mstl.errors import MstlError, OfflineError
from mstl.files import make_folder
from mstl.runtime import offline

TRIES = 3
TIMEOUT = 10.0  # seconds that a server may stay silent; tests shorten it
PAUSE = 1.0  # seconds before the second try, doubled for each further one


def mirrored(url):
    """The URL that is really asked: ``$MSTL_MIRROR`` (a base URL), if set, takes the place of scheme and host."""
    mirror = os.environ.get("MSTL_MIRROR")
    if not mirror:
        return url
    parts = urllib.parse.urlsplit(url)
    return mirror.rstrip("/") + urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))


def fetch(url, path, sha256=None, hint=""):
    """Download ``url`` to ``path``, unless the file is already there.

    Args:
        url: Where it is published; ``$MSTL_MIRROR`` redirects it.
        path: The final name, given only to a whole file with the right hash.
        sha256: The digest, or its first digits (a file name often carries eight); None checks the size alone.
        hint: What to do without a network, appended to the error.

    Returns:
        ``path``.

    Raises:
        OfflineError: No network, or ``MSTL_OFFLINE=1``.
        MstlError: The server has no such file, or what it sends is not the right one.
    """
    path = Path(path)
    if path.is_file():
        return path
    advice = hint or f"copy the file to {path} by hand"
    if offline():
        raise OfflineError(f"MSTL_OFFLINE is set and {path.name} is not here ({url}): {advice}")
    make_folder(path.parent)
    with lock(path):
        if path.is_file():  # another process was faster
            return path
        attempt(mirrored(url), path, sha256, advice)
    return path


@contextlib.contextmanager
def lock(path):
    """Hold a lock file beside ``path``, so that two processes do not fetch it at once."""
    import fcntl

    with open(path.with_name(f".{path.name}.lock"), "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def attempt(url, path, sha256, advice):
    """Try up to three times, going on where the last try stopped; a wrong file is deleted and not tried again."""
    part = path.with_name(f".{path.name}.incoming")
    for turn in range(TRIES):
        try:
            transfer(url, part)
        except Refused as error:
            raise MstlError(f"cannot download {url}: {error}; {advice}") from error
        except (OSError, RuntimeError) as error:
            reason = root_cause(error)
            if isinstance(reason, OSError) and reason.errno in (28, 122):  # no space left, quota exceeded
                part.with_name(part.name + ".part").unlink(missing_ok=True)
                raise MstlError(f"no room for {path.name} in {path.parent}: {reason.strerror}; free some") from error
            if isinstance(reason, urllib.error.HTTPError) and reason.code < 500:
                raise MstlError(
                    f"cannot download {url}: the server says {reason.code} {reason.reason}; {advice}"
                ) from error
            if turn + 1 == TRIES:
                raise OfflineError(f"cannot download {url} (tried {TRIES} times: {reason}); {advice}") from error
            time.sleep(PAUSE * 2**turn)
            continue
        found = digest(part)
        if sha256 and not found.startswith(sha256):
            part.unlink()
            raise MstlError(
                f"{url} gave a file with sha256 {found[:16]} where {sha256[:16]} was expected: it was deleted; "
                f"try again or use another mirror, or {advice}"
            )
        os.replace(part, path)
        return


class Refused(Exception):
    """A download that must not be made."""


class NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but never from https to http."""

    def redirect_request(self, request, fp, code, message, headers, new_url):
        """The next request, as urllib makes it, unless it would give up encryption."""
        if request.full_url.startswith("https:") and not new_url.startswith("https:"):
            raise Refused(f"it redirects from https to {new_url}, which is not encrypted")
        return super().redirect_request(request, fp, code, message, headers, new_url)


def transfer(url, path):
    """Fetch one URL into ``path`` by the ``download`` package, which keeps what it has in ``path`` + ".part"."""
    from download import download

    with urllib.request.build_opener(NoDowngrade).open(url, timeout=TIMEOUT) as response:
        final_url = response.geturl()  # after redirects, which the package itself would follow anywhere
    silence = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)  # the package gives its reads no timeout of their own
    try:
        with contextlib.redirect_stdout(sys.stderr):
            download(
                final_url, str(path), replace=True, timeout=TIMEOUT, verbose=False, progressbar=sys.stderr.isatty()
            )
    finally:
        socket.setdefaulttimeout(silence)


def root_cause(error):
    """The innermost reason that an exception carries, unwrapped from urllib's and the package's envelopes."""
    while True:
        inner = getattr(error, "reason", None) if isinstance(error, urllib.error.URLError) else error.__context__
        if isinstance(error, urllib.error.HTTPError) or not isinstance(inner, BaseException):
            return error
        error = inner


def digest(path):
    """The sha256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file):
    """``hashlib.file_digest`` for Python 3.10."""
    total = hashlib.sha256()
    while block := file.read(1 << 20):
        total.update(block)
    return total.hexdigest()
