"""``mstl benchmark best.ckpt``: size, speed and accuracy of a model, by each engine and in each format."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mstl.commands import completing, shared

if TYPE_CHECKING:  # NumPy is loaded only when something is measured, and MindSpore only for a checkpoint
    from mstl.data.finding.lists.list_options import ListOptions
    from mstl.prediction.benchmarking import Benchmark, Row

HEADER = ("format", "engine", "MB", "ms (1)", "ms (16)", "images/s", "accuracy", "change")
NAMES = 2  # columns of text, before those of numbers


@shared.command
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--data",
    shell_complete=completing.data,
    help="Images to ask about; by default those that the training held out, where they were.",
)
@shared.list_options
@click.option("--json", "out", type=click.Path(path_type=Path), help="Output file with the same figures as JSON.")
@shared.device_option("Device of MindSpore: auto, Ascend, GPU or CPU.")
def main(model: Path, data: str | None, lists: "ListOptions", out: Path | None, device: str) -> None:
    """Measure MODEL: size, speed and accuracy, by each engine and in each format that is installed.

    MODEL is a checkpoint, such as best.ckpt, or an .onnx file of `mstl export`, which is measured by itself. Exported
    files are made in a temporary folder. With a ResNet-50, it all takes about a minute on two cores; nothing else
    should run meanwhile.

    All are asked about the same validation images, at most 100. The columns: MB of the files; ms an image, for calls
    with 1 and with 16 images that are in memory (the median); images a second, from the files on; accuracy; and the
    largest change of a probability, against MindSpore's. One that does not answer as MindSpore does has no figures;
    int8 has, whatever accuracy it costs.
    """
    from mstl.files import check_output_file, make_folder, write_json
    from mstl.prediction.benchmarking import benchmark

    if out is not None:
        check_output_file(out)
    measured = benchmark(model, data, lists, device)
    print("\n".join(table(measured)), flush=True)
    if out is not None:
        make_folder(out.parent)
        write_json(out, measured.to_dict())


def table(measured: "Benchmark") -> Iterator[str]:
    """Lines with all figures."""
    some = f"{measured.images:,} of {measured.validation_images:,}"
    asked = some if measured.images < measured.validation_images else f"all {measured.images:,}"
    yield f"{measured.model}: {measured.architecture}, asked about {asked} validation images"
    lines = [HEADER, *map(cells, measured.rows)]
    widths = [max(len(line[index]) for line in lines if index < len(line)) for index in range(len(HEADER))]
    for line, row in zip(lines, [None, *measured.rows], strict=True):
        padded = (
            f"{cell:<{width}}" if index < NAMES else f"{cell:>{width}}"
            for index, (cell, width) in enumerate(zip(line, widths, strict=False))
        )
        yield "  ".join(padded) + (f"  not usable: {row.problem}" if row is not None and row.problem else "")


def cells(row: "Row") -> tuple[str, ...]:
    """The columns of a row; only the names of one that cannot be used."""
    names = (row.format, f"{row.choice.engine} {row.choice.precision}")
    figures = row.figures
    if figures is None:
        return names
    return (
        *names,
        f"{figures.megabytes:.1f}",
        f"{figures.ms_batch_1:.1f}",
        f"{figures.ms_batch_16:.1f}",
        f"{figures.images_per_second:,.1f}",
        f"{figures.accuracy:.3f}",
        "-" if figures.change is None else f"{figures.change:.1g}",
    )
