"""fetch(): download a file to a path, unless it is already there."""

import contextlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.parse
from pathlib import Path

from mstl.download.failures import describe, is_final, is_local, root_cause
from mstl.download.transfer import PartialFile, transfer
from mstl.errors import MstlError, OfflineError
from mstl.files import digest, flush, lock, make_folder
from mstl.runtime.environment import offline

logger = logging.getLogger("mstl")
TRIES = 3  # in a row that bring no new byte
PAUSE = 1.0  # seconds before the second try, twice as many before the third
PATIENCE = 14.0  # seconds for all tries together while no new byte arrives


def fetch(
    url: str, path: str | os.PathLike[str], sha256: str | None = None, hint: str = "", size: int | None = None
) -> Path:
    """Download ``url`` to ``path``, unless the file is already there.

    What an interrupted download has received is kept beside ``path`` under a hidden name; the next one resumes there.

    Args:
        url: The file's published URL; ``$MSTL_MIRROR`` redirects it.
        path: Destination; it appears only once the file is complete and verified.
        sha256: The digest or its first digits (file names often carry eight); None checks the size alone.
        hint: What to do without a network; it ends the error message.
        size: Bytes, if known in advance; otherwise the server's answer counts.

    Returns:
        The path.

    Raises:
        OfflineError: No network, or ``MSTL_OFFLINE=1``.
        MstlError: The server has no such file, sends another one, or the file cannot be written.
    """
    path = Path(path)
    if path.is_file():
        return path
    advice = hint or f"copy the file to {path} by hand"
    if os.path.lexists(path):
        raise MstlError(f"{path} is in the way: it is not a file; move it elsewhere")
    if offline():
        raise OfflineError(f"{path.name} is not here, and MSTL_OFFLINE forbids downloading {url}: {advice}")
    source = mirrored(url)
    make_folder(path.parent)
    with lock(path):
        if path.is_file():  # another process was faster
            return path
        partial = PartialFile(path)
        try:
            receive(source, partial, sha256, size, advice)
            verify(partial, source, sha256, advice)
            flush(partial.complete)
            if not os.path.lexists(path):  # otherwise the user has put a file there meanwhile, which stays
                os.replace(partial.complete, path)
                flush(path.parent)
            partial.discard()
        except OSError as error:  # of the disk: receive() handles those of the network
            with contextlib.suppress(OSError):
                partial.discard()
            raise MstlError(
                f"cannot write {path}: {error.strerror or error}; make room or set MSTL_HOME to another folder"
            ) from error
    return path


def mirrored(url: str) -> str:
    """The URL with scheme and host replaced by ``$MSTL_MIRROR`` (a base URL), if that is set.

    Raises:
        MstlError: ``$MSTL_MIRROR`` is not a base URL.
    """
    mirror = os.environ.get("MSTL_MIRROR")
    if not mirror:
        return url
    if not mirror.lower().startswith(("http://", "https://")):
        raise MstlError(f"MSTL_MIRROR={mirror} is not a base URL: it must start with https:// or http://")
    parts = urllib.parse.urlsplit(url)
    return mirror.rstrip("/") + urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))


def receive(url: str, partial: PartialFile, sha256: str | None, size: int | None, advice: str) -> None:
    """Transfer the file, in several tries if needed; each resumes where the last one stopped.

    Raises:
        MstlError: The server refuses, or must be refused.
        OfflineError: It cannot be reached, or the connection breaks again and again.
        OSError: The disk is full or fails.
    """
    failures, most, deadline = 0, partial.received, time.monotonic() + PATIENCE
    while True:
        try:
            return transfer(url, partial, sha256, size, deadline)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            reason = root_cause(error)
            if is_local(reason):
                raise reason from None
            failures += 1
            if partial.received > most:
                failures, most, deadline = 0, partial.received, time.monotonic() + PATIENCE
            pause = PAUSE * max(failures, 1)
            if is_final(reason):
                raise MstlError(f"cannot download {url}: {describe(reason)}; {advice}") from error
            if failures == TRIES or time.monotonic() + pause > deadline:
                kind = MstlError if isinstance(reason, urllib.error.HTTPError) else OfflineError
                raise kind(f"cannot download {url} (tries: {failures}): {describe(reason)}; {advice}") from error
            time.sleep(pause)


def verify(partial: PartialFile, url: str, sha256: str | None, advice: str) -> None:
    """Delete the downloaded file if its digest does not start with ``sha256``.

    Raises:
        MstlError: It was deleted.
    """
    if not sha256:
        return
    found = digest(partial.complete)
    if not found.startswith(sha256.lower()):
        partial.discard()
        raise MstlError(
            f"{url} gave a file with sha256 {found} where {sha256} was expected: it was deleted; "
            f"try again or use another mirror, or {advice}"
        )
