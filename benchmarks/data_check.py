"""Checking data: how long `mstl data check` takes on many photos, the first and the second time.

The photos are JPEGs of 500 x 375 pixels, made in a temporary folder (about 600 MB for 10,000).
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (500, 375)
CLASSES = 10


def write(path, number):
    """A picture of blobs and noise: about as large as a photo's file, and as slow to decode."""
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    fine = Image.fromarray(rng.integers(0, 256, (94, 125, 3), dtype=np.uint8)).resize(SIZE, Image.Resampling.BILINEAR)
    Image.blend(coarse, fine, 0.25).save(path, quality=90)


def add_arguments(parser):
    """Add the case's options."""
    parser.add_argument("--files", type=int, default=10_000)


def run(options):
    """Make the photos, check them twice in processes of their own, print the times."""
    files = options.files
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = [
            folder / "photos" / ("val" if number % 5 == 0 else "train") / str(number // 5 % CLASSES) / f"{number}.jpg"
            for number in range(files)
        ]
        for parent in {path.parent for path in paths}:
            parent.mkdir(parents=True)
        with ThreadPoolExecutor() as pool:
            list(pool.map(write, paths, range(files)))
        size = sum(path.stat().st_size for path in paths) / files / 1000
        print(f"{files:,} JPEGs of {size:.0f} kB; {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
        command = [sys.executable, "-m", "mstl", "data", "check", folder / "photos", "--out", folder / "check.csv"]
        for which in ("first", "second"):
            start = time.perf_counter()
            done = subprocess.run(command, env={**os.environ, "MSTL_HOME": str(folder / "home")}, capture_output=True)
            print(f"{which} time: {time.perf_counter() - start:.1f} s, exit code {done.returncode}")
