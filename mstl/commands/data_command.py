"""``mstl data``: the known data sets, and what is in a folder or list of the user's own."""

import sys
from pathlib import Path

import click

from mstl.commands import shared


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main():
    """List, get, check, split and preview data.

    DATA is a known name, a folder, a list (.txt or .csv) or a zip or tar of one: whatever `mstl train --data` takes.
    """


@shared.command_of(main, "list")
def list_():
    """List the data sets that mstl knows by name."""
    from mstl.data.finding import archive, demo

    rows = [("demo", demo.folder(), demo.WHAT)]
    rows += [(name, archive.folder_of(name), entry.what) for name, entry in archive.KNOWN.items()]
    print(f"{'name':<16}{'here':<6}what")
    for name, folder, what in rows:
        print(f"{name:<16}{'yes' if folder.is_dir() else '':<6}{what}")


@shared.command_of(main)
@click.argument("name")
def get(name):
    """Download NAME, unless it is here already, and print its folder."""
    from mstl.data.finding import archive, demo
    from mstl.errors import MstlError

    if name != "demo" and name not in archive.KNOWN:
        raise MstlError(f"no data of the name {name!r}: known are {', '.join(['demo', *archive.KNOWN])}")
    print(demo.make() if name == "demo" else archive.get(name))


@shared.command_of(main)
@click.argument("data")
@click.option("--val", help="A folder or list to validate on, in the place of DATA's own.")
@click.option("--out", type=click.Path(path_type=Path), default="check.csv", show_default=True, help="The list of all.")
@click.option(
    "--quarantine", type=click.Path(path_type=Path), help="Move the files that cannot be used into this folder."
)
def check(data, val, out, quarantine):
    """Look for what is wrong with DATA; exit code 3 if something must be mended.

    Looks for files that cannot be used or are unusual, the same picture (exactly or nearly) in training and
    validation or under two labels, and classes that are too small, too unequal or do not match.
    """
    from mstl.data.checking import checks
    from mstl.data.finding.source import find_source

    source = find_source(data, val)
    inspection = checks.inspect(source)
    print(checks.summary(data, inspection))
    checks.write_csv(inspection.findings, out)
    print(f"{len(inspection.findings)} findings are in {out}")
    moved = checks.quarantine(source, inspection, quarantine) if quarantine else {}
    if moved:
        print(f"{len(moved)} files moved into {quarantine}")
    left = [finding for finding in inspection.errors if source.train.folder is None or finding.path not in moved]
    if left:
        print(f"{len(left)} must be mended")
        sys.exit(3)


@shared.command_of(main)
@click.argument("src")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--val-split", default=0.2, show_default=True, help="The share of each class to validate on.")
@click.option("--seed", default=1, show_default=True, help="Another one chooses other photos.")
@click.option("--link", is_flag=True, help="Make symbolic links instead of copies.")
def split(src, out, val_split, seed, link):
    """Divide SRC into OUT/train and OUT/val; a list into two lists there."""
    from mstl.data.split_to_disk import split_data

    for line in split_data(src, out, val_split, seed, link):
        print(line)


@shared.command_of(main)
@click.argument("data")
@click.option("--augment", default="tutorial", show_default=True, help="The recipe, as of `mstl train --augment`.")
@click.option("--out", type=click.Path(path_type=Path), default="preview.png", show_default=True, help="The picture.")
@click.option("-n", "--count", default=24, show_default=True, help="Pictures on it, 6 in a row.")
@click.option("--image-size", default=224, show_default=True, help="Side of the square that the net sees, in pixels.")
@click.option("--seed", default=1, show_default=True, help="Of the choice and of the augmentation.")
def preview(data, augment, out, count, image_size, seed):
    """Draw a sheet of DATA's training photos as the net sees them."""
    from mstl.config import Preprocessing
    from mstl.data.dataset import load_data
    from mstl.report.plots import save
    from mstl.report.plots.preview import augmentation_sheet

    train, _ = load_data(data, seed=seed)
    save(augmentation_sheet(train, augment, Preprocessing().at(image_size), count, seed), out)
    print(out)
