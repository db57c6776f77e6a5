"""``mstl report``: the page about a run, written again, or one page about several runs."""

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mstl.commands import completing, shared

if TYPE_CHECKING:
    from mstl.config import EngineName, PrecisionName
    from mstl.data.finding.lists.list_options import ListOptions
    from mstl.report.run_report import RunReport


@shared.command
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--data",
    shell_complete=completing.data,
    help="Where the images are now, if they have moved and a run must be evaluated first.",
)
@shared.list_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file (HTML); by default RUN/report.html, or comparison.html for several runs.",
)
@shared.device_option("Device, if a run must be evaluated first.")
@shared.engine_options
def main(
    runs: Sequence[Path],
    data: str | None,
    lists: "ListOptions",
    out: Path | None,
    device: str,
    engine: "EngineName",
    precision: "PrecisionName",
) -> None:
    """Write the page about a RUN, or one page that compares several.

    A run that was stopped before it wrote what its page needs is evaluated on its validation images first.
    """
    from mstl.files import check_output_file, make_folder
    from mstl.report.comparison import write_comparison
    from mstl.report.describe_run import describe_folder
    from mstl.report.run_page import write_report

    folders = list(dict.fromkeys(folder.resolve() for folder in runs))
    out = out or (folders[0] / "report.html" if len(folders) == 1 else Path("comparison.html"))
    check_output_file(out)
    reports = [describe_folder(folder, device, data, lists, engine, precision) for folder in folders]
    make_folder(out.parent)
    if len(reports) == 1:
        write_report(out, reports[0])
    else:
        write_comparison(out, with_different_names(folders, reports))
    print(out)


def with_different_names(folders: Sequence[Path], reports: Sequence["RunReport"]) -> list["RunReport"]:
    """The reports; those that share a name get their whole path for one."""
    counts = collections.Counter(report.name for report in reports)
    return [
        report if counts[report.name] == 1 else dataclasses.replace(report, name=str(folder))
        for folder, report in zip(folders, reports, strict=True)
    ]
