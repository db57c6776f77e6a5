"""What ``--data`` and ``--val`` mean: a name, a folder, a list or an archive becomes labelled files."""

import csv
import dataclasses
import difflib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding import archive, demo
from mstl.data.finding.folder import Part, read_classes, subfolders, visible
from mstl.data.finding.list_file import SUFFIXES as LIST_SUFFIXES
from mstl.data.finding.list_file import read_list, read_rows
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
TRAIN_NAMES = ("train", "training")
VAL_NAMES = ("val", "valid", "validation", "test")  # the first that is there is taken


@dataclass(frozen=True)
class Source:
    """Labelled files, unchecked.

    Attributes:
        key: What tells this data from other data.
        train: A :class:`mstl.data.finding.folder.Part`.
        val: Another; None where validation photos must be split off ``train``.
    """

    key: str
    train: Part
    val: Part | None

    @property
    def parts(self):
        """A dict from "train" (and "val", if it is there) to the Part."""
        return {"train": self.train, "val": self.val} if self.val else {"train": self.train}


def find_source(data, val=None):
    """Find labelled files.

    Args:
        data: See :func:`mstl.data.dataset.load_data`.
        val: A folder with a folder for each class, a list, or an archive of one; in the place of data's own.

    Raises:
        MstlError: Nothing of that name, or nothing in it that could be data.
    """
    where = locate(str(data))
    train, found = parts_of(where)
    key = str(where.resolve())
    if val is not None:
        val_where = locate(str(val))
        val_train, val_val = parts_of(val_where)
        found = val_val or val_train
        key += f"\0{val_where.resolve()}"
    return Source(key, as_split(train, "train"), as_split(found, "val"))


def as_split(part, split):
    """A part whose samples belong to this split; None stays None."""
    samples = part and tuple(dataclasses.replace(sample, split=split) for sample in part.entries)
    return part and dataclasses.replace(part, entries=samples)


def locate(data):
    """The folder or the list file that ``--data`` means: a known name first, then a path."""
    if data == "demo":
        return demo.make()
    if data in archive.KNOWN:
        return archive.get(data)
    path = Path(os.path.expanduser(data))
    is_file = os.path.isfile(path)  # unlike Path's own, these say no to a name that is too long
    if os.path.isdir(path) or (is_file and path.suffix.lower() in LIST_SUFFIXES):
        return path
    if is_file and archive.is_archive(path):
        return archive.unpacked(path)
    names = ", ".join(["demo", *archive.KNOWN])
    forms = (
        f"a known name ({names}), a folder, a list ({', '.join(LIST_SUFFIXES)}) "
        f"or an archive ({', '.join(archive.SUFFIXES)})"
    )
    if os.path.exists(path):
        raise MstlError(f"{data} cannot be data: it is neither {forms}")
    close = difflib.get_close_matches(data.lower(), [name.lower() for name in archive.KNOWN], 1, 0.8)
    meant = next((name for name in archive.KNOWN if name.lower() in close), None)
    raise MstlError(f"no data {data!r}: neither {forms}" + (f"; did you mean {meant}?" if meant else ""))


def parts_of(where):
    """The files of a folder or a list: a Part to train on, and one to validate on (None if there is none)."""
    if where.is_file():
        return parts_of_list(where)
    where = descend(where)
    train, val = (first_of(where, names) for names in (TRAIN_NAMES, VAL_NAMES))
    if train is None and val is not None:
        raise MstlError(f"{where} has {val.name}/ but no train/ folder; give the training photos a folder train/")
    if train is not None:
        return read_classes(train), read_classes(val) if val else None
    lists = {name: find_list(where, names) for name, names in (("train", TRAIN_NAMES), ("val", VAL_NAMES))}
    if lists["train"]:
        own_train, own_val = parts_of_list(lists["train"])
        return own_train, read_list(lists["val"]) if lists["val"] else own_val
    only = only_csv(where)
    if only:
        return parts_of_list(only)
    part = read_classes(where)
    classes = {entry.label for entry in part.entries}
    if classes & {*TRAIN_NAMES} and classes <= {*TRAIN_NAMES, *VAL_NAMES}:
        raise MstlError(
            f"{where} has photos in {'/, '.join(sorted(classes))}/ but no class folders there; a classifier needs a "
            "folder for each class"
        )
    return part, None


def first_of(folder, names):
    """The first of these subfolders that has class folders in it; None if none has.

    One with photos alone is a class: trains, say, beside cars and ships.
    """
    found = [folder / name for name in names if (folder / name).is_dir() and subfolders(folder / name)]
    if len(found) > 1:
        logger.info("data: %s/ is used, not %s/", found[0].name, "/, ".join(path.name for path in found[1:]))
    return found[0] if found else None


def find_list(folder, names):
    """The first list file of these names; None if there is none."""
    files = (folder / (name + suffix) for name in names for suffix in LIST_SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def only_csv(folder):
    """The only CSV in a folder, if it begins as a list does; None otherwise."""
    files = [name for name in visible(folder) if name.lower().endswith(".csv")]
    if len(files) != 1:
        return None
    with open(folder / files[0], encoding="utf-8-sig", errors="replace", newline="") as stream:
        header = next(csv.reader(stream), [])
    return folder / files[0] if {"path", "label"} <= {name.strip().lower() for name in header} else None


def descend(folder):
    """The folder itself, or the one inside it where that is all it holds, as in an archive's top folder."""
    while True:
        inside = [path for path in subfolders(folder) if path.name != "__MACOSX"]
        alone = len(inside) == 1 and inside[0].name not in (*TRAIN_NAMES, *VAL_NAMES)
        if not alone or find_list(folder, TRAIN_NAMES) or only_csv(folder):
            return folder
        if not find_list(inside[0], TRAIN_NAMES) and not only_csv(inside[0]) and not subfolders(inside[0]):
            return folder
        folder = inside[0]
        logger.info("data: in %s", folder)


def parts_of_list(file):
    """The files of one list, divided by its split column if it has one."""
    rows = read_rows(file)
    if not rows[0].split:
        return read_list(file, rows), None
    by_split = {}
    for row in rows:
        by_split.setdefault(row.split.lower(), []).append(row)
    unknown = [split for split in by_split if split not in (*TRAIN_NAMES, *VAL_NAMES)]
    if unknown:
        raise MstlError(
            f"{file} has the split {unknown[0]!r}; known are {', '.join([TRAIN_NAMES[0], *VAL_NAMES])}: mend the column"
        )
    train = [row for name in TRAIN_NAMES for row in by_split.get(name, [])]
    held_out = [name for name in VAL_NAMES if name in by_split]
    if len(held_out) > 1:
        logger.info("data: the split %s is used, not %s", held_out[0], ", ".join(held_out[1:]))
    parts = [read_list(file, rows) if rows else None for rows in (train, by_split[held_out[0]] if held_out else [])]
    if parts[0] is None:
        raise MstlError(f"{file} has no row whose split is train")
    return parts[0], parts[1]


def lies_in(path, folder):
    """Whether a path is a folder or lies in it."""
    return os.path.commonpath([os.path.realpath(path), os.path.realpath(folder)]) == os.path.realpath(folder)
