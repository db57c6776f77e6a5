"""List splits: which splits the lists in a folder hold, and the parts that one list names."""

import logging
import os
import re
from pathlib import Path

from mstl.data.finding.folders.folder import visible
from mstl.data.finding.folders.part_names import Part, rank
from mstl.data.finding.found import FoundSplits, Split
from mstl.data.finding.lists.list_columns import NoLabelsError
from mstl.data.finding.lists.list_file import LIST_SUFFIXES, read_rows, samples_of_list
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.lists.list_parts import part_of_list
from mstl.data.finding.lists.list_paths import AmbiguousPathError, is_there
from mstl.data.image_files import has_image_suffix
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
USUAL = ("train", "training", "val", "valid", "validation", "test")  # lists called otherwise must have images
TABLES = (".csv", ".tsv")  # a .txt that is not called after a part may be anything
ANSWERS = ("submission", "submit")  # in names of lists that a competition wants to have filled in
DECISIONS = ("review.csv", "path,sha256,decision,")  # of `mstl review`, in the folder of the data; how it begins
REVIEWED = re.compile(r"-reviewed(-\d+)?$")  # the stem of the list that it writes ends so
SHARE = 0.5  # of the images in their folders, that a list must name if it is not called after a part
NO_LIST = "it is something else"
PARTS: tuple[Part, ...] = ("train", "val", "test")


def list_of(folder: Path, part: Part, options: ListOptions = FOUND) -> Path | None:
    """The list of a part in a folder; None if there is none."""
    return next(iter(lists_of(folder, part, options)), None)


def only_csv(folder: Path, options: ListOptions = FOUND) -> Path | None:
    """The table in a folder that lists images and their labels; None if there is none, or more than one.

    One called after a part to validate or to test on does not count if there is another.
    """
    found = tables(folder, options)
    if len(found) > 1:
        found = [file for file in found if part_of_list(file.stem) is None]
    return found[0] if len(found) == 1 else None


def splits_of_lists(folder: Path, options: ListOptions = FOUND) -> FoundSplits | None:
    """The samples of the lists in a folder: one for each part, or a single one; None if there are none.

    Raises:
        MstlError: A list is wrong.
    """
    by_part = {part: lists_of(folder, part, options) for part in PARTS}
    if not by_part["train"]:
        only = only_csv(folder, options)
        if only is None:
            log_unused(folder, options)
            return None
        by_part = {part: [file for file in files if file != only] for part, files in by_part.items()}
        by_part["train"] = [only]
    used = [files[0] for files in by_part.values() if files]
    rest = [file.name for files in by_part.values() for file in files[1:]]
    logger.info(
        "data: %s: images and labels are as listed there%s",
        ", ".join(map(str, used)),
        f", not as in {', '.join(rest)}" if rest else "",
    )
    own = splits_of_list(by_part["train"][0], options)
    val = split_of_list(by_part["val"][0], "val", options) if by_part["val"] else None
    test = split_of_list(by_part["test"][0], "test", options) if by_part["test"] else None
    if val is None and test is None:
        return own
    if own.val_is_test and own.val is not None:
        return three_parts(own.train, val, test or own.val.renamed("test"))
    return three_parts(own.train, val or own.val, test or own.test)


def split_of_list(file: Path, part: Part, options: ListOptions) -> Split | None:
    """The samples of a list that is all one part; None for a test list without labels, as competitions have it.

    Raises:
        MstlError: The list is wrong.
    """
    try:
        return samples_of_list(file, read_rows(file, options), part)
    except NoLabelsError as error:
        if part != "test":
            raise
        logger.warning("data: not used: %s", error)
    return None


def lists_of(folder: Path, part: Part, options: ListOptions = FOUND) -> list[Path]:
    """The lists of a part in a folder, the one to use first.

    They are called ``train``, ``val`` or ``test`` and the like; otherwise after the part, and have images.
    """
    names = [name for name in visible(folder) if Path(name).suffix.lower() in LIST_SUFFIXES]
    files = [folder / name for name in names if part_of_list(Path(name).stem) == part]
    files = [file for file in files if file.is_file()]
    return sorted(
        (file for file in files if file.stem.lower() in USUAL or lists_images(file, options)),
        key=lambda file: rank(file.stem),
    )


