"""One thread for all of MindSpore: whoever asks, it computes; what it cannot compute, it says."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mstl import MstlError
from mstl.runtime import mindspore_thread
from tests.conftest import environment


@pytest.fixture
def others():
    """Other threads, as a server has."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


def here():
    return threading.current_thread().name


def test_one_thread_answers_all(others):
    assert {here(), *others.map(lambda _: mindspore_thread.run(here), range(8))} == {"MainThread", "mstl-mindspore"}
    assert mindspore_thread.run(mindspore_thread.run, here) == "mstl-mindspore"  # it does not wait for itself
    assert mindspore_thread.run(divmod, 7, 2) == (3, 1)


def test_errors_come_back_with_their_place():
    def fail():
        raise MstlError("no such file")

    with pytest.raises(MstlError, match="no such file") as caught:
        mindspore_thread.run(fail)
    assert caught.traceback[-1].name == "fail"
    with pytest.raises(KeyboardInterrupt):
        mindspore_thread.run(lambda: signal.default_int_handler(2, None))
    assert mindspore_thread.run(here) == "mstl-mindspore"  # it goes on


def test_whoever_takes_items_slowly_keeps_nobody_waiting(others):
    closed = threading.Event()

    def count():
        try:
            for number in range(3):
                yield number, here()
        finally:
            closed.set()

    items = mindspore_thread.iterate(count)
    assert next(items) == (0, "mstl-mindspore")
    assert others.submit(mindspore_thread.run, here).result(10) == "mstl-mindspore"
    assert others.submit(next, items).result(10) == (1, "mstl-mindspore")
    assert not closed.is_set()
    items.close()
    assert closed.wait(10)
    assert [number for number, _ in mindspore_thread.iterate(count)] == [0, 1, 2]


def test_while_a_thread_holds_it_the_others_wait(others):
    with mindspore_thread.held():
        waiting = others.submit(mindspore_thread.run, here)
        assert mindspore_thread.run(here) == "MainThread"
        with mindspore_thread.held():
            assert list(mindspore_thread.iterate(lambda: (yield here()))) == ["MainThread"]
        assert mindspore_thread.run(here) == "MainThread"
        time.sleep(0.2)
        assert not waiting.done()
    assert waiting.result(10) == "mstl-mindspore"
    assert mindspore_thread.run(here) == "mstl-mindspore"


def test_fit_holds_it(others, photos, tmp_path, narrow_model, no_pictures):
    import mstl

    ends = []

    class Ask:
        def on_start(self, state):
            self.answer = others.submit(lambda: ends.append(mindspore_thread.run(lambda: "answered")))

        def on_end(self, state):
            ends.append(f"trained by {mindspore_thread.run(here)}")

    ask = Ask()
    options = {"epochs": 1, "model": "resnet18", "weights": "none", "image_size": 32, "report": False}
    mstl.fit(data=str(photos), out=str(tmp_path / "run"), callbacks=[ask], **options)
    ask.answer.result(60)
    assert ends == ["trained by MainThread", "answered"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_is_told_what_to_do():
    mindspore_thread.run(here)
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            mindspore_thread.run(here)
        except MstlError as error:
            os.write(write, str(error).encode())
        time.sleep(60)
        os._exit(0)
    message = os.read(read, 1000).decode()
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    assert "forked" in message and '"spawn"' in message and "\n" not in message
    assert mindspore_thread.run(here) == "mstl-mindspore"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_forked_before_any_work_has_a_thread_of_its_own():
    code = """
import os
from mstl.runtime import mindspore_thread
child = os.fork()
assert mindspore_thread.run(os.getpid) == os.getpid()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=environment(), timeout=60)


def test_ctrl_c_ends_the_waiting_and_the_process():
    """The handler of MindSpore's pipelines, which ends the process, is put aside, and the job's end awaited."""
    code = """
import ctypes, signal, sys, time
from mstl.runtime import mindspore_thread

def start_a_pipeline():  # the handler that ignores stands for MindSpore's
    ctypes.pythonapi.PyOS_setsig(signal.SIGINT, ctypes.c_void_p(int(signal.SIG_IGN)))

mindspore_thread.run(start_a_pipeline)
print("asks", flush=True)
started = time.monotonic()
try:
    mindspore_thread.run(time.sleep, 3)
except KeyboardInterrupt:
    print("interrupted" if time.monotonic() - started < 2 else "too late", flush=True)
mindspore_thread.iterate(lambda: (yield from range(9))).__next__()
sys.exit(130)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout.readline() == "asks\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "interrupted\n", "")
