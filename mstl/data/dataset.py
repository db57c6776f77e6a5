"""ImageSet: labelled images, ready to be loaded in batches."""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstl.data.samples import LeftOut, Sample
from mstl.data.threads import in_threads
from mstl.errors import MstlError
from mstl.files import digest


@dataclass(frozen=True)
class ImageSet:
    """Labelled images.

    Attributes:
        samples: One for each image.
        classes: Names of the classes: sorted, or in the order that a list's classes.txt gives.
        folder: The folder whose class folders hold exactly these files, in the order of MindSpore's
            ImageFolderDataset; None otherwise.
        warnings: What is wrong with the data, one text each; only of training images.
        left_out: The files of the dataset that are not used; only of training images.
        groups: A number for each image, which versions of one picture share, and images that a list puts into one
            group, in all sets of a run; None if it is not known.
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    folder: Path | None = None
    warnings: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    groups: tuple[int, ...] | None = None

    @classmethod
    def from_paths(
        cls,
        paths: Iterable[str | os.PathLike[str]],
        labels: Iterable[int],
        classes: Sequence[str],
        folder: Path | None = None,
    ) -> "ImageSet":
        """An ImageSet of files that have not been read, with labels as indices into ``classes``."""
        samples = (
            Sample(os.fspath(path), classes[int(label)], "train", os.path.basename(path))
            for path, label in zip(paths, labels, strict=True)
        )
        return cls(tuple(samples), tuple(classes), folder)

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The file of each image."""
        return tuple(sample.path for sample in self.samples)

    @cached_property
    def class_to_idx(self) -> dict[str, int]:
        """The index of each class, by its name."""
        return {name: index for index, name in enumerate(self.classes)}

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """(N,) indices into ``classes``."""
        return np.array([self.class_to_idx[sample.label] for sample in self.samples], np.int32)

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """The digest of each file's content, from the scan; files that have not been read are read now.

        Raises:
            MstlError: A file cannot be read.
        """
        unread = list(dict.fromkeys(sample.path for sample in self.samples if not sample.digest))
        read = dict(zip(unread, in_threads(content_digest, unread, "reading"), strict=True)) if unread else {}
        return tuple(sample.digest or read[sample.path] for sample in self.samples)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(classes,) number of images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def fingerprint(self) -> str:
        """A digest of names, sizes, modification times and labels; it changes when the data changes.

        Raises:
            MstlError: A file cannot be read any more.
        """
        total = hashlib.sha256(repr(self.classes).encode("utf-8", "replace"))
        for path, label in zip(self.paths, self.labels, strict=True):
            try:
                status = os.stat(path)
            except OSError as error:
                raise MstlError(f"{path} cannot be read any more: {error.strerror}; start again") from error
            line = f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{label}\n"
            total.update(line.encode("utf-8", "surrogateescape"))
        return total.hexdigest()


def subset(images: ImageSet, indices: Iterable[int] | NDArray[np.int64]) -> ImageSet:
    """Some images of a set, as a set."""
    kept = [int(index) for index in indices]
    groups = None if images.groups is None else tuple(images.groups[index] for index in kept)
    return dataclasses.replace(images, samples=tuple(images.samples[at] for at in kept), folder=None, groups=groups)


def content_digest(path: str) -> str:
    """The digest of a file's content, as a scan gives it.

    Raises:
        MstlError: The file cannot be read.
    """
    try:
        return digest(path)
    except OSError as error:
        reason = error.strerror or error
        raise MstlError(f"cannot read {path} ({reason}): repair it, or start again without it") from error


def folder_for_mindspore(folder: Path | None, samples: Sequence[Sample], classes: Sequence[str]) -> Path | None:
    """The folder, if ImageFolderDataset would list exactly these samples in this order.

    Told the classes, it takes every file in their folders, hidden ones too, sorted by name; it fails at a folder
    inside a class folder.

    Args:
        folder: The one with the class folders; None for a list.
        samples: Those of one split.
        classes: In the order of their indices.

    Returns:
        The folder, or None.
    """
    if folder is None:
        return None
    by_class: dict[str, list[str]] = {name: [] for name in classes if (folder / name).is_dir()}
    for sample in samples:
        by_class[sample.label].append(sample.relative_path)
    try:
        "".join(sample.path for sample in samples).encode()
        listed = all(sorted(os.listdir(folder / name)) == files for name, files in by_class.items())
    except (OSError, UnicodeEncodeError):  # a name that is not UTF-8 cannot be passed to the C++ side
        return None
    return folder if listed else None
