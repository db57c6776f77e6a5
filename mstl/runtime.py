"""What must be settled before anything is computed: environment, device, seed, folders.

Nothing here imports MindSpore until a device is asked for, so that a command that prints help stays quick.
"""

import contextlib
import ctypes
import importlib.metadata
import os
import random
import signal
import threading
from pathlib import Path

from mstl.errors import MstlError

DEVICES = ("auto", "Ascend", "GPU", "CPU")
MIXED_PRECISION_DEVICES = ("Ascend", "GPU")
ONEDNN_CAP = "ONEDNN_MAX_CPU_ISA"


def prepare_environment():
    """Set what MindSpore reads from the environment once, when it is loaded. A value that the user has set is kept.

    * ``GLOG_v=4`` keeps MindSpore's logger quiet but for what is critical: mstl says in a line what its errors mean.
    * ``ONEDNN_MAX_CPU_ISA=AVX2`` where :func:`needs_onednn_cap` says so.
    """
    os.environ.setdefault("GLOG_v", "4")
    if ONEDNN_CAP not in os.environ and needs_onednn_cap():
        os.environ[ONEDNN_CAP] = "AVX2"


def needs_onednn_cap():
    """Whether MindSpore would run convolutions about 100 times too slowly on this processor.

    MindSpore 2.9 and 2.10 bring oneDNN 3.10, which on a processor with AVX-512 picks its reference convolution
    (0.6 instead of 70 GFLOP/s and more). Held to AVX2, it picks a fast one. MindSpore 2.8 and older are not affected.
    """
    version = mindspore_version()
    return version is not None and version >= (2, 9) and "avx512f" in cpu_flags()


def mindspore_version():
    """MindSpore's version as (major, minor), without importing it; None where it is not installed."""
    try:
        major, minor = importlib.metadata.version("mindspore").split(".")[:2]
    except importlib.metadata.PackageNotFoundError:
        return None
    return int(major), int(minor)


def cpu_flags():
    """The processor's feature flags, as Linux lists them; an empty set elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def available_devices():
    """The devices that work in this process, best first; always ends with "CPU"."""
    import mindspore as ms

    found = []
    for name, module in (("Ascend", ms.device_context.ascend), ("GPU", ms.device_context.gpu)):
        try:
            usable = module.is_available()
        except RuntimeError:  # MindSpore says "not there" by raising
            usable = False
        if usable:
            found.append(name)
    return [*found, "CPU"]


def use_device(name="auto"):
    """Choose the device that everything from now on runs on.

    Args:
        name: ``"auto"`` (the first that works of Ascend, GPU and CPU), or one of the three.

    Returns:
        The device's name.

    Raises:
        MstlError: The device does not work here, or is not one of them.
    """
    by_lower = {device.lower(): device for device in DEVICES}
    if name.lower() not in by_lower:
        raise MstlError(f"unknown device {name!r}: choose one of {', '.join(DEVICES)}")
    wanted = by_lower[name.lower()]
    working = available_devices()
    if wanted == "auto":
        wanted = working[0]
    elif wanted not in working:
        raise MstlError(
            f"device {wanted} does not work here (working: {', '.join(working)}): install its driver and libraries, "
            f"or use --device {working[0]}; `mstl doctor` says more"
        )
    import mindspore as ms

    try:
        ms.set_device(wanted)
    except RuntimeError as error:
        if ms.get_context("device_target") == wanted:  # computing has begun, on the very device: a second run
            return wanted
        first_line = str(error).strip().splitlines()[0]
        raise MstlError(f"device {wanted} cannot be used: {first_line}") from error
    return wanted


def set_seed(seed):
    """Seed MindSpore (weights, dataset operations), NumPy and Python's random."""
    import mindspore as ms
    import numpy as np

    ms.set_seed(seed)
    ms.dataset.config.set_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def cores():
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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


def take_ctrl_c_back():
    """Put Python's own handler for Ctrl-C back in place.

    MindSpore's pipeline, when it starts, and its compiled graphs install one that ends the process by SIGTERM, with
    nothing saved.
    """
    if threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)  # what Python still believes to be installed
        if handler is not None:
            signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def interruptible():
    """Let Ctrl-C raise KeyboardInterrupt while a compiled net runs.

    MindSpore then has a handler of its own in place, which sends the process SIGTERM, and that would end it with its
    temporary files left behind. So in this block, SIGTERM does what Ctrl-C should.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        take_ctrl_c_back()


def clamp_workers(workers=None):
    """A number of pipeline threads that MindSpore accepts: ``workers``, but from 1 to the number of cores.

    More threads than cores end MindSpore's pipeline with a ValueError. None asks for one a core, 8 at the most.
    """
    limit = min(cores(), os.cpu_count() or 1)
    return min(8, limit) if workers is None else max(1, min(workers, limit))


def home():
    """The folder for downloads and made data: ``$MSTL_HOME``, or ``mstl`` in the user's cache folder."""
    if os.environ.get("MSTL_HOME"):
        return Path(os.environ["MSTL_HOME"]).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "mstl"


def offline():
    """Whether ``MSTL_OFFLINE`` forbids the network."""
    return os.environ.get("MSTL_OFFLINE", "").lower() not in ("", "0", "false", "no")


def trim_memory():
    """Give the operating system back what was freed: glibc keeps it for each thread that ever asked for memory.

    Elsewhere than on Linux with glibc, nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
