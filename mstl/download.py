"""Getting a file from the network: whole and right, or not at all.

The ``download`` package does the transfer, and goes on where a broken one stopped; what is around it here decides
where the file may come from, how often it is tried, and when it gets its final name.
"""

import contextlib
import errno
import http.client
import logging
import os
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from mstl.errors import MstlError, OfflineError
from mstl.files import digest, flush, make_folder
from mstl.runtime.environment import offline

logger = logging.getLogger("mstl")
TRIES = 3  # in a row that bring not one new byte
TIMEOUT = 10.0  # seconds that a server may stay silent
PAUSE = 1.0  # seconds before the second try, twice as many before the third
PATIENCE = 14.0  # seconds for all tries together, while no new byte comes
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
PROCESS_WIDE = threading.Lock()  # urllib's opener and sys.stdout belong to all threads: one changes them at a time


def fetch(url, path, sha256=None, hint="", size=None):
    """Download ``url`` to ``path``, unless the file is already there.

    What an interrupted download has brought stays beside ``path`` under a hidden name, and the next one goes on there.

    Args:
        url: Where it is published; ``$MSTL_MIRROR`` redirects it.
        path: The final name, given only to a whole file with the right hash.
        sha256: The digest, or its first digits (a file name often carries eight); None checks the size alone.
        hint: What to do without a network, appended to the error.
        size: Bytes, where they are known beforehand; else the server's word is taken.

    Returns:
        ``path``.

    Raises:
        OfflineError: No network, or ``MSTL_OFFLINE=1``.
        MstlError: The server has no such file, what it sends is not the right one, or it cannot be written.
    """
    path = Path(path)
    if path.is_file():
        return path
    advice = hint or f"copy the file to {path} by hand"
    if os.path.lexists(path):
        raise MstlError(f"{path} is in the way: it is not a file; move it elsewhere")
    if offline():
        raise OfflineError(f"{path.name} is not here, and MSTL_OFFLINE forbids to download {url}: {advice}")
    source = mirrored(url)
    make_folder(path.parent)
    incoming = beside(path, ".incoming")
    with lock(path):
        if path.is_file():  # another process was faster
            return path
        try:
            receive(source, incoming, sha256, size, advice)
            check_hash(incoming, source, sha256, advice)
            flush(incoming)
            if not os.path.lexists(path):  # else the user copied it there meanwhile: theirs stays
                os.replace(incoming, path)
            discard(incoming)
        except OSError as error:  # the network's are dealt with in receive()
            with contextlib.suppress(OSError):
                discard(incoming)
            raise MstlError(
                f"cannot write {path}: {error.strerror or error}; make room or set MSTL_HOME to another folder"
            ) from error
    return path


def mirrored(url):
    """The URL that is really asked: ``$MSTL_MIRROR`` (a base URL), if set, takes the place of scheme and host."""
    mirror = os.environ.get("MSTL_MIRROR")
    if not mirror:
        return url
    if not mirror.lower().startswith(("http://", "https://")):
        raise MstlError(f"MSTL_MIRROR={mirror} is no base URL: it must start with https:// or http://")
    parts = urllib.parse.urlsplit(url)
    return mirror.rstrip("/") + urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))


@contextlib.contextmanager
def lock(path):
    """Hold a lock file beside ``path``, so that two processes do not make it at once.

    The lock file stays: if it were removed, a third process could lock a new one while a second waits for the old.

    Raises:
        MstlError: The file system does not let a file be locked.
    """
    import fcntl  # not on Windows, where the rest of mstl can still be imported

    name = beside(path, ".lock")
    with contextlib.ExitStack() as stack:
        try:
            handle = stack.enter_context(open(name, "w"))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("another process is getting %s: waiting for it", path.name)
                fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            raise MstlError(
                f"cannot lock {name}: {error.strerror or error}; set MSTL_HOME to a folder on another disk"
            ) from error
        yield


def receive(url, incoming, sha256, size, advice):
    """Transfer the file to ``incoming``, in several tries if it must be, each going on where the last one stopped.

    Raises:
        MstlError: The server refuses, or is refused.
        OfflineError: It cannot be reached, or breaks off again and again.
        OSError: The disk is full or fails.
    """
    part = beside(incoming, ".part")
    failures, most, deadline = 0, bytes_in(part), time.monotonic() + PATIENCE
    while True:
        try:
            return transfer(url, incoming, sha256, size, deadline)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            reason = root_cause(error)
            if is_local(reason):
                raise reason from None
            failures += 1
            if bytes_in(part) > most:
                failures, most, deadline = 0, bytes_in(part), time.monotonic() + PATIENCE
            pause = PAUSE * max(failures, 1)
            if is_final(reason):
                raise MstlError(f"cannot download {url}: {describe(reason)}; {advice}") from error
            if failures == TRIES or time.monotonic() + pause > deadline:
                kind = MstlError if isinstance(reason, urllib.error.HTTPError) else OfflineError
                raise kind(f"cannot download {url} (tries: {failures}): {describe(reason)}; {advice}") from error
            time.sleep(pause)


