"""The launcher of several processes: who ends with whom, and what is said of it. Scripts stand for the processes."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from mstl import MstlError
from mstl.runtime import stopping
from mstl.training import launcher

AT_ONCE = 15  # seconds, on a busy machine; each script would take a minute
SLEEP = "import time; time.sleep(60)"
SCRIPT = """
import os, pathlib, signal, sys, time
folder, rank = pathlib.Path(sys.argv[1]), int(os.environ["RANK_ID"])
(folder / f"process-{rank}").write_text(str(os.getpid()))
"""
ALL_THERE = """
while len(list(folder.glob("process-*"))) < 2: time.sleep(0.01)
"""


@pytest.fixture
def launched(tmp_path, monkeypatch):
    """Launch two processes that run a script; their logs are in a folder of the test."""
    monkeypatch.setattr(launcher, "cores", lambda: 2)
    monkeypatch.setattr(launcher, "SCHEDULER", ("-c", SLEEP))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(launcher, "LOOK_SECONDS", 0.01)

    def launch(script):
        monkeypatch.setattr(launcher, "WORKER", ("-c", SCRIPT + script))
        started = time.monotonic()
        try:
            return launcher.launch(2, [str(tmp_path)])
        finally:
            assert time.monotonic() - started < AT_ONCE
            assert not [path for path in tmp_path.glob("process-*") if is_running(int(path.read_text()))]

    return launch


def is_running(number):
    return Path(f"/proc/{number}").exists()


def logs(folder):
    return list(folder.glob("mstl-logs-*"))


def test_the_first_one_prints(launched, tmp_path, capfd):
    """What is not said by MindSpore; whatever the others print stays in their logs, which are gone at a good end."""
    assert launched("print(f'I am {rank}'); print('[WARNING] of MindSpore'); print('and\\vlast')") == 0
    assert capfd.readouterr().out == "I am 0\nand\vlast\n"
    assert logs(tmp_path) == []


@pytest.mark.parametrize("rank", [0, 1])
def test_where_one_is_killed_all_end_at_once(launched, tmp_path, capfd, rank):
    script = f"{ALL_THERE}\nprint('trains', flush=True)\nif rank == {rank}: os.kill(os.getpid(), 9)\n{SLEEP}"
    with pytest.raises(MstlError, match=r"a process of the run was killed or broke down \(all 2 .*; their logs are in"):
        launched(script)
    assert capfd.readouterr().out in ("trains\n", "")
    assert len(logs(tmp_path)) == 1


def test_where_one_fails_its_error_is_said_once(launched, capfd):
    script = f"{ALL_THERE}\nif rank: sys.exit('mstl: error: it is wrong: mend it')\n{SLEEP}"
    with pytest.raises(MstlError, match="^it is wrong: mend it .all 2 processes were ended"):
        launched(script)
    assert capfd.readouterr() == ("", "")


def test_without_a_scheduler_all_end_at_once(launched, monkeypatch):
    monkeypatch.setattr(launcher, "SCHEDULER", ("-c", "raise OSError"))
    with pytest.raises(MstlError, match="killed or broke down"):
        launched(SLEEP)


def test_a_signal_reaches_all_and_is_not_lost_where_they_begin(launched, tmp_path):
    """It comes while the first process is started: it waits until they watch for it."""
    begin = launcher.begin

    def slow(*arguments):
        process = begin(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)
        return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher, "begin", slow)
        watch = "(folder / f'got-{rank}').write_text(signal.sigwait([signal.SIGINT, signal.SIGTERM]).name)"
        assert launched(watch) == 143
    assert [(tmp_path / f"got-{rank}").read_text() for rank in range(2)] == ["SIGTERM"] * 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_second_signal_kills(launched, tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "REPEAT", 0)

    def interrupt_twice():
        while len(list(tmp_path.glob("process-*"))) < 2:
            time.sleep(0.01)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)

    thread = threading.Thread(target=interrupt_twice)
    thread.start()
    with pytest.raises(stopping.Stopped, match="stopped at once: --resume goes on") as stopped:
        launched(SLEEP)
    thread.join()
    assert stopped.value.exit_code == 143 and logs(tmp_path) == []
