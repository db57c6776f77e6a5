"""List dialect: the text of a list as a table, whatever divides its columns, with a header or without."""

import contextlib
import csv
import io
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding.lists.column_names import role_of
from mstl.data.image_files import has_image_suffix
from mstl.errors import MstlError

BLANK = " "
TABLES = (".csv", ".tsv")  # suffixes of lists with a character between the columns; others may have blanks
DELIMITERS = {".csv": ",;\t|", ".tsv": "\t,;|"}  # the usual one first
OTHERS = "\t,;|"
SAMPLE = 100  # lines by which the delimiter is found
Cells = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A list as columns.

    Attributes:
        header: Names of the columns; empty if the list has none.
        rows: Line number and cells of each row that is not blank.
        delimiter: What divides the columns; ``BLANK`` for blanks.
        notes: What was guessed, for a message.
    """

    header: Cells
    rows: Sequence[tuple[int, Cells]]
    delimiter: str
    notes: tuple[str, ...] = ()


def read_table(file: Path, text: str, is_column: Callable[[str], bool]) -> Table:
    """Divide a list into rows and columns.

    The delimiter is the one with which the first line names a column of paths and one of labels, else the one with
    which a column holds names of images. The first line is a header if it names such columns, or if it alone has no
    image.

    Args:
        file: The list, for messages; its suffix says which delimiter is usual, and paths start at its folder.
        text: Its content.
        is_column: Whether the user has named a column so.

    Raises:
        MstlError: A line cannot be divided.
    """
    delimiter = find_delimiter(file, text, is_column)
    rows = [row for row in divided(file, text, delimiter, is_column) if any(row[1])]
    notes: Cells = (
        ()
        if delimiter == usual(file) or (file.suffix.lower(), delimiter) == (".txt", "\t")
        else (f"columns divided by {NAMES[delimiter]}",)
    )
    if rows and is_header(rows[0][1], is_column, file.parent):
        return Table(rows[0][1], rows[1:], delimiter, notes)
    if len(rows) > 1 and stands_above_images([cells for _, cells in rows[:SAMPLE]], file.parent):
        if not any(map(role_of, rows[0][1])):
            notes += (f"line {rows[0][0]} ({', '.join(rows[0][1])}) taken for a header",)
        return Table(rows[0][1], rows[1:], delimiter, notes)
    return Table((), rows, delimiter, notes)


NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "|", BLANK: "blanks"}


def usual(file: Path) -> str:
    """The delimiter that a list of this suffix usually has."""
    return DELIMITERS.get(file.suffix.lower(), BLANK)[0]


def find_delimiter(file: Path, text: str, is_column: Callable[[str], bool]) -> str:
    """What divides the columns of a list."""
    suffix = file.suffix.lower()
    tables = {}
    for delimiter in DELIMITERS.get(suffix, OTHERS):
        rows = (cells for _, cells in cells_of(text, delimiter) if any(cells))
        with contextlib.suppress(csv.Error):  # not this delimiter; the usual one is read again, and its error told
            tables[delimiter] = list(itertools.islice(rows, SAMPLE))
    for delimiter, sample in tables.items():
        if sample and len(sample[0]) > 1 and is_header(sample[0], is_column, file.parent):
            return delimiter
    even = {name: sample for name, sample in tables.items() if is_even(sample)}
    for delimiter, sample in even.items():
        if image_columns(sample) or (len(sample) > 1 and image_columns(sample[1:])):
            return delimiter
    if suffix not in TABLES:
        return "\t" if "\t" in even else BLANK
    if even:
        return next(iter(even))
    blank = [line.split(maxsplit=1) for line in itertools.islice(io.StringIO(text), SAMPLE) if line.strip()]
    return BLANK if blank and all(len(cells) == 2 for cells in blank) and image_columns(blank[1:]) else usual(file)


def is_even(rows: Sequence[Cells]) -> bool:
    """Whether all rows have the same number of columns, and more than one."""
    return len({len(cells) for cells in rows}) == 1 and len(rows[0]) > 1


def cells_of(text: str, delimiter: str) -> Iterator[tuple[int, Cells]]:
    """Line number and cells of each line that is divided by one character, by the rules of CSV."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    for cells in reader:
        yield reader.line_num, tuple(cell.strip() for cell in cells)


