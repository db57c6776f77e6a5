"""RunCost: what a run has cost in time and memory, for its record and its page; Ledger measures it."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mstl.runtime.peak_memory import peak_memory

Part = Literal["scan", "features", "training", "evaluation", "page"]
PARTS: tuple[Part, ...] = get_args(Part)
OTHER = "other"


@dataclass(frozen=True)
class RunCost:
    """What a run has cost so far: the first of its processes, over all times that it was started or resumed.

    Attributes:
        seconds: Of each part that is finished, and of all else as "other".
        images_per_second: At which features were computed, the last time that they were; None if they never were.
        peak_memory_bytes: The most that the process had in memory; None where the system does not say.
        device: On which MindSpore computed.
        sessions: How often the run was started or resumed; one that was killed counts only if an epoch of it was kept.
    """

    seconds: Mapping[str, float]
    images_per_second: float | None
    peak_memory_bytes: int | None
    device: str
    sessions: int = 1

    @property
    def total(self) -> float:
        """Seconds of all parts together."""
        return sum(self.seconds.values())

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunCost":
        """From what JSON made of it."""
        return cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})

    def after(self, earlier: "RunCost") -> "RunCost":
        """The cost of this session and of those before it."""
        peaks = [peak for peak in (self.peak_memory_bytes, earlier.peak_memory_bytes) if peak is not None]
        return RunCost(
            {part: round(value + earlier.seconds.get(part, 0.0), 3) for part, value in self.seconds.items()},
            self.images_per_second or earlier.images_per_second,
            max(peaks, default=None),
            self.device,
            self.sessions + earlier.sessions,
        )


class Ledger:
    """Measures what a session of a run costs, from when it is made.

    Args:
        now: Gives seconds.

    Attributes:
        device: On which MindSpore computes.
        earlier: What the sessions before this one have cost; None if there were none, or that is not known.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.now, self.started = now, now()
        self.device = "unknown"
        self.earlier: RunCost | None = None
        self.images_per_second: float | None = None
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._open: tuple[Part, float] | None = None  # the outermost part that is not finished, and when it began
        self._inside = 0.0  # seconds of parts within the one that is measured

    @contextlib.contextmanager
    def part(self, name: Part) -> Iterator[None]:
        """Count the time of this block for a part of the run, except for that of parts within it."""
        began, is_outermost, before = self.now(), self._open is None, self._inside
        self._inside = 0.0
        if is_outermost:
            self._open = name, began
        try:
            yield
        finally:
            took = self.now() - began
            self.seconds[name] += took - self._inside
            self._inside = before + took
            if is_outermost:
                self._open, self._inside = None, 0.0

    def note_features(self, images: int, seconds: float) -> None:
        """Note how long it took to compute the features of so many images; nothing if there were none."""
        if images and seconds > 0:
            self.images_per_second = round(images / seconds, 2)

    def cost(self) -> RunCost:
        """What the run has cost up to now, or up to the beginning of a part that is not finished, and without that."""
        unfinished, end = self._open or (None, self.now())
        other = end - self.started - sum(self.seconds.values())
        parts = [*self.seconds.items(), (OTHER, max(0.0, other))]
        seconds = {part: round(value, 3) for part, value in parts if part != unfinished}
        session = RunCost(seconds, self.images_per_second, peak_memory(), self.device)
        return session if self.earlier is None else session.after(self.earlier)
