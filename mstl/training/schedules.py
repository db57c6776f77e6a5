"""Learning-rate schedules: pure functions of how far training has come.

``progress`` counts epochs, with fractions: 2.5 is the middle of the third epoch. Each schedule gives a factor on the
base learning rate.
"""

import math
from typing import Protocol

from mstl.config import ScheduleName

ONE_CYCLE_PEAK = 0.3  # share of the epochs; Smith and Topin 2017, with fastai's cosine shape and divisors
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-5


class Schedule(Protocol):
    """A learning-rate schedule; ``step_epochs`` and ``gamma`` are for :func:`step` alone."""

    def __call__(self, progress: float, epochs: int, *, step_epochs: int, gamma: float) -> float:
        """The factor after ``progress`` of ``epochs`` epochs."""


def constant(progress: float, epochs: int, **_unused: float) -> float:
    """Always 1."""
    return 1.0


def step(progress: float, epochs: int, *, step_epochs: int, gamma: float) -> float:
    """Multiplied by ``gamma`` after every ``step_epochs`` epochs."""
    return float(gamma ** int(progress // step_epochs))


def cosine(progress: float, epochs: int, **_unused: float) -> float:
    """From 1 to 0 along half a cosine (Loshchilov and Hutter 2017)."""
    return 0.5 * (1 + math.cos(math.pi * min(progress / epochs, 1)))


def polynomial(progress: float, epochs: int, **_unused: float) -> float:
    """From 1 to 0 along a parabola."""
    return float((1 - min(progress / epochs, 1)) ** 2)


def one_cycle(progress: float, epochs: int, **_unused: float) -> float:
    """From 1/25 up to 1 in the first 30 % of the epochs, then down to nearly 0, both along half a cosine."""
    done = min(progress / epochs, 1)
    if done < ONE_CYCLE_PEAK:
        start, end, part = ONE_CYCLE_START, 1.0, done / ONE_CYCLE_PEAK
    else:
        start, end, part = 1.0, ONE_CYCLE_END, (done - ONE_CYCLE_PEAK) / (1 - ONE_CYCLE_PEAK)
    return start + (end - start) * 0.5 * (1 - math.cos(math.pi * part))


SCHEDULES: dict[ScheduleName, Schedule] = {
    "constant": constant,
    "step": step,
    "cosine": cosine,
    "one-cycle": one_cycle,
    "polynomial": polynomial,
}


def lr_factor(
    name: ScheduleName, progress: float, epochs: int, warmup: float = 0.0, step_epochs: int = 5, gamma: float = 0.5
) -> float:
    """The factor on the base learning rate.

    Args:
        name: The schedule.
        progress: Epochs done, from 0 to ``epochs``, with fractions.
        epochs: Epochs in total.
        warmup: Epochs in which the learning rate rises linearly from 0 to the schedule's.
        step_epochs: Epochs between two steps of ``"step"``.
        gamma: Factor of each step of ``"step"``.
    """
    factor = SCHEDULES[name](progress, epochs, step_epochs=step_epochs, gamma=gamma)
    return factor * min(1.0, progress / warmup) if warmup else factor
