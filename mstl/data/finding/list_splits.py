"""List splits: which splits the lists in a folder hold, and the parts that one list names."""

import logging
from collections.abc import Sequence
from pathlib import Path

from mstl.data.finding.folder import visible
from mstl.data.finding.found import FoundSplits, Split
from mstl.data.finding.list_columns import NoLabelsError
from mstl.data.finding.list_file import LIST_SUFFIXES, exists, read_rows, samples_of_list
from mstl.data.finding.list_options import FOUND, ListOptions
from mstl.data.finding.part_names import Part, part_of, rank
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation")  # the first that exists is used
TEST_NAMES = ("test",)
NAMES = (*TRAIN_NAMES, *VAL_NAMES, *TEST_NAMES)
TABLES = (".csv", ".tsv")  # a .txt that is not called after a part may be anything
ANSWERS = ("submission", "submit")  # in names of lists that a competition wants to have filled in


def splits_of_lists(folder: Path, options: ListOptions = FOUND) -> FoundSplits | None:
    """The samples of the lists in a folder: one for each part, or a single one; None if there are none.

    Raises:
        MstlError: A list is wrong.
    """
    files = {part: list_of(folder, part, options) for part in ("train", "val", "test")}
    train, val, test = files["train"], files["val"], files["test"]
    if train is None:
        only = only_csv(folder, options)
        if only is not None:
            logger.info("data: the list %s is used; folders and files count only where it names them", only)
        return splits_of_list(only, options) if only is not None else None
    used = ", ".join(str(file) for file in (train, val, test) if file)
    logger.info("data: the lists %s are used; folders and files count only where they name them", used)
    own = splits_of_list(train, options)
    val_split, test_split = own.val, own.test
    if val is not None:
        val_split = samples_of_list(val, read_rows(val, options), "val")
    if test is not None:
        try:
            test_split = samples_of_list(test, read_rows(test, options), "test")
        except NoLabelsError as error:  # as competitions have it
            logger.warning("data: %s is not used: %s", test, error)
    return three_parts(own.train, val_split, test_split)


def list_of(folder: Path, part: Part, options: ListOptions = FOUND) -> Path | None:
    """The list of a part in a folder; None if there is none.

    It is called ``train``, ``val`` or ``test``, or otherwise after the part if it lists images.
    """
    names = [name for name in visible(folder) if Path(name).suffix.lower() in LIST_SUFFIXES]
    names = [name for name in names if part_of(Path(name).stem) == part and (folder / name).is_file()]
    names.sort(key=lambda name: rank(Path(name).stem))
    files = [
        folder / name for name in names if Path(name).stem.lower() in NAMES or lists_images(folder / name, options)
    ]
    if len(files) > 1:
        logger.info("data: %s is used, not %s", files[0], ", ".join(file.name for file in files[1:]))
    return files[0] if files else None


def find_list(folder: Path, names: Sequence[str]) -> Path | None:
    """The list of the part that is called so."""
    part = part_of(names[0])
    return list_of(folder, part) if part else None


def only_csv(folder: Path, options: ListOptions = FOUND) -> Path | None:
    """The only table in a folder that lists images and their labels; None if there is none, or more than one."""
    names = [name for name in visible(folder) if Path(name).suffix.lower() in TABLES]
    names = [name for name in names if not any(word in name.lower() for word in ANSWERS)]
    files = [folder / name for name in names if (folder / name).is_file()]
    if len(files) == 1 and has_usual_header(files[0]):
        return files[0]
    lists = [file for file in files if lists_images(file, options)]
    if len(lists) > 1:
        logger.info("data: %s are not used: give one of these lists as the data", ", ".join(map(str, lists)))
    return lists[0] if len(lists) == 1 else None


def has_usual_header(file: Path) -> bool:
    """Whether a table begins with the columns path and label, whatever follows."""
    try:
        with open(file, encoding="utf-8-sig", errors="replace") as stream:
            header = stream.readline()
    except OSError as error:
        raise MstlError(f"cannot read the list {file}: {error.strerror or error}") from error
    cells = header.replace(";", ",").replace("\t", ",").split(",")
    return {"path", "label"} <= {cell.strip().strip('"').lower() for cell in cells}


def lists_images(file: Path, options: ListOptions = FOUND) -> bool:
    """Whether a file is a list of images that are there, with labels."""
    try:
        rows = read_rows(file, options, quiet=True)
    except MstlError:
        return False
    return any(exists(file, row) for row in rows)


def splits_of_list(file: Path, options: ListOptions = FOUND) -> FoundSplits:
    """The samples of one list, divided by its column of parts if it has one.

    Raises:
        MstlError: The list is wrong, or has no rows to train on.
    """
    rows = read_rows(file, options)
    if not rows[0].split:
        return FoundSplits(samples_of_list(file, rows, "train"))
    by_part = {part: [row for row in rows if row.split == part] for part in ("train", "val", "test")}
    if not by_part["train"]:
        raise MstlError(f"{file} has no row whose split is train")
    splits = {part: samples_of_list(file, rows, part, chosen) for part, chosen in by_part.items() if chosen}
    return three_parts(splits["train"], splits.get("val"), splits.get("test"))


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
