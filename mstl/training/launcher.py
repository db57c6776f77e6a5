"""Launcher of several training processes on this machine, which MindSpore makes a cluster of."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import BinaryIO, TypeAlias

from mstl.errors import MstlError
from mstl.runtime.devices import cores
from mstl.runtime.stopping import REPEAT, SIGNALS, Stopped, is_terminal, silence

Processes: TypeAlias = list["subprocess.Popen[bytes]"]

WORKER = ("-m", "mstl.train")
SCHEDULER = ("-c", "from mindspore.communication import init; init()")
HOST, JOIN_SECONDS = "127.0.0.1", 600  # for which a process waits until all have come
LOOK_SECONDS = 0.2
NAME = "worker_"  # and a number: of the logs


def launch(num_processes: int, arguments: Sequence[str]) -> int:
    """Run ``python -m mstl.train`` in several processes and print the output of the first.

    If one of them fails or is killed, the others are ended at once: they would wait for it. A signal that asks this
    process to end is passed on to them, and they stop between two steps; at a second one, they are killed.

    Args:
        num_processes: Processes.
        arguments: The command line of ``mstl train``, without ``--nproc``.

    Returns:
        The exit code: 0, or that of the signal.

    Raises:
        MstlError: There are more processes than cores, or a process failed.
        Stopped: The processes were killed at the second signal, or stopped before there was anything to keep.
    """
    if num_processes > cores():
        raise MstlError(
            f"--nproc {num_processes} is more than the {cores()} cores of this machine; use --nproc {cores()}"
        )
    logs = Path(tempfile.mkdtemp(prefix="mstl-logs-"))
    output = logs / f"{NAME}0.log"
    output.touch()
    passed_on = 0
    with open(output, "rb") as log:
        with noted() as signals, started(num_processes, arguments, logs) as (scheduler, *workers):
            while not are_over(scheduler, workers):
                print_growing(log)
                for signum in signals[passed_on:]:
                    for worker in workers:
                        worker.send_signal(signal.SIGKILL if passed_on else signum)
                    passed_on += 1
                time.sleep(LOOK_SECONDS)
        print_growing(log)
    has_failed = any(worker.returncode for worker in workers)
    if has_failed and not signals:
        reason = error_line(logs)
        raise MstlError(f"{reason} (all {num_processes} processes were ended; their logs are in {logs})")
    shutil.rmtree(logs)
    if has_failed:
        raise Stopped(signals[0], "stopped at once: --resume goes on from the last checkpoint, if there is one")
    return 128 + signals[0] if signals else 0


@contextlib.contextmanager
def started(count: int, arguments: Sequence[str], logs: Path) -> Iterator[Processes]:
    """In this block, the processes of a run are there; at its end, however it comes, those that are left are killed.

    They are what msrun would start: a scheduler, by which the workers find each other, and the workers. Signals wait
    until a worker watches for them.

    Args:
        count: Number of workers.
        arguments: Their command line.
        logs: The folder for what they print.

    Yields:
        The scheduler, and the workers.
    """
    port = free_port()
    common = {"MS_WORKER_NUM": count, "RANK_SIZE": count, "MS_SCHED_HOST": HOST, "MS_SCHED_PORT": port}
    common["MS_TOPO_TIMEOUT"] = JOIN_SECONDS
    ranks = [{"MS_ROLE": "MS_WORKER", **dict.fromkeys(("MS_NODE_ID", "RANK_ID", "DEVICE_ID"), n)} for n in range(count)]
    processes: Processes = []
    try:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            processes.append(begin(SCHEDULER, logs / "scheduler.log", {**common, "MS_ROLE": "MS_SCHED", "RANK_ID": 0}))
            for number, own in enumerate(ranks):
                processes.append(begin((*WORKER, *arguments), logs / f"{NAME}{number}.log", {**common, **own}))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield processes
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()


def begin(command: Sequence[str], log: Path, environment: Mapping[str, object]) -> "subprocess.Popen[bytes]":
    """Start Python in a session of its own, which gets no signals of the terminal."""
    variables = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    with open(log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, *command], stdout=output, stderr=subprocess.STDOUT, env=variables, start_new_session=True
        )


def are_over(scheduler: "subprocess.Popen[bytes]", workers: Processes) -> bool:
    """Whether all workers have ended, or one has failed, or they have lost their scheduler."""
    codes = [worker.poll() for worker in workers]
    return any(codes) or None not in codes or bool(scheduler.poll())


@contextlib.contextmanager
def noted() -> Iterator[list[int]]:
    """In this block, the signals that ask this process to end are only noted.

    Yields:
        Those that came; the same request twice counts once.
    """
    came: list[int] = []
    first = 0.0

    def note(signum: int, _frame: FrameType | None) -> None:
        nonlocal first
        if signum == signal.SIGHUP:
            silence(terminals)
        if came and (signum == signal.SIGHUP or time.monotonic() - first <= REPEAT):
            return  # the same request once more
        first = first or time.monotonic()
        came.append(signum)

    terminals = [number for number in (1, 2) if is_terminal(number)]
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, note)
    try:
        yield came
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def free_port() -> int:
    """A TCP port of this machine that is not in use."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def print_growing(log: BinaryIO) -> None:
    """Print the whole lines that were appended to a log since the last call."""
    whole, newline, rest = log.read().rpartition(b"\n")
    log.seek(-len(rest), os.SEEK_CUR)
    for line in whole.decode(errors="replace").split("\n") if newline else ():
        if not is_noise(line):
            print(line, flush=True)


def is_noise(line: str) -> bool:
    """Whether a line is from MindSpore's log, or an error that is reported once for all processes."""
    return bool(re.match(r"\[(WARNING|INFO|ERROR|CRITICAL)\]|mstl: error: ", line))


def error_line(logs: Path) -> str:
    """The error message of the process that failed."""
    for path in sorted(logs.glob(f"{NAME}*.log")):
        found = re.findall(r"^mstl: error: (.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if found:
            return str(found[-1])
    return "a process of the run was killed or broke down"
