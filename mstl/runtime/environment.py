"""Environment variables: those that libraries read when they are loaded, and those of mstl.

Nothing here imports MindSpore.
"""

import contextlib
import importlib.metadata
import os
from collections.abc import Iterator
from pathlib import Path

ONEDNN_CAP = "ONEDNN_MAX_CPU_ISA"
CAP = "AVX2"


def prepare_environment() -> None:
    """Set what libraries read from the environment when they are loaded; values that the user has set are kept.

    * ``GLOG_v=4`` silences MindSpore's logger except for critical errors; mstl reports its errors in one line.
    * ``ONEDNN_MAX_CPU_ISA=AVX2`` if :func:`needs_onednn_cap` says so.
    * ``ORT_DISABLE_TELEMETRY=1``: ONNX Runtime would tell its makers how it is used, and leave files for that.
    """
    os.environ.setdefault("GLOG_v", "4")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    if ONEDNN_CAP not in os.environ and needs_onednn_cap():
        os.environ[ONEDNN_CAP] = CAP


@contextlib.contextmanager
def without_onednn_cap() -> Iterator[None]:
    """In this block, the limit that :func:`prepare_environment` sets is lifted, for other libraries than MindSpore.

    MindSpore must not compute for the first time meanwhile: call it in the MindSpore thread.
    """
    is_ours = os.environ.get(ONEDNN_CAP) == CAP
    if is_ours:
        del os.environ[ONEDNN_CAP]
    try:
        yield
    finally:
        if is_ours:
            os.environ[ONEDNN_CAP] = CAP


def needs_onednn_cap() -> bool:
    """Whether MindSpore would run convolutions about 100 times too slowly on this processor.

    MindSpore 2.9 and 2.10 ship oneDNN 3.10, which on a processor with AVX-512 picks its reference convolution (0.6
    instead of 70 GFLOP/s and more). Limited to AVX2, it picks a fast one. MindSpore 2.8 and older are not affected.
    """
    version = mindspore_version()
    return version is not None and version >= (2, 9) and "avx512f" in cpu_flags()


def mindspore_version() -> tuple[int, int] | None:
    """MindSpore's version as (major, minor), without importing it; None if it is not installed."""
    version = installed_version("mindspore")
    if version is None:
        return None
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def installed_version(package: str) -> str | None:
    """The version of an installed package, without importing it; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu_flags() -> frozenset[str]:
    """The processor's feature flags as Linux lists them; empty on other systems."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def is_scheduler() -> bool:
    """Whether ``--nproc`` or msrun started this process to schedule the others; it computes nothing."""
    return os.environ.get("MS_ROLE") == "MS_SCHED"


def is_worker() -> bool:
    """Whether this process is one of several that ``--nproc`` or msrun started to train together."""
    return int(os.environ.get("MS_WORKER_NUM", "1")) > 1 and not is_scheduler()


def home() -> Path:
    """The folder for downloads and caches: ``$MSTL_HOME``, or ``mstl`` in the user's cache folder."""
    if os.environ.get("MSTL_HOME"):
        return Path(os.environ["MSTL_HOME"]).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "mstl"


def offline() -> bool:
    """Whether ``MSTL_OFFLINE`` forbids network access."""
    return os.environ.get("MSTL_OFFLINE", "").lower() not in ("", "0", "false", "no")
