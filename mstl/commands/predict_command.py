"""``mstl predict best.ckpt PATHS...``: classify images, for people or for programs."""

import collections
import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from mstl.commands import completing, shared, standard_streams
from mstl.commands.prediction_writers import FORMATS, WRITERS

if TYPE_CHECKING:  # NumPy is loaded only when images are predicted, and MindSpore only for a checkpoint
    from mstl.config import EngineName, PrecisionName
    from mstl.data.finding.predict_inputs import Unreadable
    from mstl.prediction.image_predictor import Prediction
    from mstl.runtime.progress import Progress

INCOMPLETE = 3  # exit code: some images could not be read


@shared.command
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...", shell_complete=completing.paths)
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), help="Output format; by default --out's suffix, else table."
)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Top classes to report per image.")
@click.option(
    "--reject/--no-reject", help='Reject out-of-distribution images: "none of these" for those unlike the training.'
)
@click.option("--out", type=click.Path(path_type=Path), help="Output file, in place of stdout.")
@click.option("--allow-url", is_flag=True, help="Allow URLs: download the images whose address is given.")
@click.option("--batch-size", "-b", type=click.IntRange(1), default=32, show_default=True, help="Batch size.")
@shared.device_option()
@shared.engine_options
def main(
    model: Path,
    paths: tuple[str, ...],
    kind: str | None,
    top: int,
    reject: bool,
    out: Path | None,
    allow_url: bool,
    batch_size: int,
    device: str,
    engine: "EngineName",
    precision: "PrecisionName",
) -> None:
    """Predict which of MODEL's classes each image shows.

    MODEL is a checkpoint, such as best.ckpt, or an .onnx file of `mstl export`, which needs no MindSpore.

    PATHS are files, folders (searched for images, whatever their names), patterns such as 'images/*.jpg', addresses
    (http, https), and - for a list of these on stdin, one per line.

    Predictions are written as they are made, in the order of PATHS. JSON and CSV have the fields path, label,
    probability, top (the most probable classes) and rejected; the label of a rejected image is null. Images that
    cannot be read are reported on stderr and do not stop the rest; the exit code is then 3.
    """
    from mstl.data.finding.predict_inputs import find_images, number_of_images
    from mstl.errors import MstlError
    from mstl.files import check_output_file
    from mstl.prediction.any_predictor import load_predictor
    from mstl.prediction.prediction_record import record_of
    from mstl.runtime.progress import Progress

    if out is not None:
        check_output_file(out)
    images = find_images(paths, allow_url)
    predictor = load_predictor(model, device, engine, precision)
    if reject and not predictor.can_reject:
        raise MstlError(f"{model} has no data to reject by: train again, or leave --reject out")
    counts: collections.Counter[str] = collections.Counter()
    is_seen = out is None and sys.stdout.isatty()  # the predictions show how far it is
    with Progress("predicting", lambda: number_of_images(paths), quiet=is_seen) as progress, opened(out) as stream:
        answers = readable(predictor.stream(images, batch_size, top), counts, progress)
        records = (record_of(answer, reject) for answer in answers)
        write = WRITERS[kind or format_of(out)]
        for text in write(records, predictor.classes, top):
            stream.write(text)
            stream.flush()
            if out is None and not standard_streams.is_read():  # the reader, such as head, has enough
                return
        if not counts["read"]:
            unread = counts["unreadable"]
            raise MstlError(f"no image could be read ({unread} could not)" if unread else "the list has no images")
    if counts["unreadable"]:
        click.echo(f"{counts['unreadable']} of {counts.total()} images could not be read", err=True)
        sys.exit(INCOMPLETE)


def readable(
    answers: Iterable["Prediction | Unreadable"], counts: collections.Counter[str], progress: "Progress"
) -> Iterator["Prediction"]:
    """The predictions of images that could be read; the others are reported on stderr.

    Args:
        answers: What :meth:`mstl.prediction.image_predictor.ImagePredictor.stream` gives.
        counts: Counts the images under "read" and "unreadable".
        progress: Counts all of them.
    """
    from mstl.data.finding.predict_inputs import Unreadable
    from mstl.data.image_files import printable

    for answer in answers:
        if isinstance(answer, Unreadable):
            counts["unreadable"] += 1
            progress.clear()
            click.echo(f"{printable(answer.path or 'an image')}: {answer.reason}", err=True)
        else:
            counts["read"] += 1
            yield answer
        progress.advance()


def format_of(out: Path | None) -> str:
    """The format that a file's suffix stands for."""
    suffix = "" if out is None else out.suffix.lower().removeprefix(".")
    return suffix if suffix in FORMATS else "table"


@contextlib.contextmanager
def opened(out: Path | None) -> Iterator[TextIO]:
    """The stream to write to: stdout, or a file that appears once it is complete.

    File names that are not valid text are escaped.

    Raises:
        MstlError: The file cannot be written.
    """
    from mstl.files import atomic_path, make_folder

    if out is None:
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]  # TextIO has none
        yield sys.stdout
        return
    make_folder(out.parent)
    with (
        atomic_path(out) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        yield stream
