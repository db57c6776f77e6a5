"""A seeded part of ``.ci/damaged_images``: what the check lets through trains and is predicted; the rest is named."""

from pathlib import Path

import numpy as np
import pytest

from mstl import Preprocessing
from mstl.data.checking.scan import examine
from mstl.data.dataset import ImageSet
from mstl.data.loading.loader import Loader
from mstl.data.loading.streaming import batches
from mstl.data.loading.transforms import train_transforms
from tests.damage import KINDS
from tests.damaged_images import FORMATS, write_images

SMALL = Preprocessing(image_size=32, resize=32)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Two images of each format and kind of damage, and what the check says of each: a dict from path to detail."""
    number = 2 * len(FORMATS) * len(KINDS)
    paths = write_images(tmp_path_factory.mktemp("damaged"), number, seed=3)
    return {str(path): examine(path).detail for path in paths}


def test_some_are_usable_and_all_others_named(damaged):
    assert len(damaged) == 290
    assert 80 < sum(not detail for detail in damaged.values()) < 200
    assert all("\n" not in detail for detail in damaged.values())
    assert not any(detail for path, detail in damaged.items() if "-sound" in path)


def test_what_passes_the_check_trains(damaged):
    usable = [path for path, detail in damaged.items() if not detail]
    images = ImageSet.from_paths(usable, [0] * len(usable), ("a",))
    for augment in ("light", "none"):
        seen = [batch.asnumpy() for batch, _ in Loader(images, train_transforms(SMALL, augment), 16, seed=1).batches()]
        assert np.concatenate(seen).shape == (len(usable), 3, 32, 32)


def test_prediction_uses_and_names_the_same(damaged):
    faults = [fault for _, faults, _ in batches(list(damaged), SMALL, 16) for fault in faults]
    assert [fault or "" for fault in faults] == list(damaged.values())
    contents = [Path(path).read_bytes() for path in damaged]
    from_memory = [fault for _, faults, _ in batches(contents, SMALL, 16) for fault in faults]
    assert [bool(fault) for fault in from_memory] == [bool(fault) for fault in faults]
