"""Folders with a folder for each class."""

import os
from dataclasses import dataclass
from pathlib import Path

from mstl.data.checking.scan import SUFFIXES
from mstl.data.samples import Sample
from mstl.errors import MstlError


@dataclass(frozen=True)
class Part:
    """Files to train on, to validate on, or both.

    Attributes:
        where: A folder or a list, for people.
        entries: The files, ordered by class and path, or as listed.
        folder: The one that has the class folders; None for a list.
        order: The classes in the order that a file gives; None sorts them by name.
        oddities: Pairs of a path and what is odd about it: loose photos, links that lead back.
    """

    where: Path
    entries: tuple
    folder: Path | None = None
    order: tuple | None = None
    oddities: tuple = ()


def visible(folder):
    """The names in a folder, sorted as MindSpore's ImageFolderDataset sorts them, hidden ones left out.

    Raises:
        MstlError: It cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        raise MstlError(f"cannot read the folder {folder}: {error.strerror or error}") from error


def subfolders(folder):
    """The visible folders in a folder, links to folders among them."""
    return [Path(folder) / name for name in visible(folder) if (Path(folder) / name).is_dir()]


def read_classes(folder, split="train"):
    """Read a folder that has a folder for each class.

    What is in folders inside a class's folder belongs to the class too. Hidden files are no data, nor are folders with
    nothing in them. Links are followed; one that leads back to a folder it is in is left out.

    Returns:
        A :class:`Part`, classes in the order of their names.
    """
    folder = Path(folder)
    entries, oddities = [], []
    above = (os.path.realpath(folder),)
    for name in visible(folder):
        path = folder / name
        if path.is_dir():
            for file in files_below(path, above, oddities):
                entries.append(Sample(file, name, split, os.path.relpath(file, path)))
        elif path.suffix.lower() in SUFFIXES:
            oddities.append((str(path), "loose", "lies outside the class folders, so it has no label and is not used"))
    return Part(folder, tuple(entries), folder, None, tuple(oddities))


def files_below(folder, above, oddities):
    """The visible files in a folder and in those inside it; ``above`` are the real paths of those it is in."""
    real = os.path.realpath(folder)
    if any(other == real or other.startswith(os.path.join(real, "")) for other in above):
        oddities.append((str(folder), "loop", "a link that leads back to a folder it is in: not followed"))
        return
    for name in visible(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from files_below(path, (*above, real), oddities)
        else:
            yield path


def holds_just(folder, entries, classes):
    """Whether ImageFolderDataset, told these classes, would list just these files, in this order.

    It takes every file, hidden ones too, sorted by name, and fails at a folder inside a class's folder.
    """
    by_class = {name: [] for name in classes if (folder / name).is_dir()}
    for entry in entries:
        by_class[entry.label].append(entry.relative_path)
    try:
        "".join(entry.path for entry in entries).encode()
        return all(sorted(os.listdir(folder / name)) == inner for name, inner in by_class.items())
    except (OSError, UnicodeEncodeError):  # a name that is no UTF-8 could not be handed to the C++ side
        return False
