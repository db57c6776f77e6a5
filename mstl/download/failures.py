"""Why a download failed: the cause, whether to try again, and a description in one line."""

import errno
import http.client
import ssl
import urllib.error
from typing import TypeGuard

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
TEMPORARY = (408, 429)  # HTTP status: too slow, too many requests


class Refused(RuntimeError):
    """A download that must not be made."""


def root_cause(error: BaseException) -> BaseException:
    """The innermost cause, unwrapped from the exceptions of urllib and of the ``download`` package."""
    while not isinstance(error, urllib.error.HTTPError):
        inner = error.reason if isinstance(error, urllib.error.URLError) else error.__context__
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def is_local(reason: BaseException) -> TypeGuard[OSError]:
    """Whether this machine's disk is at fault, not the network."""
    if isinstance(reason, urllib.error.HTTPError) or not isinstance(reason, OSError):
        return False
    return reason.errno in DISK_ERRORS or reason.filename is not None


def is_final(reason: BaseException) -> bool:
    """Whether another try would fail in the same way."""
    if isinstance(reason, urllib.error.HTTPError):
        return reason.code < 500 and reason.code not in TEMPORARY
    return isinstance(reason, (Refused, ssl.SSLCertVerificationError))


def describe(reason: BaseException) -> str:
    """What went wrong, in one line."""
    if isinstance(reason, urllib.error.HTTPError):
        text = f"the server says {reason.code} {reason.reason}"
    elif isinstance(reason, OSError):
        text = str(reason.strerror or reason)
    elif isinstance(reason, (Refused, http.client.HTTPException)):
        text = str(reason) or type(reason).__name__
    else:
        text = "the connection broke off"  # the package's own messages are about itself
    return " ".join(text.split())  # urllib's message about circular redirects has three lines
