"""Layout: which splits a folder or a list file holds."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path

from mstl.data.finding.folder import find_classes, make_dataset, visible
from mstl.data.finding.found import FoundSplits, Split
from mstl.data.finding.list_file import LIST_SUFFIXES, Row, read_rows, samples_of_list
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation")  # the first that exists is used
TEST_NAMES = ("test",)
NAMES = (*TRAIN_NAMES, *VAL_NAMES, *TEST_NAMES)


def find_splits(where: Path) -> FoundSplits:
    """The samples of a folder or a list file.

    Raises:
        MstlError: Something cannot be read, is wrong, or has no training images.
    """
    if where.is_file():
        return splits_of_list(where)
    where = descend(where)
    train, val, test = (first_with_classes(where, names) for names in (TRAIN_NAMES, VAL_NAMES, TEST_NAMES))
    held_out = val or test
    if train is None and held_out is not None:
        raise MstlError(f"{where} has {held_out.name}/ but no train/ folder; put the training images into train/")
    if train is not None:
        return three_parts(
            make_dataset(train, "train"),
            make_dataset(val, "val") if val else None,
            make_dataset(test, "test") if test else None,
        )
    train_list, val_list, test_list = (find_list(where, names) for names in (TRAIN_NAMES, VAL_NAMES, TEST_NAMES))
    if train_list:
        own = splits_of_list(train_list)
        return three_parts(
            own.train,
            samples_of_list(val_list, read_rows(val_list), "val") if val_list else own.val,
            samples_of_list(test_list, read_rows(test_list), "test") if test_list else own.test,
        )
    only = only_csv(where)
    if only:
        return splits_of_list(only)
    split = make_dataset(where, "train")
    if split.labels & {*TRAIN_NAMES} and split.labels <= {*NAMES}:
        raise MstlError(
            f"{where} has images in {'/, '.join(sorted(split.labels))}/ but no class folders there; a classifier needs "
            "a folder for each class"
        )
    return FoundSplits(split)


def three_parts(train: Split, val: Split | None, test: Split | None) -> FoundSplits:
    """The splits of a dataset. A test split without labels, as competitions have it, is left out."""
    if val is not None and test is not None and not train.labels & test.labels:
        logger.warning(
            "data: %s is not used: it has none of the classes to train on, but %s",
            test.where,
            ", ".join(sorted(test.labels)[:8]) or "no images",
        )
        test = None
    return FoundSplits.of(train, val, test)


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
        inside = find_classes(folder)
        alone = len(inside) == 1 and inside[0] not in NAMES
        if not alone or find_list(folder, TRAIN_NAMES) or only_csv(folder):
            return folder
        child = folder / inside[0]
        if not find_list(child, TRAIN_NAMES) and not only_csv(child) and not find_classes(child):
            return folder
        folder = child
        logger.info("data: in %s", folder)


def splits_of_list(file: Path) -> FoundSplits:
    """The samples of one list, divided by its split column if it has one.

    Raises:
        MstlError: The list is wrong, or has an unknown split or no training rows.
    """
    rows = read_rows(file)
    if not rows[0].split:
        return FoundSplits(samples_of_list(file, rows, "train"))
    by_split: dict[str, list[Row]] = {}
    for row in rows:
        by_split.setdefault(row.split.lower(), []).append(row)
    unknown = [split for split in by_split if split not in NAMES]
    if unknown:
        known = ", ".join([TRAIN_NAMES[0], *VAL_NAMES, *TEST_NAMES])
        raise MstlError(f"{file} has the split {unknown[0]!r}; known are {known}: correct the column")
    train = [row for name in TRAIN_NAMES for row in by_split.get(name, [])]
    if not train:
        raise MstlError(f"{file} has no row whose split is train")
    held_out = [name for name in VAL_NAMES if name in by_split]
    if len(held_out) > 1:
        logger.info("data: the split %s is used, not %s", held_out[0], ", ".join(held_out[1:]))
    return three_parts(
        samples_of_list(file, rows, "train", train),
        samples_of_list(file, rows, "val", by_split[held_out[0]]) if held_out else None,
        samples_of_list(file, rows, "test", by_split["test"]) if "test" in by_split else None,
    )
