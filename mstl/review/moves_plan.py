"""Moves plan: which file goes where, so that the decisions of a review are carried out; nothing is touched yet."""

import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mstl.data.finding.folders.folder import lies_in
from mstl.data.finding.folders.other_folders import EXCLUDED
from mstl.data.finding.found import Split
from mstl.data.image_files import printable
from mstl.data.samples import stamp
from mstl.files import digest
from mstl.review.decisions import Decision
from mstl.review.journal import Move
from mstl.review.new_list import NewList
from mstl.review.review_data import ReviewData
from mstl.review.standing import HIDDEN, Image


@dataclass
class MovesPlan:
    """What Apply is to do; paths start in the folder of the journal.

    Attributes:
        folder: That folder, without links on the way.
        moves, folders, lists: See :class:`mstl.review.journal.Journal`.
        written: New lists that are there already, just as they would be written.
        done: The decisions that are carried out.
        problems: Why others are not, a line each.
    """

    folder: Path
    moves: list[Move] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    lists: dict[str, str] = field(default_factory=dict)
    written: list[Path] = field(default_factory=list)
    done: list[Decision] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _taken: dict[Path, set[str]] = field(default_factory=dict)

    def move(self, image: Image, decision: Decision, split: Split, folder: Path) -> None:
        """Plan to move an image of class folders.

        Args:
            image: The image.
            decision: To relabel or to exclude it.
            split: Its split, whose folder has the class folders.
            folder: Of the whole data; what is excluded lies beside it.
        """
        assert split.folder is not None
        below = os.path.relpath(image.path, split.folder / image.label)
        source = Path(os.path.realpath(os.path.dirname(image.path)), os.path.basename(image.path))
        top = Path(os.path.realpath(split.folder))
        if decision.decision == "relabel":
            wanted = top / decision.new_label / below
        else:
            top = Path(os.path.realpath(folder))
            wanted = excluded_folder(top) / os.path.relpath(source, top)
        direct = self._relative(source) == image.place
        reason = why_not_from(source, direct) or why_not_to(wanted.parent, source)
        if reason:
            self.problems.append(f"{printable(image.place)} stays: {reason}")
            return
        self._make(wanted.parent)
        target = self._free(wanted)
        self.moves.append(Move(self._relative(source), self._relative(target), image.sha256))
        self.done.append(decision)

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path, self.folder)

    def _make(self, folder: Path) -> None:
        """Plan the folders that are missing on the way to one."""
        missing = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
        names = [self._relative(one) for one in reversed(missing)]
        self.folders += [name for name in names if name not in self.folders]

    def _free(self, wanted: Path) -> Path:
        """The path itself, or one with a number appended if a name is taken; also for systems that ignore case."""
        if wanted.parent not in self._taken:
            there = os.listdir(wanted.parent) if wanted.parent.is_dir() else []
            self._taken[wanted.parent] = {plain(name) for name in there}
        taken, number, name = self._taken[wanted.parent], 1, wanted.name
        while plain(name) in taken:
            number += 1
            name = f"{wanted.stem}-{number}{wanted.suffix}"
        taken.add(plain(name))
        return wanted.with_name(name)


def plan_moves(review: ReviewData, decisions: Iterable[Decision]) -> MovesPlan:
    """Plan to carry out the decisions of a review.

    Raises:
        MstlError: A new list cannot be made.
    """
    standing = review.standing(decisions)
    plan = MovesPlan(Path(os.path.realpath(review.log.folder)), problems=standing.problems)
    pending = {image: one for image, one in standing.pending.items() if unchanged(image, plan.problems)}
    splits = review.checked.found.splits
    for image, decision in pending.items():
        split = splits[image.split]
        if split.folder is not None:
            whole = review.log.folder if lies_in(split.folder, review.log.folder) else split.folder
            plan.move(image, decision, split, whole)
    for new, here in new_lists(review, pending):
        written = new.written()
        if written is not None:
            plan.written.append(written)
            continue
        new.refuse_misread()
        file = new.free_path()
        plan.lists[plan._relative(Path(os.path.realpath(file.parent), file.name))] = new.text
        plan.done += here.values()
    plan.problems += copies_left(review, pending, standing.decided)
    return plan


