"""List file: an image and its label on each line, in text or as a table."""

import csv
import dataclasses
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding.found import Split
from mstl.data.finding.lists.column_names import plain
from mstl.data.finding.lists.list_columns import HEADER, find_columns, named_columns
from mstl.data.finding.lists.list_dialect import Table, read_table
from mstl.data.finding.lists.list_groups import find_groups
from mstl.data.finding.lists.list_labels import class_names, one_hot_label, refuse_several
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.lists.list_parts import find_parts, part_of_list
from mstl.data.finding.lists.list_paths import AmbiguousPathError, PathFinder
from mstl.data.image_files import printable
from mstl.data.samples import Sample
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
LIST_SUFFIXES = (".txt", ".csv", ".tsv")
DELIMITERS = {".csv": ",", ".tsv": "\t"}  # that write_rows writes


@dataclass(frozen=True)
class Row:
    """A line of a list.

    Attributes:
        path: As written, or where the image is: relative to the folder of the list, or absolute.
        label: As written.
        split: "train", "val" or "test"; "" if no column says it.
        group: As written in the group column; "" if there is none.
    """

    path: str
    label: str
    split: str = ""
    group: str = ""


def read_rows(file: Path, options: ListOptions = FOUND, quiet: bool = False) -> list[Row]:
    """Read a list file.

    What divides the columns, whether there is a header, and which columns hold paths, labels and parts is found, and
    so are the images if the paths lack a suffix or a folder; what was guessed is logged.

    Args:
        file: A .csv or .tsv, or lines of ``path label``, divided at the last blank, so that a path may contain blanks.
        options: What the user says about it.
        quiet: Whether nothing is logged.

    Raises:
        MstlError: It cannot be read, a line of it is wrong, or it is not clear what its columns are.
    """
    not_text = None
    try:
        data = file.read_bytes()
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:  # but a path may be that of a file whose name is not UTF-8
            not_text, text = error, data.decode("utf-8-sig", "surrogateescape")
        if "\0" in text and not not_text:
            raise MstlError(f"{file} is no text: it has NUL bytes; save it as UTF-8")
        rows, notes = rows_of(file, text, options)
    except OSError as error:
        raise MstlError(f"cannot read the list {file}: {error.strerror or error}") from error
    except csv.Error as error:
        raise MstlError(f"cannot read the list {file}: {error}") from error
    except MstlError:
        if not_text is None:
            raise
        rows, notes = [], []
    if not_text and not (rows and all(is_text(row.label) and (is_text(row.path) or exists(file, row)) for row in rows)):
        raise MstlError(
            f"{file} is not UTF-8 text ({not_text.reason} at byte {not_text.start}): save it as UTF-8"
        ) from not_text
    if notes and not quiet:
        logger.info("data: %s: %s", file, "; ".join(notes))
    return rows


def is_text(text: str) -> bool:
    """Whether a text that was read with surrogateescape was UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def exists(file: Path, row: Row) -> bool:
    """Whether there is a file at the path of a row."""
    return os.path.lexists(os.path.join(file.parent, row.path))


def rows_of(file: Path, text: str, options: ListOptions) -> tuple[list[Row], list[str]]:
    """The rows of a list's text, and what was guessed."""
    named = (options.path_column, options.label_column, options.group_column)
    titles = {plain(name) for name in named if name}
    table = read_table(file, text, lambda name: plain(name) in titles)
    if not table.rows:
        if table.header or file.suffix.lower() == ".txt":
            raise MstlError(f"the list {file} has no lines of `path label`")
        raise MstlError(f"{file} must begin with the header {HEADER}, not with nothing")
    own = named_columns(file, table, options)
    groups = find_groups(file, table, own, options)
    parts = find_parts(file, table, [column for column in (*own, *groups.columns) if column is not None])

    others = (*parts.columns, *groups.columns)
    columns = find_columns(
        file, table, own, others, lambda paths: PathFinder(file, paths, options.images).leads_to_images
    )
    labelled = [labelled_row(file, table, number, cells, columns.path, columns.labels) for number, cells in table.rows]
    kept = [(row, index) for index, row in enumerate(labelled) if row is not None]
    rows = [
        dataclasses.replace(
            row,
            split=parts.parts[index] if parts.parts else "",
            group=groups.groups[index] if groups.groups else "",
        )
        for row, index in kept
    ]
    if not rows:
        raise MstlError(f"the list {file} has no lines of `path label`")
    refuse_several(file, (row.label for row in rows))
    completed, note = complete(file, rows, options)
    return completed, [*table.notes, *columns.notes, *parts.notes, *groups.notes, *note]


def labelled_row(
    file: Path, table: Table, number: int, cells: Sequence[str], path: int, labels: Sequence[int]
) -> Row | None:
    """Path and label of a row; None if both are empty.

    Raises:
        MstlError: It has more cells than the header, or lacks one of the two.
    """
    width = len(table.header) or len(table.rows[0][1])
    what = ", ".join(table.header) or f"{width} columns, like the first line"
    full = (*cells, *[""] * (width - len(cells)))
    own = tuple(full[column] for column in labels)
    if not full[path] and not any(own):
        return None
    if any(full[width:]) or not full[path] or not all(own):
        raise MstlError(f"{file}, line {number}: it does not have exactly {what}")
    if len(labels) == 1:
        return Row(full[path], own[0])
    return Row(full[path], one_hot_label(file, number, own, tuple(table.header[column] for column in labels)))


def complete(file: Path, rows: Sequence[Row], options: ListOptions) -> tuple[list[Row], list[str]]:
    """The rows with paths that lead to images, and what was done to them.

    Raises:
        AmbiguousPathError: A path may mean more than one image.
    """
    finder = PathFinder(file, [row.path for row in rows], options.images)
    whole = part_of_list(file.stem) or ""
    try:
        found = [finder.find(index, row.split or whole) for index, row in enumerate(rows)]
    except AmbiguousPathError as error:
        error.labels = [row.label for row in rows]
        raise
    changed = [index for index, row in enumerate(rows) if found[index] != row.path] if not finder.complete else []
    changed = [index for index in changed if exists(file, Row(found[index], ""))]
    notes = []
    if changed:
        written, meant = (printable(text) for text in (rows[changed[0]].path, found[changed[0]]))
        notes.append(f"{len(changed)} of {len(rows)} paths completed, such as {written} to {meant}")
    return [dataclasses.replace(row, path=path) for row, path in zip(rows, found, strict=True)], notes


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
    names, order = class_names(file, [row.label for row in rows])
    samples = tuple(
        Sample(
            os.path.join(file.parent, row.path), names[row.label], split, os.path.basename(row.path), group=row.group
        )
        for row in (rows if chosen is None else chosen)
    )
    return Split(file, samples, None, order)


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write a list file in the format of its suffix, without a column of parts; labels with blanks follow a tab."""
    rows = list(rows)
    delimiter = DELIMITERS.get(file.suffix.lower())
    with open(file, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:  # read_rows reads it so
        if delimiter:
            writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
            writer.writerows([("path", "label"), *((row.path, row.label) for row in rows)])
        else:
            gap = "\t" if any(len(row.label.split()) > 1 for row in rows) else " "
            stream.writelines(f"{row.path}{gap}{row.label}\n" for row in rows)
