"""Standing: which decision is about which image, wherever the image is by now."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mstl.data.image_files import printable
from mstl.data.samples import stamp
from mstl.errors import MstlError
from mstl.files import digest
from mstl.review.decisions import Decision

HIDDEN = ".excluded"  # the folder of excluded images in that of the data, where there can be none beside it


@dataclass(frozen=True)
class Image:
    """An image as it is reviewed.

    Attributes:
        path: The file.
        place: Its path in review.csv.
        label: Its class.
        split: "train", "val" or "test".
        sha256: Of its content; "" if it cannot be read at all.
        stamp: :func:`mstl.data.samples.stamp` of the file when it was read.
    """

    path: str
    place: str
    label: str
    split: str
    sha256: str
    stamp: str = ""


def refuse_changed(image: Image) -> None:
    """Refuse to decide about an image that is not what was shown.

    Raises:
        MstlError: It has changed since it was read, or is gone.
    """
    now = stamp(image.path)
    if now is None:
        raise MstlError(f"{printable(image.path)} is not there any more: load the data again")
    if not image.sha256 or (now != image.stamp and digest(image.path) != image.sha256):
        raise MstlError(f"{printable(image.path)} has changed since it was shown: load the data again")


class Standing:
    """The decisions that hold, each with the image it is about.

    A decision is about an image with the content it was taken on: the one at its path or, if that is not there any
    more, one at a path that no decision has. The latest of several about an image holds, if it was taken on the label
    that the image has now, or has led to it.

    Args:
        images: Those of the dataset as it is now.
        decisions: All, the oldest first.
        folder: In which their paths start.

    Attributes:
        decided: The decision that holds, for each image that has one.
        problems: What is to be said about decisions that are about no image, or not clearly about one; a line each.
    """

    def __init__(self, images: Sequence[Image], decisions: Iterable[Decision], folder: Path) -> None:
        self.folder = folder
        self.decided: dict[Image, Decision] = {}
        self.problems: list[str] = []
        self._contents = {image.place: image.sha256 for image in images}
        here: dict[str, list[Image]] = defaultdict(list)
        for image in images:
            here[image.sha256].append(image)
        taken: dict[str, list[Decision]] = defaultdict(list)
        for decision in decisions:
            taken[decision.sha256].append(decision)
        for content, about_it in taken.items():
            self._match(here.get(content, []), about_it)

    @property
    def pending(self) -> dict[Image, Decision]:
        """The decisions that Apply would carry out."""
        return {image: decision for image, decision in self.decided.items() if decision.label != image.label}

    def _match(self, images: list[Image], taken: list[Decision]) -> None:
        """Match the decisions about one content with the images that have it."""
        places = {image.place for image in images}
        named = {decision.path for decision in taken}
        candidates = places - named or (places if len(places) == 1 else set())
        strays = [decision for decision in taken if decision.path not in places and not self._is_where_it_was(decision)]
        unclear = {one for one in strays if one.decision == "exclude" and len(candidates) > 1}
        for image in images:
            moved = [one for one in strays if image.place in candidates and one not in unclear]
            own = [one for one in taken if one.path == image.place or one in moved]
            about = [one for one in own if one.is_about(image.label)]
            if about:
                self.decided[image] = about[-1]
            elif own:
                where = f"{printable(image.place)} is in {printable(image.label)} now"
                self.problems.append(f"{where}, and was in {printable(own[-1].old_label)}: decide again")
        for decision in {one.path: one for one in strays}.values():
            self._explain(decision, len(candidates) if places else 0, decision in unclear)

    def _is_where_it_was(self, decision: Decision) -> bool:
        """Whether the file of a decision is out of the data, where an exclusion has put it or a list has left it."""
        if decision.decision == "exclude" and (
            decision.path.startswith(os.pardir) or f"{HIDDEN}{os.sep}" in decision.path
        ):
            return True  # also if somebody has deleted it since: another copy is not meant
        return decision.path not in self._contents and os.path.lexists(self.folder / decision.path)

    def _explain(self, decision: Decision, copies: int, unclear: bool) -> None:
        """Say what has become of an image that is not at the path of its decision."""
        path = printable(decision.path)
        if unclear:
            self.problems.append(f"{path} is not there any more, but {copies} copies of it are: exclude one of these")
        elif not copies and decision.path in self._contents:
            self.problems.append(f"{path} has changed since the decision: decide again")
        elif not copies and decision.decision == "relabel":
            self.problems.append(
                f"{path} is not in the data any more: its label was to be {printable(decision.new_label)}"
            )
