"""Data pipeline: photos a second, with no model behind, for each way to read and vary photos.

Each figure is the best of some passes over as many photos, which leaves out what else the machine was doing for a
moment. Processor time is that of a photo over all threads: it says more than photos a second where the machine is not
idle.
"""

import dataclasses
import time

from benchmarks import machine, setting
from benchmarks.table import Row


def add_arguments(parser):
    """Add the case's options."""
    parser.add_argument("--data", required=True, help="what `mstl train --data` takes")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--photos", type=setting.positive, default=1000, help="in a pass")
    parser.add_argument("--workers", type=int, help="streams; 8 if not given")
    setting.add_output_options(parser, repeats=3)


def run(options):
    """Measure each way, print the table, write the JSON."""
    from mstl import Preprocessing, load_data
    from mstl.config import AUGMENTS
    from mstl.data.loading.transforms import eval_transforms, train_transforms

    images, _ = load_data(options.data)
    limits = {
        "gflops": machine.matrix_peak(),
        "photos_per_second": machine.decoding_peak(images.paths[: machine.PHOTOS]),
    }
    preprocessing = Preprocessing().at(options.image_size)
    listed = repeated(images, options.photos)
    cases = [("list", name, listed, train_transforms(preprocessing, name)) for name in AUGMENTS]
    cases.append(("list", "evaluation", listed, eval_transforms(preprocessing)))
    if images.folder is None:
        print("ImageFolderDataset cannot serve this folder (some files are left out or go through Pillow)")
    else:
        cases.insert(0, ("folder", "tutorial", images, train_transforms(preprocessing)))
    rows = []
    for source, name, photos, transforms in cases:
        rate, cost = measure(photos, transforms, options.repeats, options.photos, workers=options.workers)
        what = f"{source}, {name}"
        rows.append(Row(f"{what} / Pillow's decoding alone", "photos/s", rate, limits["photos_per_second"]))
        rows.append(Row(f"{what}: processor time", "ms a photo", cost))
    setting.report(options, rows, limits)


def measure(images, transforms, passes, photos, seed=1, workers=None):
    """The best pass: photos a second, and processor milliseconds a photo."""
    from mstl.data.loading.loader import Loader

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
    return dataclasses.replace(images, samples=images.samples * times, folder=None)
