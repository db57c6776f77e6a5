"""A time limit: what is planned for it from measured costs, and how a run ends in time with a finished schedule."""

import dataclasses
import json

import numpy as np
import pytest

import mstl
from mstl import MstlError, TrainConfig
from mstl.evaluation.cross_validation import fold_seconds
from mstl.evaluation.regularisation import solver_seconds
from mstl.runtime.durations import parse_duration
from mstl.runtime.processes import ProcessGroup
from mstl.training import estimate
from mstl.training.clock import Clock
from mstl.training.phase import Phase
from mstl.training.planning import Part, Plan, Sizes, fitted, plan_of
from mstl.training.recipes import resolve
from mstl.training.schedules import lr_factor

SIZES = Sizes(1000, 200, 0, 2, 512, True)


class FakeCosts:
    """Costs as they are told, in seconds for each image."""

    step_bytes, compiling, opening, sharing = 10**8, 0.0, 0.5, 1

    def __init__(self, features=0.01, step=0.1, load=0.005, cached=False, views=1):
        self.features, self.load, self.answer = features, load, features
        self.missing = ((0,) * views, 0) if cached else ((1000,) * views, 200)
        self.steps = step

    def step(self, level):
        """Deeper training costs more."""
        return self.steps * {"backbone": 0.001, "layer3": 0.2, "layer2": 0.5}.get(level, 1)


