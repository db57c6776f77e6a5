"""``mstl review``: a page to decide about images; decisions applied to the data, and taken back."""

from typing import TYPE_CHECKING

import click

from mstl.commands import completing, shared
from mstl.commands.serve_command import check_extra
from mstl.errors import MstlError
from mstl.runtime import stopping
from mstl.runtime.garbage import not_collected

if TYPE_CHECKING:
    from mstl.data.finding.lists.list_options import ListOptions
    from mstl.review.applying import Applied
    from mstl.review.review_data import ReviewSource


@shared.command
@click.argument("data", metavar="DATA|RUN", shell_complete=completing.data)
@click.option("--val", shell_complete=completing.data, help="Validation data (folder or list), in place of DATA's own.")
@shared.list_options
@click.option("--status", "action", flag_value="status", help="Say how much is decided, and what Apply would do.")
@click.option("--apply", "action", flag_value="apply", help="Carry out the decisions in review.csv.")
@click.option("--undo", "action", flag_value="undo", help="Take back the last --apply.")
@click.option("--train-again", "action", flag_value="train", help="Train RUN again on the reviewed data, and compare.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port of the page; by default any free one.")
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
@shared.device_option()
def main(
    data: str,
    val: str | None,
    lists: "ListOptions",
    action: str | None,
    port: int,
    is_opened: bool,
    device: str,
) -> None:
    """Decide about images of DATA, or of the data of a RUN, on a page in the browser.

    The page shows images that are worth a look, one after the other: of a RUN (its folder, or its best.ckpt), whose
    label looks wrong or of which the model is not sure; of any data, those that are there twice, in two parts or under
    two labels, and odd ones. Keys: k keep, r relabel, x exclude, n next, u undo, g Grad-CAM. Only this machine reaches
    it, by the address that is printed. Ctrl-C ends it; nothing that was decided is lost.

    Decisions are in review.csv beside the data. Once they are applied, by the page or --apply, a relabelled image of a
    folder is moved into the folder of its class, and an excluded one into DATA-excluded beside it; for a list, a new
    one is written. --undo restores all as it was. --train-again, or the page, then trains RUN again by its own settings
    (a frozen backbone only: its features are kept) into a new folder beside it, and compares both on RUN's validation
    images, by the labels as they are now.
    """
    from mstl.review.applying import apply, undo
    from mstl.review.review_data import ReviewSource
    from mstl.review.review_status import status_lines

    source = ReviewSource.of(data, val, lists)
    if action is None:
        open_page(data, source, port, is_opened, device)
        return
    if action == "train":
        lines = training_lines(data, source, device)
    elif action == "status":
        lines = status_lines(source)
    elif action == "apply":
        lines = applied_lines(apply(source))
    else:
        lines = undone_lines(undo(source))
    for line in lines:
        print(line)


def open_page(what: str, source: "ReviewSource", port: int, is_opened: bool, device: str) -> None:
    """Serve the page until a signal asks to end."""
    check_extra("the page of mstl review")
    from mstl.serving.review_server import serve_review

    def announce(address: str) -> None:
        print(f"review {what} at {address} (Ctrl-C ends it)", flush=True)
        if is_opened:
            click.launch(address)

    serve_review(what, source, port, device, announce)


def training_lines(what: str, source: "ReviewSource", device: str) -> list[str]:
    """What has come of training a run again.

    Raises:
        MstlError: It cannot be.
        Stopped: The process was asked to stop.
    """
    from mstl.review.review_data import checkpoint_of

    checkpoint = checkpoint_of(what)
    if checkpoint is None:
        raise MstlError(f"{what} is no run: --train-again needs the folder of one, as `mstl train` writes it")
    stopping.watch()
    with stopping.deferred(), not_collected():
        from mstl.report.trained_again import train_again
    stopping.check()
    return train_again(checkpoint, source, device).lines()


def applied_lines(applied: "Applied") -> list[str]:
    """What Apply has done."""
    lines = list(applied.problems)
    if applied.finished:
        lines.insert(0, f"the {applied.finished} that was interrupted is finished")
    counts = [sum(one.decision == kind for one in applied.done) for kind in ("relabel", "exclude")]
    if not applied.done:
        there = "".join(f": {path} has it all already" for path in applied.written)
        return [*lines, f"nothing to apply{there}"]
    lines.append(f"{counts[0]} relabelled, {counts[1]} excluded; --undo takes it back")
    return lines + [f"new list: {path}" for path in applied.lists]


def undone_lines(undone: "Applied") -> list[str]:
    """What undo has done."""
    removed = [f"removed: {path}" for path in undone.lists if not path.exists()]
    return [*undone.problems, f"undone: {undone.moved} files are where they were", *removed]