def tables(folder: Path, options: ListOptions = FOUND) -> list[Path]:
    """The tables in a folder that list images and their labels; a single one also where no image is there."""
    files = all_tables(folder)
    if len(files) == 1 and has_usual_header(files[0]):
        return files
    return [file for file in files if not why_no_list(file, options, SHARE)]


def all_tables(folder: Path) -> list[Path]:
    """The tables in a folder, but for answers of a competition that are to be filled in, and what a review writes."""
    names = [name for name in visible(folder) if Path(name).suffix.lower() in TABLES]
    files = [folder / name for name in names if not any(word in name.lower() for word in ANSWERS)]
    return [file for file in files if file.is_file() and not of_a_review(file)]


def of_a_review(file: Path) -> bool:
    """Whether a table holds the decisions of a review, or is the list that these have made of one beside it."""
    original = REVIEWED.sub("", file.stem)
    if original != file.stem:
        return file.with_stem(original).is_file()
    return file.name == DECISIONS[0] and first_line(file).startswith(DECISIONS[1])


def log_unused(folder: Path, options: ListOptions) -> None:
    """Say which tables in a folder might be lists, and why they are not used."""
    several = tables(folder, options)
    if several:
        logger.info("data: not used, as they are several lists: %s; give one as the data", ", ".join(map(str, several)))
    for file in all_tables(folder):
        reason = why_no_list(file, options, SHARE)
        if reason not in ("", NO_LIST):
            logger.info("data: not used: %s", reason)


def has_usual_header(file: Path) -> bool:
    """Whether a table begins with the columns path and label, whatever follows."""
    cells = first_line(file).replace(";", ",").replace("\t", ",").split(",")
    return {"path", "label"} <= {cell.strip().strip('"').lower() for cell in cells}


def first_line(file: Path) -> str:
    """The first line of a table.

    Raises:
        MstlError: It cannot be read.
    """
    try:
        with open(file, encoding="utf-8-sig", errors="replace") as stream:
            return stream.readline()
    except OSError as error:
        raise MstlError(f"cannot read the list {file}: {error.strerror or error}") from error


def lists_images(file: Path, options: ListOptions = FOUND) -> bool:
    """Whether a file is a list of images that are there, with labels."""
    return not why_no_list(file, options, 0)


def why_no_list(file: Path, options: ListOptions, share: float) -> str:
    """Why a file is no list of the images beside it, as a sentence for users; "" if it is one.

    Args:
        file: The file.
        options: How lists are to be read.
        share: Of the images in their folders that a list must name.
    """
    try:
        rows = read_rows(file, options, quiet=True)
    except AmbiguousPathError as error:  # whoever reads it will say so
        labels, places = error.labels, [error.example]
    except NoLabelsError as error:
        return str(error)
    except MstlError:
        return NO_LIST
    else:
        labels, places = [row.label for row in rows], [os.path.join(file.parent, row.path) for row in rows]
    folders = {os.path.dirname(place) for place in places if is_there(place)}
    if not folders or (share and all((file.parent / label).is_dir() for label in set(labels))):
        return NO_LIST  # as in a list of the classes, whose numbers are names of images, too
    images = sum(has_image_suffix(name) for folder in folders for name in os.listdir(folder))
    listed = len(labels)
    if listed < share * images:
        return f"{file} lists {listed} of the {images} images there: give the list as the data if it is meant"
    return ""


def splits_of_list(file: Path, options: ListOptions = FOUND) -> FoundSplits:
    """The samples of one list, divided by its column of parts if it has one.

    Raises:
        MstlError: The list is wrong, or has no rows to train on.
    """
    rows = read_rows(file, options)
    if not rows[0].split:
        return FoundSplits(samples_of_list(file, rows, "train"))
    by_part = {part: [row for row in rows if row.split == part] for part in PARTS}
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
