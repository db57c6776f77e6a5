"""Launcher of several training processes on this machine, by MindSpore's ``msrun``."""

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
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from mstl.errors import MstlError
from mstl.runtime.devices import cores
from mstl.runtime.stopping import REPEAT, SIGNALS, Stopped, is_terminal, silence

MSRUN = "from mindspore.parallel.cluster.run import main; main()"


def launch(num_processes: int, arguments: Sequence[str]) -> int:
    """Run ``python -m mstl.train`` in several processes and print the output of the first.

    A signal that asks this process to end is passed on to the others, which then stop between two steps; msrun itself
    would kill them.

    Args:
        num_processes: Processes.
        arguments: The command line of ``mstl train``, without ``--nproc``.

    Returns:
        The exit code: 0, or that of the signal.

    Raises:
        MstlError: There are more processes than cores, or a process failed (all others are then ended).
    """
    if num_processes > cores():
        raise MstlError(
            f"--nproc {num_processes} is more than the {cores()} cores of this machine; use --nproc {cores()}"
        )
    logs = Path(tempfile.mkdtemp(prefix="mstl-logs-"))
    command = [sys.executable, "-c", MSRUN, f"--worker_num={num_processes}", f"--local_worker_num={num_processes}"]
    command += ["--join=True", f"--master_port={free_port()}", f"--log_dir={logs}"]
    command += ["python", "-m", "mstl.train", *arguments]
    # msrun starts the first "python" on the path: make that the interpreter of this process
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    with open(logs / "msrun.log", "w") as log:
        # in a session of its own, msrun does not get the signals of the terminal
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        with passed_on(process) as signals:
            print_growing(logs / "worker_0.log", process)
    if process.returncode != 0 and not signals:
        reason = error_line(logs)
        raise MstlError(f"{reason} (all {num_processes} processes were ended; their logs are in {logs})")
    shutil.rmtree(logs)
    if process.returncode != 0:
        raise Stopped(signals[0], "stopped at once: --resume goes on from the last checkpoint, if there is one")
    return 128 + signals[0] if signals else 0


@contextlib.contextmanager
def passed_on(process: "subprocess.Popen[bytes]") -> Iterator[list[int]]:
    """In this block, pass the signals that ask this process to end on to msrun's workers.

    Yields:
        The signals that came.
    """
    came: list[int] = []
    first = 0.0

    def pass_on(signum: int, _frame: FrameType | None) -> None:
        nonlocal first
        if signum == signal.SIGHUP:
            silence(terminals)
        if came and (signum == signal.SIGHUP or time.monotonic() - first <= REPEAT):
            return  # the same request once more
        first = first or time.monotonic()
        workers = list(workers_of(process.pid))
        if came or not workers:  # a second request, or nothing is trained yet: msrun kills all at Ctrl-C
            process.send_signal(signal.SIGINT)
        else:
            for worker in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signum)
        came.append(signum)

    terminals = [number for number in (1, 2) if is_terminal(number)]
    before = {number: signal.getsignal(number) for number in SIGNALS}
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, pass_on)
    try:
        yield came
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def workers_of(msrun: int) -> Iterator[int]:
    """The process numbers of msrun's workers; none where the system does not list processes in /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
            if parent == msrun and b"MS_ROLE=MS_WORKER" in (entry / "environ").read_bytes():
                yield int(entry.name)
        except OSError:  # it has just ended
            continue


def free_port() -> int:
    """A TCP port of this machine that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def print_growing(path: Path, process: "subprocess.Popen[bytes]") -> None:
    """Print what is appended to a file until a process has ended."""
    while process.poll() is None and not path.exists():
        time.sleep(0.1)
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        while True:
            ended = process.poll() is not None
            text = file.read()
            if text:
                lines = [line for line in text.splitlines(keepends=True) if not is_noise(line)]
                print("".join(lines), end="", flush=True)
            if ended:
                return
            time.sleep(0.2)


def is_noise(line: str) -> bool:
    """Whether a line is from MindSpore's log, or an error that is reported once for all processes."""
    return bool(re.match(r"\[(WARNING|INFO|ERROR|CRITICAL)\]|mstl: error: ", line))


def error_line(logs: Path) -> str:
    """The error message of the process that failed."""
    for path in sorted(logs.glob("worker_*.log")):
        found = re.findall(r"^mstl: error: (.+)$", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if found:
            return str(found[-1])
    return "a process of the run was killed or broke down"
