"""The machine's own limits, in a process of its own: ``python -m benchmarks.machine FOLDER`` prints them as JSON.

No program can multiply matrices faster than the first, nor train on JPEGs faster than the second without a cache.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.photos import listed

SIDE = 3072  # of the matrices: large enough to be limited by arithmetic, 0.3 s at 190 GFLOP/s
PHOTOS = 200


def call_times(function, warmup, count):
    """Milliseconds of each of ``count`` calls, one after another, after ``warmup`` that do not count."""
    times = []
    for _ in range(warmup + count):
        started = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - started))
    return times[warmup:]


def cores():
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def matrix_peak(passes=6):
    """GFLOP/s of NumPy's float32 matrix product on all cores, the best of some passes."""
    rng = np.random.default_rng(1)
    left, right = (rng.random((SIDE, SIDE), np.float32) for _ in range(2))
    out = np.empty_like(left)
    return 2 * SIDE**3 / min(call_times(lambda: np.matmul(left, right, out=out), 0, passes)) / 1e6


def decode(path):
    """Read and decode one photo at full size."""
    with Image.open(path) as image:
        image.convert("RGB").load()


def decoding_peak(paths, passes=3):
    """Photos a second that Pillow decodes with a thread a core, the best of some passes."""
    with ThreadPoolExecutor(cores()) as pool:
        return 1000 * len(paths) / min(call_times(lambda: list(pool.map(decode, paths)), 0, passes))


def processor():
    """The processor's name, as Linux gives it; "" elsewhere."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def main():
    """Measure both and print them."""
    paths = [path for path, _ in listed(Path(sys.argv[1]) / "train")[0][:PHOTOS]]
    print(json.dumps({"gflops": matrix_peak(), "photos_per_second": decoding_peak(paths)}))


if __name__ == "__main__":
    main()
