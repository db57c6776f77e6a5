"""Memory: how much is available, and giving it back to the system."""

import contextlib
import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE = 2_000_000  # bytes: more than an image as the web has them


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


def keep_no_large_blocks() -> None:
    """From now on, get each large block of memory from the system, and give it back as soon as it is freed.

    glibc, left to itself, comes to keep freed blocks of up to 32 MB for later, and then copies a block that grows, over
    and over. Does nothing on other systems than Linux with glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE)


def release_pages(array: NDArray[Any]) -> None:
    """Let go of what has been read or written of a memory map of a file; does nothing to any other array.

    The content stays in the file and in the system's file cache, from where it is mapped again when it is needed. It no
    longer counts as memory of this process.
    """
    mapping = getattr(array, "_mmap", None)  # of a np.memmap, and of all views of it
    if isinstance(mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
