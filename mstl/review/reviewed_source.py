"""Reviewed source: where the data is as it was decided to be, once all decisions are applied."""

import dataclasses

from mstl.errors import MstlError
from mstl.review.moves_plan import new_lists, unapplied
from mstl.review.review_data import ReviewData, ReviewSource


def reviewed_source(review: ReviewData) -> ReviewSource:
    """The data with all decisions carried out: the folder itself, or the lists that Apply has written.

    Args:
        review: The images as they are now.

    Raises:
        MstlError: Some decisions are not applied, or the new lists cannot be named as data.
    """
    pending, source = review.standing().pending, review.source
    left = unapplied(review, pending)
    if left:
        images = "1 image is" if len(left) == 1 else f"{len(left)} images are"
        raise MstlError(f"decisions about {images} not applied: apply them first, or undo them")
    written = {new.file: new.written() for new, _ in new_lists(review, pending)}
    if not written:
        return source
    splits = review.checked.found.splits
    lists = {part: written.get(split.where, split.where) for part, split in splits.items()}
    if "test" in lists and lists["test"] not in (lists["train"], lists.get("val")):
        raise MstlError(
            f"{source.data} has a list to test on apart from the others: train on the new lists by "
            f"`mstl train --data {lists['train']} --val {lists.get('val')}`"
        )
    is_apart = "val" in lists and lists["val"] != lists["train"]
    return dataclasses.replace(source, data=str(lists["train"]), val=str(lists["val"]) if is_apart else None)
