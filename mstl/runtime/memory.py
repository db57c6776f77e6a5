"""How much memory is free, and giving it back."""

import contextlib
import ctypes
import os
from pathlib import Path


def available_memory():
    """Bytes of memory that can be taken without driving others out; 2 GB where the system does not say."""
    free = [2 * 10**9]
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = [1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])]
    with contextlib.suppress(OSError, ValueError):  # a container's own limit; "max" where it has none
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        free.append(max(0, limit - used))
    return min(free)


def trim_memory():
    """Give the operating system back what was freed: glibc keeps it for each thread that ever asked for memory.

    Elsewhere than on Linux with glibc, nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