def new_lists(review: ReviewData, pending: Mapping[Image, Decision]) -> Iterator[tuple[NewList, dict[Image, Decision]]]:
    """What becomes of each list in which something is decided otherwise, with the decisions about its images.

    Args:
        review: The images.
        pending: The decisions that are to be carried out.

    Raises:
        MstlError: A list cannot be read any more.
    """
    splits = review.checked.found.splits
    for file in dict.fromkeys(split.where for split in splits.values() if split.folder is None):
        here = {image: one for image, one in pending.items() if splits[image.split].where == file}
        if here:
            labels = {(image.path, image.label): one.label for image, one in here.items()}

            def change(path: str, label: str, labels: dict[tuple[str, str], str] = labels) -> str:
                return labels.get((path, label), label)

            yield NewList.of(file, review.source.lists, change), here


def unapplied(review: ReviewData, pending: Mapping[Image, Decision]) -> dict[Image, Decision]:
    """The decisions that Apply has still to carry out: not those that a list beside the old one has already.

    Args:
        review: The images.
        pending: See :attr:`mstl.review.standing.Standing.pending`.

    Raises:
        MstlError: A list cannot be read any more.
    """
    written = {image for new, here in new_lists(review, pending) if new.written() is not None for image in here}
    return {image: one for image, one in pending.items() if image not in written}


def unchanged(image: Image, problems: list[str]) -> bool:
    """Whether an image is as it was when it was read; if not, it is said."""
    now = stamp(image.path)
    if now is None:
        problems.append(f"{printable(image.place)} is not there any more")
    elif now != image.stamp and digest(image.path) != image.sha256:
        problems.append(f"{printable(image.place)} has changed since the decision: decide again")
        return False
    return now is not None


def copies_left(review: ReviewData, pending: dict[Image, Decision], decided: dict[Image, Decision]) -> list[str]:
    """A line for each image that is relabelled while a copy keeps another label, as nobody has decided about it."""
    others: dict[str, list[Image]] = {}
    for image in review.images:
        if image not in decided:
            others.setdefault(image.sha256, []).append(image)
    return [
        f"{printable(copy.place)} is the same image as {printable(image.place)}, and stays in {printable(copy.label)}"
        for image, decision in pending.items()
        for copy in others.get(image.sha256, ())
        if decision.decision == "relabel" and copy.label != decision.new_label
    ]


def excluded_folder(top: Path) -> Path:
    """Where excluded images go: beside the data or, where that is on another disk or cannot be written to, hidden."""
    beside = top.with_name(top.name + EXCLUDED)
    parent = beside if beside.is_dir() else top.parent
    fits = bool(top.name) and os.stat(parent).st_dev == os.stat(top).st_dev and os.access(parent, os.W_OK)
    return beside if fits else top / HIDDEN


def why_not_from(source: Path, direct: bool) -> str:
    """Why a file cannot be moved, as the part of a sentence; "" if it can.

    Args:
        source: The file, in the folder where it really lies.
        direct: Whether no link is on the way there from the folder of review.csv.
    """
    if not direct:
        return "it lies behind a link, perhaps outside of the data; move it yourself"
    if source.is_symlink() and not os.path.isabs(os.readlink(source)):
        return "it is a link that leads elsewhere from another folder; move it yourself"
    return ""


def why_not_to(folder: Path, source: Path) -> str:
    """Why a file cannot be moved into a folder, which need not be there yet; "" if it can."""
    existing = next(one for one in (folder, *folder.parents) if os.path.lexists(one))
    if Path(os.path.realpath(existing)) != existing:
        return f"{existing} is a link, perhaps out of the data; move it yourself"
    if not existing.is_dir():
        return f"{existing} is no folder"
    if os.stat(existing).st_dev != os.stat(source.parent).st_dev:
        return f"{existing} is on another disk; move it yourself"
    return ""


def plain(name: str) -> str:
    """What names share that are one name for some file systems."""
    return unicodedata.normalize("NFC", name).casefold()
