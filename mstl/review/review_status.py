"""Review status: how much is decided, and what Apply or undo would do, in lines for people."""

import os
from collections import Counter
from pathlib import Path

from mstl.review.journal import latest
from mstl.review.moves_plan import unapplied
from mstl.review.review_data import ReviewData, ReviewSource


def status_lines(source: ReviewSource) -> list[str]:
    """What there is to say about a review; nothing is changed.

    Raises:
        MstlError: There is no such data, or a file of the review is damaged.
    """
    review = ReviewData(source)
    standing = review.standing()
    kinds = Counter(decision.decision for decision in standing.decided.values())
    left = unapplied(review, standing.pending)
    pending = Counter(decision.decision for decision in left.values())
    counts = ", ".join(f"{kinds[kind]} {kind}" for kind in ("keep", "relabel", "exclude"))
    lines = [
        f"{len(review.images)} images, {len(standing.decided)} decided: {counts} ({review.log.path})",
        f"--apply would relabel {pending['relabel']} and exclude {pending['exclude']}",
    ]
    journal = latest(Path(os.path.realpath(review.log.folder)))
    if journal is not None and journal.state == "applied":
        lines.append(f"--undo would move {len(journal.moves)} files back, and remove {len(journal.lists)} lists")
    elif journal is not None and journal.state == "applying":
        lines.append("an --apply was interrupted: --apply finishes it, --undo takes back what was begun")
    elif journal is not None:
        lines.append("an --undo was interrupted: --undo finishes it, and so does --apply, before it applies")
    return [*standing.problems, *lines]
