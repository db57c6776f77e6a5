"""Devices, cores and random seeds.

MindSpore is imported only when it is needed, so that a command that prints its help stays quick.
"""

import os
import random
from typing import Literal, get_args

from mstl.errors import MstlError
from mstl.runtime.environment import installed_version

DeviceName = Literal["auto", "Ascend", "GPU", "CPU"]
DEVICES: tuple[DeviceName, ...] = get_args(DeviceName)
MIXED_PRECISION_DEVICES = ("Ascend", "GPU")


def available_devices() -> list[str]:
    """The devices that work in this process, best first; the last is always "CPU".

    Raises:
        MstlError: MindSpore cannot compute with the NumPy that is installed.
    """
    refuse_numpy()
    import mindspore as ms

    found = []
    for name, module in (("Ascend", ms.device_context.ascend), ("GPU", ms.device_context.gpu)):
        try:
            usable = module.is_available()
        except RuntimeError:  # how MindSpore says that there is none
            usable = False
        if usable:
            found.append(name)
    return [*found, "CPU"]


def refuse_numpy() -> None:
    """Refuse NumPy 2, for which MindSpore's extension modules are not built.

    pip installs no such pair, as mstl asks for NumPy 1, but it may put another NumPy into its place later.

    Raises:
        MstlError: It is installed.
    """
    mindspore, numpy = (installed_version(name) for name in ("mindspore", "numpy"))
    if mindspore and numpy and int(numpy.partition(".")[0]) > 1:
        raise MstlError(
            f'MindSpore {mindspore} is built for NumPy 1 and fails with NumPy {numpy}: `pip install "numpy<2"`'
        )


def use_device(name: str = "auto") -> str:
    """Choose the device on which MindSpore computes from now on.

    Args:
        name: ``"auto"`` (the first that works of Ascend, GPU and CPU), or one of the three.

    Returns:
        The name of the device.

    Raises:
        MstlError: The device is unknown or does not work here.
    """
    by_lower = {device.lower(): device for device in DEVICES}
    if name.lower() not in by_lower:
        raise MstlError(f"unknown device {name!r}: choose one of {', '.join(DEVICES)}")
    device: str = by_lower[name.lower()]
    working = available_devices()
    if device == "auto":
        device = working[0]
    elif device not in working:
        raise MstlError(
            f"device {device} does not work here (working: {', '.join(working)}): install its driver and libraries, "
            f"or use --device {working[0]}; `mstl doctor` says more"
        )
    import mindspore as ms

    try:
        ms.set_device(device)
    except RuntimeError as error:
        # MindSpore accepts no device any more once it has computed, but a second run may go on with the same one
        if ms.get_context("device_target") == device:
            return device
        first_line = str(error).strip().splitlines()[0]
        raise MstlError(f"device {device} cannot be used: {first_line}") from error
    return device


def set_seed(seed: int) -> None:
    """Seed MindSpore (initial weights, dataset operations), NumPy and Python's random."""
    import mindspore as ms
    import numpy as np

    ms.set_seed(seed)
    ms.dataset.config.set_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def cores() -> int:
    """The number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def clamp_workers(workers: int | None = None) -> int:
    """A number of pipeline threads that MindSpore accepts: ``workers``, but from 1 to the number of cores.

    With more threads than cores, MindSpore's pipeline raises a ValueError. None asks for one a core, at most 8.
    """
    limit = min(cores(), os.cpu_count() or 1)
    return min(8, limit) if workers is None else max(1, min(workers, limit))
