"""A review of a small folder of images, whose features are their mean colours."""

import contextlib
import shutil
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from PIL import Image

from mstl.errors import MstlError
from mstl.review.review_data import ReviewData, ReviewSource
from mstl.serving.local_page import local_settings
from mstl.serving.review_app import create_review_app
from mstl.serving.review_desk import Desk
from mstl.serving.review_features import answered
from mstl.serving.review_items import review_items
from mstl.serving.review_training import ReviewTraining
from tests.conftest import COLORS, write_folder, write_photo
from tests.review.trees import tree
from tests.serving.requests import client_of_app


def write_data(root, tiny=0):
    """Blue and red images: a red one among the blue ones, a copy in its class, and one in both parts.

    Args:
        root: Folder to make.
        tiny: Number of further images of each class with few pixels.
    """
    write_folder(root, {"train": 8, "val": 3})
    write_photo(root / "train" / "blue" / "wrong.jpg", COLORS["red"], 77)
    shutil.copy(root / "train" / "red" / "red-0.jpg", root / "train" / "red" / "same.jpg")
    shutil.copy(root / "train" / "blue" / "blue-1.jpg", root / "val" / "blue" / "leak.jpg")
    for name in ("blue", "red"):
        for index in range(tiny):
            write_photo(root / "train" / name / f"tiny-{index}.jpg", COLORS[name], 500 + index, (12, 12))
    return root


def mean_colors(paths):
    """(N, 3) mean red, green and blue of images, from 0 to 1."""
    return np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32).mean((0, 1)) / 255 for path in paths])


def featured(checked):
    """What heads on the mean colours make of the images of a dataset."""
    samples = [sample for split in checked.usable.values() for sample in split]
    paths, classes = tuple(sample.path for sample in samples), tuple(sorted({sample.label for sample in samples}))
    labels = np.array([classes.index(sample.label) for sample in samples], np.int32)
    return answered(paths, labels, classes, mean_colors(paths), [checked.groups[path] for path in paths])


def write_list(root):
    """A list of the images in a folder of :func:`write_data`, in it."""
    paths = sorted(path.relative_to(root) for path in root.rglob("*.jpg"))
    lines = ["path,label,split", *(f"{path.as_posix()},{path.parts[1]},{path.parts[0]}" for path in paths)]
    (root / "list.csv").write_text("\n".join(lines) + "\n")
    return root / "list.csv"


class Trainer:
    """In place of what trains again: it waits until it is let go, and gives a comparison, or an error."""

    def __init__(self, result=None, error=None):
        self.go, self.result, self.error = threading.Event(), result, error

    def __call__(self, said):
        said("features: all from the cache")
        assert self.go.wait(30)
        if self.error:
            raise MstlError(self.error)
        return self.result

    def stop(self):
        self.go.set()


@contextlib.contextmanager
def review_of(root, explainer=None, work=None):
    """A review of a folder or a list: its desk, a client of its server, which brings the token, and its address.

    ``work`` is what trains again, as :class:`mstl.serving.training_process.TrainingProcess` does.
    """
    review = ReviewData(ReviewSource.of(str(root)))
    found = replace(featured(review.checked), outliers=())  # by three features, many are
    items = review_items(review.images, review.checked, found)
    desk, settings = Desk(review, items), local_settings()
    app = create_review_app(desk, root.name, settings, explainer, ReviewTraining(desk, work))
    with client_of_app(app, settings) as client:
        client.headers["Authorization"] = f"Bearer {settings.token}"
        address = f"http://127.0.0.1:{client.base_url.port}/"
        yield SimpleNamespace(client=client, desk=desk, token=settings.token, url=address, root=root)


def data_tree(root):
    """What is below a folder's parent, but for the decisions."""
    return tree(root.parent, but=(".review.csv.lock", "review.csv"))
