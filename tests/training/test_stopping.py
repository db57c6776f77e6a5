"""A run that is asked to stop ends after its last finished epoch, and its files are of that epoch."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import mstl
from mstl.checkpoint import read_checkpoint
from mstl.report import final_test
from mstl.runtime import stopping
from mstl.training import leftovers
from mstl.training.checkpoint_saver import CheckpointSaver
from mstl.training.snapshot import Snapshot
from tests.conftest import write_folder
from tests.interruptions import Bench, left_over

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")

TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "workers": 1, "report": False}


class At:
    """Does something at the end of an epoch."""

    def __init__(self, epoch, action):
        self.epoch, self.action = epoch, action

    def on_epoch_end(self, state):
        if len(state.history) == self.epoch:
            self.action(state)


def ctrl_c(_state):
    os.kill(os.getpid(), signal.SIGINT)


def epochs_in(folder):
    return len(read_checkpoint(folder / "last.ckpt")[1]["resume"]["history"])


@pytest.mark.slow
@pytest.mark.parametrize(("number", "seed"), [(signal.SIGTERM, 3), (signal.SIGHUP, 0)], ids=["before", "later"])
def test_signals_at_random_moments(bench, number, seed):
    """A small part of .ci/interruptions; SIGINT and SIGKILL have tests of their own."""
    outcome = bench.interrupt("cached", number, np.random.default_rng(seed), number.name)
    assert outcome in ("stopped, started again", "stopped, resumed", "stopped")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("interruptions"), images=6, more=["--epochs=8"])


@pytest.mark.parametrize("freeze", ["backbone", "none"])
def test_ctrl_c_in_a_notebook(photos, tmp_path, caplog, freeze):
    """The same flag and the same files, without any signal blocked; the model is that of the files."""
    options = {**TINY, "data": str(photos), "out": str(tmp_path / "run"), "freeze": freeze, "epochs": 9, "ema": 0.5}
    with caplog.at_level("WARNING", "mstl"):
        state = mstl.fit(callbacks=[At(2, ctrl_c)], **options)
    assert (state.interrupted, state.stopped_by, len(state.history)) == (True, signal.SIGINT, 2)
    assert f"stopped after epoch 2 of 9: mstl train --resume {tmp_path / 'run'} goes on" in caplog.text
    arrays, metadata = read_checkpoint(tmp_path / "run" / "last.ckpt")
    assert len(metadata["resume"]["history"]) == 2
    for parameter in state.model.get_parameters():
        assert np.array_equal(parameter.asnumpy(), arrays[parameter.name]), parameter.name
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not set(stopping.SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert len(mstl.fit(resume=state.folder, callbacks=[At(3, ctrl_c)]).history) == 3  # the flag was cleared


def test_before_the_first_epoch_nothing_is_kept(photos, tmp_path, caplog, monkeypatch):
    from mstl.features.extractor import FeatureExtractor

    monkeypatch.setattr(FeatureExtractor, "fits", lambda *_: ctrl_c(None) or True)
    with caplog.at_level("WARNING", "mstl"):
        state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), freeze="backbone", epochs=2, **TINY)
    assert state.history == [] and "stopped before the first epoch was finished: start again" in caplog.text
    assert os.listdir(tmp_path) == ["photos"]


def test_while_the_report_is_written(photos, tmp_path):
    class Interrupted:
        def on_end(self, state):
            raise stopping.Stopped(signal.SIGTERM)

    options = {**TINY, "data": str(photos), "out": str(tmp_path / "run"), "freeze": "backbone", "epochs": 2}
    with pytest.raises(stopping.Stopped, match="stopped after training: `mstl report .*run` writes the rep") as caught:
        mstl.fit(callbacks=[Interrupted()], **options)
    assert caught.value.exit_code == 143 and epochs_in(tmp_path / "run") == 2


def test_while_the_test_images_are_evaluated(photos, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise stopping.Stopped(signal.SIGTERM)

    write_folder(photos, {"test": 2})
    monkeypatch.setattr(final_test, "Predictor", interrupted)
    with pytest.raises(stopping.Stopped, match="`mstl evaluate .*best.ckpt --split test` .*, `mstl report .*run` wr"):
        mstl.fit(data=str(photos), out=str(tmp_path / "run"), freeze="backbone", epochs=1, **TINY)


def test_another_thread_installs_nothing():
    seen = []

    def inside():
        with stopping.deferred():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


def test_whatever_ends_a_run_the_finished_epochs_are_written(photos, tmp_path, monkeypatch, caplog):
    """Of quick epochs only the first after the first seconds is written at once."""
    monkeypatch.setattr(CheckpointSaver, "TIME_SHARE", 1e-9)
    monkeypatch.setattr(CheckpointSaver, "UNWRITTEN", 0.0)

    def fail(state):
        assert epochs_in(state.folder) == 1
        raise ValueError("a callback of somebody's")

    options = {**TINY, "data": str(photos), "out": str(tmp_path / "run"), "freeze": "backbone"}
    with pytest.raises(ValueError, match="somebody's"):
        mstl.fit(callbacks=[At(3, fail)], epochs=9, **options)
    assert epochs_in(tmp_path / "run") == 3
    assert f"the last checkpoint is kept: mstl train --resume {tmp_path / 'run'} goes on from there" in caplog.text
    assert left_over(tmp_path / "run") == []


def test_a_snapshot_is_cheap_and_a_copy(photos, tmp_path):
    """On cached features an epoch takes 100 ms; only what moves is copied."""
    taken, seconds = [], []

    def take(state):
        for _ in range(5):
            started = time.perf_counter()
            taken.append(Snapshot.of(state))
            seconds.append(time.perf_counter() - started)

    options = {**TINY, "freeze": "backbone", "epochs": 2, "ema": 0.9}
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), callbacks=[At(1, take)], **options)
    assert min(seconds) < 0.005
    assert taken[0].trained.keys() == taken[0].average.keys() == {"fc.weight", "fc.bias"}
    assert len(taken[0].history) == 1
    for now, before in ((state.snapshot.trained, taken[0].trained), (state.snapshot.average, taken[0].average)):
        assert not np.array_equal(now["fc.weight"], before["fc.weight"])


def test_what_a_killed_run_left_is_removed(tmp_path):
    from mstl.checkpoint import save_checkpoint

    keep = (".gitkeep", ".nfs-1", "last.ckpt", "report.html", ".best")
    for name in (".best-ab_c1234.ckpt", ".best-ab_c1234.tmp", ".last-abcd1234.ckpt", ".history-abcd1234.csv", *keep):
        (tmp_path / name).write_bytes(b"")
    for name, epoch in ((leftovers.PREVIOUS, 2), ("best.ckpt", 5)):
        save_checkpoint(tmp_path / name, {"a": np.zeros(1)}, {"metrics": {"epoch": epoch}})
    leftovers.tidy(tmp_path, epochs=4)  # of a run killed after it wrote best.ckpt, and before last.ckpt
    assert sorted(os.listdir(tmp_path)) == sorted([*keep, "best.ckpt"])
    assert read_checkpoint(tmp_path / "best.ckpt")[1]["metrics"]["epoch"] == 2
    leftovers.tidy(tmp_path, epochs=5)
    assert read_checkpoint(tmp_path / "best.ckpt")[1]["metrics"]["epoch"] == 2


@pytest.mark.parametrize("fails", [False, True])
def test_best_and_last_are_replaced_together_or_not_at_all(tmp_path, fails):
    best = tmp_path / "best.ckpt"
    best.write_text("old")
    try:
        with leftovers.previous_kept(best):
            (tmp_path / "new").write_text("new")
            (tmp_path / "new").replace(best)
            assert sorted(os.listdir(tmp_path)) == [leftovers.PREVIOUS, "best.ckpt"]
            if fails:
                raise OSError("no space left for last.ckpt")
    except OSError:
        assert fails
    assert best.read_text() == ("old" if fails else "new")
    assert os.listdir(tmp_path) == ["best.ckpt"]


WATCHED = """
import os, signal, subprocess, sys, threading, time
from mstl.runtime import stopping
stopping.watch()
{}
"""


@pytest.mark.parametrize("number", stopping.SIGNALS)
@pytest.mark.parametrize("kind", ["deferred", "at once"])
def test_a_watched_process(number, kind):
    """The signal is known by its number; outside the loop, finally blocks run, also where a call waits."""
    wait = "threading.Event().wait()" if kind == "at once" else "while True: stopping.check(); time.sleep(0.01)"
    block = "stopping.deferred()" if kind == "deferred" else "open(os.devnull)"
    code = f"""
