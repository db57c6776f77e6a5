"""The one exception that mstl raises for what a user can put right."""


class MstlError(Exception):
    """One line that says what was wrong, with what, and what to do.

    Commands print it on stderr as it is and exit with code 1; in a notebook it reads as an ordinary exception.
    """


class OfflineError(MstlError):
    """Something must be downloaded, and there is no network (or ``MSTL_OFFLINE=1`` forbids it)."""
