"""The estimate of a run, logged before anything long, and how far auto goes in the time that is allowed."""

import dataclasses
import time
from dataclasses import dataclass

import mindspore as ms
import numpy as np

from mstl.config import TrainConfig
from mstl.features.cache_size import show_size, size_limit
from mstl.runtime.durations import in_words
from mstl.runtime.peak_memory import peak_memory
from mstl.training.auto import DEPTHS, FEW
from mstl.training.clock import Clock
from mstl.training.costs import Meter
from mstl.training.micro_batches import TRAINING_BYTES, micro_batches
from mstl.training.planning import Plan, Sizes, fitted, plan_of
from mstl.training.recipes import ResolvedConfig, resolve
from mstl.training.run import TrainingRun
from mstl.training.setup import make_loaders

LONG = 10.0  # seconds, from which an estimate is worth a line,
LONGER = 30.0  # and that of more training is worth measuring
MEASURED = 200  # images of 224 px that go through a model in a run, from which they are measured first
CPU_LIMIT = 600.0  # seconds of training on a CPU, which more than the head may take only if the user allows for more
AIM = 0.95  # of a time limit: what was measured a little too short does no harm then
FEWEST_EPOCHS = 3  # that deeper training is worth
REPORT_BYTES, PLOT_BYTES = 2 * 10**6, 200 * 10**6  # on disk; in memory


