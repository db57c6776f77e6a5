"""Learning rates as pure functions of where training stands.

``progress`` counts epochs, with fractions: 2.5 is the middle of the third. Each function gives the factor that the
base rate is multiplied with.
"""

import math

ONE_CYCLE_PEAK = 0.3  # of the way; Smith and Topin 2017, with fastai's cosine shape and divisors
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-5


def constant(progress, epochs, **_unused):
    """1, from beginning to end."""
    return 1.0


def step(progress, epochs, step_epochs=5, gamma=0.5, **_unused):
    """Multiplied by ``gamma`` after every ``step_epochs`` epochs."""
    return gamma ** int(progress // step_epochs)


def cosine(progress, epochs, **_unused):
    """From 1 to 0 along half a cosine (Loshchilov and Hutter 2017)."""
    return 0.5 * (1 + math.cos(math.pi * min(progress / epochs, 1)))


def polynomial(progress, epochs, **_unused):
    """From 1 to 0 along a parabola."""
    return (1 - min(progress / epochs, 1)) ** 2


def one_cycle(progress, epochs, **_unused):
    """From a 25th up to 1 in the first three tenths, then down to nearly 0, both along half a cosine."""
    done = min(progress / epochs, 1)
    if done < ONE_CYCLE_PEAK:
        low, high, part = ONE_CYCLE_START, 1.0, done / ONE_CYCLE_PEAK
    else:
        low, high, part = 1.0, ONE_CYCLE_END, (done - ONE_CYCLE_PEAK) / (1 - ONE_CYCLE_PEAK)
    return low + (high - low) * 0.5 * (1 - math.cos(math.pi * part))


SCHEDULES = {
    "constant": constant,
    "step": step,
    "cosine": cosine,
    "one-cycle": one_cycle,
    "polynomial": polynomial,
}


def factor(name, progress, epochs, warmup=0.0, step_epochs=5, gamma=0.5):
    """What the base rate is multiplied with.

    Args:
        name: A key of ``SCHEDULES``.
        progress: Epochs done, from 0 to ``epochs``, with fractions.
        epochs: How many there will be.
        warmup: Epochs in which the rate rises linearly from 0 to what the schedule says by itself then.
        step_epochs: Epochs between two steps of "step".
        gamma: What "step" multiplies with.
    """
    value = SCHEDULES[name](progress, epochs, step_epochs=step_epochs, gamma=gamma)
    return value * min(1.0, progress / warmup) if warmup else value
