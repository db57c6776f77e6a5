"""Learning rates against numbers worked out by hand."""

import math

import pytest

from mstl.config import SCHEDULES as NAMES
from mstl.training.schedules import SCHEDULES, lr_factor

# by hand, at the beginning of epochs 1 to 12 of 12
BY_HAND = {
    "constant": [1.0] * 12,
    "step": [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25],
    "polynomial": [(12 - k) ** 2 / 144 for k in range(12)],
    "cosine": [(1 + math.cos(math.radians(15 * k))) / 2 for k in range(12)],
    # up to epoch 3.6: 0.04 + 0.96 (1 - cos(50 k degrees)) / 2; then down: (1 + cos((k - 3.6) / 8.4 * 180 degrees)) / 2
    "one-cycle": [
        0.04,
        0.211462,
        0.603351,
        0.935692,
        0.994415,
        0.933013,
        0.811745,
        0.647380,
        0.462635,
        0.283060,
        0.133475,
        0.034565,
    ],  # fmt: skip
}


@pytest.mark.parametrize("name", NAMES)
def test_first_twelve_epochs(name):
    rates = [lr_factor(name, epoch, 12) for epoch in range(12)]
    assert rates == pytest.approx(BY_HAND[name], abs=2e-5)


def test_names_are_the_configs():
    assert tuple(SCHEDULES) == NAMES


@pytest.mark.parametrize("name", ["cosine", "polynomial", "one-cycle"])
def test_ends_near_zero(name):
    assert lr_factor(name, 12, 12) == pytest.approx(0, abs=1e-4)


def test_step_takes_its_own_numbers():
    rates = [lr_factor("step", epoch, 6, step_epochs=2, gamma=0.1) for epoch in range(6)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("name", NAMES)
def test_warmup_rises_linearly_into_the_schedule(name):
    plain = [lr_factor(name, epoch / 2, 8) for epoch in range(16)]
    warm = [lr_factor(name, epoch / 2, 8, warmup=2) for epoch in range(16)]
    assert warm[:4] == pytest.approx([0 * plain[0], 0.25 * plain[1], 0.5 * plain[2], 0.75 * plain[3]])
    assert warm[4:] == plain[4:]
