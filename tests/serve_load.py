"""``mstl serve`` under load: 64 clients, most of them honest, the others sending whatever may bring a server down.

``.ci/serve_load --seconds 60 --clients 64`` starts a server and sends it good images, the largest bodies that it
takes, bodies without end, texts, damaged images, decompression bombs, slow and broken requests, for so long. Every good
image must be answered as ``mstl predict`` does, nothing by a fault of the server; ``/healthz`` answers throughout,
memory comes back, no file is left; and at SIGTERM, whatever has been accepted is answered. With ``--speed``, good
images alone are timed beside ``mstl predict``. The model is one of three colours, or ``--model``.
"""

import argparse
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import environment
from tests.serving.load_bodies import bodies, predicted
from tests.serving.load_clients import Client, together
from tests.serving.load_health import healthy
from tests.serving.load_speed import quantiles, speed
from tests.serving.load_tally import Tally

WEIGHTS = {
    "good": 50,
    "form": 8,
    "broken_form": 3,
    "in_chunks": 4,
    "damaged": 16,
    "empty": 3,
    "digits": 3,
    "foreign": 2,
    "tiny_chunks": 2,
    "slow": 4,
    "stuck_body": 1,
    "stuck_head": 1,
    "hang_up": 5,
    "large": 2,
    "too_large": 2,
    "endless": 1,
}
GROWTH = 100e6  # bytes of memory that may be more at the end than before
HEALTH = 0.1  # seconds that /healthz takes at most, on a machine that does nothing else
HEALTH_BESIDE = 5.0  # and in the tests, beside which a machine may do other things
SETTLED = 3.0  # seconds after which memory has come back
GOOD = 24  # images


