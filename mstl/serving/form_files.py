"""Files in forms (multipart/form-data): taken apart in memory; their names are only names, never paths."""

import io
import logging
import re
from collections.abc import Iterator
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mstl.serving.problems import Problem

NAME_LENGTH = 255  # characters
HINT = 'send it as browsers and curl -F "file=@image.jpg" do'

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of what the answer says, and anybody may send


class FormFile(NamedTuple):
    """A file of a form: the last part of the name that the client gave it, and its content."""

    name: str | None
    content: bytes


class FormParser:
    """Takes a form apart.

    Args:
        boundary: What divides its parts.
        max_files: The most files that it may have.

    Attributes:
        files: What was found.
    """

    def __init__(self, boundary: bytes, max_files: int) -> None:
        self.max_files = max_files
        self.files: list[FormFile] = []
        self.header, self.value = b"", b""
        self.name: str | None = None
        self.is_file = False
        self.content = io.BytesIO()
        self.is_complete = False
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self.begin,
                "on_header_field": self.add_to_header,
                "on_header_value": self.add_to_value,
                "on_header_end": self.end_header,
                "on_part_data": self.add,
                "on_part_end": self.end,
                "on_end": self.complete,
            },
        )

    def begin(self) -> None:
        """A part begins."""
        self.header, self.value, self.name, self.is_file, self.content = b"", b"", None, False, io.BytesIO()

    def add_to_header(self, data: bytes, start: int, end: int) -> None:
        """More of the name of a header."""
        self.header += data[start:end]

    def add_to_value(self, data: bytes, start: int, end: int) -> None:
        """More of a header's value."""
        self.value += data[start:end]

    def end_header(self) -> None:
        """A header is whole: that which names the file is looked at."""
        if self.header.lower() == b"content-disposition":
            _, options = parse_options_header(self.value)
            if b"filename" in options:
                self.is_file, self.name = True, last_part(options[b"filename"].decode("utf-8", "replace"))
                if len(self.files) >= self.max_files:
                    detail = f"the form has more than {self.max_files} files"
                    raise Problem(413, detail, "send fewer at a time")
        self.header, self.value = b"", b""

    def add(self, data: bytes, start: int, end: int) -> None:
        """More of a part; fields that are no files are not kept."""
        if self.is_file:
            self.content.write(memoryview(data)[start:end])

    def end(self) -> None:
        """A part is whole."""
        if self.is_file:
            self.files.append(FormFile(self.name, self.content.getvalue()))

    def complete(self) -> None:
        """The form is whole."""
        self.is_complete = True


def form_files(body: bytes, content_type: str, max_files: int) -> list[FormFile]:
    """The files of a form, in their order; other fields are left out.

    Args:
        body: The form.
        content_type: With the boundary.
        max_files: The most that it may have.

    Raises:
        Problem: It is not a form, is cut off, or has no files or too many.
    """
    _, options = parse_options_header(content_type)
    try:
        form = FormParser(options.get(b"boundary", b""), max_files)
        if not options.get(b"boundary"):
            raise FormParserError("no boundary")
        for piece in pieces(body):
            form.parser.write(piece)
        form.parser.finalize()
    except FormParserError as error:
        raise Problem(400, f"the form cannot be read: {error}", HINT) from error
    if not form.is_complete:
        raise Problem(400, "the form is cut off", HINT)
    if not form.files:
        raise Problem(422, "the form has no files", HINT)
    return form.files


def pieces(body: bytes, size: int = 1 << 16) -> Iterator[bytes]:
    """A body in pieces, between which other threads get their turn."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


def last_part(name: str) -> str | None:
    """The last part of a file's name, without what cannot be printed; None if nothing is left."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in last if character.isprintable())[:NAME_LENGTH] or None
