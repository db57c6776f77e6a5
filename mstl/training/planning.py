"""Planning: what a run will take, said before anything long, and what of it fits into a time limit."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mstl.config import FreezeName, TrainConfig
from mstl.errors import MstlError
from mstl.evaluation.cross_validation import fold_seconds
from mstl.evaluation.regularisation import solver_seconds
from mstl.runtime.durations import in_words
from mstl.training.recipes import ResolvedConfig

HEAD_STEP, SHARED_STEP = 5e-4, 0.015  # seconds of a step of a head, with its batch: compiled; by several processes
EPOCH_SECONDS = 0.2  # of checkpoints and history
REPORT_SECONDS, END_SECONDS = 4.0, 0.5  # of plots and page; of the rest after the last epoch
FEWEST_STEPS = 2  # in which a schedule can be gone through; how long they take is known too roughly to ask for more


class Costs(Protocol):
    """What is measured of a run; see :class:`mstl.training.costs.Meter`."""

    step_bytes: int
    compiling: float
    opening: float

    @property
    def missing(self) -> tuple[tuple[int, ...], int]:
        """Activations to be computed: of training images, for each view; of validation images."""

    @property
    def load(self) -> float:
        """Seconds to read an image."""

    @property
    def features(self) -> float:
        """Seconds to read an image and run it through the frozen layers."""

    @property
    def answer(self) -> float:
        """Seconds to read an image and run it through the whole model."""

    def step(self, level: FreezeName) -> float:
        """Seconds of an image in a training step, all else left out."""


@dataclass(frozen=True)
class Sizes:
    """How large a run is.

    Attributes:
        train, val, test: Images; the first two of a single process.
        classes: Classes.
        features: Of an image, where only the head is trained.
        keeps: Whether what the frozen layers give is kept for all epochs.
        processes: How many there are; the first one solves for heads, of all images.
    """

    train: int
    val: int
    test: int
    classes: int
    features: int
    keeps: bool
    processes: int = 1


@dataclass(frozen=True)
class Part:
    """A phase of a run, in seconds.

    Attributes:
        name: What is trained.
        first, last: Its epochs.
        features: To compute the features that are not cached.
        once: Before its first epoch, besides.
        epoch: For each epoch, with its validation.
        validation: Of that, for the validation.
        step: For each image in a step, all that belongs to it included.
    """

    name: str
    first: int
    last: int
    features: float = 0.0
    once: float = 0.0
    epoch: float = 0.0
    validation: float = 0.0
    step: float = 0.0

    @property
    def training(self) -> float:
        """Seconds without those for the features."""
        return self.once + (self.last - self.first + 1) * self.epoch


@dataclass(frozen=True)
class Plan:
    """A run's settings, and what they take.

    Attributes:
        config: The settings.
        parts: Its phases, as far as they are still to come.
        rest: Seconds after the last epoch.
    """

    config: ResolvedConfig
    parts: tuple[Part, ...]
    rest: float

    @property
    def seconds(self) -> float:
        """All together."""
        return sum(part.features + part.training for part in self.parts) + self.rest

    def within(self, left: float) -> "Plan":
        """The same as the clock will have it: its last phase ends when so many seconds have passed."""
        *others, last = self.parts
        saved = min(max(0.0, self.seconds - left), last.training)
        ended = dataclasses.replace(last, once=0.0, epoch=(last.training - saved) / (last.last - last.first + 1))
        return dataclasses.replace(self, parts=(*others, ended))

    @property
    def shares(self) -> Mapping[int, float]:
        """What each phase, by its last epoch, may take of the time that is left then: twice its part at most."""
        shares, later = {}, 0.0
        for part in reversed(self.parts):
            alone = part.training / (part.training + later) if later else 1.0
            shares[part.last] = min(1.0, 2 * alone + 0.1)
            later += part.features + part.training
        return shares

    def text(self) -> str:
        """The seconds of each part in words, and their sum."""
        named: dict[str, float] = {}
        for part in self.parts:
            named["features"] = named.get("features", 0.0) + part.features
            named[part.name] = named.get(part.name, 0.0) + part.training
        named["report" if self.config.report else "end"] = self.rest
        parts = ", ".join(f"{name} {in_words(seconds)}" for name, seconds in named.items() if seconds >= 0.5)
        return f"{parts}: about {in_words(self.seconds)}" if parts else f"about {in_words(self.seconds)}"


def plan_of(config: ResolvedConfig, costs: Costs, sizes: Sizes, done: int = 0) -> Plan:
    """What a run takes.

    Args:
        config: The settings.
        costs: What its images take.
        sizes: How many there are.
        done: Epochs that are finished already.
    """
    unfreezes = bool(config.unfreeze_at) and config.freeze != "none"
    phases: list[tuple[FreezeName, int, int]] = [(config.freeze, 1, config.epochs)]
    if unfreezes:
        phases = [(config.freeze, 1, config.unfreeze_at - 1), ("none", config.unfreeze_at, config.epochs)]
    phases = [(level, max(first, done + 1), last) for level, first, last in phases if last > done and last >= first]
    parts = tuple(part_of(config, costs, sizes, *phase) for phase in phases)
    rest = REPORT_SECONDS if config.report else END_SECONDS
    rest += sizes.test * costs.answer if sizes.test else 0.0
    if config.folds:
        images = (sizes.train + sizes.val) * sizes.processes
        rest += fold_seconds(images * sizes.features, sizes.classes, config.folds)
    return Plan(config, parts, rest)


def part_of(config: ResolvedConfig, costs: Costs, sizes: Sizes, level: FreezeName, first: int, last: int) -> Part:
    """What a phase takes."""
    is_frozen = level not in ("none", "BN")
    keeps = is_frozen and sizes.keeps
    features = feature_seconds(config, costs) if keeps else 0.0
    if keeps and level == "backbone":
        if config.optimizer == "lbfgs":
            solving = solver_seconds(sizes.train * sizes.processes * config.views * sizes.features, sizes.classes)
            return Part("head", first, last, features, 0.5 + solving)
        step = (HEAD_STEP if sizes.processes == 1 else SHARED_STEP * sizes.processes) / config.batch_size
        return Part("head", first, last, features, 0.5, sizes.train * step + EPOCH_SECONDS, 0.0, step)
    step, validation = costs.step(level), sizes.val * costs.answer
    if keeps:
        validation = sizes.val * step / 3  # forward alone
    else:
        step += costs.features if is_frozen else costs.load
    name = "all layers" if level == "none" else f"training behind {level}" if level != "BN" else "training"
    if level == "backbone":
        name = "head"
    validation += costs.opening  # of the weights of each epoch
    once = 0.0 if config.mode == "pynative" else costs.compiling
    return Part(name, first, last, features, once, sizes.train * step + validation + EPOCH_SECONDS, validation, step)


def feature_seconds(config: ResolvedConfig, costs: Costs) -> float:
    """Seconds for the features that are not cached, of all views of the settings."""
    seconds = 0.0
    for _ in range(2):  # once an engine is settled, what is missing may be other features
        train, val = costs.missing
        missing = sum(train[: config.views]) + val
        seconds = missing * costs.features if missing else 0.0
    return seconds


def fitted(plan: Plan, given: TrainConfig, costs: Costs, sizes: Sizes, left: float) -> tuple[Plan, str]:
    """The plan, with fewer views and epochs where it takes more than there is time for.

    A schedule keeps its whole shape. A last epoch that is not finished in time ends where the time does
    (:mod:`mstl.training.clock`).

    Args:
        plan: The plan.
        given: The settings of the user: views that are given stay.
        costs: What its images take.
        sizes: How many there are.
        left: Seconds that are left.

    Returns:
        The plan that fits, and what was changed, for the log.

    Raises:
        MstlError: None does.
    """
    notes, config = [], plan.config
    if plan.seconds > left and given.views is None and config.views > 1 and any(part.features for part in plan.parts):
        config = dataclasses.replace(config, views=1)
        notes.append(f"one view of each image rather than {plan.config.views}")
        plan = plan_of(config, costs, sizes)
    if plan.seconds <= left:
        return plan, ", ".join(notes)
    last = plan.parts[-1]
    available = left - (plan.seconds - last.training) - last.once
    least = last.validation + FEWEST_STEPS * (config.batch_size or 0) * last.step
    if not last.epoch or available < min(last.epoch, least):
        gone = (config.seconds_allowed or left) - left
        needed = gone + plan.seconds - last.training + last.once + min(last.epoch, least)
        raise MstlError(
            f"the time limit of {config.time_limit} is too short: the run takes {in_words(needed)} at least "
            f"({plan.text()}, as measured on some of its images); raise --time-limit, or leave it out"
        )
    epochs = min(last.last, last.first - 1 + max(1, round(available / last.epoch)))
    if epochs < last.last:
        notes.append(f"{epochs} epoch{'s' if epochs > 1 else ''} rather than {last.last}, with the whole schedule")
    return plan_of(shortened(config, epochs), costs, sizes), ", ".join(notes)


def shortened(config: ResolvedConfig, epochs: int) -> ResolvedConfig:
    """The settings for fewer epochs, with the schedule's whole shape: its warm-up and its steps move closer."""
    share = epochs / config.epochs
    lr_step = max(1, round(config.lr_step * share))
    # As far down in all as before, by another number of steps
    lr_gamma = config.lr_gamma ** ((config.epochs / config.lr_step) / (epochs / lr_step))
    return dataclasses.replace(config, epochs=epochs, warmup=config.warmup * share, lr_step=lr_step, lr_gamma=lr_gamma)
