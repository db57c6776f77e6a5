"""Memory: how much is available, and giving it back to the system."""

import contextlib
import ctypes
import os
from pathlib import Path


def available_memory() -> int:
    """Bytes that can be allocated without swapping; 2 GB if the system does not say."""
    free = [2 * 10**9]
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = [1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])]
    with contextlib.suppress(OSError, ValueError):  # a container's limit; "max" if it has none
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        free.append(max(0, limit - used))
    return min(free)


def trim_memory() -> None:
    """Return freed memory to the operating system: glibc holds on to it for each thread that has ever allocated some.

    Does nothing on other systems than Linux with glibc.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
