"""From what ``--data`` says to training and validation photos with labels."""

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstl.data import archives, demo
from mstl.data.scan import class_folders, find_faults
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
TRAIN_NAMES = ("train",)
VAL_NAMES = ("val", "valid", "validation", "test")
SHOWN = 10  # files named one by one before the rest is only counted


@dataclass(frozen=True)
class ImageSet:
    """Photos with labels.

    Attributes:
        paths: The files.
        labels: (N,) int32, each an index into ``classes``.
        classes: Names, sorted.
        folder: The folder whose class folders hold just these files; None where some were left out.
    """

    paths: tuple
    labels: np.ndarray
    classes: tuple
    folder: Path | None = None

    def __len__(self):
        return len(self.paths)

    @property
    def counts(self):
        """(classes,) photos of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def fingerprint(self):
        """A digest of names, sizes, times and labels: another one means that the data changed."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for path, label in zip(self.paths, self.labels, strict=True):
            status = os.stat(path)
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{label}\n".encode())
        return digest.hexdigest()


def load_data(data="demo"):
    """Find photos by name or folder.

    Args:
        data: ``"demo"`` (drawn on this machine), a known name such as ``"Canidae"`` (downloaded once), or a folder
            with ``train/`` and ``val/`` (or ``valid/``, ``validation/``, ``test/``), each with a folder for each class.

    Returns:
        A pair of :class:`ImageSet`, for training and for validation, with the same classes. Files that cannot be used
        are left out and logged.

    Raises:
        MstlError: Nothing of that name, no images, fewer than two classes, or classes that do not match.
    """
    folder = find_folder(str(data))
    train_folder = first_existing(folder, TRAIN_NAMES)
    val_folder = first_existing(folder, VAL_NAMES)
    if train_folder is None or val_folder is None:
        raise MstlError(f"{folder} has no {'train/' if train_folder is None else 'val/'} folder; it needs both")
    train = read_folder(train_folder)
    if len(train.classes) < 2:
        raise MstlError(
            f"{train_folder} has {len(train.classes)} class ({', '.join(train.classes)}); a classifier needs two or "
            "more, each in a folder of its own"
        )
    return train, read_folder(val_folder, train.classes)


def find_folder(data):
    """The folder that ``--data`` means: a known name first, then a path."""
    if data == "demo":
        return demo.make()
    if data in archives.KNOWN:
        return archives.get(data)
    if Path(data).is_dir():
        return Path(data)
    known = ", ".join(["demo", *archives.KNOWN])
    raise MstlError(f"no data {data!r}: neither a known name ({known}) nor a folder")


def first_existing(folder, names):
    """The first of these subfolders that is there; None if none is."""
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def read_folder(folder, classes=None):
    """Read a folder with a subfolder for each class.

    Args:
        folder: Such as ``data/train``.
        classes: The names that give the indices; the folder's own, sorted, if not given.

    Raises:
        MstlError: No usable image, or a class that is not among ``classes``.
    """
    folder = Path(folder)
    files = class_folders(folder)
    every_file = [path for paths in files.values() for path in paths]
    faults = find_faults(every_file)
    report_faults(faults, len(every_file))
    files = {name: [path for path in paths if path not in faults] for name, paths in files.items()}
    files = {name: paths for name, paths in files.items() if paths}
    if not files:
        raise MstlError(f"no images in {folder}: it needs a folder for each class, with photos in it")
    if classes is None:
        classes = tuple(files)
    unknown = [name for name in files if name not in classes]
    if unknown:
        raise MstlError(
            f"{folder} has classes that the training data lacks: {', '.join(unknown)} (known: {', '.join(classes)}); "
            "remove them or add photos of them to the training data"
        )
    index = {name: number for number, name in enumerate(classes)}
    paths = tuple(str(path) for name in files for path in files[name])
    labels = np.array([index[name] for name in files for _ in files[name]], dtype=np.int32)
    return ImageSet(paths, labels, tuple(classes), None if faults else folder)


def report_faults(faults, total):
    """Say which files were left out, and why."""
    if faults:
        logger.warning("left out %d of %d files that cannot be used:", len(faults), total)
    for number, (path, reason) in enumerate(faults.items()):
        if number == SHOWN:
            logger.warning("  ... and %d more", len(faults) - SHOWN)
            break
        logger.warning("  %s: %s", path, reason)
