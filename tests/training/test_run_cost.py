"""What a run has cost: parts, sessions, and where it is written."""

import pytest

from mstl.training.record import RunRecord
from mstl.training.run_cost import Ledger, RunCost


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ledger(clock):
    return Ledger(clock)


def spend(clock, seconds):
    clock.now += seconds


def test_parts_and_the_rest_add_up(ledger, clock):
    spend(clock, 1)
    with ledger.part("scan"):
        spend(clock, 2)
    for _ in range(2):
        with ledger.part("training"):
            spend(clock, 8)
    spend(clock, 16)
    cost = ledger.cost()
    assert cost.seconds == {"scan": 2, "features": 0, "training": 16, "evaluation": 0, "page": 0, "other": 17}
    assert cost.total == 35 and cost.sessions == 1


def test_a_part_within_another_counts_once(ledger, clock):
    with ledger.part("page"):
        spend(clock, 1)
        with ledger.part("evaluation"):
            spend(clock, 2)
            with ledger.part("features"):
                spend(clock, 4)
        with ledger.part("evaluation"):
            spend(clock, 8)
        spend(clock, 16)
    with ledger.part("training"):
        spend(clock, 32)
    assert ledger.cost().seconds == {
        "scan": 0,
        "features": 4,
        "training": 32,
        "evaluation": 10,
        "page": 17,
        "other": 0,
    }


def test_a_part_that_fails_counts(ledger, clock):
    with pytest.raises(ValueError), ledger.part("training"):
        spend(clock, 3)
        raise ValueError
    assert ledger.cost().seconds["training"] == 3


def test_what_is_not_finished_does_not_count(ledger, clock):
    """The page tells what the run has cost before the page."""
    spend(clock, 1)
    with ledger.part("training"):
        spend(clock, 2)
    with ledger.part("page"):
        spend(clock, 4)
        cost = ledger.cost()
    assert cost.seconds == {"scan": 0, "features": 0, "training": 2, "evaluation": 0, "other": 1}
    assert (ledger.cost().seconds["page"], ledger.cost().total) == (4, 7)


def test_sessions_add_up(ledger, clock):
    spend(clock, 5)
    seconds = {"scan": 1.0, "features": 30.0, "training": 2.0, "evaluation": 3.0, "page": 4.0, "other": 5.0}
    ledger.earlier = RunCost(seconds, 41.5, 10**15, "CPU", sessions=2)
    ledger.device = "GPU"
    cost = ledger.cost()
    assert cost.seconds == {**seconds, "other": 10.0}
    assert (cost.images_per_second, cost.peak_memory_bytes, cost.device, cost.sessions) == (41.5, 10**15, "GPU", 3)


def test_images_a_second(ledger):
    ledger.note_features(0, 3.0)
    assert ledger.cost().images_per_second is None
    ledger.note_features(120, 3.0)
    ledger.note_features(0, 0.0)
    assert ledger.cost().images_per_second == 40


def test_the_record_keeps_it(ledger):
    record = RunRecord(cost=ledger.cost())
    assert RunRecord.from_dict(record.to_dict()) == record
    assert RunRecord.from_dict({"cost": None}).cost is None