def divided(file: Path, text: str, delimiter: str, is_column: Callable[[str], bool]) -> Iterator[tuple[int, Cells]]:
    """Line number and cells of each line."""
    if delimiter != BLANK:
        return cells_of(text, delimiter)
    lines = [(number, line.strip()) for number, line in enumerate(io.StringIO(text, newline=None), 1) if line.strip()]
    return blank_rows(file, lines, is_column)


def blank_rows(
    file: Path, lines: Sequence[tuple[int, str]], is_column: Callable[[str], bool]
) -> Iterator[tuple[int, Cells]]:
    """The rows of a list with blanks, where the path may have some too, but no other column.

    Raises:
        MstlError: A line has no label, or several.
    """
    header = tuple(lines[0][1].split()) if lines else ()
    if is_header(header, is_column, file.parent):
        roles = [role_of(name) == "path" for name in header]
        before, after = roles.index(True) if any(roles) else 0, len(header) - 1
        after -= before
    else:
        before, after = (1, 0) if is_label_first(lines[:SAMPLE]) else (0, 1)
    for number, line in lines:
        left = line.split(maxsplit=before) if before else [line]
        cells = (*left[:-1], *left[-1].rsplit(maxsplit=after)) if after else tuple(left)
        if len(cells) != before + 1 + after:
            raise MstlError(f"{file}, line {number}: {line!r} is not a path, a space and a label")
        if (before, after) == (0, 1):
            refuse_several_words(file, number, cells)
        yield number, cells


def is_label_first(lines: Sequence[tuple[int, str]]) -> bool:
    """Whether the paths of a list with blanks stand after the labels."""
    last = [line.split(maxsplit=1)[-1] for _, line in lines]
    first = [line.rsplit(maxsplit=1)[0] for _, line in lines]
    return sum(map(has_image_suffix, last)) > sum(map(has_image_suffix, first))


def refuse_several_words(file: Path, number: int, cells: Cells) -> None:
    """Refuse a line with more than one word after the name of an image.

    Raises:
        MstlError: There is more than one, and no file whose name has them.
    """
    words = cells[0].split()
    ends = [end for end in range(1, len(words)) if has_image_suffix(words[end - 1])]
    if ends and not has_image_suffix(cells[0]) and not os.path.lexists(file.parent / cells[0]):
        path, label = " ".join(words[: ends[-1]]), " ".join([*words[ends[-1] :], cells[1]])
        raise MstlError(
            f"{file}, line {number}: {label!r} after {path} is more than one label; an image has one (before a label "
            "with blanks, put a tab in place of the blank)"
        )


def is_header(cells: Sequence[str], is_column: Callable[[str], bool], folder: Path) -> bool:
    """Whether a line names a column of paths and one of labels, or one as the user has named it, and no image."""
    roles = {role_of(cell) for cell in cells}
    named = {"path", "label"} <= roles or any(map(is_column, cells))
    return named and not any(has_image_suffix(cell) or os.path.isfile(folder / cell) for cell in cells if cell)


def stands_above_images(sample: Sequence[Sequence[str]], folder: Path) -> bool:
    """Whether the first line has nothing like an image in the columns that have one in all other lines."""
    columns = image_columns(sample[1:])
    if not columns:  # of names without suffix, a word for a column tells
        return any(role_of(cell) == "path" and not os.path.isfile(folder / cell) for cell in sample[0])
    cells = [sample[0][column] for column in columns if column < len(sample[0])]
    return not any(has_image_suffix(cell) or os.path.lexists(folder / cell) for cell in cells)


def image_columns(rows: Sequence[Sequence[str]]) -> list[int]:
    """The columns in which each cell ends like the name of an image."""
    width = min(map(len, rows), default=0)
    return [column for column in range(width) if all(has_image_suffix(row[column]) for row in rows)]
