"""MstlError: the exception for everything that a user can fix."""


class MstlError(Exception):
    """An error that says in one line what was wrong, with what, and what to do.

    Commands print it on stderr and exit with code 1; in a notebook it is an ordinary exception.
    """


class OfflineError(MstlError):
    """Something must be downloaded, and there is no network (or ``MSTL_OFFLINE=1`` forbids it)."""
