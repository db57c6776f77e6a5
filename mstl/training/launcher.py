"""Launcher of several training processes on this machine, by MindSpore's ``msrun``."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mstl.errors import MstlError
from mstl.runtime.devices import cores

MSRUN = "from mindspore.parallel.cluster.run import main; main()"


def launch(num_processes: int, arguments: Sequence[str]) -> None:
    """Run ``python -m mstl.train`` in several processes and print the output of the first.

    Args:
        num_processes: Processes.
        arguments: The command line of ``mstl train``, without ``--nproc``.

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
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    with open(logs / "msrun.log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "PATH": path})
        try:
            print_growing(logs / "worker_0.log", process)
        except KeyboardInterrupt:
            process.wait()
            raise
    if process.returncode != 0:
        reason = error_line(logs)
        raise MstlError(f"{reason} (all {num_processes} processes were ended; their logs are in {logs})")
    shutil.rmtree(logs)


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
