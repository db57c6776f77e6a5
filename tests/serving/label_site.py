"""Labelling a small folder of images, whose features are their mean colours, and whose model knows blue and red."""

import contextlib
from types import SimpleNamespace

from mstl.evaluation.rejection import normalised
from mstl.evaluation.softmax import softmax
from mstl.files import digest
from mstl.review.label_list import LabelList
from mstl.review.standing import Image
from mstl.review.unlabelled import find_unlabelled
from mstl.serving.label_app import create_label_app
from mstl.serving.label_desk import LabelDesk
from mstl.serving.label_material import Material
from mstl.serving.local_page import local_settings
from tests.conftest import COLORS, write_photo
from tests.serving.requests import client_of_app
from tests.serving.review_site import mean_colors

CLASSES = ("blue", "red")


class Explainer:
    """In place of that of a model."""

    model = SimpleNamespace(classes=CLASSES)

    async def explain(self, content, label):
        return label.encode() + content


def write_images(root, count=12, names=("blue", "green", "red")):
    """So many images of each colour, in folders of any name."""
    for name in names:
        for index in range(count):
            write_photo(root / f"day-{index % 2}" / f"{name}-{index}.jpg", COLORS[name], index)
    return root


def units_of(paths):
    """(N, 3) colours, less a grey, of length 1."""
    return normalised(mean_colors(paths) - 0.35)


def desk_of(root, examples=True, **options):
    """The desk of a folder; the model takes an image for the colour that it is more like, and knows no green."""
    labels = LabelList(root / "labels.csv")
    found = find_unlabelled(root, labels)
    units = units_of([image.path for image in found.images])
    paths = [write_photo(root.parent / "known" / f"{name}.jpg", COLORS[name], 99) for name in CLASSES]
    known = units_of(paths)
    probabilities = softmax(4 * units @ known.T)
    shown = tuple(Image(str(path), f"known/{path.name}", path.stem, "train", digest(path)) for path in paths)
    material = Material(CLASSES, units, probabilities, shown, known)
    if not examples:
        material = Material(CLASSES, units, probabilities, (), known[:0])
    return LabelDesk(found.images, found.groups, labels, material, **options)


@contextlib.contextmanager
def label_of(root, **options):
    """Its server: a client, which brings the token, the desk, and the address."""
    desk, settings = desk_of(root, **options), local_settings()
    with client_of_app(create_label_app(desk, root.name, settings, Explainer()), settings) as client:
        client.headers["Authorization"] = f"Bearer {settings.token}"
        address = f"http://127.0.0.1:{client.base_url.port}/"
        yield SimpleNamespace(client=client, desk=desk, token=settings.token, url=address, root=root)
