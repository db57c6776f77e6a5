"""The processes of a run: one, or several under ``msrun`` that each train on a share of every batch."""

import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import ops
from numpy.typing import NDArray

from mstl.runtime.environment import is_scheduler, is_worker

Gradients = tuple[ms.Tensor, ...]

# Seconds for which a process on a CPU waits for the others, where MindSpore's 30 would end a run whose processes take
# unequal times to scan the data or to compute features. One that has died is noticed by its missing heartbeat.
PATIENCE = ("MS_CPU_COMM_OP_TIMEOUT", "86400")


class ProcessGroup:
    """The group of a run in a single process; :class:`MsrunProcessGroup` is that of a run in several.

    Attributes:
        rank: The index of this process.
        size: The number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that prints and writes files."""
        return self.rank == 0

    def gradient_mean(self) -> Callable[[Gradients], Gradients] | None:
        """A function that averages gradients over the processes; None if there is only one."""
        return None

    def sum(self, array: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """The elementwise sum over all processes, the same in each of them."""
        return array

    def mean(self, array: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """The elementwise mean over all processes, the same in each of them."""
        return self.sum(array) / self.size

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set in any process; the same in all of them."""
        return tuple(bool(total > 0) for total in self.sum(np.array(flags, np.float32)))


class MsrunProcessGroup(ProcessGroup):
    """The group of a process started by MindSpore's ``msrun``."""

    def __init__(self) -> None:
        from mindspore.communication import get_group_size, get_rank, init

        os.environ.setdefault(*PATIENCE)
        try:
            init()
        except RuntimeError:
            if is_scheduler() and has_scheduler():
                sys.exit(0)
            raise
        self.rank, self.size = get_rank(), get_group_size()
        self._all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

    def gradient_mean(self) -> Callable[[Gradients], Gradients]:
        """A function that averages gradients by all-reduce."""
        return lambda gradients: tuple(self._all_reduce(gradient) / self.size for gradient in gradients)

    def sum(self, array: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The sum by all-reduce, in float32."""
        total: NDArray[np.float32] = self._all_reduce(ms.Tensor(np.asarray(array, np.float32))).asnumpy()
        return total


def join_process_group() -> ProcessGroup:
    """The group that this process belongs to: msrun's if msrun started it, else a group of one."""
    return MsrunProcessGroup() if is_worker() or is_scheduler() else ProcessGroup()


def has_scheduler() -> bool:
    """Whether a scheduler of this run is there already.

    msrun starts one on the host of ``--master_addr``: two, where two launchers run there with different
    ``--node_rank``, of which the second is not needed.
    """
    address = (os.environ.get("MS_SCHED_HOST", ""), int(os.environ.get("MS_SCHED_PORT", "0")))
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(address) == 0
