"""Devices, cores and seeds.

MindSpore is imported only when a device is asked for, so that a command that prints help stays quick.
"""

import os
import random
from typing import Literal, get_args

from mstl.errors import MstlError

DeviceName = Literal["auto", "Ascend", "GPU", "CPU"]
DEVICES: tuple[DeviceName, ...] = get_args(DeviceName)
MIXED_PRECISION_DEVICES = ("Ascend", "GPU")


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


def clamp_workers(workers=None):
    """A number of pipeline threads that MindSpore accepts: ``workers``, but from 1 to the number of cores.

    More threads than cores end MindSpore's pipeline with a ValueError. None asks for one a core, 8 at the most.
    """
    limit = min(cores(), os.cpu_count() or 1)
    return min(8, limit) if workers is None else max(1, min(workers, limit))
