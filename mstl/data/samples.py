"""Sample: one image of a dataset, and what reading its file has shown."""

import os
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What reading one file has shown.

    Attributes:
        problem: Why the file cannot be used, in a word; "" if it can.
        detail: The same as a sentence for users.
        notes: Pairs (word, detail) of what is unusual about a file that can be used.
        digest: SHA-256 of the content, 64 hexadecimal digits; "" if the file cannot be used.
        thumb: 16 x 16 grey values, upright, for the search for near duplicates; b"" behind that.
        stamp: :func:`stamp` of the file just before it was read.
        size: Width and height as they are stored, in pixels.
    """

    problem: str = ""
    detail: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    digest: str = ""
    thumb: bytes = b""
    stamp: str = ""
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Sample:
    """An image file and its label; the same type from finding the file to loading batches.

    Attributes:
        path: The file.
        label: Name of its class.
        split: "train", "val" or "test".
        relative_path: Path below the class folder; for a list, the file's name.
        group: What the group column of a list says, such as a patient: images that share it are never divided; "" for
            none.
        scan: What reading the file has shown; None until it has been read.
    """

    path: str
    label: str
    split: str
    relative_path: str
    scan: ScanResult | None = None
    group: str = ""

    @property
    def digest(self) -> str:
        """Digest of the file's content; "" if it has not been read or cannot be used."""
        return self.scan.digest if self.scan else ""


class LeftOut(NamedTuple):
    """A file of a dataset that is not used: its path, the label it would have ("" for none), and why."""

    path: str
    label: str
    reason: str


def stamp(path: str | os.PathLike[str]) -> str | None:
    """Size, times and inode of a file, to notice later that it has changed; None if it has none.

    The time of the last status change (ctime) and the inode reveal a file that was overwritten or replaced with its
    size and modification time kept.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
