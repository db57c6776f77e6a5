"""List files: a path and a label on each line, or a CSV with a header."""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding.folder import Part
from mstl.data.samples import Sample
from mstl.errors import MstlError

SUFFIXES = (".txt", ".csv")
CLASSES = "classes.txt"  # beside a list: the names that integers stand for, one a line
WHOLE_NUMBER = re.compile(r"[+-]?\d+")


@dataclass(frozen=True)
class Row:
    """A line of a list: the path and the label as written, the split ("" where there is no such column)."""

    path: str
    label: str
    split: str = ""


def read_rows(file):
    """Read a list file.

    Args:
        file: A .csv with the header ``path,label`` or ``path,label,split``; else lines of ``path label``, divided at
            the last space, so that a path may have spaces in it.

    Raises:
        MstlError: It cannot be read, or a line of it is wrong.
    """
    file = Path(file)
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:  # a byte order mark is no part of the first path
            rows = list(csv_rows(file, stream) if file.suffix.lower() == ".csv" else text_rows(file, stream))
    except UnicodeDecodeError as error:
        raise MstlError(f"{file} is no UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise MstlError(f"cannot read the list {file}: {getattr(error, 'strerror', None) or error}") from error
    if not rows:
        raise MstlError(f"the list {file} has no lines of `path label` in it")
    return rows


def text_rows(file, stream):
    """The rows of a list with spaces."""
    for number, line in enumerate(stream, 1):
        parts = line.strip().rsplit(maxsplit=1)
        if len(parts) == 1:
            raise MstlError(f"{file}, line {number}: {parts[0]!r} is not a path, a space and a label")
        if parts:
            yield Row(*parts)


def csv_rows(file, stream):
    """The rows of a CSV."""
    reader = csv.DictReader(stream, restval="", skipinitialspace=True)
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    if not {"path", "label"} <= set(reader.fieldnames):
        found = ",".join(reader.fieldnames) or "nothing"
        raise MstlError(f"{file} must begin with the header path,label or path,label,split, not with {found}")
    for row in reader:
        path, label, split = (row.get(name, "").strip() for name in ("path", "label", "split"))
        if not path and not label:
            continue
        if not path or not label or None in row or ("split" in row and not split):
            raise MstlError(f"{file}, line {reader.line_num}: it does not have just {', '.join(reader.fieldnames)}")
        yield Row(path, label, split)


def read_list(file, rows=None, split="train"):
    """Read a list file as labelled files.

    Args:
        file: The list; relative paths in it are taken against its folder.
        rows: Of it, those to take; all if not given.

    Returns:
        A :class:`mstl.data.finding.folder.Part`, in the order of the list.
    """
    file = Path(file)
    every_row = read_rows(file)
    names, order = class_names(file, every_row)
    entries = []
    for row in every_row if rows is None else rows:
        path = os.path.join(file.parent, row.path)
        entries.append(Sample(path, names[row.label], split, os.path.basename(row.path)))
    return Part(file, tuple(entries), None, order)


def class_names(file, rows):
    """What the labels of a list are called.

    Returns:
        A dict from label to name, and the order of the names (None: sorted).

    Raises:
        MstlError: classes.txt has no name for a label.
    """
    labels = {row.label for row in rows}
    if not all(WHOLE_NUMBER.fullmatch(label) for label in labels):
        return {label: label for label in labels}, None
    listed = file.parent / CLASSES
    if not listed.is_file():
        return {label: str(int(label)) for label in labels}, tuple(str(n) for n in sorted({int(x) for x in labels}))
    try:
        order = [line.strip() for line in listed.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise MstlError(f"cannot read {listed}: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}") from error
    while order and not order[-1]:
        order.pop()
    if not all(order) or len(set(order)) < len(order):
        raise MstlError(f"{listed} must have a different name on each line: {file} counts its lines")
    missing = sorted(label for label in labels if not 0 <= int(label) < len(order))
    if missing:
        raise MstlError(
            f"{file} has the label {missing[0]}, but {listed} has {len(order)} names, for 0 to {len(order) - 1}"
        )
    return {label: order[int(label)] for label in labels}, tuple(order)


def write_rows(file, rows):
    """Write a list file in the format of its suffix, without splits."""
    with open(file, "w", encoding="utf-8", newline="") as stream:
        if file.suffix.lower() == ".csv":
            csv.writer(stream, lineterminator="\n").writerows([("path", "label"), *((r.path, r.label) for r in rows)])
        else:
            stream.writelines(f"{row.path} {row.label}\n" for row in rows)
