"""List columns: which columns of a list hold the paths and the labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding.lists.column_names import Role, plain, rank
from mstl.data.finding.lists.list_dialect import SAMPLE, Table, image_columns
from mstl.data.finding.lists.list_options import ListOptions
from mstl.errors import MstlError

ZERO, ONE = ("0", "0.0"), ("1", "1.0")
INDEX = ("", "index", "unnamed0")  # of row numbers, as pandas writes them
HEADER = "path,label or path,label,split"
SHOWN = 12  # names of columns in a message


class NoLabelsError(MstlError):
    """A list has no column of labels."""


@dataclass(frozen=True)
class Columns:
    """The columns that are used.

    Attributes:
        path: That of the paths.
        labels: That of the labels; or several, one for each class, that hold 1 for the class of the image, else 0.
        notes: What was guessed, for a message.
    """

    path: int
    labels: tuple[int, ...]
    notes: tuple[str, ...] = ()


def find_columns(
    file: Path,
    table: Table,
    own: tuple[int | None, int | None],
    others: Sequence[int],
    are_images: Callable[[Sequence[str]], bool],
) -> Columns:
    """Find the columns of paths and of labels.

    Args:
        file: The list, for messages.
        table: Its content.
        own: The column of the paths and that of the labels that the user has named; None to find one.
        others: Columns that are neither.
        are_images: Whether any of these paths leads to an image, also if it is not complete.

    Raises:
        MstlError: It is not clear which they are.
    """
    sample = [cells for _, cells in table.rows[:SAMPLE]]
    width = len(table.header) or min(map(len, sample), default=0)
    free = [column for column in range(width) if column not in others]
    path, label = own
    if path is None:
        path = find_paths(file, table, sample, [column for column in free if column != label], are_images)
    labels = find_labels(file, table, [column for column in free if column != path]) if label is None else (label,)
    return Columns(path, labels, tuple(notes_on(file, table, path, labels, others)))


def named_columns(file: Path, table: Table, options: ListOptions) -> tuple[int | None, int | None]:
    """The column of the paths and that of the labels that the user has named; None for one that is to be found.

    Raises:
        MstlError: The list has no such column, and must have it; or it has two.
    """
    path, label = (
        None if name is None else named(file, table, name, flag, options.required)
        for flag, name in (("--path-column", options.path_column), ("--label-column", options.label_column))
    )
    if path is not None and path == label:
        raise MstlError(
            f"the column {table.header[path]} of {file} cannot hold both paths and labels: name two columns"
        )
    return path, label


def named(file: Path, table: Table, name: str, flag: str, required: bool) -> int | None:
    """The column of this name, exactly or but for case and marks; None if the list lacks it and may."""
    found: list[int] = []
    for form in (str, plain):
        found = found or [column for column, title in enumerate(table.header) if form(title) == form(name)]
    if len(found) == 1:
        return found[0]
    if not found and not required:
        return None
    count = "more than one column" if found else "no column"
    raise MstlError(f"{file} has {count} {name} ({flag}): {has(table)}")


def has(table: Table) -> str:
    """Which columns there are, for messages."""
    return f"its columns are {shown(table.header)}" if table.header else "it has no header"


def find_paths(
    file: Path,
    table: Table,
    sample: Sequence[Sequence[str]],
    free: Sequence[int],
    are_images: Callable[[Sequence[str]], bool],
) -> int:
    """The column of the paths: the one that holds names of images, or else is called so.

    Raises:
        MstlError: There is none, or more than one.
    """
    filled = [cells for cells in sample if len(cells) > max(free, default=0)]
    like_images = [column for column in image_columns(filled) if column in free] if filled else []
    if len(like_images) == 1:
        return like_images[0]
    columns = by_name(table, like_images or free, "path")
    if not columns and not table.header:
        columns = [column for column in free if are_images([cells[column] for cells in filled])]
    if not columns:
        found = ",".join(table.header) or ",".join(sample[0] if sample else ()) or "nothing"
        raise MstlError(
            f"{file} must begin with the header {HEADER}, not with {found[:200]}; or name its columns with "
            "--path-column and --label-column"
        )
    if len(columns) == 1:
        return columns[0]
    return next((column for column in columns if are_images([cells[column] for cells in filled])), columns[0])


def find_labels(file: Path, table: Table, free: Sequence[int]) -> tuple[int, ...]:
    """The column of the labels: the one that is called so, or else the only one; or one for each class.

    Raises:
        NoLabelsError: There is none, or it is not clear which it is.
    """
    columns = by_name(table, free, "label")
    if len(columns) > 1 and plain(table.header[columns[0]]) == plain(table.header[columns[1]]):
        raise MstlError(f"{file} has more than one column {table.header[columns[0]]}: {has(table)}; rename one")
    if columns:
        return (columns[0],)
    free = [column for column in free if not is_index(table, column)]
    if len(free) == 1:
        return (free[0],)
    classes = [column for column in free if holds(table, column, (*ZERO, *ONE))]
    if len(classes) > 1:
        if not table.header:
            raise NoLabelsError(
                f"{file} has {len(classes)} numbers for each image, but an image has one label; a column for each "
                "class needs a header with the names of the classes"
            )
        return tuple(classes)
    if not free:
        first = ",".join(table.header or table.rows[0][1])
        raise NoLabelsError(
            f"{file} has no column of labels: it must begin with the header {HEADER}, not with {first[:200]}"
        )
    if not table.header:
        raise NoLabelsError(
            f"{file} has {len(free)} columns that may be the labels, and no header: add one, path,label"
        )
    raise NoLabelsError(f"{file} has no column called label; {has(table)}: choose one with --label-column")


def by_name(table: Table, columns: Sequence[int], role: Role) -> list[int]:
    """The columns that are called so, the one that says it best first."""
    ranks = [(rank(table.header[column], role), column) for column in columns if table.header]
    return [column for _, column in sorted((found, column) for found, column in ranks if found is not None)]


def is_index(table: Table, column: int) -> bool:
    """Whether a column holds the numbers of the rows."""
    cells = [row[column] for _, row in table.rows if len(row) > column]
    counted = cells in ([str(number + first) for number in range(len(cells))] for first in (0, 1))
    return (counted and len(cells) > 2) or (bool(table.header) and plain(table.header[column]) in INDEX)


def holds(table: Table, column: int, values: Sequence[str]) -> bool:
    """Whether a column has no other cells than these."""
    return all(len(row) > column and row[column] in values for _, row in table.rows)


def notes_on(file: Path, table: Table, path: int, labels: Sequence[int], others: Sequence[int]) -> list[str]:
    """What to say about the columns, if it is not what the documentation says."""
    if not table.header:
        text = f"no header: paths in column {path + 1}, labels in column {labels[0] + 1}"
        usual = file.suffix.lower() == ".txt" and (path, *labels) == (0, 1)
        return [] if usual else [text]
    titles = [table.header[column] for column in (path, *labels)]
    if list(map(plain, titles)) == ["path", "label"]:
        return []
    notes = [f"paths in the column {titles[0]}, labels in {titles[1]}"]
    if len(labels) > 1:
        notes = [f"paths in the column {titles[0]}, a class for each of the columns {shown(titles[1:])}"]
    unused = [name for column, name in enumerate(table.header) if name and column not in (path, *labels, *others)]
    return notes + ([f"not used: {shown(unused)}"] if unused else [])


def shown(names: Sequence[str]) -> str:
    """Names for a message, not too many of them."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
