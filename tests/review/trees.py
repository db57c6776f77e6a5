"""A folder of images for reviews, and what a tree of files is like, to compare it with itself later."""

import hashlib
import os

import numpy as np
from PIL import Image

from mstl.review.review_data import ReviewData, ReviewSource


def write_image(path, seed, time=1_600_000_000):
    """An image that no other seed gives, with a modification time of its own."""
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    os.makedirs(path.parent, exist_ok=True)
    Image.fromarray(pixels).save(path)
    os.utime(path, ns=(time * 10**9 + seed, time * 10**9 + seed))
    return path


def write_classes(root, number=4, classes=("ant", "bee")):
    """``number`` images in each class folder."""
    for offset, name in enumerate(classes):
        for index in range(number):
            write_image(root / name / f"{index}.png", 100 * offset + index)
    return root


def tree(root, but=(".review.csv.lock",)):
    """Everything below a folder: the content and modification time of each file, and all folders."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in folders:
            found[os.path.relpath(os.path.join(folder, name), root)] = "folder"
        for name in files:
            if name not in but:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
                found[os.path.relpath(path, root)] = (content, os.stat(path).st_mtime_ns)
    return found


def contents(root):
    """How often each content of an image is below a folder, wherever it is and whatever it is called."""
    found = [hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*.png")]
    return sorted(found)


def review_of(root, **more):
    return ReviewData(ReviewSource.of(str(root), **more))


def decide(review, place, decision, label=""):
    (image,) = (image for image in review.images if image.place == place)
    return review.decide(image, decision, label)
