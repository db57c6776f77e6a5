"""List parts: whether each row of a list is to train, to validate or to test on, by a column that says so."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding.folders.part_names import PARTS, Part, part_of
from mstl.data.finding.lists.column_names import plain
from mstl.data.finding.lists.list_dialect import Table
from mstl.errors import MstlError

SPLITS = ("split", "subset", "partition", "usage")  # columns that must name parts
MAYBE = (
    "set",
    "dataset",
    "part",
    "phase",
    "fold",
)  # columns that may hold something else: they must name parts, or none
FLAGS: dict[str, Part] = {  # columns of yes and no, by the part that yes means
    **dict.fromkeys(("isvalid", "isval", "isvalidation"), "val"),
    "istest": "test",
    **dict.fromkeys(("istrain", "istraining", "istrainingimage"), "train"),
}
YES, NO = ("1", "1.0", "true", "yes", "t", "y"), ("0", "0.0", "false", "no", "f", "n")
WORDS: dict[Part, str] = {"train": "train on", "val": "validate on", "test": "test on"}
BESIDE = re.compile("labels?|lists?|annotations?|classes|targets?|metadata", re.IGNORECASE)  # in names of lists
SHOWN = 5  # values in a message


@dataclass(frozen=True)
class PartColumns:
    """The parts of a list's rows.

    Attributes:
        parts: Of each row, as in the table; empty if no column says it.
        columns: All columns that are about parts, also those that are not used.
        notes: What was guessed, for a message.
    """

    parts: tuple[Part, ...] = ()
    columns: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def part_of_list(stem: str) -> Part | None:
    """The part that a list is called after, as train.csv, train_labels.csv and list_train.txt are."""
    return part_of(stem) or part_of(BESIDE.sub("", stem))


def find_parts(file: Path, table: Table, others: Sequence[int]) -> PartColumns:
    """Find the part of each row.

    Args:
        file: The list, for messages.
        table: Its content.
        others: Columns that the user has named for something else.

    Raises:
        MstlError: A column is called so, and some of its cells name no part.
    """
    names = {column: plain(name) for column, name in enumerate(table.header) if column not in others}
    columns = [column for word in (*SPLITS, *MAYBE) for column, name in names.items() if word in (name, name[:-1])]
    flags = [column for column, name in names.items() if name in FLAGS]
    if not table.header:
        columns = [column for column in unnamed(table) if column not in others]
    parts: tuple[Part, ...] = ()
    used: tuple[int, ...] = ()
    notes = []
    for column in columns:
        if not used:
            parts = named_parts(file, table, column)
            used = (column,) if parts else ()
        if column not in used and table.header:
            notes.append(f"the column {table.header[column]} is not used" + ("" if used else ": it names no parts"))
    if flags and not used:
        parts, used = flagged_parts(file, table, flags), tuple(flags)
        notes += [f"{table.header[column]} says what to {WORDS[FLAGS[names[column]]]}" for column in flags]
        if rest := otherwise([FLAGS[names[column]] for column in flags]):
            notes.append(f"all else is to {WORDS[rest]}")
    elif flags:
        notes.append(f"the column {table.header[flags[0]]} is not used")
    if used and names.get(used[0]) not in ("split", *FLAGS):
        what = table.header[used[0]] if table.header else used[0] + 1
        notes.append(f"train, val and test by the column {what}")
    return PartColumns(parts, (*columns, *flags), tuple(notes))


def unnamed(table: Table) -> list[int]:
    """The columns of a list without header in which each cell names a part."""
    width = min((len(row) for _, row in table.rows), default=0)
    if width < 3:
        return []  # those of a path and a label
    return [column for column in range(width) if all(part_of(row[column]) for _, row in table.rows)]


def cells_of_column(file: Path, table: Table, column: int) -> list[tuple[int, str]]:
    """Line number and cell of each row.

    Raises:
        MstlError: A cell is empty.
    """
    cells = [(number, row[column] if column < len(row) else "") for number, row in table.rows]
    missing = next((number for number, cell in cells if not cell), None)
    if missing is not None:
        raise MstlError(f"{file}, line {missing}: nothing in the column {table.header[column]}")
    return cells


def named_parts(file: Path, table: Table, column: int) -> tuple[Part, ...]:
    """The parts that a column names; none if it is about something else.

    Raises:
        MstlError: Some cells name no part, or none does in a column that must name them.
    """
    must = bool(table.header) and plain(table.header[column]) in SPLITS
    found = [part_of(row[column]) if column < len(row) else None for _, row in table.rows]
    if not must and not any(found):
        return ()
    cells = cells_of_column(file, table, column)
    unknown = sorted({cell for (_, cell), part in zip(cells, found, strict=True) if part is None})
    if unknown:
        name = table.header[column]
        raise MstlError(
            f"{file} has the {name} {', '.join(map(repr, unknown[:SHOWN]))}{', ...' if len(unknown) > SHOWN else ''}; "
            f"known are train, val and test: correct the column"
        )
    return tuple(part for part in found if part)


def flagged_parts(file: Path, table: Table, columns: Sequence[int]) -> tuple[Part, ...]:
    """The parts by columns of yes and no, such as is_valid.

    Raises:
        MstlError: A cell is neither, or the columns of a row contradict each other.
    """
    flags = [FLAGS[plain(table.header[column])] for column in columns]
    parts: list[Part] = []
    for row in zip(*(cells_of_column(file, table, column) for column in columns), strict=True):
        yes: set[Part] = set()
        for (number, cell), column, flag in zip(row, columns, flags, strict=True):
            if cell.lower() not in (*YES, *NO):
                name = table.header[column]
                raise MstlError(f"{file}, line {number}: {name} is {cell!r}, neither true nor false (1 or 0)")
            if cell.lower() in YES:
                yes.add(flag)
        part = otherwise(flags) if not yes else yes.pop() if len(yes) == 1 else None
        if part is None:
            names = " and ".join(table.header[column] for column in columns)
            raise MstlError(f"{file}, line {row[0][0]}: {names} contradict each other; an image is in one part")
        parts.append(part)
    return tuple(parts)


def otherwise(flags: Sequence[Part]) -> Part | None:
    """The part of a row for which no column says yes; None if that cannot be."""
    return next((part for part in PARTS if part not in flags), None)
