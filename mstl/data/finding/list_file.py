"""List file: a path and a label on each line, or a CSV with a header."""

import csv
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding.found import Split
from mstl.data.samples import Sample
from mstl.errors import MstlError

LIST_SUFFIXES = (".txt", ".csv")
CLASSES = "classes.txt"  # beside a list: the class names that integer labels index, one a line
INTEGER = re.compile(r"[+-]?\d+")


@dataclass(frozen=True)
class Row:
    """A line of a list.

    Attributes:
        path: As written.
        label: As written.
        split: As written; "" if there is no such column.
    """

    path: str
    label: str
    split: str = ""


def read_rows(file: Path) -> list[Row]:
    """Read a list file.

    Args:
        file: A .csv with the header ``path,label`` or ``path,label,split``; else lines of ``path label``, divided at
            the last space, so that a path may contain spaces.

    Raises:
        MstlError: It cannot be read, or a line of it is wrong.
    """
    try:
        # Skips a byte order mark before the first path; a path may be that of a file whose name is not UTF-8
        with open(file, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            rows = list(csv_rows(file, stream) if file.suffix.lower() == ".csv" else text_rows(file, stream))
        if not all(is_text(row.label + row.split) and (is_text(row.path) or exists(file, row)) for row in rows):
            file.read_bytes().decode("utf-8-sig")  # says where
    except UnicodeDecodeError as error:
        raise MstlError(f"{file} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise MstlError(f"cannot read the list {file}: {getattr(error, 'strerror', None) or error}") from error
    if not rows:
        raise MstlError(f"the list {file} has no lines of `path label`")
    return rows


def is_text(text: str) -> bool:
    """Whether a text that was read with surrogateescape was UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def exists(file: Path, row: Row) -> bool:
    """Whether there is a file at the path of a row."""
    return os.path.lexists(os.path.join(file.parent, row.path))


def text_rows(file: Path, lines: Iterable[str]) -> Iterator[Row]:
    """The rows of a list with spaces."""
    for number, line in enumerate(lines, 1):
        parts = line.strip().rsplit(maxsplit=1)
        if len(parts) == 1:
            raise MstlError(f"{file}, line {number}: {parts[0]!r} is not a path, a space and a label")
        if parts:
            yield Row(*parts)


def csv_rows(file: Path, lines: Iterable[str]) -> Iterator[Row]:
    """The rows of a CSV."""
    reader = csv.DictReader(lines, restval="", skipinitialspace=True)
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    reader.fieldnames = names
    if not {"path", "label"} <= set(names):
        found = ",".join(names) or "nothing"
        raise MstlError(f"{file} must begin with the header path,label or path,label,split, not with {found}")
    for row in reader:
        path, label, split = (row.get(name, "").strip() for name in ("path", "label", "split"))
        if not path and not label:
            continue
        surplus = None in row  # DictReader's key for cells beyond the header
        if not path or not label or surplus or ("split" in row and not split):
            raise MstlError(f"{file}, line {reader.line_num}: it does not have exactly {', '.join(names)}")
        yield Row(path, label, split)


def samples_of_list(file: Path, rows: Sequence[Row], split: str, chosen: Sequence[Row] | None = None) -> Split:
    """Turn rows of a list file into samples.

    Args:
        file: The list; relative paths in it start at its folder.
        rows: All rows of the list, which decide the class names.
        split: "train", "val" or "test".
        chosen: The rows to take; all if None.

    Returns:
        The samples, in the order of the list.

    Raises:
        MstlError: classes.txt has no name for a label, or is wrong.
    """
    names, order = class_names(file, rows)
    samples = tuple(
        Sample(os.path.join(file.parent, row.path), names[row.label], split, os.path.basename(row.path))
        for row in (rows if chosen is None else chosen)
    )
    return Split(file, samples, None, order)


def class_names(file: Path, rows: Sequence[Row]) -> tuple[dict[str, str], tuple[str, ...] | None]:
    """Which class the labels of a list stand for.

    Returns:
        The class name of each label, and the order of the names (None: sorted).

    Raises:
        MstlError: classes.txt has no name for a label, or is wrong.
    """
    labels = {row.label for row in rows}
    if not all(INTEGER.fullmatch(label) for label in labels):
        return {label: label for label in labels}, None
    listed = file.parent / CLASSES
    if not listed.is_file():
        return {label: str(int(label)) for label in labels}, tuple(str(n) for n in sorted({int(x) for x in labels}))
    try:
        order = [line.strip() for line in listed.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise MstlError(
            f"cannot read {listed}: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}"
        ) from error
    while order and not order[-1]:
        order.pop()
    if not all(order) or len(set(order)) < len(order):
        raise MstlError(f"{listed} must have a different name on each line: the labels in {file} are line numbers")
    missing = sorted(label for label in labels if not 0 <= int(label) < len(order))
    if missing:
        raise MstlError(
            f"{file} has the label {missing[0]}, but {listed} has {len(order)} names, for 0 to {len(order) - 1}"
        )
    return {label: order[int(label)] for label in labels}, tuple(order)


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write a list file in the format of its suffix, without a split column."""
    with open(file, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:  # read_rows reads it so
        if file.suffix.lower() == ".csv":
            csv.writer(stream, lineterminator="\n").writerows([("path", "label"), *((r.path, r.label) for r in rows)])
        else:
            stream.writelines(f"{row.path} {row.label}\n" for row in rows)
