"""What processes of a run know of each other without a word from MindSpore."""

import socket

import numpy as np
import pytest

from mstl import MstlError
from mstl.runtime import processes, stopping
from tests.two_processes import together


def test_a_scheduler_is_one_that_listens(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("MS_SCHED_HOST", "127.0.0.1")
        monkeypatch.setenv("MS_SCHED_PORT", str(server.getsockname()[1]))
        assert processes.has_scheduler()
    assert not processes.has_scheduler()


def test_a_process_ends_when_the_scheduler_is_gone(monkeypatch, capsys):
    """Not at once: a busy host may miss a look or two."""
    looks = iter([True, False, False, True, False, False, False])
    monkeypatch.setattr(processes, "has_scheduler", lambda: next(looks))
    monkeypatch.setattr(processes, "LOOK_SECONDS", 0.0)

    def end(code):
        raise SystemExit(code)

    monkeypatch.setattr(processes.os, "_exit", end)
    with pytest.raises(SystemExit) as ended:
        processes.end_without_scheduler()
    assert ended.value.code == 1 and list(looks) == []
    assert capsys.readouterr().err == "mstl: error: another process of the run was killed or broke down\n"


def test_what_the_first_process_has_found_all_have():
    """Bit by bit, though sums are float32's, and however long it is: the others do not do the work."""
    found = {"decay": 0.1, "weight": np.random.default_rng(0).normal(size=(1000, 260)), "nothing": None}
    calls = []

    def work():
        calls.append(1)
        return found

    answers = together(lambda group: group.from_first(work))
    assert len(calls) == 1
    for answer in answers:
        assert answer["decay"] == 0.1 and answer["nothing"] is None
        np.testing.assert_array_equal(answer["weight"], found["weight"])
    assert processes.ProcessGroup().from_first(work) is found


@pytest.mark.parametrize(
    ("error", "others"),
    [
        (MstlError("too large: add memory"), MstlError("too large: add memory")),
        (stopping.Stopped(15, "stopped: start again"), stopping.Stopped(15, "stopped: start again")),
        (ZeroDivisionError("x"), MstlError("the first process of the run broke down: ZeroDivisionError")),
    ],
)
def test_where_the_first_process_fails_all_do(error, others):
    def work():
        raise error

    def fail(group):
        with pytest.raises(BaseException) as raised:
            group.from_first(work)
        return raised.value

    first, second = together(fail)
    assert first is error
    assert (type(second), str(second)) == (type(others), str(others))
    assert getattr(second, "signum", 0) == getattr(others, "signum", 0)
