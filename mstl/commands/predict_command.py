"""``mstl predict best.ckpt PHOTOS...``: what photos show, one after the other, for people or for programs."""

import collections
import contextlib
import csv
import io
import json
import os
import sys
from pathlib import Path

import click

from mstl.commands import shared

FORMATS = ("table", "json", "jsonl", "csv")
FIELDS = ("path", "label", "probability", "top", "rejected")
NONE_OF_THESE = "none of these"
WIDEST = 30  # columns that a table keeps for a class name; a longer one shifts what is behind it
INCOMPLETE = 3  # exit code: some photos could not be read


@shared.command
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...")
@click.option("--format", "kind", type=click.Choice(FORMATS), help="What --out's suffix says, or a table.")
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Classes that are named of a photo.")
@click.option("--reject/--no-reject", help='Answer "none of these" to what is like nothing in the training.')
@click.option("--out", type=click.Path(path_type=Path), help="A file for the answers, in the place of stdout.")
@click.option("--allow-url", is_flag=True, help="Download the photos whose address is given.")
@click.option("--batch-size", "-b", type=click.IntRange(1), default=32, show_default=True, help="Photos at a time.")
@click.option("--device", default="auto", show_default=True, help="What computes: auto, Ascend, GPU or CPU.")
def main(checkpoint, paths, kind, top, reject, out, allow_url, batch_size, device):
    """Say which of CHECKPOINT's classes each photo shows.

    PATHS are files, folders with all photos in them, patterns such as 'photos/*.jpg', addresses (http, https), and -
    for a list of these on stdin, one a line.

    Answers come as they are found, in the order of PATHS. JSON and CSV have the fields path, label, probability, top
    (the most probable classes) and rejected; the label of a rejected photo is null. Photos that cannot be read are
    named on stderr and do not stop the rest; the exit code is then 3.
    """
    from mstl.data.finding.predict_inputs import find_images
    from mstl.errors import MstlError
    from mstl.predictor import Predictor

    photos = find_images(paths, allow_url)
    predictor = Predictor(checkpoint, device)
    if reject and predictor.rejector is None:
        raise MstlError(f"{checkpoint} keeps nothing to tell by what to reject: train again, or leave --reject out")
    counts = collections.Counter()
    records = (record_of(answer, reject) for answer in readable(predictor.stream(photos, batch_size, top), counts))
    write = WRITERS[kind or kind_of(out)]
    try:
        with opened(out) as stream:
            for text in write(records, predictor.classes, top):
                stream.write(text)
                stream.flush()
            if not counts["read"]:
                unread = counts["unreadable"]
                raise MstlError(f"no photo could be read ({unread} could not)" if unread else "the list has no photos")
    except BrokenPipeError:  # who reads this, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if counts["unreadable"]:
        click.echo(f"{counts['unreadable']} of {counts.total()} photos could not be read", err=True)
        sys.exit(INCOMPLETE)


def readable(answers, counts):
    """The answers to photos that could be read; the others are named on stderr. ``counts`` tells how many of each."""
    from mstl.data.checking.checks import shown
    from mstl.data.finding.predict_inputs import Unreadable

    for answer in answers:
        if isinstance(answer, Unreadable):
            counts["unreadable"] += 1
            click.echo(f"{shown(answer.path)}: {answer.reason}", err=True)
        else:
            counts["read"] += 1
            yield answer


def record_of(prediction, reject):
    """A :class:`mstl.predictor.Prediction` as plain values, by the names of :data:`FIELDS`."""
    rejected = prediction.rejected if reject else None
    top = [{"label": label, "probability": round(probability, 6)} for label, probability in prediction.top]
    return {
        "path": prediction.path,
        "label": None if rejected else prediction.label,
        "probability": round(prediction.probability, 6),
        "top": top,
        "rejected": rejected,
    }


def kind_of(out):
    """The format that a file's suffix says."""
    suffix = "" if out is None else out.suffix.lower().removeprefix(".")
    return suffix if suffix in FORMATS else "table"


@contextlib.contextmanager
def opened(out):
    """Where answers go: stdout, or a file that is there when it is whole. File names that are no text stay as they are.

    Raises:
        MstlError: The file cannot be written.
    """
    from mstl.errors import MstlError
    from mstl.files import atomic_path, make_folder

    if out is None:
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
        yield sys.stdout
        return
    if out.is_dir():
        raise MstlError(f"{out} is a folder: give --out a file")
    make_folder(out.parent)
    with (
        atomic_path(out) as temporary,
        open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        yield stream


def as_lines(records, _classes, _top):
    """JSON, a line for each photo."""
    for record in records:
        yield as_json(record) + "\n"


def as_array(records, _classes, _top):
    """One JSON array."""
    before = "[\n"
    for record in records:
        yield before + as_json(record)
        before = ",\n"
    if before == ",\n":
        yield "\n]\n"


def as_json(record):
    """A record as JSON; in ASCII where a file's name is no text, and else as it is read."""
    text = json.dumps(record, ensure_ascii=False)
    return json.dumps(record) if any("\ud800" <= character <= "\udfff" for character in text) else text


def as_csv(records, _classes, _top):
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


def as_table(records, classes, top):
    """Columns for people: the answer, what else it could be, and the path, which may be long, at the end."""
    from mstl.data.checking.checks import shown
    from mstl.report.plots.style import columns, share

    width = min(WIDEST, max(columns(shown(name)) for name in (NONE_OF_THESE, *classes)))

    def cell(name, text):
        return f"{name}{' ' * (width - columns(name))} {text:>5}"

    for number, record in enumerate(records):
        if number == 0:
            heads = [cell("label", ""), *[cell("or", "")] * (min(top, len(classes)) - 1)]
            yield "  ".join([*heads, "path"]) + "\n"
        cells = [cell(shown(each["label"]), share(each["probability"])) for each in record["top"]]
        if record["rejected"]:
            cells = [cell(NONE_OF_THESE, ""), *cells][: len(cells)]
        yield "  ".join([*cells, shown(record["path"])]) + "\n"


WRITERS = {"table": as_table, "json": as_array, "jsonl": as_lines, "csv": as_csv}
