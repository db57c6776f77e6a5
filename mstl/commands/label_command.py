"""``mstl label``: a page to give images labels, in the order in which they bring most."""

from pathlib import Path

import click

from mstl.commands import completing, shared
from mstl.commands.serve_command import check_extra

NAME = "labels.csv"


@shared.command
@click.argument("folder", type=click.Path(path_type=Path), shell_complete=completing.folders)
@click.option(
    "--with", "checkpoint", type=click.Path(path_type=Path), required=True, help="Checkpoint that proposes labels."
)
@click.option("--out", type=click.Path(path_type=Path), help=f"List of the labels; by default {NAME} in FOLDER.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; by default any free one.")
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
@shared.device_option()
def main(folder: Path, checkpoint: Path, out: Path | None, port: int, is_opened: bool, device: str) -> None:
    """Label the images in FOLDER on a page in the browser, with a model's proposals.

    The images come in the order in which labels bring most: first those that stand for many others, above all for such
    as the model is not sure of. Keys: k as proposed, 1 to 3 one of the answers, r another class (type a few letters; it
    may be a new one), s skip, u undo, g Grad-CAM. Only this machine reaches the page, by the address that is printed.

    After every 10 labels, what was learnt from them renews the proposals and the order, and it is said what they have
    brought. Each label is in the list at once: `mstl train --data FOLDER/labels.csv` learns from it. The same command
    goes on where it was ended. Images that cannot be read, copies of others, and those that the model was trained or
    validated on are left out.
    """
    check_extra("the page of mstl label")
    from mstl.files import make_folder
    from mstl.review.label_list import LabelList
    from mstl.serving.label_server import serve_labels

    labels = LabelList(out or folder / NAME)
    if folder.is_dir():  # else that is the fault
        make_folder(labels.path.parent)

    def announce(address: str) -> None:
        print(f"label {folder} at {address} (Ctrl-C ends it)", flush=True)
        if is_opened:
            click.launch(address)

    serve_labels(folder, checkpoint, labels, port, device, announce)
