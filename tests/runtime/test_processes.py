"""What processes of a run know of each other without a word from MindSpore."""

import socket

import pytest

from mstl.runtime import processes


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
