"""LabelList: a list file that grows by a line with each label that somebody gives, and that training reads."""

import csv
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

from mstl.data.finding.lists.list_file import Row, write_rows
from mstl.data.finding.lists.list_labels import refuse_several
from mstl.errors import MstlError
from mstl.files import atomic_path
from mstl.review.decision_log import cannot_write, locked_file

SUFFIX = ".csv"
HEADER = ["path", "label"]


class LabelList:
    """The labels that have been given so far, in the order in which they were given.

    Nothing is kept in memory: each change reads the file again, with a lock, so that no label of somebody else is lost,
    and writes it whole or not at all, so that none is lost when this process is killed.

    Args:
        path: The file; it appears with the first label.

    Raises:
        MstlError: Its name has another suffix.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))
        if self.path.suffix.lower() != SUFFIX:
            raise MstlError(f"{path} is not called *{SUFFIX}, as a list of labels is: give it such a name")
        self._leftover = re.compile(rf"\.{re.escape(self.path.stem[:80])}-[0-9a-f]{{8}}\{SUFFIX}")

    def place(self, path: str) -> str:
        """The path of an image as the list has it: from its folder on if it is in there, else absolute."""
        absolute = os.path.abspath(path)
        return os.path.relpath(absolute, self.path.parent) if self.path.parent in Path(absolute).parents else absolute

    def read(self) -> list[Row]:
        """All labels, the oldest first; none if there is no file.

        Raises:
            MstlError: It cannot be read, or is another kind of list.
        """
        try:
            text = self.path.read_bytes().decode("utf-8-sig", "surrogateescape")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise MstlError(f"cannot read {self.path}: {error.strerror or error}") from error
        try:
            header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        except (ValueError, csv.Error):
            header, rows = [], []
        if header != HEADER or any(len(row) != len(HEADER) for row in rows):
            raise MstlError(
                f"{self.path} is not a list of labels, which has a line {','.join(HEADER)} and two cells in each line "
                "after it: correct it, or give another file"
            )
        return [Row(*row) for row in rows]

    def add(self, place: str, label: str) -> None:
        """Give an image a label, in place of an older one.

        Args:
            place: From :meth:`place`.
            label: A class.

        Raises:
            MstlError: The file cannot be written, or is another kind of list, or training would not read the label; the
                file is as it was.
        """
        with locked_file(self.path, self._leftover):
            rows = [row for row in self.read() if row.path != place] + [Row(place, label)]
            refuse_several(self.path, [row.label for row in rows])
            self._write(rows)

    def take_back(self, place: str) -> None:
        """Take the label of an image back; nothing happens if it has none.

        Raises:
            MstlError: As for :meth:`add`.
        """
        with locked_file(self.path, self._leftover):
            before = self.read()
            after = [row for row in before if row.path != place]
            if after != before:
                self._write(after)

    def _write(self, rows: Sequence[Row]) -> None:
        try:
            with atomic_path(self.path) as temporary:
                write_rows(temporary, rows)
        except OSError as error:
            raise cannot_write(self.path, error) from error
