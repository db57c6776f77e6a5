"""Manifest: which images a run used, with label, split and content, and which files it left out, and why."""

import csv
import hashlib
import io
import os
import re
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from mstl.data.dataset import ImageSet
from mstl.errors import MstlError
from mstl.files import atomic_path

NAME = "manifest.csv"
SPECIAL = re.compile("[\\\\\n\r\ud800-\udfff]")  # what is not written as it is
ESCAPE = re.compile(r"\\(\\|n|r|x[0-9a-f]{2}|u[0-9a-f]{4})")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One file.

    Attributes:
        path: As the run named it, so that it may be relative to the folder in which the run was started.
        label: Name of its class; "" if it has none.
        split: The split it was used in, such as "train" or "val"; "" if it was left out.
        sha256: Of its content, 64 hexadecimal digits; "" if it was left out.
        left_out: Why it was not used; "" if it was.
    """

    path: str
    label: str
    split: str
    sha256: str
    left_out: str = ""


@dataclass(frozen=True)
class Manifest:
    """All files of a run's dataset: the images of each split in the order of its ImageSet, then what was left out."""

    rows: tuple[ManifestRow, ...]

    @classmethod
    def of(cls, *image_sets: ImageSet) -> "Manifest":
        """The manifest of the splits of a run, the training images first."""
        used = (
            ManifestRow(sample.path, sample.label, sample.split, digest)
            for images in image_sets
            for sample, digest in zip(images.samples, images.digests, strict=True)
        )
        left_out = (
            ManifestRow(file.path, file.label, "", "", file.reason) for images in image_sets for file in images.left_out
        )
        return cls((*used, *left_out))

    @property
    def used(self) -> tuple[ManifestRow, ...]:
        """The rows of the images that were used."""
        return tuple(row for row in self.rows if row.split)

    @property
    def digest(self) -> str:
        """The SHA-256 of the file that :meth:`write` writes, in hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The content of the file: CSV in UTF-8, a line for each row."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(field.name for field in fields(ManifestRow))
        writer.writerows(map(escaped, astuple(row)) for row in self.rows)
        return text.getvalue().encode()

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file atomically."""
        with atomic_path(path) as temporary:
            temporary.write_bytes(self.to_bytes())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Manifest":
        """Read what :meth:`write` wrote.

        Raises:
            MstlError: There is no such file, or it is damaged.
        """
        try:
            header, *rows = csv.reader(io.StringIO(Path(path).read_bytes().decode(), newline=""))
            if header != [field.name for field in fields(ManifestRow)]:
                raise ValueError("another header")
            return cls(tuple(ManifestRow(*map(unescaped, row)) for row in rows))
        except OSError as error:
            raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, TypeError, csv.Error) as error:
            raise MstlError(f"{path} is damaged: put back the file that the run wrote") from error


def escaped(text: str) -> str:
    """A path or name as one line of UTF-8.

    Bytes that are not UTF-8, which Python keeps as surrogates, and line breaks become backslash escapes; backslashes
    are doubled: :func:`unescaped` gives the text back.
    """
    return SPECIAL.sub(_escape, text)


def _escape(match: "re.Match[str]") -> str:
    character = match[0]
    if character in "\\\n\r":
        return {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}[character]
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def unescaped(text: str) -> str:
    """The inverse of :func:`escaped`."""
    return ESCAPE.sub(_unescape, text)


def _unescape(match: "re.Match[str]") -> str:
    code = match[1]
    if code in "\\nr":
        return {"\\": "\\", "n": "\n", "r": "\r"}[code]
    return chr(int(code[1:], 16) + (0xDC00 if code[0] == "x" else 0))
