"""Quarantine: move files that cannot be used out of a dataset."""

import os
import shutil
from pathlib import Path

from mstl.data.checking.checks import CheckedDataset
from mstl.data.finding.folders.folder import lies_in
from mstl.errors import MstlError
from mstl.files import make_folder


def move_unusable(checked: CheckedDataset, folder: Path) -> dict[str, str]:
    """Move the unusable files that must be fixed; nothing is overwritten.

    Args:
        checked: The dataset.
        folder: Each file goes to ``<split>/<class>/`` in it, or ``<class>/`` if there is one split.

    Returns:
        The new path of each file, by its old path.

    Raises:
        MstlError: The folder lies inside the dataset, or a file cannot be moved.
    """
    splits = checked.found.splits
    for split in splits.values():
        if split.folder is not None and lies_in(folder, split.folder):
            raise MstlError(f"{folder} lies inside the data, where it would be a class itself: choose another folder")
    bad = {finding.path for finding in checked.errors if finding.path in checked.faults}
    moved = {}
    for name, split in splits.items():
        for sample in split.samples:
            if sample.path in bad and os.path.lexists(sample.path):
                place = folder / (name if len(splits) > 1 else "") / sample.label / sample.relative_path
                place = free_name(place)
                make_folder(place.parent)
                try:
                    shutil.move(sample.path, place)
                except OSError as error:
                    raise MstlError(f"cannot move {sample.path} to {place}: {error.strerror or error}") from error
                moved[sample.path] = str(place)
    return moved


def free_name(path: Path) -> Path:
    """The path itself, or one with a number appended if something is there already."""
    number, candidate = 1, path
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
