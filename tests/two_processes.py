"""Two threads as the two processes of a run."""

import threading
from concurrent.futures import ThreadPoolExecutor

from mstl.runtime.processes import ProcessGroup


class Group(ProcessGroup):
    """A thread as one of two processes."""

    size = 2

    def __init__(self, rank, sums):
        self.rank, self.sums = rank, sums

    def sum(self, array):
        return self.sums.add(self.rank, array)


class Sums:
    """Where they meet."""

    def __init__(self):
        self.barrier, self.values = threading.Barrier(2, timeout=30), [None, None]

    def add(self, rank, array):
        self.values[rank] = array
        self.barrier.wait()
        total = sum(self.values)
        self.barrier.wait()
        return total


def together(function):
    """What a function of a group gives in each of two processes."""
    sums = Sums()
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(function, Group(rank, sums)) for rank in range(2)]
        return [future.result(timeout=60) for future in futures]