try:
    with {block}:
        print("ready", flush=True)
        {wait}
except stopping.Stopped as request:
    print(request.signum, request.exit_code, stopping.REQUEST.is_deferred)
    sys.exit(request.exit_code)
"""
    done = send(code, [number])
    assert done == (128 + number, f"{number.value} {128 + number} False\n")


def test_a_second_request_ends_the_process_and_the_same_one_twice_does_not():
    code = """
with stopping.deferred():
    print("ready", flush=True)
    while stopping.REQUEST.signum is None: time.sleep(0.01)
    print("asked", flush=True)
    time.sleep(30)
"""
    started = time.monotonic()
    assert send(code, [signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, 1.2, signal.SIGHUP, signal.SIGINT])[0] == 130
    assert time.monotonic() - started < 20


def test_children_can_be_stopped_and_ignored_signals_stay_ignored():
    code = """
print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, signal.SIGHUP in stopping.REQUEST.signals)
child = os.fork()
if not child:
    time.sleep(30)
    os._exit(0)
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("ready", flush=True)
"""
    assert send(code, [], before="signal.signal(signal.SIGHUP, signal.SIG_IGN)") == (0, "True False\n-15\n")


def send(code, numbers, before=""):
    """Run code, send signals (or wait, for a float) once it is ready, and give exit code and output."""
    text = WATCHED.format(code).replace("stopping.watch()", f"{before}\nstopping.watch()", 1)
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    lines = []
    for line in iter(process.stdout.readline, "ready\n"):
        assert line, process.wait()
        lines.append(line)
    for number in numbers:
        if isinstance(number, float):
            time.sleep(number)
        else:
            process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    return process.returncode, "".join(lines) + output
