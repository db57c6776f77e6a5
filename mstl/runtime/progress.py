"""Progress of what can take long: a bar with the time left on a terminal, elsewhere a line every half minute."""

import functools
import importlib.util
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, TypeVar

from mstl.runtime.durations import in_words

Item = TypeVar("Item")

logger = logging.getLogger("mstl")
LINE_SECONDS = 30.0  # between two lines; what ends sooner says nothing
BAR_SECONDS = 0.5  # from which on a bar is shown,
REFRESH_SECONDS = 0.25  # and renewed; the clock is read at each item, all else is done only then
SHORTEST, LONGEST = 10.0, 120.0  # seconds of what counts as recent; in between, half of the time since the first item


class Pace:
    """How fast something goes of late.

    The time before the first item counts for nothing: an engine is made and proved then, a graph compiled. What comes
    next is forgotten as soon as it is older than half of the time: a slow start does not spoil the estimate for long.
    """

    def __init__(self) -> None:
        self.marks: deque[tuple[float, int]] = deque()  # seconds and what was done by then
        self.start = 0.0

    def note(self, now: float, done: int) -> None:
        """Remember what is done by now, and forget what is not recent."""
        if not self.marks:
            self.start = now
        self.marks.append((now, done))
        recent = now - min(max((now - self.start) / 2, SHORTEST), LONGEST)
        while len(self.marks) > 2 and self.marks[1][0] <= recent:
            self.marks.popleft()

    def rate(self) -> float | None:
        """Items a second; None as long as that is not known: the second item may have waited for the engine, too."""
        if len(self.marks) < 3:
            return None
        (since, before), (now, done) = self.marks[0], self.marks[-1]
        return (done - before) / (now - since) if now > since and done > before else None


class Progress:
    """A context in which items are counted, and shown on stderr if it takes long.

    A message of the logger takes the bar's place for a moment. If the terminal goes away, the rest is silent.

    Args:
        label: What is done, such as "features".
        total: The number of items; None if it is not known, or a function that finds out, called only if it takes long.
        unit: What the items are, in the plural.
        quiet: Show nothing: another process does.
        stream: Where a bar goes if that is a terminal; stderr if None. Lines go through the logger.
        clock: Gives seconds.
    """

    def __init__(
        self,
        label: str,
        total: int | Callable[[], int | None] | None = None,
        unit: str = "images",
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label, self.total, self.unit, self.clock = label, total, unit, clock
        self.stream = sys.stderr if stream is None else stream
        self.shows_bar = not quiet and is_terminal(self.stream) and has_tqdm()
        self.shows_lines = not quiet and not self.shows_bar
        self.done, self.pace = 0, Pace()
        self.bar: Any = None
        now = clock()
        self.next_look = now  # the first item's time is noted at once
        self.next_shown = now + (BAR_SECONDS if self.shows_bar else LINE_SECONDS)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def advance(self, count: int = 1) -> None:
        """Count items that are done."""
        self.done += count
        now = self.clock()
        if now < self.next_look:
            return
        self.next_look = now + REFRESH_SECONDS
        self.pace.note(now, self.done)
        if now < self.next_shown:
            return
        if self.shows_bar:
            self._show_bar()
        elif self.shows_lines and self.done != self._known_total():
            self.next_shown = now + LINE_SECONDS
            logger.info("%s", self.text())

    def text(self) -> str:
        """How many of how many, how fast, and how much longer."""
        total, rate = self._known_total(), self.pace.rate()
        parts = [
            f"{self.label}: {self.done:,} {self.unit}" if total is None else f"{self.label}: {self.done:,} of {total:,}"
        ]
        if rate is not None:
            parts.append(f"{rate:,.0f} {self.unit}/s" if rate >= 10 else f"{rate:.2g} {self.unit}/s")
            if total is not None:
                parts.append(f"{in_words((total - self.done) / rate)} left")
        return ", ".join(parts)

    def _known_total(self) -> int | None:
        """The total, found out now if need be; None if more have come than were expected."""
        if callable(self.total):
            self.total = self.total()
        return None if self.total is None or self.total < self.done else self.total

    def _show_bar(self) -> None:
        """Draw the bar, or draw it anew."""
        try:
            if self.bar is None:
                self.bar = new_bar(self.stream, self._known_total(), self.done, self.text())
                logger.addFilter(self._make_room)
            else:
                self.bar.n = self.done
                self.bar.set_description_str(self.text())
        except (OSError, ValueError):  # the terminal is gone, or somebody has closed the stream
            self._close()

    def clear(self) -> None:
        """Wipe the bar away, as something else is written; it is drawn again soon."""
        try:
            if self.bar is not None:
                self.bar.clear()
        except (OSError, ValueError):
            self.shows_bar = False

    def _make_room(self, _record: logging.LogRecord) -> bool:
        """A filter that lets all messages through, and wipes the bar away before each."""
        self.clear()
        return True

    def _close(self) -> None:
        """Take the bar away, for good."""
        self.shows_bar = False
        logger.removeFilter(self._make_room)
        bar, self.bar = self.bar, None
        try:
            if bar is not None:
                bar.close()
        except (OSError, ValueError):
            bar.disable = True  # it is not to try again at the interpreter's end


def track(items: Iterable[Item], label: str, total: int | None = None, unit: str = "images") -> Iterator[Item]:
    """The items, each counted by a :class:`Progress` when the next one is asked for."""
    with Progress(label, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream, which may be missing or closed, is a terminal, and of a width to draw on."""
    try:
        return stream is not None and stream.isatty() and os.get_terminal_size(stream.fileno()).columns > 0
    except (OSError, ValueError):
        return False


def has_tqdm() -> bool:
    """Whether there are bars: not where only an exported model is used, which needs few packages."""
    return importlib.util.find_spec("tqdm") is not None


def new_bar(stream: TextIO, total: int | None, done: int, text: str) -> Any:
    """A bar by tqdm."""
    shape = "{desc}" if total is None else "{percentage:3.0f}%|{bar}| {desc}"
    return bar_class()(
        total=total, initial=done, desc=text, file=stream, leave=False, bar_format=shape, dynamic_ncols=True
    )


@functools.cache
def bar_class() -> type[Any]:
    """A bar of tqdm, drawn without the lock that all bars of a process share, and watched by no thread.

    tqdm does not release that lock if drawing fails or is interrupted, as on a terminal that is gone: each later bar,
    such as that of a download, would wait for it for ever.
    """
    from tqdm import tqdm  # takes a tenth of a second

    class Bar(tqdm):
        monitor_interval = 0

        def refresh(self, nolock: bool = True, lock_args: Any = None) -> None:
            super().refresh(nolock=True)

        def clear(self, nolock: bool = True) -> None:
            super().clear(nolock=True)

    return Bar
