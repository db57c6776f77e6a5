"""Layout: which splits a folder or a list file holds."""

import logging
from collections.abc import Sequence
from pathlib import Path

from mstl.data.finding.folder import find_classes, make_dataset
from mstl.data.finding.found import FoundSplits
from mstl.data.finding.list_file import read_rows, samples_of_list
from mstl.data.finding.list_splits import (
    NAMES,
    TEST_NAMES,
    TRAIN_NAMES,
    VAL_NAMES,
    find_list,
    only_csv,
    splits_of_list,
    three_parts,
)
from mstl.errors import MstlError

logger = logging.getLogger("mstl")


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


def first_with_classes(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these subfolders that has class folders in it; None if none has.

    One that holds images directly is a class itself: trains, say, beside cars and ships.
    """
    found = [folder / name for name in names if (folder / name).is_dir() and find_classes(folder / name)]
    if len(found) > 1:
        logger.info("data: %s/ is used, not %s/", found[0].name, "/, ".join(path.name for path in found[1:]))
    return found[0] if found else None


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
