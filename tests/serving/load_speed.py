"""How quick a server is at good images alone, beside ``mstl predict``."""

import statistics
import subprocess
import sys
import time

from tests.conftest import environment
from tests.serving.load_clients import Client, together
from tests.serving.load_tally import Tally


def speed(model, server, kinds, expected, folder, rounds=3, number=480):
    """Print how quick ``mstl predict`` and the server are at good images; the server's share of the other."""
    images, lists = kinds["good"], []
    for size in (len(images), number):
        paths = [folder / f"speed-{index}.jpg" for index in range(size)]
        for index, path in enumerate(paths):
            path.write_bytes(images[index % len(images)])
        lists.append("".join(f"{path}\n" for path in paths))
    shares = []
    for _ in range(rounds):
        few, many = (timed_predict(model, listed) for listed in lists)
        by_predict = (number - len(images)) / (many - few)
        print(f"mstl predict: {by_predict:.1f} images/s")
        for count in (1, 16):
            tally = Tally()
            clients = [Client(server.port, kinds, expected, tally, seed, 1.0) for seed in range(count)]
            until = time.monotonic() + 8
            for thread in together(clients, lambda client, until=until: client.work(until, {"good": 1})):
                thread.join()
            assert tally.wrong == [], tally.wrong
            rate = len(tally.seconds) / (time.monotonic() - until + 8)
            half, most = quantiles(tally.seconds)
            print(
                f"mstl serve, {count:2} clients: {rate:.1f} images/s; p50 {half * 1e3:.0f} ms, p99 {most * 1e3:.0f} ms"
            )
        shares.append(rate / by_predict)
    print(f"share of mstl predict's: {', '.join(f'{share:.2f}' for share in shares)}")
    return statistics.median(shares)


def timed_predict(model, listed):
    """Seconds that ``mstl predict`` takes for a list of images."""
    command = [sys.executable, "-m", "mstl", "predict", str(model), "-", "--format=jsonl"]
    began = time.monotonic()
    subprocess.run(command, input=listed, text=True, stdout=subprocess.DEVNULL, env=environment(), check=True)
    return time.monotonic() - began


def quantiles(seconds):
    """The median and the 99th percentile."""
    ordered = sorted(seconds)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
