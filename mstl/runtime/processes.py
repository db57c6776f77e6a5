"""Several devices, by MindSpore's own engine: each process has a share of every batch."""

import os

import mindspore as ms
import numpy as np
from mindspore import ops


class World:
    """The processes of a run: how many there are, which one this is, and what they do together.

    Attributes:
        rank: This process, from 0.
        size: How many there are; 1 for an ordinary run.
    """

    rank, size = 0, 1

    @property
    def first(self):
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def mean_gradients(self):
        """A function that averages a tuple of gradients over the processes; None where there is one alone."""
        return

    def sum(self, array):
        """The sum of an array over all processes, given to each of them."""
        return array

    def wait(self):
        """Return when all processes have come here."""


class Processes(World):
    """A run under msrun."""

    def __init__(self):
        from mindspore.communication import get_group_size, get_rank, init

        init()
        self.rank, self.size = get_rank(), get_group_size()
        self._all_reduce = ops.AllReduce(ops.ReduceOp.SUM)

    def mean_gradients(self):
        """Averages gradients by all-reduce."""
        return lambda gradients: tuple(self._all_reduce(gradient) / self.size for gradient in gradients)

    def sum(self, array):
        """Sums by all-reduce, in float32."""
        return self._all_reduce(ms.Tensor(np.asarray(array, np.float32))).asnumpy()

    def wait(self):
        """A sum that nobody looks at."""
        self.sum(np.zeros(1))


def join():
    """The world that this process belongs to: msrun's, where it was started by msrun, else one of its own."""
    return Processes() if int(os.environ.get("MS_WORKER_NUM", "1")) > 1 else World()