def resolved(num_images=1000, **settings):
    """Settings for so many images."""
    return resolve(TrainConfig(model="resnet18", **settings), num_images, 2)[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("3m", 180), ("3 min", 180), ("1h30m", 5400), ("1h 30m 5s", 5405), ("1.5h", 5400), ("10M", 600)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds
    assert TrainConfig(time_limit=text).seconds_allowed == seconds
    assert TrainConfig().seconds_allowed is None


@pytest.mark.parametrize("text", ["180", "0s", "-3m", "3x", "m", "30m1h", "3m3m", "1e3s"])
def test_what_is_no_duration(text):
    with pytest.raises(MstlError, match=rf"time_limit must be a time with its unit, such as 90s.*, not {text}$"):
        TrainConfig(time_limit=text)


def test_plan_of_a_head_that_is_solved_for():
    plan = plan_of(resolved(), FakeCosts(), SIZES)
    (part,) = plan.parts
    assert part.features == pytest.approx(12)  # 1,200 images of 10 ms
    assert part.training < 2 and plan.rest == 4
    assert plan.seconds == pytest.approx(12 + part.training + 4)
    assert plan.text().startswith("features 12 s, ") and "report 4 s: about 17 s" in plan.text()
    assert plan_of(resolved(), FakeCosts(cached=True), SIZES).parts[0].features == 0
    tested = plan_of(resolved(report=False), FakeCosts(), dataclasses.replace(SIZES, test=300))
    assert tested.rest == pytest.approx(0.5 + 3)
    assert plan_of(resolved(folds=5), FakeCosts(), SIZES).rest == pytest.approx(
        4 + fold_seconds(1200 * SIZES.features, SIZES.classes, 5)
    )


@pytest.mark.parametrize(
    ("views", "images", "classes", "seconds"),
    [(1, 3200, 2, 2.8), (3, 320, 2, 0.7), (3, 800, 20, 14.4), (1, 2000, 100, 17.5), (1, 20_000, 1000, 110)],
)
def test_seconds_of_the_solver_beside_what_was_measured(views, images, classes, seconds):
    """On two cores, with 1,280 features; the last two on made-up features, where half as many objectives do."""
    assert seconds / 1.3 <= solver_seconds(views * images * 1280, classes) <= 2.1 * seconds


@pytest.mark.parametrize(("images", "classes", "seconds"), [(398, 2, 1.0), (1000, 2, 1.6), (1000, 20, 2.7)])
def test_seconds_of_a_cross_validation_beside_what_was_measured(images, classes, seconds):
    """In five folds, on a core of a busy machine, with 1,280 features."""
    assert seconds / 2 <= fold_seconds(images * 1280, classes, 5) <= 2 * seconds


def test_plan_of_several_processes():
    """The first one solves for the head, and cross-validates, alone: of all images."""
    config, mine = resolved(folds=5), dataclasses.replace(SIZES, train=500, val=100, processes=2)
    (alone, all_alone), (shared, all_shared) = (
        (plan.parts[0], plan) for plan in (plan_of(config, FakeCosts(), sizes) for sizes in (SIZES, mine))
    )
    assert shared.once == alone.once and all_shared.rest == all_alone.rest
    (steps,) = plan_of(resolved(epochs=20, batch_size=20), FakeCosts(), mine).parts
    assert steps.epoch == pytest.approx(50 * 0.015 + 0.2)  # with a sum over the processes in each step
    (deep,) = plan_of(resolved(epochs=20, freeze="none"), FakeCosts(), mine).parts
    assert deep.epoch == pytest.approx(500 * 0.105 + 100 * 0.01 + 0.5 + 0.2)


def test_plan_of_finetuning():
    config = resolved(recipe="finetune")
    plan = plan_of(config, FakeCosts(), SIZES)
    head, everything = plan.parts
    assert (head.name, head.first, head.last) == ("head", 1, 2)
    assert (everything.name, everything.first, everything.last, everything.features) == ("all layers", 3, 8, 0)
    # 1,000 images of 105 ms, 200 validation images of 10 ms and the engine that takes in the weights, the checkpoints
    assert everything.epoch == pytest.approx(105 + 2.5 + 0.2)
    assert everything.training == pytest.approx(6 * 107.7)
    assert [part.first for part in plan_of(config, FakeCosts(), SIZES, done=4).parts] == [5]
    at_once = plan_of(resolved(recipe="finetune", unfreeze_at=1), FakeCosts(), SIZES)
    assert [(part.first, part.last) for part in at_once.parts] == [(1, 8)]


def test_plan_where_frozen_layers_run_in_every_epoch():
    mixed = dataclasses.replace(SIZES, keeps=False)
    (part,) = plan_of(resolved(freeze="layer3", epochs=2), FakeCosts(), mixed).parts
    assert part.features == 0 and part.epoch == pytest.approx(1000 * (0.02 + 0.01) + 2.5 + 0.2)
    (kept,) = plan_of(resolved(freeze="layer3", epochs=2), FakeCosts(), SIZES).parts
    assert kept.features == pytest.approx(12)
    assert kept.epoch == pytest.approx(1000 * 0.02 + 200 * 0.02 / 3 + 0.5 + 0.2)


def fit(left, costs=None, sizes=SIZES, **settings):
    """The plan that fits into so many seconds, and what was changed for it."""
    given = TrainConfig(model="resnet18", time_limit=f"{left}s", **settings)
    config = resolve(given, sizes.train, 2)[0]
    costs = costs or FakeCosts(views=config.views)
    return fitted(plan_of(config, costs, sizes), given, costs, sizes, left)


def test_fewer_epochs_are_planned_for_less_time():
    assert fit(1000, recipe="finetune")[0].config.epochs == 8
    plan, note = fit(450, recipe="finetune")  # 4 epochs of 107.7 s, 12 s of features
    assert plan.config.epochs == 2 + 4 and note == "6 epochs rather than 8, with the whole schedule"
    assert plan.config.unfreeze_at == 3
    part = fit(60, recipe="finetune")[0]  # not even one: the clock ends it
    assert part.config.epochs == 3 and part.seconds > 60


def test_a_shorter_schedule_keeps_its_shape():
    plan, _ = fit(600, recipe="food", freeze="none", warmup=8.0)  # 80 epochs, the rate halved every 5
    config = plan.config
    assert config.epochs < 8 and config.warmup == pytest.approx(8 * config.epochs / 80)
    end = lr_factor("step", config.epochs, config.epochs, 0, config.lr_step, config.lr_gamma)
    assert end == pytest.approx(0.5**16)


def test_fewer_views_then_a_refusal():
    few = dataclasses.replace(SIZES, train=900)
    plan, note = fit(25, sizes=few)
    assert plan.config.views == 1 and note == "one view of each image rather than 3"
    with pytest.raises(MstlError, match="time limit of 25s is too short: the run takes 3[0-9] s at least") as caught:
        fit(25, sizes=few, views=3)
    assert "\n" not in str(caught.value)
    with pytest.raises(MstlError, match=r"takes 1. s at least .*raise --time-limit, or leave it out"):
        fit(5, sizes=few)
    with pytest.raises(MstlError, match="time limit of 9s is too short"):  # two steps, a validation, the report
        fit(9, recipe="finetune", freeze="none")


def test_shares_of_the_time():
    plan = Plan(resolved(recipe="finetune"), (Part("head", 1, 2, 9, 0, 5), Part("all layers", 3, 8, 0, 0, 15)), 4)
    assert plan.shares == {2: pytest.approx(2 * 10 / 100 + 0.1), 8: 1}
    assert plan.seconds == 9 + 10 + 90 + 4
    assert plan.within(200).seconds == 113
    assert plan.within(63).seconds == pytest.approx(63)
    assert plan.within(63).parts[1].training == pytest.approx(40)


class FakeTime:
    """Time that passes when it is told to."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


def test_clock_without_a_limit_counts_steps():
    now = FakeTime()
    clock = Clock(now=now)
    clock.begin(0, 5)
    now.seconds += 1e6
    clock.look()
    assert not clock.is_over and clock.left() is None
    assert clock.progress(0.25) == 0.25


@pytest.mark.parametrize("slowness", [0.5, 1.0, 3.0, 200.0])
def test_the_schedule_ends_in_time_however_slow_steps_turn_out(slowness):
    """Four epochs of ten steps, planned at 2 s each, of 100 s, 10 of which are needed at the end."""
    now = FakeTime()
    clock = Clock(100.0, 100.0, now=now)
    now.seconds += 5  # for setup
    clock.rest, clock.validation = 8.0, 2.0
    clock.begin(0, 4)
    factors = []
    for step in range(40):
        clock.look()
        factors.append(lr_factor("cosine", clock.progress(step / 10), 4))
        now.seconds += 2 * slowness
        if clock.is_over:
            break
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] <= lr_factor("cosine", 3.9, 4)
    assert now.seconds - 100 <= max(90, 5 + 2 * 2 * slowness)  # none is known to last so long before it has done so
    assert len(factors) == 40 if slowness <= 1 else factors[-1] == 0


def test_a_phase_takes_its_share_and_a_resumed_one_goes_on_where_it_was():
    now = FakeTime()
    clock = Clock(100.0, 100.0, now=now)
    clock.shares = {2: 0.25}
    clock.begin(0, 2)
    now.seconds += 12.5
    clock.look()
    assert clock.progress(0) == pytest.approx(1) and not clock.is_over
    now.seconds += 12.5
    clock.look()
    assert clock.is_over and clock.progress(0.3) == 2
    clock.begin(2, 8)
    assert not clock.is_over and clock.seconds == 75
    clock.begin(5, 8)
    now.seconds += 25
    clock.look()
    assert clock.progress(5.1) == pytest.approx(6)
    now.seconds += 1000
    clock.begin(7, 8)
    assert clock.is_over  # there is nothing left


class Second(ProcessGroup):
    """A process that is not the first one of two, whose time it is told."""

    rank, size = 1, 2

    def sum(self, array):
        """The first one's share of the time is a half."""
        assert not array.any()
        return array + 0.5


def test_processes_go_by_the_time_of_the_first():
    clock = Clock(0.0, 10.0, Second(), now=FakeTime())
    clock.begin(0, 4)
    assert clock.time_progress == 2


@pytest.mark.usefixtures("no_pictures", "narrow_model")
class TestRuns:
    """Runs of a narrow model."""

    SETTINGS = {
        "model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "workers": 1, "report": False,
        "schedule": "cosine", "mode": "pynative",
    }  # fmt: skip

    def test_steps_that_are_slower_than_planned(self, photos, tmp_path, monkeypatch, caplog):
        """The clock is at its end in the second of three epochs, after a step: all that was promised holds."""
        monkeypatch.setattr(estimate, "Meter", lambda run: FakeCosts(features=0.0, step=1e-4, load=0.0))
        looked = []

        def look(clock):
            looked.append(clock.end)
            clock.time_progress = clock.end if len(looked) > 6 else clock.start

        monkeypatch.setattr(Clock, "look", look)
        rates, learning_rate = [], Phase.learning_rate
        monkeypatch.setattr(
            Phase, "learning_rate", lambda phase, done: rates.append(learning_rate(phase, done)) or rates[-1]
        )
        with caplog.at_level("INFO", "mstl"):
            state = mstl.fit(data=photos, epochs=3, time_limit="1h", out=tmp_path / "run", **self.SETTINGS)
        assert rates[-1] == 0 and all(np.diff(rates) < 0)
        done = len(state.history)
        assert done < 3 and state.history[-1]["lr"] == 0
        assert f"the schedule has come to its end in epoch {done}, of 3 that were planned" in caplog.text
        kept = json.loads((tmp_path / "run" / "config.json").read_text())
        assert (kept["epochs"], kept["time_limit"]) == (done, "1h")
        with pytest.raises(MstlError, match="nothing to resume"):
            mstl.fit(resume=tmp_path / "run")

    def test_a_limit_that_is_long_enough_changes_nothing(self, photos, tmp_path, caplog):
        with caplog.at_level("INFO", "mstl"):
            limited = mstl.fit(
                data=photos, epochs=1, freeze="none", time_limit="20m", **self.SETTINGS, out=tmp_path / "a"
            )
        plain = mstl.fit(data=photos, epochs=1, freeze="none", **self.SETTINGS, out=tmp_path / "b")
        assert "estimate: " in caplog.text and " memory, " in caplog.text and "were estimated" in caplog.text
        (one,), (other,) = limited.history, plain.history
        for value in ("lr", "train_loss", "val_loss"):
            assert one[value] == pytest.approx(other[value], rel=1e-4)
        resumed = mstl.fit(resume=tmp_path / "a", epochs=2, time_limit="30m")
        assert len(resumed.history) == 2 and resumed.config.time_limit == "30m"

    def test_a_limit_that_is_too_short_leaves_nothing(self, photos, tmp_path):
        with pytest.raises(MstlError, match="time limit of 1s is too short"):
            mstl.fit(data=photos, epochs=2, time_limit="1s", out=tmp_path / "run", **self.SETTINGS)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize(
        ("limit", "step", "depth"),
        [
            ("9m", 1e-6, "head"),
            ("2h", 1e-3, "none"),
            ("2h", 3.0, "layer2"),
            ("2h", 9.0, "layer3"),
            ("2h", 1e3, "head"),
            (None, 1e-6, "head"),
        ],
    )
    def test_auto_goes_as_deep_as_fits(self, photos, monkeypatch, limit, step, depth):
        """An epoch of all layers takes 1,000 times the step, one of fewer layers half or a fifth of that; three fit."""
        from mstl.training.setup import prepare

        monkeypatch.setattr(estimate, "FEW", 1)
        monkeypatch.setattr(estimate, "sizes_of", lambda run: SIZES)
        monkeypatch.setattr(estimate, "Meter", lambda run: FakeCosts(step=step))
        given = TrainConfig(data=str(photos), model="resnet18", weights="none", image_size=32, time_limit=limit)
        run = prepare(given)
        estimate.settle(run, given, 0.0 if limit is None else Clock().now())
        config = run.state.config
        if depth == "head":
            assert (config.optimizer, config.freeze, config.unfreeze_at) == ("lbfgs", "backbone", 0)
        else:
            assert config.optimizer == "momentum" and "allows for more" in run.reason
            assert (config.freeze, config.unfreeze_at) == (("backbone", 2) if depth == "none" else (depth, 0))
            assert run.train_loader.batch_size == 32 and config.epochs >= 3
