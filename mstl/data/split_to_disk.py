"""``mstl data split``: a dataset split once and for all, on disk."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from mstl.data.checking.checks import check_dataset
from mstl.data.checking.messages import log_warnings, no_images
from mstl.data.finding.folders.folder import lies_in
from mstl.data.finding.found import FoundDataset, Split
from mstl.data.finding.lists.list_file import Row, write_rows
from mstl.data.finding.lists.list_labels import CLASSES
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.sources import find_dataset
from mstl.data.samples import Sample
from mstl.data.split import split_samples
from mstl.errors import MstlError
from mstl.files import atomic_folder, check_output_folder, make_folder
from mstl.runtime.progress import Progress


def split_data(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    val_split: float = 0.2,
    seed: int = 1,
    link: bool = False,
    lists: ListOptions = FOUND,
) -> list[str]:
    """Write ``out/train`` and ``out/val``, each with a folder for each class; for a list, two lists.

    Args:
        data: What ``--data`` takes, without validation images of its own.
        out: A folder that does not exist yet, or is empty.
        val_split: Share of each class to validate on, between 0 and 1.
        seed: Another seed chooses other images.
        link: Whether to make symbolic links instead of copies.
        lists: How lists are to be read.

    Returns:
        Lines that say what was written.

    Raises:
        MstlError: The data is split already or has no images, or ``out`` exists or cannot be written.
    """
    found = find_dataset(data, options=lists)
    refuse(found, data, Path(out), link)
    checked = check_dataset(found)
    log_warnings(checked)
    if not checked.usable["train"]:
        raise MstlError(no_images(found.train, checked))
    train, val = split_samples(checked.usable["train"], checked.groups, val_split, seed, found.train.where)
    splits = {"train": train, "val": val}
    out = Path(os.path.abspath(out))
    make_folder(out.parent)
    try:
        with atomic_folder(out) as fresh:
            if found.train.folder is None:
                lines = write_lists(found.train, splits, fresh, out)
            else:
                lines = copy_files(splits, fresh, link)
    except OSError as error:
        raise MstlError(f"cannot write {out}: {error.strerror or error}") from error
    return [f"{out}{os.sep}{line}" for line in lines]


def refuse(found: FoundDataset, data: str | os.PathLike[str], out: Path, link: bool) -> None:
    """Refuse what cannot be split, or not into this folder.

    Raises:
        MstlError: The data is split already, ``out`` is in the way or lies in the data, or a list is to be linked.
    """
    if found.val is not None:
        raise MstlError(f"{data} is split already: it has {found.train.where} and {found.val.where}")
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        raise MstlError(f"{out} exists already: give the name of a new folder")
    if found.train.folder is not None and lies_in(out, found.train.folder):
        raise MstlError(f"{out} lies inside the data, where it would be a class itself: choose another folder")
    if found.train.folder is None and link:
        raise MstlError("links are for folders: for a list, two lists are written and no image is copied")
    check_output_folder(out.absolute().parent)


def copy_files(splits: Mapping[str, Sequence[Sample]], folder: Path, link: bool) -> list[str]:
    """Copy or link the images into folders for splits and classes."""
    with Progress("linking" if link else "copying", sum(map(len, splits.values()))) as progress:
        for split, samples in splits.items():
            for sample in samples:
                place = folder / split / sample.label / sample.relative_path
                place.parent.mkdir(parents=True, exist_ok=True)
                if link:
                    place.symlink_to(os.path.realpath(sample.path))
                else:
                    shutil.copyfile(sample.path, place)
                progress.advance()
    return [f"{split}: {len(samples)} images" for split, samples in splits.items()]


def write_lists(whole: Split, splits: Mapping[str, Sequence[Sample]], folder: Path, out: Path) -> list[str]:
    """Write a list for each split in the format of the old one.

    Args:
        whole: The samples of the old list.
        splits: The same, divided.
        folder: Where to write.
        out: What the folder will be called: the paths in the lists start there.
    """
    names = whole.where.parent / CLASSES
    numbers = None
    if names.is_file() and whole.class_order:
        shutil.copyfile(names, folder / CLASSES)
        numbers = {name: str(number) for number, name in enumerate(whole.class_order)}
    lines = []
    for split, samples in splits.items():
        file = (folder / split).with_suffix(whole.where.suffix)
        rows = []
        for sample in samples:
            real = os.path.join(os.path.realpath(os.path.dirname(sample.path)), os.path.basename(sample.path))
            path = os.path.relpath(real, os.path.join(os.path.realpath(out.parent), out.name))
            rows.append(Row(path, numbers[sample.label] if numbers else sample.label))
        write_rows(file, rows)
        lines.append(f"{file.name}: {len(samples)} images")
    return lines
