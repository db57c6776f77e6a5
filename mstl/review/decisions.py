"""Decisions: what somebody has decided about an image, as rows of review.csv."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from typing import Literal, get_args

from mstl.data.manifest import escaped, unescaped

Verdict = Literal["keep", "relabel", "exclude"]
VERDICTS: tuple[str, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Decision:
    """What somebody has decided about an image.

    Attributes:
        path: Where the image is, from the folder of review.csv on; Apply keeps it true.
        sha256: Of the image's content, 64 hexadecimal digits: a decision is about that, wherever it is.
        decision: "keep" (the label is right), "relabel" or "exclude".
        old_label: The image's class at that time.
        new_label: The right one; "" unless it is to be relabelled.
        time: When, in UTC and ISO 8601.
    """

    path: str
    sha256: str
    decision: str
    old_label: str
    new_label: str
    time: str

    @property
    def label(self) -> str:
        """The class that the image has once the decision is applied; "" if none."""
        return {"keep": self.old_label, "relabel": self.new_label}.get(self.decision, "")

    def is_about(self, label: str) -> bool:
        """Whether the decision is one about an image that has this label now."""
        return label in (self.old_label, self.label)


COLUMNS = tuple(field.name for field in fields(Decision))


def line_of(cells: Iterable[str]) -> str:
    """A line of the file, its end included; cells with line breaks and bytes that are not UTF-8 are escaped."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(map(escaped, cells))
    return text.getvalue()


HEADER = line_of(COLUMNS)


def to_text(decisions: Iterable[Decision]) -> str:
    """The content of review.csv."""
    return HEADER + "".join(line_of(astuple(decision)) for decision in decisions)


def from_text(text: str) -> list[Decision]:
    """The inverse of :func:`to_text`.

    Raises:
        ValueError: It is not the content of such a file; the message says why.
    """
    try:
        header, *rows = csv.reader(io.StringIO(text, newline=""))
    except (ValueError, csv.Error):
        header, rows = [], []
    if tuple(header) != COLUMNS:
        raise ValueError(f"its first line is not {HEADER.strip()}")
    found = []
    for number, row in enumerate(rows, 2):
        if len(row) != len(COLUMNS):
            raise ValueError(f"line {number} has {len(row)} cells in place of {len(COLUMNS)}")
        decision = Decision(*map(unescaped, row))
        if decision.decision not in VERDICTS or bool(decision.new_label) != (decision.decision == "relabel"):
            raise ValueError(
                f"line {number} is no decision: it is one of {', '.join(VERDICTS)}, the second with a label"
            )
        found.append(decision)
    return found