class Served:
    """A running ``mstl serve``, with folders of its own for temporary files and to work in."""

    def __init__(self, model, root, options):
        self.temporary, self.cwd, self.log = root / "temporary", root / "cwd", root / "log"
        self.temporary.mkdir()
        self.cwd.mkdir()
        command = [sys.executable, "-m", "mstl", "serve", str(Path(model).resolve()), "--port=0", *options]
        variables = environment(TMPDIR=str(self.temporary), PYTHONDONTWRITEBYTECODE="1")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=variables, cwd=self.cwd
            )
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line + self.log.read_text()
        self.port = int(found[1])

    def memory(self, name="VmRSS"):
        """Bytes of memory that it takes; 0 where nothing says how many."""
        status = Path(f"/proc/{self.process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)

    def faults(self):
        """What it has done wrong: a crash, anything in its log, a file that it has left."""
        if self.process.poll() not in (None, 0):
            yield f"it crashed ({self.process.returncode})"
        yield from self.log.read_text().splitlines()[:20]
        yield from (f"left: {path}" for path in (*self.temporary.rglob("*"), *self.cwd.rglob("*")))


@contextlib.contextmanager
def served(model, *options):
    """A server, in this block."""
    with tempfile.TemporaryDirectory() as root:
        server = Served(model, Path(root), options)
        try:
            yield server
        finally:
            server.process.kill()
            server.process.wait()
            server.process.stdout.close()


def under_load(server, clients, tally, seconds, weights, patience):
    """Good images alone for a moment, then all kinds; figures, once all is answered."""
    start = time.monotonic() + min(2.0, seconds / 3)
    for thread in together(clients, lambda client: client.work(start, {"good": 1})):
        thread.join()
    before = server.memory()
    with healthy(server.port) as health:
        until = time.monotonic() + seconds
        for thread in together(clients, lambda client: client.work(until, weights)):
            thread.join()
    time.sleep(SETTLED)
    after = server.memory()
    if after - before > GROWTH:
        tally.wrong.append(f"memory went from {before / 1e6:.0f} to {after / 1e6:.0f} MB")
    slowest = max(seconds for seconds, _ in health)
    if slowest > patience:
        tally.wrong.append(f"/healthz took {slowest:.2f} s")
    tally.wrong += server.faults()
    return {"before": before, "after": after, "peak": server.memory("VmHWM"), "health": health}


def ended(server, clients, tally):
    """Ask the server to end while clients are at work."""

    def stay(client):
        try:
            client.stay()
        except Exception as error:  # whatever is raised is wrong
            tally.fail("at the end", error)

    threads = together(clients, stay)
    time.sleep(1)
    server.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    code = server.process.wait(60)
    took = time.monotonic() - began
    for thread in threads:
        thread.join()
    tally.wrong += [f"it ended with {code}"] * (code != 0) + [*server.faults()]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", server.port))
    return took


def run(
    model,
    folder,
    *,
    seconds,
    clients,
    seed,
    good=GOOD,
    most=50_000_000,
    pause=3.0,
    weights=WEIGHTS,
    options=(),
    timing=False,
    patience=HEALTH,
):
    """All of it: figures, and what became of all requests."""
    kinds = bodies(seed, good, most)
    expected = predicted(model, kinds, folder)
    assert None not in expected["good"]
    tally = Tally()
    with served(model, f"--max-size={most // 1000}KB", *options) as server:
        share = speed(model, server, kinds, expected, folder) if timing else None
        crowd = [Client(server.port, kinds, expected, tally, [seed, index], pause) for index in range(clients)]
        figures = under_load(server, crowd, tally, seconds, weights, patience)
        figures["end"] = ended(server, crowd, tally)
    return {**figures, "share": share}, tally


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of load")
    parser.add_argument("--clients", type=int, default=64, help="at a time")
    parser.add_argument("--seed", type=int, default=0, help="of what they send")
    parser.add_argument("--model", type=Path, help="checkpoint or .onnx file; by default one of three colours")
    parser.add_argument("--images", type=Path, help="folder of good images; by default they are made")
    parser.add_argument("--speed", action="store_true", help="also time good images alone")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        if given.model is None:
            from tests.serving.color_model import write_model

            given.model = write_model(folder / "colors.onnx")
        good = GOOD
        if given.images is not None:
            good = [path.read_bytes() for path in sorted(given.images.rglob("*.jpg"))[: 4 * GOOD]]
        figures, tally = run(
            given.model.resolve(),
            folder,
            seconds=given.seconds,
            clients=given.clients,
            seed=given.seed,
            good=good,
            timing=given.speed,
        )
    report(figures, tally, given)
    print("\n".join([*tally.wrong[:50], f"{len(tally.wrong)} wrong"]))
    sys.exit(bool(tally.wrong))


def report(figures, tally, given):
    """Print what has been found."""
    for (kind, outcome), count in sorted(tally.counts.items()):
        print(f"{count:6} {kind:12} {outcome}")
    print(f"{given.clients} clients, {given.seconds:g} s, seed {given.seed}: {sum(tally.counts.values())} requests")
    answers, late = zip(*figures["health"], strict=True)
    for name, seconds in (("/healthz", answers), ("this machine itself", late)):
        (half, most), slow = quantiles(seconds), sum(second > HEALTH for second in seconds)
        print(
            f"{name}: p50 {half * 1e3:.1f} ms, p99 {most * 1e3:.1f} ms, at most {max(seconds) * 1e3:.0f} ms;", end=" "
        )
        print(f"{slow} of {len(seconds)} above {HEALTH * 1e3:.0f} ms")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    megabytes = {name: f"{figures[name] / 1e6:.0f} MB" for name in ("before", "peak", "after")}
    print("memory: {before} with good images, {peak} at most, {after} at the end".format(**megabytes))
    half, most = quantiles(tally.seconds)
    print(f"good images under load: {len(tally.seconds)}, p50 {half:.2f} s, p99 {most:.2f} s")
    print(f"after SIGTERM it ended within {figures['end']:.1f} s, with all that it had accepted answered")


if __name__ == "__main__":
    main()
