"""Image folder: a folder with a folder for each class, as torchvision's ImageFolder reads it."""

import os
from collections.abc import Iterator
from pathlib import Path

from mstl.data.finding.found import Oddity, Split
from mstl.data.image_files import has_image_suffix
from mstl.data.samples import Sample
from mstl.errors import MstlError


def visible(folder: Path | str) -> list[str]:
    """The names in a folder without hidden ones, sorted as MindSpore's ImageFolderDataset sorts them.

    Raises:
        MstlError: The folder cannot be read.
    """
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError as error:
        raise MstlError(f"cannot read the folder {folder}: {error.strerror or error}") from error


def find_classes(folder: Path) -> list[str]:
    """The names of the visible folders in a folder, links to folders among them, sorted.

    Raises:
        MstlError: The folder cannot be read.
    """
    return [name for name in visible(folder) if (folder / name).is_dir()]


def make_dataset(folder: Path, split: str) -> Split:
    """Find the samples of a folder that has a folder for each class.

    Files in folders inside a class folder belong to the class too. Hidden files and empty folders are ignored. Links
    are followed; one that leads back to a folder it is in is left out.

    Args:
        folder: The folder.
        split: "train", "val" or "test".

    Returns:
        The samples, ordered by class and path.

    Raises:
        MstlError: A folder cannot be read.
    """
    oddities = [
        Oddity(str(folder / name), "loose", "lies outside the class folders, so it has no label and is not used")
        for name in visible(folder)
        if has_image_suffix(name) and not (folder / name).is_dir()
    ]
    above = (os.path.realpath(folder),)
    samples = tuple(
        Sample(file, label, split, os.path.relpath(file, folder / label))
        for label in find_classes(folder)
        for file in files_below(str(folder / label), above, oddities)
    )
    return Split(folder, samples, folder, None, tuple(oddities))


def files_below(folder: str, above: tuple[str, ...], oddities: list[Oddity]) -> Iterator[str]:
    """The visible files in a folder and in those inside it.

    Args:
        folder: The folder.
        above: Real paths of the folders it is in.
        oddities: Gets an entry for each link that leads back to a folder it is in.
    """
    real = os.path.realpath(folder)
    if any(other == real or other.startswith(os.path.join(real, "")) for other in above):
        oddities.append(Oddity(folder, "loop", "a link that leads back to a folder it is in: not followed"))
        return
    for name in visible(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            yield from files_below(path, (*above, real), oddities)
        else:
            yield path


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it."""
    return os.path.commonpath([os.path.realpath(path), os.path.realpath(folder)]) == os.path.realpath(folder)
