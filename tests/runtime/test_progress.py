"""Progress: bars and lines, by a fake clock and a fake terminal."""

import errno
import io
import logging
import os
import sys
import threading
from pathlib import Path

import pytest
from tqdm import tqdm

import mstl
from mstl.runtime import progress
from mstl.runtime.durations import in_words
from mstl.runtime.progress import Progress, track


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    pass


@pytest.fixture(autouse=True)
def terminals(monkeypatch):
    monkeypatch.setattr(progress, "is_terminal", lambda stream: isinstance(stream, Terminal) and not stream.closed)


def run(clock, steps, total=None, stream=None, **options):
    """Take steps of (seconds, items) one after the other."""
    with Progress("features", total, stream=stream or io.StringIO(), clock=clock, **options) as shown:
        for seconds, items in steps:
            clock.now += seconds
            shown.advance(items)
    return shown


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "mstl")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_line_every_half_minute(lines):
    """40 images a second: after 30 s, 1,200 of 4,000 are done, and the other 2,800 take 70 s."""
    run(Clock(), [(0.5, 20)] * 200, total=4000)
    assert lines() == [
        "features: 1,200 of 4,000, 40 images/s, 1 min 10 s left",
        "features: 2,400 of 4,000, 40 images/s, 40 s left",
        "features: 3,600 of 4,000, 40 images/s, 10 s left",
    ]


def test_what_ends_within_half_a_minute_says_nothing(lines):
    run(Clock(), [(1, 100)] * 29, total=2900)
    run(Clock(), [(15, 50)] * 2, total=100)  # nor is there anything to say at the very end
    assert lines() == []


def test_without_a_total_no_time_is_left(lines):
    run(Clock(), [(1, 3)] * 31, unit="files")
    assert lines() == ["features: 90 files, 3 files/s"]


def test_more_than_expected(lines):
    run(Clock(), [(1, 3)] * 31, total=50)
    assert lines() == ["features: 90 images, 3 images/s"]


def test_a_total_is_found_out_only_if_it_takes_long(lines):
    asked = []

    def total():
        asked.append(1)
        return 120

    run(Clock(), [(1, 3)] * 29, total=total)
    assert not asked
    run(Clock(), [(1, 3)] * 31, total=total)
    assert len(asked) == 1 and lines() == ["features: 90 of 120, 3 images/s, 10 s left"]


def test_quiet(lines):
    stream = Terminal()
    run(Clock(), [(1, 3)] * 90, total=900, quiet=True, stream=stream)
    assert lines() == [] and stream.getvalue() == ""


def test_a_slow_start_is_no_measure(lines):
    """The first batch takes 28 s (a graph is compiled), each further one 1 s: after 30 s, 97 are left, for 97 s."""
    run(Clock(), [(28, 32), *[(1, 32)] * 3], total=100 * 32)
    assert lines() == ["features: 96 of 3,200, 32 images/s, 1 min 37 s left"]


@pytest.mark.parametrize("slow_seconds", [5, 20, 60])
def test_a_slow_beginning_is_forgotten(lines, slow_seconds):
    """One image a second for a while, then 100: when that has lasted twice as long, the pace is right within 30 %."""
    steps = [(1, 1)] * slow_seconds + [(1, 100)] * max(40, 2 * slow_seconds)
    shown = run(Clock(), steps, total=100_000)
    assert 70 <= shown.pace.rate() <= 100


def test_two_items_are_no_measure():
    """The first was none to be computed, and the second waited for the engine."""
    shown = run(Clock(), [(0.1, 1), (20, 1)], total=100)
    assert shown.text() == "features: 2 of 100"


def test_slowing_down_is_seen():
    shown = run(Clock(), [(0.5, 50)] * 2000 + [(1, 10)] * 200, total=10**6)
    assert shown.pace.rate() == pytest.approx(10, rel=0.01)
    assert len(shown.pace.marks) < 1000  # whatever it lasts


