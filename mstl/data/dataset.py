"""From what ``--data`` says to training and validation photos with labels."""

import dataclasses
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mstl.data.checking.checks import case_key, inspect, shown
from mstl.data.checking.scan import in_threads
from mstl.data.finding.folder import holds_just
from mstl.data.finding.source import find_source
from mstl.data.samples import Sample
from mstl.data.split import stratified
from mstl.errors import MstlError
from mstl.files import digest

logger = logging.getLogger("mstl")
SHOWN = 20  # files named one by one before the rest is only counted
SAID = {  # before a training, each in one line; `mstl data check` says more
    "leak": "validation photos are also trained on, so that the accuracy will look better than it is",
    "near_leak": "validation photos look like ones that are trained on",
    "two_labels": "photos have two labels",
    "near_two_labels": "photos look like ones with another label",
    "case": "classes differ only in how they are written",
    "loose": "photos have no label, as they lie outside the class folders",
    "loop": "links lead back to a folder they are in, and are not followed",
}


@dataclass(frozen=True)
class ImageSet:
    """Labelled images.

    Attributes:
        samples: One for each image.
        classes: Names of the classes: sorted, or in the order that a list's classes.txt gives.
        folder: The folder whose class folders hold just these files, in the order of MindSpore's ImageFolderDataset,
            if all are of a kind that MindSpore decodes itself; None otherwise.
        warnings: What is wrong with the data, one text each; only of training images.
    """

    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    folder: Path | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_paths(
        cls,
        paths: Iterable[str | os.PathLike[str]],
        labels: Iterable[int],
        classes: Sequence[str],
        folder: Path | None = None,
    ) -> "ImageSet":
        """An ImageSet of unread files, with labels as indices into ``classes``."""
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
        """Index of each class."""
        return {name: index for index, name in enumerate(self.classes)}

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """(N,) indices into ``classes``."""
        return np.array([self.class_to_idx[sample.label] for sample in self.samples], np.int32)

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Digest of each file's content, from the scan; unread files are read now.

        Raises:
            MstlError: A file cannot be read.
        """
        unread = list(dict.fromkeys(sample.path for sample in self.samples if not sample.digest))
        read = dict(zip(unread, in_threads(content_digest, unread, "reading"), strict=True)) if unread else {}
        return tuple(sample.digest or read[sample.path] for sample in self.samples)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(classes,) number of images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes))

    @property
    def fingerprint(self):
        """A digest of names, sizes, times and labels: another one means that the data changed."""
        total = hashlib.sha256(repr(self.classes).encode("utf-8", "replace"))
        for path, label in zip(self.paths, self.labels, strict=True):
            try:
                status = os.stat(path)
            except OSError as error:
                raise MstlError(f"{path} cannot be read any more: {error.strerror}; start again") from error
            line = f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{label}\n"
            total.update(line.encode("utf-8", "surrogateescape"))
        return total.hexdigest()


def load_data(data="demo", val=None, val_split=0.2, seed=1, strict=False):
    """Find photos by name, folder, list or archive.

    Args:
        data: One of

            * ``"demo"`` (drawn on this machine) or a known name such as ``"hymenoptera"`` (downloaded once);
            * a folder with ``train/`` and ``val/`` (or ``valid/``, ``validation/``, ``test/``), each with a folder for
              each class, or a folder with the class folders alone;
            * a list: a .txt with lines of ``path label``, or a .csv with the header ``path,label`` or
              ``path,label,split``;
            * a zip or tar of one of these.
        val: A folder with class folders, or a list, to validate on; in the place of data's own.
        val_split: The share of each class that is split off where data has nothing to validate on.
        seed: Of that split. Versions of one picture stay on one side of it.
        strict: Whether to refuse data in which something must be mended.

    Returns:
        A pair of :class:`ImageSet`, for training and for validation, with the same classes: those of the training
        photos. Files that cannot be used are left out and logged.

    Raises:
        MstlError: Nothing of that name, no images, fewer than two classes, or classes that do not match.
    """
    source = find_source(data, val)
    inspection = inspect(source)
    warnings = report(source, inspection)
    if strict:
        refuse_errors(data, inspection)
    for name, entries in inspection.usable.items():
        if not entries:
            raise MstlError(no_images(source.parts[name], inspection))
    train = inspection.usable["train"]
    classes = class_order(source.train.order, {entry.label for entry in train})
    if len(classes) < 2:
        raise MstlError(
            f"{source.train.where} has {len(classes)} class ({', '.join(classes)}); a classifier needs two or more, "
            "each in a folder of its own"
        )
    if source.val is None:
        return tuple(image_set(side, classes, None, warnings) for side in divide(source, inspection, val_split, seed))
    val = inspection.usable["val"]
    check_classes(source.val.where, {entry.label for entry in val}, classes)
    return (
        image_set(train, classes, served_by(source.train.folder, train, inspection, classes), warnings),
        image_set(val, classes, served_by(source.val.folder, val, inspection, classes)),
    )


def subset(images, indices):
    """Some photos of a set, as a set."""
    return dataclasses.replace(images, samples=tuple(images.samples[index] for index in indices), folder=None)


def image_set(entries, classes, folder=None, warnings=()):
    """An ImageSet of these entries."""
    return ImageSet(tuple(entries), tuple(classes), folder, warnings)


def content_digest(path: str) -> str:
    """Digest of a file's content, as the scan gives it.

    Raises:
        MstlError: The file cannot be read.
    """
    try:
        return digest(path)[:32]
    except OSError as error:
        reason = error.strerror or error
        raise MstlError(f"cannot read {path} ({reason}): mend it, or start again without it") from error


def class_order(order, names):
    """The classes of the training photos: as a file orders them, or sorted."""
    return tuple(sorted(names)) if order is None else tuple(name for name in order if name in names)


def divide(source, inspection, share, seed):
    """Divide usable entries into those to train on and those to validate on, each class in the same way.

    Raises:
        MstlError: The share is out of its range, or no class has two pictures.
    """
    entries = inspection.usable["train"]
    versions = [inspection.group[entry.path] for entry in entries]
    chosen = stratified([entry.label for entry in entries], share, seed, versions)
    if not chosen.any():
        raise MstlError(f"{source.train.where} has one picture of each class: none can be split off to validate on")
    split = ["val" if val else "train" for val in chosen]
    return [
        [dataclasses.replace(entry, split=name) for entry, own in zip(entries, split, strict=True) if own == name]
        for name in ("train", "val")
    ]


def refuse_errors(data, inspection):
    """Refuse data in which something must be mended.

    Raises:
        MstlError: There is something.
    """
    kinds = Counter(finding.problem for finding in inspection.errors)
    if kinds:
        raise MstlError(
            f"{data} must be mended first: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}; "
            f"`mstl data check {data}` lists them all"
        )


def served_by(folder, entries, inspection, classes):
    """The folder, if ImageFolderDataset would list just these entries and decode them rightly; None otherwise."""
    if folder is None or not all(inspection.photos[entry.path].native for entry in entries):
        return None
    return folder if holds_just(folder, entries, classes) else None


def check_classes(where, names, classes):
    """Refuse validation classes that nothing was trained on.

    Raises:
        MstlError: There are some.
    """
    unknown = sorted(names - set(classes))
    if unknown:
        known = {case_key(name): name for name in classes}
        alike = [f"{name} is {known[case_key(name)]} written otherwise" for name in unknown if case_key(name) in known]
        raise MstlError(
            f"{where} has classes that the training data lacks: {', '.join(unknown)} (known: {', '.join(classes)}); "
            + "".join(f"{hint}; " for hint in alike[:1])
            + "rename or remove them, or add photos of them to the training data"
        )


def no_images(part, inspection):
    """Why there is nothing to train on or to validate on."""
    if not part.entries and part.folder is not None:
        return f"no images in {part.where}: it needs a folder for each class, with photos in it"
    first = next(path for path in inspection.faults if any(entry.path == path for entry in part.entries))
    hint = "" if part.folder is not None else f"; paths in a list are taken against its folder, {part.where.parent}"
    return (
        f"no images in {part.where}: none of the {len(part.entries)} files can be used, such as {shown(first)} "
        f"({inspection.faults[first].detail}){hint}"
    )


def report(source, inspection):
    """Say which files are left out, and what else is wrong, before a training; gives the same as a tuple of texts."""
    faults, warnings = inspection.faults, []
    if faults:
        total = len(faults) + len(inspection.photos)
        lines = [f"left out {len(faults)} of {total} files that cannot be used:"]
        lines += [f"  {shown(path)}: {faults[path].detail}" for path in list(faults)[:SHOWN]]
        if len(faults) > SHOWN:
            lines.append(f"  ... and {len(faults) - SHOWN} more")
        warnings.append("\n".join(lines))
    for problem, words in SAID.items():
        found = [finding for finding in inspection.findings if finding.problem == problem]
        if found:
            first = f"{shown(found[0].path)}: {found[0].detail}" if found[0].path else found[0].detail
            warnings.append(f"{len(found)} {words}, such as {first} (`mstl data check` lists them)")
    missing = set(source.train.order or ()) - {entry.label for entry in source.train.entries}
    if missing:
        warnings.append(f"{len(missing)} names have no photo to train on, and are no classes: {some(sorted(missing))}")
    for warning in warnings:
        logger.warning("%s", warning)
    return tuple(warnings)


def some(names):
    """Names for people, not too many of them."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
