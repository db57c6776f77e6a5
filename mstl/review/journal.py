"""Journal: all that one Apply does to the files of a dataset, written down before the first of them is touched."""

import dataclasses
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from mstl.errors import MstlError
from mstl.files import atomic_path, flush

State = Literal["applying", "applied", "undoing"]
STATES = ("applying", "applied", "undoing")
NAME = re.compile(r"\.review-journal-(\d+)\.json")
VERSION = 1


class Move(NamedTuple):
    """A file's way: where it was, where it goes, and the SHA-256 of its content."""

    source: str
    target: str
    sha256: str


@dataclass(frozen=True)
class Journal:
    """What one Apply does. All paths start in the folder of the journal.

    Attributes:
        path: The journal's file; a later Apply has a higher number in its name.
        state: What is being done, or was done.
        moves: No file's target is there before, so that the order does not matter.
        folders: Those to make, each after the one it is in.
        lists: The text of each new list, by its path.
        times: For folders that were there before, and review.csv, the modification time before and, if known, after
            Apply, in nanoseconds.
    """

    path: Path
    state: State
    moves: tuple[Move, ...] = ()
    folders: tuple[str, ...] = ()
    lists: dict[str, str] = dataclasses.field(default_factory=dict)
    times: dict[str, tuple[int, int]] = dataclasses.field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """In which the paths start."""
        return self.path.parent

    def at(self, path: str) -> Path:
        """The file or folder at a path of the journal."""
        return self.folder / path

    def write(self, state: State) -> "Journal":
        """Write the file, whole or not at all, with another state, and return what it holds.

        Raises:
            OSError: It cannot be written.
        """
        journal = dataclasses.replace(self, state=state)
        values = {"version": VERSION, **{name: getattr(journal, name) for name in FIELDS}}
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(values, indent=1), encoding="ascii")  # also of names that are not Unicode
        return journal

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
        flush(self.folder)


FIELDS = ("state", "moves", "folders", "lists", "times")


def read_journal(path: Path) -> Journal:
    """Read a journal.

    Raises:
        MstlError: It cannot be read, or is damaged.
    """
    try:
        values = json.loads(path.read_text(encoding="ascii"))
        if values["version"] != VERSION or values["state"] not in STATES:
            raise ValueError("of another version")
        moves = tuple(Move(*map(str, move)) for move in values["moves"])
        times = {str(name): (int(before), int(after)) for name, (before, after) in values["times"].items()}
        return Journal(path, values["state"], moves, tuple(values["folders"]), dict(values["lists"]), times)
    except OSError as error:
        raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise MstlError(f"{path} is damaged or of another version of mstl: what was applied is not known") from error


def latest(folder: Path) -> Journal | None:
    """The journal of the last Apply that was not undone; None if there is none.

    Raises:
        MstlError: It cannot be read, or is damaged.
    """
    numbers = _numbers(folder)
    return read_journal(path_of(folder, max(numbers))) if numbers else None


def next_path(folder: Path) -> Path:
    """The file of the next journal."""
    return path_of(folder, max(_numbers(folder), default=0) + 1)


def path_of(folder: Path, number: int) -> Path:
    """The file of a journal: hidden, so that no search for data finds it."""
    return folder / f".review-journal-{number}.json"


def _numbers(folder: Path) -> list[int]:
    try:
        return [int(found[1]) for found in map(NAME.fullmatch, os.listdir(folder)) if found]
    except OSError as error:
        raise MstlError(f"cannot read the folder {folder}: {error.strerror or error}") from error