def test_a_bar_on_a_terminal(lines):
    clock, stream = Clock(), Terminal()
    with Progress("features", 4000, stream=stream, clock=clock) as shown:
        clock.now += 0.4
        shown.advance(16)
        assert stream.getvalue() == ""  # for what is over at once, there is none
        for _ in range(20):
            clock.now += 0.5
            shown.advance(20)
        last = stream.getvalue().split("\r")[-1]
        assert "10%|" in last and last.rstrip().endswith("features: 416 of 4,000, 40 images/s, 1 min 30 s left")
    assert stream.getvalue().split("\r")[-1].strip() == ""  # it is wiped away
    assert lines() == []


def test_a_bar_is_drawn_a_few_times_a_second():
    stream, clock = Terminal(), Clock()
    run(clock, [(0.001, 1)] * 10_000, total=20_000, stream=stream)
    assert 10 <= stream.getvalue().count("features:") <= 45


def test_a_message_is_not_written_into_the_bar():
    clock, stream = Clock(), Terminal()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("mstl")
    logger.addHandler(handler)
    try:
        with Progress("features", 100, stream=stream, clock=clock) as shown:
            for _ in range(2):
                clock.now += 1
                shown.advance()
            logger.warning("a word")
            assert stream.getvalue().split("\r")[-1] == "a word\n"
        assert not logger.filters
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize("number", [errno.EIO, errno.EPIPE])
def test_a_terminal_that_goes_away(number):
    class Gone(Terminal):
        def write(self, text):
            raise OSError(number, "gone")

    run(Clock(), [(1, 1)] * 10, total=100, stream=Gone())
    assert not logging.getLogger("mstl").filters
    # tqdm would keep its lock, and every other bar of the process wait for it
    other = threading.Thread(target=lambda: tqdm(total=1, file=io.StringIO()).close(), daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive()


def test_a_stream_that_is_closed(lines):
    stream = Terminal()
    clock = Clock()
    with Progress("features", 100, stream=stream, clock=clock) as shown:
        for second in range(10):
            clock.now += 1
            shown.advance()
            if second == 3:
                stream.close()
    with Progress("features", 100, stream=stream, clock=clock) as shown:
        clock.now += 60
        shown.advance()
    assert lines() == ["features: 1 of 100"]


def test_no_stderr_at_all(monkeypatch, lines):
    monkeypatch.setattr(sys, "stderr", None)
    assert list(track(iter("abc"), "letters", 3)) == ["a", "b", "c"]


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_what_a_terminal_is(monkeypatch, tmp_path):
    monkeypatch.undo()
    import fcntl
    import struct
    import termios

    ours, theirs = os.openpty()
    try:
        with open(theirs, "w", closefd=False) as stream:
            fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
            assert progress.is_terminal(stream)
            fcntl.ioctl(ours, termios.TIOCSWINSZ, bytes(8))  # nobody has said how wide it is: a bar could not be seen
            assert not progress.is_terminal(stream)
        assert not progress.is_terminal(stream)
    finally:
        os.close(ours)
        os.close(theirs)
    with open(tmp_path / "log", "w") as file:
        assert not progress.is_terminal(file)
    assert not progress.is_terminal(None)


def test_without_tqdm_a_terminal_gets_lines(monkeypatch, lines):
    monkeypatch.setattr(progress, "has_tqdm", lambda: False)
    stream = Terminal()
    run(Clock(), [(1, 3)] * 31, total=100, stream=stream)
    assert lines() == ["features: 90 of 100, 3 images/s, 3 s left"] and stream.getvalue() == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (9.94, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (70, "1 min 10 s"),
        (599, "9 min 59 s"),
        (600, "10 min"),
        (3569, "59 min"),
        (3571, "1 h 0 min"),
        (3900, "1 h 5 min"),
    ],
)
def test_durations(seconds, words):
    assert in_words(seconds) == words


def test_durations_with_decimals():
    assert [in_words(seconds, 1) for seconds in (0.04, 9.94, 9.96, 70)] == ["0.0 s", "9.9 s", "10 s", "1 min 10 s"]


def test_there_is_one_way():
    package = Path(mstl.__file__).parent
    users = [path.name for path in package.rglob("*.py") if "import tqdm" in path.read_text(encoding="utf-8")]
    assert users == ["progress.py"]
