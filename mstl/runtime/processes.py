"""The processes of a run: one, or several, by ``--nproc`` or ``msrun``, that each train on a share of every batch."""

import os
import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import mindspore as ms
import numpy as np
from mindspore import ops
from numpy.typing import NDArray

from mstl.errors import MstlError
from mstl.runtime.environment import is_scheduler, is_worker
from mstl.runtime.stopping import Stopped

Gradients = tuple[ms.Tensor, ...]
Answer = TypeVar("Answer")

# Seconds for which a process on a CPU waits for the others, where MindSpore's 30 would end a run whose processes take
# unequal times to scan the data or to compute features. If one has died, the scheduler misses its heartbeat and ends.
PATIENCE = ("MS_CPU_COMM_OP_TIMEOUT", "86400")
LOOK_SECONDS, LOOKS = 5.0, 3  # how often a process looks for the scheduler, and in vain before it ends, too


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

    def from_first(self, work: Callable[[], Answer]) -> Answer:
        """What some work gives that the first process does, for which the others wait.

        Args:
            work: Gives what can be pickled.

        Raises:
            MstlError: The work has raised it; and in the others, where it has raised any other exception.
            Stopped: So, if the first process was asked to stop.
        """
        if self.size == 1:
            return work()
        raised: BaseException | None = None
        outcome: tuple[Answer | None, int, str] | None = None
        if self.is_first:
            try:
                outcome = (work(), 0, "")
            except BaseException as error:  # whatever it is, the others would wait for ever
                raised = error
                outcome = (None, error.signum if isinstance(error, Stopped) else 0, reason(error))
        answer, signum, why = pickle.loads(self._bytes_of_first(pickle.dumps(outcome)))
        if raised is not None:
            raise raised
        if why:
            raise Stopped(signum, why) if signum else MstlError(why)
        return answer  # type: ignore[no-any-return]

    def _bytes_of_first(self, content: bytes) -> bytes:
        """The bytes that the first process has; those of the others do not matter."""
        mine = content if self.is_first else b""
        millions, rest = self.sum(np.array(divmod(len(mine), 10**6)))  # float32 counts to 16 millions only
        numbers = np.zeros(int(millions) * 10**6 + int(rest), np.float32)
        numbers[: len(mine)] = np.frombuffer(mine, np.uint8)
        return self.sum(numbers).astype(np.uint8).tobytes()


class MsrunProcessGroup(ProcessGroup):
    """The group of a process that ``--nproc`` or MindSpore's ``msrun`` has started, as one of several."""

    def __init__(self) -> None:
        from mindspore.communication import get_group_size, get_rank, init

        os.environ.setdefault(*PATIENCE)
        try:
            init()
        except RuntimeError:
            if is_scheduler() and has_scheduler():
                sys.exit(0)
            raise
        threading.Thread(target=end_without_scheduler, name="mstl-scheduler", daemon=True).start()
        self.rank, self.size = get_rank(), get_group_size()
        if ms.get_context("device_target") == "CPU":
            # A process that waits for the others would otherwise do so in a busy loop, and take a core from them
            ms.runtime.launch_blocking()
        self._all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

    def gradient_mean(self) -> Callable[[Gradients], Gradients]:
        """A function that averages gradients by all-reduce."""
        if ms.get_context("device_target") == "CPU":
            return self._mean_at_once
        return lambda gradients: tuple(self._all_reduce(gradient) / self.size for gradient in gradients)

    def _mean_at_once(self, gradients: Gradients) -> Gradients:
        """The mean of gradients in one all-reduce: on a CPU, each takes its time however small it is."""
        arrays = [gradient.asnumpy() for gradient in gradients]
        mean = self.sum(np.concatenate([array.ravel() for array in arrays])) / np.float32(self.size)
        parts = np.split(mean, np.cumsum([array.size for array in arrays])[:-1])
        return tuple(ms.Tensor.from_numpy(part.reshape(array.shape)) for part, array in zip(parts, arrays, strict=True))

    def sum(self, array: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """The sum by all-reduce, in float32."""
        total: NDArray[np.float32] = self._all_reduce(ms.Tensor(np.asarray(array, np.float32))).asnumpy()
        return total


def join_process_group() -> ProcessGroup:
    """The group that this process belongs to: that of all that were started with it, else a group of one."""
    return MsrunProcessGroup() if is_worker() or is_scheduler() else ProcessGroup()


def reason(error: BaseException) -> str:
    """Why the first process has failed, as a line for the others."""
    if isinstance(error, (MstlError, Stopped)):
        return str(error)
    return f"the first process of the run broke down: {type(error).__name__}"


def has_scheduler() -> bool:
    """Whether a scheduler of this run is there.

    msrun starts one on the host of ``--master_addr``: two, where two launchers run there with different
    ``--node_rank``, of which the second is not needed.
    """
    address = (os.environ.get("MS_SCHED_HOST", ""), int(os.environ.get("MS_SCHED_PORT", "0")))
    try:
        with socket.create_connection(address, LOOK_SECONDS):
            return True
    except OSError:
        return False


def end_without_scheduler() -> None:
    """End this process once the scheduler has ended: on another host, no launcher would do so.

    The scheduler stays until all processes have ended, or one has died.
    """
    missed = 0
    while missed < LOOKS:
        time.sleep(LOOK_SECONDS)
        missed = 0 if has_scheduler() else missed + 1
    print("mstl: error: another process of the run was killed or broke down", file=sys.stderr, flush=True)
    os._exit(1)