@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        seconds: From ``made`` on.
        made: When it was made, on the performance counter.
        lines: For the log.
    """

    seconds: float
    made: float
    lines: tuple[str, ...]

    def compared(self) -> str:
        """What the run has taken up to now, beside the estimate, for the log."""
        taken = time.perf_counter() - self.made
        return f"took {in_words(taken)}; {in_words(self.seconds)} were estimated"


def settle(run: TrainingRun, given: TrainConfig, started: float) -> Estimate | None:
    """Plan a run: choose how deep ``auto`` trains, fit the epochs into the time limit, and start the clock.

    On a CPU, ``auto`` trains more than the head only if the user has given a time limit above ten minutes, there are at
    least 2,000 images, and three epochs fit: it takes the deepest training for which that holds.

    Args:
        run: The run, before its first epoch; its settings are changed.
        given: The user's settings.
        started: When the run began, on the performance counter.

    Returns:
        The estimate; None if the run is too short to be measured.

    Raises:
        MstlError: Nothing fits into the time limit.
    """
    limit, is_resumed = run.state.config.seconds_allowed, bool(run.state.history)
    run.clock = Clock(started, None if limit is None else AIM * limit, run.processes)
    meter = Meter(run)
    if limit is None and not is_long(run, meter):
        return None
    plan = plan_of(run.state.config, meter, sizes_of(run), len(run.state.history))
    if not is_resumed and limit is not None:
        plan, meter = deepest(run, given, plan, meter, limit)
        plan, note = fitted(plan, given, meter, sizes_of(run), time_left(run))
        adopt(run, plan.config)
        if note:
            run.reason += f"; for the time limit of {plan.config.time_limit}, {note}"
    if not is_resumed:
        config, note = micro_batches(plan.config, given, meter.step_bytes, run.processes.size)
        adopt(run, config)
        plan, run.reason = dataclasses.replace(plan, config=config), run.reason + note
    run.state.record = dataclasses.replace(run.state.record, engine=run.engines.choice)
    run.clock.rest, run.clock.validation, run.clock.shares = plan.rest, plan.parts[-1].validation, plan.shares
    if limit is not None:
        plan = plan.within(time_left(run) + plan.rest + plan.parts[-1].validation)
    if plan.seconds < LONG and limit is None:
        return None
    more = more_training(run, given, plan, meter)
    return Estimate(plan.seconds, time.perf_counter(), (f"estimate: {whole(run, meter, plan)}", *more))


def is_long(run: TrainingRun, meter: Meter) -> bool:
    """Whether enough is computed for a measurement to be worth its time; nothing is measured for that."""
    state = run.state
    config = state.config
    if config.unfreeze_at or config.freeze != "backbone" or not keeps(run):
        passes = (config.epochs - len(state.history)) * (len(state.train_set) + len(state.val_set))
    else:
        train, val = meter.missing
        passes = sum(train) + val
    return passes * (state.preprocessing.image_size / 224) ** 2 >= MEASURED


def keeps(run: TrainingRun) -> bool:
    """Whether the features of frozen layers are kept, as far as can be said before they are computed."""
    return run.state.config.cache and not run.mixer.alphas


def sizes_of(run: TrainingRun) -> Sizes:
    """How large a run is; of the images, this process's share."""
    state, count = run.state, run.processes.size
    test = 0 if state.test_set is None else len(state.test_set)
    train, val = (-(-len(images) // count) for images in (state.train_set, state.val_set))
    return Sizes(train, val, test, len(state.classes), state.model.num_features, keeps(run), count)


def time_left(run: TrainingRun) -> float:
    """Seconds that are left, the same in all processes."""
    left = (run.clock.left() or 0.0) if run.processes.is_first else 0.0
    return float(run.processes.sum(np.array([left]))[0])


def deepest(run: TrainingRun, given: TrainConfig, plan: Plan, meter: Meter, limit: float) -> tuple[Plan, Meter]:
    """The plan of the deepest training that ``auto`` may choose, which the run then has; else the plan given."""
    head = run.state.config
    is_free = given.recipe == "auto" and given.optimizer is None and given.freeze is None and head.optimizer == "lbfgs"
    is_many = len(run.state.train_set) >= FEW and ms.get_context("device_target") == "CPU"
    if not is_free or not is_many or limit <= CPU_LIMIT or given.folds:
        return plan, meter
    processes = run.processes.size
    for _, settings in DEPTHS:
        wanted = {name: value for name, value in settings.items() if getattr(given, name) is None}
        wanted["batch_size"] = -(-settings["batch_size"] // processes) * processes  # which they share
        config, _ = resolve(dataclasses.replace(given, **wanted), len(run.state.train_set), len(run.state.classes))
        adopt(run, config)
        deep_meter = Meter(run)
        deep = plan_of(config, deep_meter, sizes_of(run))
        last = deep.parts[-1]
        if deep.seconds - max(0, last.last - last.first + 1 - FEWEST_EPOCHS) * last.epoch <= time_left(run):
            run.reason += f"; the time limit of {given.time_limit} allows for more: {last.name}"
            return deep, deep_meter
    adopt(run, head)
    return plan, meter


def adopt(run: TrainingRun, config: ResolvedConfig) -> None:
    """Give a run that has not begun other settings."""
    state = run.state
    if config == state.config:
        return
    state.config = config
    loaders = make_loaders(config, state.preprocessing, state.train_set, state.val_set, run.processes)
    run.train_loader, run.val_loader = loaders
    run.begin_phase(1)


def whole(run: TrainingRun, meter: Meter, plan: Plan) -> str:
    """The estimate as a line: images, seconds, memory and disk."""
    images = sum(len(each) for each in run.state.image_sets)
    memory, disk = bytes_needed(run, meter, plan)
    return f"{images:,} images; {plan.text()}; {show_size(memory)} memory, {show_size(disk)} on disk"


def bytes_needed(run: TrainingRun, meter: Meter, plan: Plan) -> tuple[int, int]:
    """Memory of a process at its peak, and disk for features and checkpoints, roughly."""
    state, config = run.state, plan.config
    memory, missing, row = (peak_memory() or 0) + PLOT_BYTES, 0, 0
    if state.phase.freeze.num_frozen_stages and keeps(run):
        extractor = run.extractor()
        row = int(np.prod(extractor.shape)) * extractor.dtype.itemsize
        train, val = meter.missing
        missing = (sum(train[: config.views]) + val) * meter.sharing
        memory += row * len(state.train_set) * config.views * (3 if config.optimizer == "lbfgs" else 1)
    if meter.step_bytes and config.batch_size:
        memory += meter.step_bytes * config.batch_size // run.processes.size + TRAINING_BYTES
    model = 4 * sum(parameter.size for parameter in state.model.get_parameters())
    return memory, min(missing * row, size_limit()) + 2 * model + REPORT_BYTES


def more_training(run: TrainingRun, given: TrainConfig, plan: Plan, meter: Meter) -> list[str]:
    """What more than the head would take, for the log, where ``auto`` trains the head for a while."""
    config = run.state.config
    is_head = given.recipe == "auto" and config.optimizer == "lbfgs" and not given.folds
    if not is_head or plan.seconds < LONGER:
        return []
    finetune, _ = resolve(
        dataclasses.replace(given, recipe="finetune"), len(run.state.train_set), len(run.state.classes)
    )
    seconds = plan_of(finetune, meter, sizes_of(run)).seconds
    return [f"training everything would take about {in_words(seconds)}: --recipe finetune"]
