"""Clock: how far along its schedule a run is, by its steps or, where a time limit makes that further, by the time."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from mstl.runtime.processes import ProcessGroup


class Clock:
    """The time of a run, and the progress of each of its phases.

    With a time limit, a phase of training ends when its time is up, at the end of its schedule: progress is the larger
    of what the steps and what the time have made of it. The phases share the time that is left as their planned
    durations are to each other, so that one that turns out slower than planned takes no more than its share.

    Args:
        started: When the run began, on ``now``.
        limit: Seconds for the whole run; None for no limit, which makes progress that of the steps.
        processes: The processes of the run: they go by the time of the first one.
        now: Gives seconds.

    Attributes:
        rest, validation: Seconds that are needed after the last epoch, and after the last step of each.
        shares: For the last epoch of a phase, what it may take of the time that is left when it begins; all if not
            there.
        is_over: Whether the time of this phase is up.
    """

    def __init__(
        self,
        started: float | None = None,
        limit: float | None = None,
        processes: ProcessGroup | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.now, self.processes = now, processes or ProcessGroup()
        self.deadline = None if limit is None else (now() if started is None else started) + limit
        self.rest = self.validation = 0.0
        self.shares: Mapping[int, float] = {}
        self.begun = self.looked = self.seconds = 0.0
        self.steps = (0.0, 0.0)  # seconds between the last looks
        self.start = self.end = 0.0  # progress, in epochs
        self.time_progress = 0.0

    def begin(self, done: int, last: int) -> None:
        """Begin a phase, or go on with it.

        Args:
            done: Epochs of the run that are finished.
            last: The last epoch of the phase.
        """
        self.start, self.end, self.time_progress = float(done), float(last), float(done)
        self.begun = self.looked = self.now()
        self.steps = (0.0, 0.0)
        self.seconds = self.shares.get(last, 1.0) * (self.left() or 0.0)
        self.look()

    def look(self) -> None:
        """Look what time it is, before a step; all processes must do so together.

        If there is no time for two steps, that one is the last. They are taken to last as long as the last one, or the
        one before it: a validation or the compiling of a graph may have come between.
        """
        if self.deadline is None:
            return
        now = self.now()
        self.steps, self.looked = (self.steps[1], now - self.looked), now
        done = 1.0 if self.seconds <= 0 else (now + 2 * min(self.steps) - self.begun) / self.seconds
        mine = done if self.processes.is_first else 0.0
        share = min(1.0, float(self.processes.sum(np.array([mine]))[0]))
        self.time_progress = self.end if share == 1 else self.start + (self.end - self.start) * share

    @property
    def is_over(self) -> bool:
        """Whether the time of this phase is up."""
        return self.deadline is not None and self.time_progress >= self.end

    def progress(self, by_steps: float) -> float:
        """The progress along the schedule, in epochs, where the steps have made this much."""
        return max(by_steps, self.time_progress) if self.deadline is not None else by_steps

    def left(self) -> float | None:
        """Seconds that are left for training, as this process sees it; None without a limit."""
        return None if self.deadline is None else self.deadline - self.rest - self.validation - self.now()
