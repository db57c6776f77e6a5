"""List groups: which images of a list belong together, such as those of a patient, by a column that the user names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding.lists.list_columns import named
from mstl.data.finding.lists.list_dialect import Table
from mstl.data.finding.lists.list_options import ListOptions
from mstl.errors import MstlError


@dataclass(frozen=True)
class GroupColumn:
    """The groups of a list's rows.

    Attributes:
        groups: Of each row, as in the table; "" where the cell is empty, and nothing at all without such a column.
        columns: The column, if there is one.
        notes: What is to be said about it.
    """

    groups: tuple[str, ...] = ()
    columns: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def find_groups(file: Path, table: Table, others: Sequence[int | None], options: ListOptions) -> GroupColumn:
    """The group of each row, if the user has named a column of groups.

    Args:
        file: The list, for messages.
        table: Its content.
        others: Columns that the user has named for something else.
        options: What the user says.

    Raises:
        MstlError: The list has no such column, and must have it; or the column is named for something else, too.
    """
    if options.group_column is None:
        return GroupColumn()
    column = named(file, table, options.group_column, "--group-column", options.required)
    if column is None:
        return GroupColumn()
    title = table.header[column]
    if column in others:
        raise MstlError(f"the column {title} of {file} cannot hold groups, too: name another with --group-column")
    groups = tuple(cells[column] if column < len(cells) else "" for _, cells in table.rows)
    empty = groups.count("")
    notes = [f"{len(set(groups) - {''})} groups by the column {title}"]
    if empty:
        notes.append(f"{empty} rows have nothing in the column {title}, and are each on their own")
    return GroupColumn(groups, (column,), tuple(notes))
