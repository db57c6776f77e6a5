"""Image folder: a folder with a folder for each class, as torchvision's ImageFolder reads it."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from mstl.data.finding.folders.other_folders import why_no_data
from mstl.data.finding.folders.part_names import is_beside, is_container
from mstl.data.finding.found import Oddity, Split
from mstl.data.image_files import has_image_suffix
from mstl.data.samples import Sample
from mstl.errors import MstlError
from mstl.runtime.progress import track


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
    """The names of the visible folders in a folder that may be classes, links to folders among them, sorted.

    Raises:
        MstlError: The folder cannot be read.
    """
    return [name for name in visible(folder) if (folder / name).is_dir() and not why_no_data(folder / name)]


def make_dataset(folder: Path, split: str, leave_out: Collection[str] = ()) -> tuple[Split, dict[str, str]]:
    """Find the samples of a folder that has a folder for each class.

    Files in folders inside a class folder belong to the class too. Hidden files and empty folders are ignored. Links
    are followed; one that leads back to a folder it is in is left out. So are folders of runs, systems and tools, and
    folders of masks and the like beside one of images.

    Args:
        folder: The folder.
        split: "train", "val" or "test".
        leave_out: The names of folders in it that are no classes.

    Returns:
        The samples, ordered by class and path; and each folder that is no data, with the reason.

    Raises:
        MstlError: A folder cannot be read.
    """
    oddities = [
        Oddity(str(folder / name), "loose", "lies outside the class folders, so it has no label and is not used")
        for name in visible(folder)
        if has_image_suffix(name) and not (folder / name).is_dir()
    ]
    above = (os.path.realpath(folder),)
    labels = [name for name in visible(folder) if (folder / name).is_dir() and name not in leave_out]
    reasons = {name: why_no_data(folder / name) for name in labels}
    skipped = {str(folder / name): reason for name, reason in reasons.items() if reason}
    files = (
        Sample(file, label, split, os.path.relpath(file, folder / label))
        for label, reason in reasons.items()
        if not reason
        for file in files_below(str(folder / label), above, oddities, skipped)
    )
    samples = tuple(track(files, "finding", unit="files"))
    return Split(folder, samples, folder, None, tuple(oddities)), skipped


def files_below(folder: str, above: tuple[str, ...], oddities: list[Oddity], skipped: dict[str, str]) -> Iterator[str]:
    """The visible files in a folder and in those inside it.

    Args:
        folder: The folder.
        above: Real paths of the folders it is in.
        oddities: Gets an entry for each link that leads back to a folder it is in.
        skipped: Gets each folder that is no data, with the reason.
    """
    real = os.path.realpath(folder)
    if any(other == real or other.startswith(os.path.join(real, "")) for other in above):
        oddities.append(Oddity(folder, "loop", "a link that leads back to a folder it is in: not followed"))
        return
    paths = [os.path.join(folder, name) for name in visible(folder)]
    folders = {path: os.path.basename(path) for path in paths if os.path.isdir(path)}
    images = next((name for name in folders.values() if is_container(name)), None)
    for path in paths:
        if path not in folders:
            yield path
        elif reason := why_no_data(path) or (f"beside {images}/" if images and is_beside(folders[path]) else ""):
            skipped[path] = reason
        else:
            yield from files_below(path, (*above, real), oddities, skipped)


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it."""
    return os.path.commonpath([os.path.realpath(path), os.path.realpath(folder)]) == os.path.realpath(folder)
