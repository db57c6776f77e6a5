"""Layout: which splits a folder or a list file holds."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path

from mstl.data.finding.folder import find_classes, make_dataset, visible
from mstl.data.finding.found import Split
from mstl.data.finding.list_file import LIST_SUFFIXES, Row, read_rows, samples_of_list
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation", "test")  # the first that exists is used


def find_splits(where: Path) -> tuple[Split, Split | None]:
    """The samples of a folder or a list file: those to train on, and those to validate on (None if there are none).

    Raises:
        MstlError: Something cannot be read, is wrong, or has only validation images.
    """
    if where.is_file():
        return splits_of_list(where)
    where = descend(where)
    train, val = (first_with_classes(where, names) for names in (TRAIN_NAMES, VAL_NAMES))
    if train is None and val is not None:
        raise MstlError(f"{where} has {val.name}/ but no train/ folder; put the training images into train/")
    if train is not None:
        return make_dataset(train, "train"), make_dataset(val, "val") if val else None
    train_list, val_list = (find_list(where, names) for names in (TRAIN_NAMES, VAL_NAMES))
    if train_list:
        own_train, own_val = splits_of_list(train_list)
        return own_train, samples_of_list(val_list, read_rows(val_list), "val") if val_list else own_val
    only = only_csv(where)
    if only:
        return splits_of_list(only)
    split = make_dataset(where, "train")
    if split.labels & {*TRAIN_NAMES} and split.labels <= {*TRAIN_NAMES, *VAL_NAMES}:
        raise MstlError(
            f"{where} has images in {'/, '.join(sorted(split.labels))}/ but no class folders there; a classifier needs "
            "a folder for each class"
        )
    return split, None


def first_with_classes(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these subfolders that has class folders in it; None if none has.

    One that holds images directly is a class itself: trains, say, beside cars and ships.
    """
    found = [folder / name for name in names if (folder / name).is_dir() and find_classes(folder / name)]
    if len(found) > 1:
        logger.info("data: %s/ is used, not %s/", found[0].name, "/, ".join(path.name for path in found[1:]))
    return found[0] if found else None


def find_list(folder: Path, names: Sequence[str]) -> Path | None:
    """The first list file with one of these names; None if there is none."""
    files = (folder / (name + suffix) for name in names for suffix in LIST_SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def only_csv(folder: Path) -> Path | None:
    """The only CSV in a folder if it has the header of a list, else None."""
    files = [name for name in visible(folder) if name.lower().endswith(".csv")]
    if len(files) != 1:
        return None
    with open(folder / files[0], encoding="utf-8-sig", errors="replace", newline="") as stream:
        header = next(csv.reader(stream), [])
    return folder / files[0] if {"path", "label"} <= {name.strip().lower() for name in header} else None


def descend(folder: Path) -> Path:
    """The folder itself, or the one inside it if that is all it holds, as in the top folder of an archive."""
    while True:
        inside = [name for name in find_classes(folder) if name != "__MACOSX"]
        alone = len(inside) == 1 and inside[0] not in (*TRAIN_NAMES, *VAL_NAMES)
        if not alone or find_list(folder, TRAIN_NAMES) or only_csv(folder):
            return folder
        child = folder / inside[0]
        if not find_list(child, TRAIN_NAMES) and not only_csv(child) and not find_classes(child):
            return folder
        folder = child
        logger.info("data: in %s", folder)


def splits_of_list(file: Path) -> tuple[Split, Split | None]:
    """The samples of one list, divided by its split column if it has one.

    Raises:
        MstlError: The list is wrong, or has an unknown split or no training rows.
    """
    rows = read_rows(file)
    if not rows[0].split:
        return samples_of_list(file, rows, "train"), None
    by_split: dict[str, list[Row]] = {}
    for row in rows:
        by_split.setdefault(row.split.lower(), []).append(row)
    unknown = [split for split in by_split if split not in (*TRAIN_NAMES, *VAL_NAMES)]
    if unknown:
        raise MstlError(
            f"{file} has the split {unknown[0]!r}; known are {', '.join([TRAIN_NAMES[0], *VAL_NAMES])}: "
            "correct the column"
        )
    train = [row for name in TRAIN_NAMES for row in by_split.get(name, [])]
    if not train:
        raise MstlError(f"{file} has no row whose split is train")
    held_out = [name for name in VAL_NAMES if name in by_split]
    if len(held_out) > 1:
        logger.info("data: the split %s is used, not %s", held_out[0], ", ".join(held_out[1:]))
    val = samples_of_list(file, rows, "val", by_split[held_out[0]]) if held_out else None
    return samples_of_list(file, rows, "train", train), val
