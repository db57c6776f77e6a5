"""Peak memory: the most that this process has had in memory at a time, and what it has now."""

import contextlib
import sys
from pathlib import Path


def peak_memory() -> int | None:
    """Bytes of resident memory at their highest since the process began; None where the system does not say.

    Linux's ``ru_maxrss`` begins with the memory of the process that started this one, however large that was.
    """
    peak = _status("VmHWM")
    if peak is not None:
        return peak
    try:
        import resource
    except ImportError:  # Windows
        return None
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest


def resident_memory() -> int | None:
    """Bytes of resident memory at present; None where the system does not say."""
    return _status("VmRSS")


def _status(name: str) -> int | None:
    """Bytes under a name in Linux's account of this process; None if there is none."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])
    return None
