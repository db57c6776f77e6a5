"""``mstl data``: list, download, check, split and preview datasets."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mstl.commands import completing, shared

if TYPE_CHECKING:
    from mstl.data.finding.lists.list_options import ListOptions

MUST_BE_FIXED = 3  # exit code of a check


@shared.group
def main() -> None:
    """List, download, check, split and preview datasets.

    DATA is a known name, a folder, a list (.txt, .csv or .tsv), or a zip or tar of these: whatever `mstl train --data`
    takes.
    """


@shared.command_of(main, "list")
def list_() -> None:
    """List the datasets that mstl knows by name."""
    from mstl.data.finding import demo, known_datasets

    rows = [("demo", demo.folder(), demo.WHAT)]
    rows += [(name, known_datasets.folder_of(name), entry.what) for name, entry in known_datasets.KNOWN.items()]
    print(f"{'name':<16}{'here':<6}what")
    for name, folder, what in rows:
        print(f"{name:<16}{'yes' if folder.is_dir() else '':<6}{what}")


@shared.command_of(main)
@click.argument("name", shell_complete=completing.datasets)
def get(name: str) -> None:
    """Download the dataset NAME, unless it is here already, and print its folder."""
    from mstl.data.finding import demo, known_datasets
    from mstl.errors import MstlError

    if name != "demo" and name not in known_datasets.KNOWN:
        raise MstlError(f"no dataset named {name!r}: known are {', '.join(['demo', *known_datasets.KNOWN])}")
    print(demo.make() if name == "demo" else known_datasets.get(name))


@shared.command_of(main)
@click.argument("data", shell_complete=completing.data)
@click.option(
    "--val", shell_complete=completing.data, help="Validation data (folder, list or archive), in place of DATA's own."
)
@shared.grouped_list_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="check.csv",
    show_default=True,
    help="CSV file for all findings.",
)
@click.option("--quarantine", type=click.Path(path_type=Path), help="Folder to move unusable files into.")
def check(data: str, val: str | None, lists: "ListOptions", out: Path, quarantine: Path | None) -> None:
    """Check DATA for problems; exit code 3 if it has errors that must be fixed, or `mstl train` would refuse it.

    Finds files that are unusable or unusual, the same image (exactly or nearly) in two of the parts (train, val, test)
    or under two labels, groups of a list in two parts, classes that are too small, imbalanced or missing from one part
    or are probably none, and images that hardly show what they should: blank, tiny or narrow ones, placeholders and
    drawings, 12 bits stored in 16, transparency that hides the picture. Notes say which images are dim, bright,
    blurred, poor in information, of odd size or ratio, or grey among others in colour.
    """
    from mstl.data.checking.check_summary import summary, write_csv
    from mstl.data.checking.checks import check_dataset
    from mstl.data.checking.findings import Finding
    from mstl.data.checking.quarantine import move_unusable
    from mstl.data.finding.sources import find_dataset, locate
    from mstl.data.load_data import why_refused
    from mstl.errors import MstlError
    from mstl.files import check_output_file

    check_output_file(out)
    try:
        found = find_dataset(data, val, lists)
    except MstlError as error:
        if not all(locate(name).is_dir() for name in (data, val) if name is not None):
            raise  # a list that cannot be read is no data yet
        write_csv([Finding("", "refused", str(error))], out)
        shared.fail(str(error), MUST_BE_FIXED)
    checked = check_dataset(found)
    refusal = why_refused(checked)
    if refusal:
        checked = dataclasses.replace(checked, findings=[Finding("", "refused", refusal), *checked.findings])
    print(summary(data, checked))
    write_csv(checked.findings, out)
    print(f"{len(checked.findings)} findings are in {out}")
    moved = move_unusable(checked, quarantine) if quarantine else {}
    if moved:
        print(f"{len(moved)} files moved into {quarantine}")
    left = [finding for finding in checked.errors if found.train.folder is None or finding.path not in moved]
    if left:
        print(f"{len(left)} must be fixed")
        sys.exit(MUST_BE_FIXED)


@shared.command_of(main)
@click.argument("src", shell_complete=completing.data)
@click.argument("out", type=click.Path(path_type=Path))
@shared.grouped_list_options
@click.option("--val-split", default=0.2, show_default=True, help="Share of each class to validate on.")
@click.option("--seed", default=1, show_default=True, help="Random seed of the split.")
@click.option("--link", is_flag=True, help="Make symbolic links instead of copies.")
def split(src: str, out: Path, lists: "ListOptions", val_split: float, seed: int, link: bool) -> None:
    """Split SRC into OUT/train and OUT/val; a list into two lists there."""
    from mstl.data.split_to_disk import split_data

    for line in split_data(src, out, val_split, seed, link, lists):
        print(line)


@shared.command_of(main)
@click.argument("data", shell_complete=completing.data)
@shared.list_options
@click.option("--augment", default="tutorial", show_default=True, help="Data augmentation, as in `mstl train`.")
@click.option(
    "--out", type=click.Path(path_type=Path), default="preview.png", show_default=True, help="File for the sheet."
)
@click.option("-n", "--count", default=24, show_default=True, help="Images on the sheet, 6 in a row.")
@click.option("--image-size", default=224, show_default=True, help="Input size of the model in pixels (square).")
@click.option("--seed", default=1, show_default=True, help="Random seed of the choice and the augmentation.")
def preview(data: str, lists: "ListOptions", augment: str, out: Path, count: int, image_size: int, seed: int) -> None:
    """Draw a sheet of DATA's training images as the model sees them."""
    from mstl.data.load_data import load_data
    from mstl.files import check_output_file
    from mstl.preprocessing import Preprocessing
    from mstl.report.plots import save
    from mstl.report.plots.preview import augmentation_sheet

    check_output_file(out)
    train, _ = load_data(
        data, seed=seed, path_column=lists.path_column, label_column=lists.label_column, images=lists.images
    )
    save(augmentation_sheet(train, augment, Preprocessing().at(image_size), count, seed), out)
    print(out)
