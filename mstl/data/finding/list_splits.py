"""List splits: which splits the lists in a folder hold, and the split column of one."""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path

from mstl.data.finding.folder import visible
from mstl.data.finding.found import FoundSplits, Split
from mstl.data.finding.list_file import LIST_SUFFIXES, Row, read_rows, samples_of_list
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation")  # the first that exists is used
TEST_NAMES = ("test",)
NAMES = (*TRAIN_NAMES, *VAL_NAMES, *TEST_NAMES)


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
