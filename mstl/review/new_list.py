"""New list: a list file with other labels and without some images, whose other columns are as in the old one."""

import contextlib
import csv
import dataclasses
import io
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding.lists.column_names import plain
from mstl.data.finding.lists.list_columns import Columns, find_columns, named_columns
from mstl.data.finding.lists.list_dialect import BLANK, Table, read_table
from mstl.data.finding.lists.list_file import Row, read_rows
from mstl.data.finding.lists.list_groups import find_groups
from mstl.data.finding.lists.list_labels import class_names
from mstl.data.finding.lists.list_options import ListOptions
from mstl.data.finding.lists.list_parts import find_parts
from mstl.data.finding.lists.list_paths import PathFinder
from mstl.data.finding.lists.list_splits import REVIEWED
from mstl.data.image_files import printable
from mstl.errors import MstlError
from mstl.files import temporary_name
from mstl.review.moving import content_of

Change = Callable[[str, str], str]


@dataclass(frozen=True)
class NewList:
    """A list in which labels are changed and images left out; nothing is written yet.

    Attributes:
        file: The old list.
        options: How it is read.
        text: What the new one holds.
        meant: The rows that are to be read from that.
    """

    file: Path
    options: ListOptions
    text: str
    meant: tuple[Row, ...]

    @classmethod
    def of(cls, file: Path, options: ListOptions, change: Change) -> "NewList":
        """Change a list.

        Args:
            file: The old list.
            options: How it is read.
            change: Gives the new label, or "" to leave an image out, for its path and its label.

        Raises:
            MstlError: The list cannot be read.
        """
        rows = read_rows(file, options, quiet=True)
        names, _ = class_names(file, [row.label for row in rows])
        table, columns = _columns_of(file, options)
        drop = set(columns.labels[1:])
        lines = [list(table.header)] if table.header else []
        if lines and drop:
            lines[0][columns.labels[0]] = "label"  # in place of a column for each class
        meant: dict[Row, None] = {}
        filled = [cells for _, cells in table.rows if len(cells) > columns.path and cells[columns.path]]
        for row, read in zip(rows, filled, strict=True):
            new = dataclasses.replace(row, label=change(os.path.join(file.parent, row.path), names[row.label]))
            if new.label and new not in meant:
                meant[new] = None
                cells = [*read, *[""] * (len(table.header) - len(read))]
                cells[columns.path], cells[columns.labels[0]] = new.path, new.label
                lines.append(cells)
        text = io.StringIO()
        delimiter = "\t" if table.delimiter == BLANK else table.delimiter
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerows([cell for column, cell in enumerate(cells) if column not in drop] for cells in lines)
        return cls(file, options, text.getvalue(), tuple(meant))

    def written(self) -> Path | None:
        """The file beside the old list that holds just this, as an earlier review wrote it; None if there is none."""
        stem, content = REVIEWED.sub("", self.file.stem), content_of(self.text)
        for name in sorted(os.listdir(self.file.parent)):
            path = self.file.with_name(name)
            if path.suffix == self.file.suffix and path.stem != stem and REVIEWED.sub("", path.stem) == stem:
                with contextlib.suppress(OSError):  # what cannot be read is not this
                    if path.read_bytes() == content:
                        return path
        return None

    def free_path(self) -> Path:
        """Where it goes: beside the old one, under a name by which it is not taken for data of its own."""
        stem = REVIEWED.sub("", self.file.stem)
        numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
        candidates = (self.file.with_stem(f"{stem}-reviewed{number}") for number in numbers)
        return next(candidate for candidate in candidates if not os.path.lexists(candidate))

    def refuse_misread(self) -> None:
        """Read it, before it gets its name, as whoever trains on it will.

        Raises:
            MstlError: It is not what is meant.
        """
        temporary = temporary_name(self.file.with_stem("review-list"))
        try:
            temporary.write_bytes(content_of(self.text))
            rows = read_rows(temporary, self.options, quiet=True)
            names, _ = class_names(temporary, [row.label for row in rows])
        except MstlError as error:
            reason = str(error).replace(str(temporary), "it")
            raise MstlError(f"no new list can be made of {self.file}: {reason}") from error
        finally:
            temporary.unlink(missing_ok=True)
        found = [dataclasses.replace(row, label=names[row.label]) for row in rows]
        if found != list(self.meant):
            other = next((row for row in self.meant if row not in found), self.meant[0])
            raise MstlError(
                f"no new list can be made of {self.file}: {printable(other.path)} with the label "
                f"{printable(other.label)!r} would be read otherwise; write a list with the header path,label, and "
                "review that"
            )


def _columns_of(file: Path, options: ListOptions) -> tuple[Table, Columns]:
    """The cells of a list that can be read, and which of them hold paths and labels."""
    titles = {plain(name) for name in (options.path_column, options.label_column, options.group_column) if name}
    text = file.read_bytes().decode("utf-8-sig", "surrogateescape")
    table = read_table(file, text, lambda name: plain(name) in titles)
    own = named_columns(file, table, options)
    groups = find_groups(file, table, own, options).columns
    others = (*find_parts(file, table, [column for column in (*own, *groups) if column is not None]).columns, *groups)
    return table, find_columns(
        file, table, own, others, lambda paths: PathFinder(file, paths, options.images).leads_to_images
    )
