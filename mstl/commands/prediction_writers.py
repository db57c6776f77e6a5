"""The formats of ``mstl predict``: a table for people; JSON, JSON lines and CSV for programs."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from mstl.files import encodable

if TYPE_CHECKING:  # NumPy is loaded only when images are predicted
    from mstl.prediction.prediction_record import RankedClass, Record

FORMATS = ("table", "json", "jsonl", "csv")
FIELDS = ("path", "label", "probability", "top", "rejected")
NONE_OF_THESE = "none of these"
WIDEST = 30  # columns of a class name in the table; a longer one shifts what follows it
# records, classes, top -> pieces of text
Writer: TypeAlias = "Callable[[Iterable[Record], Sequence[str], int], Iterator[str]]"


def as_lines(records: Iterable["Record"], _classes: Sequence[str], _top: int) -> Iterator[str]:
    """JSON, one line for each image."""
    for record in records:
        yield as_json(record) + "\n"


def as_array(records: Iterable["Record"], _classes: Sequence[str], _top: int) -> Iterator[str]:
    """One JSON array."""
    before = "[\n"
    for record in records:
        yield before + as_json(record)
        before = ",\n"
    if before == ",\n":
        yield "\n]\n"


def as_json(value: "Record | list[RankedClass]") -> str:
    """A value as readable JSON."""
    return encodable(json.dumps(value, ensure_ascii=False))


def as_csv(records: Iterable["Record"], _classes: Sequence[str], _top: int) -> Iterator[str]:
    """CSV with a header; the most probable classes are JSON in one field."""
    for number, record in enumerate(records):
        rejected = "" if record["rejected"] is None else str(record["rejected"]).lower()
        row = {**record, "top": as_json(record["top"]), "rejected": rejected}
        text = io.StringIO()
        writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
        if number == 0:
            writer.writeheader()
        writer.writerow(row)
        yield text.getvalue()


def as_table(records: Iterable["Record"], classes: Sequence[str], top: int) -> Iterator[str]:
    """Columns for people: the label, the runners-up, and last the path, which may be long."""
    from mstl.data.image_files import printable
    from mstl.report.plots.style import share
    from mstl.runtime.wide_text import columns

    width = min(WIDEST, max(columns(printable(name)) for name in (NONE_OF_THESE, *classes)))

    def cell(name: str, text: str) -> str:
        return f"{name}{' ' * (width - columns(name))} {text:>5}"

    for number, record in enumerate(records):
        if number == 0:
            heads = [cell("label", ""), *[cell("or", "")] * (min(top, len(classes)) - 1)]
            yield "  ".join([*heads, "path"]) + "\n"
        cells = [cell(printable(each["label"]), share(each["probability"])) for each in record["top"]]
        if record["rejected"]:
            cells = [cell(NONE_OF_THESE, ""), *cells][: len(cells)]
        yield "  ".join([*cells, printable(record["path"] or "-")]) + "\n"


WRITERS: dict[str, Writer] = {"table": as_table, "json": as_array, "jsonl": as_lines, "csv": as_csv}
