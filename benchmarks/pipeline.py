"""How many photos a second the data pipeline gives, without a net behind it.

    python -m benchmarks.pipeline --data pets

``--data`` is a folder with ``train/``, as for ``mstl train``. Each line is the best of some passes over as many photos,
which leaves out what else the machine was doing for a moment. "CPU" is the processor time of a photo over all threads:
it says more than photos a second where the machine is not idle.
"""

import argparse
import dataclasses
import os
import time

import numpy as np

from mstl.runtime import cores, prepare_environment

prepare_environment()

from mstl import Preprocessing  # noqa: E402
from mstl.data.datasets import load_data  # noqa: E402
from mstl.data.loader import Loader  # noqa: E402
from mstl.data.transforms import AUGMENTS, eval_transforms, train_transforms  # noqa: E402


def measure(images, transforms, passes, photos, seed=1, workers=None):
    """The best pass: photos a second, and processor milliseconds a photo."""
    rates, costs = [], []
    epochs = -(-photos // len(images))
    for _ in range(passes):
        started, used = time.perf_counter(), time.process_time()
        loader = Loader(images, transforms, 18, seed, workers)
        seen = sum(len(labels) for epoch in range(epochs) for _, labels in loader.batches(epoch))
        rates.append(seen / (time.perf_counter() - started))
        costs.append(1000 * (time.process_time() - used) / seen)
    return max(rates), min(costs)


def repeated(images, photos):
    """The set, listed so often that it has this many photos, so that a pass is one epoch; as a list."""
    times = -(-photos // len(images))
    return dataclasses.replace(images, paths=images.paths * times, labels=np.tile(images.labels, times), folder=None)


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder with train/")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--photos", type=int, default=1000, help="in a pass")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--workers", type=int, help="streams; 8 if not given")
    options = parser.parse_args()
    images, _ = load_data(options.data)
    preprocessing = Preprocessing().at(options.image_size)
    listed = repeated(images, options.photos)
    cases = [("list", name, listed, train_transforms(preprocessing, name)) for name in AUGMENTS]
    cases.append(("list", "evaluation", listed, eval_transforms(preprocessing)))
    if images.folder is None:
        print("ImageFolderDataset cannot serve this folder (some files are left out or go through Pillow)")
    else:
        cases.insert(0, ("folder", "tutorial", images, train_transforms(preprocessing)))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{len(images)} photos, {options.image_size} px, {cores()} cores, load before {load:.1f}")
    print(f"{'source':8}{'transforms':12}{'photos/s':>9}{'CPU ms':>8}")
    for source, name, photos, transforms in cases:
        rate, cost = measure(photos, transforms, options.passes, options.photos, workers=options.workers)
        print(f"{source:8}{name:12}{rate:9.0f}{cost:8.2f}", flush=True)


if __name__ == "__main__":
    main()
