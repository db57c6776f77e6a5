"""``mstl card``: what whoever gets a run's model should know of it, as a model card in Markdown."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mstl.commands import completing, shared

if TYPE_CHECKING:
    from mstl.config import EngineName, PrecisionName
    from mstl.data.finding.lists.list_options import ListOptions


@shared.command
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Output file (Markdown); by default RUN/MODEL_CARD.md.")
@click.option(
    "--data",
    shell_complete=completing.data,
    help="Where the images are now, if they have moved and the run must be evaluated first.",
)
@shared.list_options
@shared.device_option("Device, if the run must be evaluated first.")
@shared.engine_options
def main(
    run: Path,
    out: Path | None,
    data: str | None,
    lists: "ListOptions",
    device: str,
    engine: "EngineName",
    precision: "PrecisionName",
) -> None:
    """Write the model card of a RUN, a folder that `mstl train` made.

    Model, data, split, accuracy with its intervals, calibration, rejection, limits, and where the pretrained weights
    are from, as the run recorded them; what it did not record is called unknown. In front is the metadata that
    Hugging Face reads. A run that was stopped before it wrote its report is evaluated on its validation images first.
    """
    from mstl.files import check_output_file, make_folder
    from mstl.report.describe_run import describe_folder
    from mstl.report.run_card import NAME, write_card

    out = out or run / NAME
    check_output_file(out)
    report = describe_folder(run.resolve(), device, data, lists, engine, precision)
    make_folder(out.parent)
    write_card(out, report)
    print(out)
