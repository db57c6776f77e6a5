"""Training in a process of its own: what it logs, what comes of it, and how it ends otherwise."""

import os
import signal
import threading
import time

import pytest

pytest.importorskip("fastapi")
from mstl.errors import MstlError
from mstl.review.review_data import ReviewSource
from mstl.serving import training_process
from mstl.serving.training_process import TrainingProcess

SOURCE = ReviewSource("nowhere")


def send_two_lines(connection, checkpoint, source, device):
    for told in ("line", "first"), ("line", "second"), ("done", {"source": source.data, "device": device}):
        connection.send(told)


def kill_itself(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_a_signal(connection, *_):
    connection.send(("line", "ready"))
    time.sleep(60)


def test_lines_and_the_result_come_from_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(training_process, "work", send_two_lines)
    said = []
    assert TrainingProcess(tmp_path, SOURCE, "CPU")(said.append) == {"source": "nowhere", "device": "CPU"}
    assert said == ["first", "second"]


def test_a_process_that_is_killed_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(training_process, "work", kill_itself)
    with pytest.raises(MstlError, match="was killed, or broke down"):
        TrainingProcess(tmp_path, SOURCE, "CPU")(lambda line: None)


def test_it_can_be_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(training_process, "work", wait_for_a_signal)
    process = TrainingProcess(tmp_path, SOURCE, "CPU")

    def stop(_line):
        threading.Thread(target=process.stop).start()

    started = time.monotonic()
    with pytest.raises(MstlError, match="was killed"):
        process(stop)
    assert time.monotonic() - started < 30


def test_what_is_wrong_with_a_run_is_told_in_a_line(tmp_path):
    (tmp_path / "best.ckpt").write_text("no checkpoint")
    with pytest.raises(MstlError, match=r"best\.ckpt"):
        TrainingProcess(tmp_path / "best.ckpt", SOURCE, "CPU")(lambda line: None)
