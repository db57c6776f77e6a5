"""``mstl review``: decisions about images, applied to the data, and taken back."""

from typing import TYPE_CHECKING

import click

from mstl.commands import shared

if TYPE_CHECKING:
    from mstl.data.finding.lists.list_options import ListOptions
    from mstl.review.applying import Applied


@shared.command
@click.argument("data", metavar="DATA|RUN")
@click.option("--val", help="Validation data (folder or list), in place of DATA's own.")
@shared.list_options
@click.option("--status", "action", flag_value="status", help="Say how much is decided, and what Apply would do.")
@click.option("--apply", "action", flag_value="apply", help="Carry out the decisions in review.csv.")
@click.option("--undo", "action", flag_value="undo", help="Take back the last --apply.")
def main(data: str, val: str | None, lists: "ListOptions", action: str | None) -> None:
    """Carry out the decisions about the images of DATA, or of the data of a RUN, or take that back.

    They are in review.csv beside the data. In a folder, a relabelled image is moved into the folder of its class, and
    an excluded one into DATA-excluded beside it; for a list, a new one is written. --undo restores all as it was.
    """
    from mstl.review.applying import apply, undo
    from mstl.review.review_data import ReviewSource
    from mstl.review.review_status import status_lines

    if action is None:
        raise click.UsageError("what is to be done: --status, --apply or --undo?")
    source = ReviewSource.of(data, val, lists)
    if action == "status":
        lines = status_lines(source)
    elif action == "apply":
        lines = applied_lines(apply(source))
    else:
        lines = undone_lines(undo(source))
    for line in lines:
        print(line)


def applied_lines(applied: "Applied") -> list[str]:
    """What Apply has done."""
    lines = list(applied.problems)
    if applied.finished:
        lines.insert(0, f"the {applied.finished} that was interrupted is finished")
    counts = [sum(one.decision == kind for one in applied.done) for kind in ("relabel", "exclude")]
    if not applied.done:
        return [*lines, "nothing to apply"]
    lines.append(f"{counts[0]} relabelled, {counts[1]} excluded; --undo takes it back")
    return lines + [f"new list: {path}" for path in applied.lists]


def undone_lines(undone: "Applied") -> list[str]:
    """What undo has done."""
    removed = [f"removed: {path}" for path in undone.lists if not path.exists()]
    return [*undone.problems, f"undone: {undone.moved} files are where they were", *removed]