def transfer(url, incoming, sha256, size, deadline):
    """Make one try to bring ``url`` to ``incoming``, by the ``download`` package.

    The package keeps what it has in ``incoming`` + ".part" and goes on there, without asking whether it is still the
    same file: what the server said of it is kept beside it, and the part is dropped when that has changed.
    """
    from download import download

    opener = urllib.request.build_opener(NoDowngrade, Impatient)
    answer = ask(opener, url, deadline - time.monotonic())
    expected = size if answer.length is None else answer.length
    if size not in (None, expected):
        raise Refused(f"the server's file has {expected} bytes where {size} were expected")
    if expected is None and not answer.chunked and not sha256:
        raise Refused("the server does not say how long the file is, so a broken-off one would pass for whole")
    part, origin = beside(incoming, ".part"), beside(incoming, ".origin")
    version = sha256 or answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    identity = f"{answer.length} {version} {'' if sha256 else url}".encode()
    if (
        not version
        or answer.length is None
        or not origin.is_file()
        or origin.read_bytes() != identity
        or bytes_in(part) > answer.length
    ):
        part.unlink(missing_ok=True)
        origin.write_bytes(identity)
    if part.is_file() and bytes_in(part) == answer.length:  # stopped after the last byte: nothing is left to ask for
        os.replace(part, incoming)
        return
    logger.info("downloading %s", url)
    with installed(opener), contextlib.redirect_stdout(sys.stderr):
        download(url, str(incoming), replace=True, timeout=TIMEOUT, verbose=False, progressbar=sys.stderr.isatty())
    came = bytes_in(incoming)
    if expected not in (None, came):  # the package checks this too, but not where the server says no length
        incoming.unlink()
        raise ConnectionError(f"{came} bytes came where {expected} were expected")


def ask(opener, url, seconds):
    """The server's answer to a request, its body unread.

    Asked in a thread, as the system's search for a host's address has no timeout and can take half a minute.
    """
    outcome = []

    def run():
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "mstl"})
            with opener.open(request) as response:
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


@contextlib.contextmanager
def installed(opener):
    """Let ``urllib.request.urlopen``, which the ``download`` package calls, use ``opener``."""
    with PROCESS_WIDE:
        before = urllib.request._opener  # there is a public way to set it, but none to read it
        urllib.request.install_opener(opener)
        try:
            yield
        finally:
            urllib.request.install_opener(before)


class NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but never from https to http, and to nothing else than these two."""

    def redirect_request(self, request, fp, code, message, headers, new_url):
        """The next request, as urllib makes it, unless it would give up encryption."""
        scheme = urllib.parse.urlsplit(request.full_url).scheme
        if urllib.parse.urlsplit(new_url).scheme not in ("https", scheme):
            raise Refused(f"it redirects from {scheme} to {new_url}, which is refused")
        return super().redirect_request(request, fp, code, message, headers, new_url)


class Impatient(urllib.request.BaseHandler):
    """Give every request a timeout: the ``download`` package sets none where it reads the file itself."""

    def http_request(self, request):
        """The request, with a timeout."""
        request.timeout = TIMEOUT
        return request

    https_request = http_request


class Refused(RuntimeError):
    """A download that must not be made."""


def root_cause(error):
    """The innermost reason that an exception carries, unwrapped from urllib's and the package's envelopes."""
    while not isinstance(error, urllib.error.HTTPError):
        inner = error.reason if isinstance(error, urllib.error.URLError) else error.__context__
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def is_local(reason):
    """Whether this machine's disk is at fault, not the network."""
    if isinstance(reason, urllib.error.HTTPError) or not isinstance(reason, OSError):
        return False
    return reason.errno in DISK_ERRORS or reason.filename is not None


def is_final(reason):
    """Whether a further try would end in the same way."""
    if isinstance(reason, urllib.error.HTTPError):
        return reason.code < 500 and reason.code not in (408, 429)  # too slow, too many requests: these pass
    return isinstance(reason, (Refused, ssl.SSLCertVerificationError))


def describe(reason):
    """What went wrong, on one line."""
    if isinstance(reason, urllib.error.HTTPError):
        text = f"the server says {reason.code} {reason.reason}"
    elif isinstance(reason, OSError):
        text = str(reason.strerror or reason)
    elif isinstance(reason, (Refused, http.client.HTTPException)):
        text = str(reason) or type(reason).__name__
    else:
        text = "the connection broke off"  # the package's own words are about itself
    return " ".join(text.split())  # urllib's words about a redirect that goes round in circles take three lines


def check_hash(incoming, url, sha256, advice):
    """Delete the file if its digest does not start with ``sha256``.

    Raises:
        MstlError: It was deleted.
    """
    if not sha256:
        return
    found = digest(incoming)
    if not found.startswith(sha256.lower()):
        discard(incoming)
        raise MstlError(
            f"{url} gave a file with sha256 {found} where {sha256} was expected: it was deleted; "
            f"try again or use another mirror, or {advice}"
        )


def beside(path, suffix):
    """A hidden name in the same folder, which no search for the file's own suffix finds."""
    return path.with_name(f".{path.name.removeprefix('.')}{suffix}")


def bytes_in(path):
    """A file's size; 0 if it is not there."""
    return path.stat().st_size if path.is_file() else 0


def discard(incoming):
    """Remove a download that is finished or useless, with what was kept to resume it."""
    for path in (incoming, beside(incoming, ".part"), beside(incoming, ".origin")):
        path.unlink(missing_ok=True)
