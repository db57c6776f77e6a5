"""Review desk: the decisions of a review as a page takes them, applied and undone, whoever else is deciding."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from mstl.review.applying import Applied, apply, undo
from mstl.review.decisions import Decision
from mstl.review.journal import latest
from mstl.review.moves_plan import unapplied
from mstl.review.review_data import ReviewData, ReviewSource
from mstl.review.standing import Image
from mstl.serving.problems import Problem
from mstl.serving.review_items import ReviewItem

GONE = "look at it on disk, or start the review again"


class DecisionRecord(TypedDict):
    """A decision for the page: its word, the label it gives ("" for none), and whether it was applied."""

    decision: str
    label: str
    applied: bool


class Step(TypedDict):
    """What Apply would do with some images of a class: to which class they go, or None if they are set aside."""

    label: str
    to: str | None
    count: int


class DeskState(TypedDict):
    """What has been decided about which items, what Apply would do, and whether something applied can be undone."""

    decisions: dict[str, DecisionRecord]
    plan: list[Step]
    can_undo: bool


class Desk:
    """The decisions about the images of a dataset. Threads may share it; what they ask for is done in turn.

    Args:
        review: The images; read again after each Apply.
        items: Those to be looked at.

    Attributes:
        items: The same by name: the SHA-256 of the content and, of further images with the same one, a number.
        is_trained_on: Whether a run reads the data now, so that it must not change.
    """

    def __init__(self, review: ReviewData, items: Sequence[ReviewItem]) -> None:
        self.review = review
        self.items: dict[str, ReviewItem] = {}
        counts: Counter[str] = Counter()
        for item in items:
            content = item.image.sha256
            counts[content] += 1
            self.items[content if counts[content] == 1 else f"{content}-{counts[content]}"] = item
        self.places = {name: item.image.place for name, item in self.items.items()}  # where the images are by now
        self.lock = threading.RLock()
        self.is_trained_on = False
        self._index()

    def _index(self) -> None:
        """Find the images again after they were read, and what lists have already of what was decided about them."""
        self.by_place = {image.place: image for image in self.review.images}
        self.by_content = {image.sha256: image for image in reversed(self.review.images) if image.sha256}
        pending = self.review.standing().pending
        left = unapplied(self.review, pending)
        self.listed = {image: one.label for image, one in pending.items() if image not in left}

    @property
    def state(self) -> DeskState:
        """What has been decided, and what Apply would do."""
        with self.lock:
            taken = self.review.log.read()
            standing = self.review.standing(taken)
            excluded = {(one.path, one.sha256): one for one in taken if one.decision == "exclude"}
            decisions: dict[str, DecisionRecord] = {}
            for name, place in self.places.items():
                image = self.by_place.get(place)
                content = self.items[name].image.sha256
                one = excluded.get((place, content)) if image is None else standing.decided.get(image)
                if one is not None:
                    decisions[name] = record_of(one, image)
            left = self._left(standing.pending)
            steps = Counter((image.label, one.label or None) for image, one in left.items())
            plan: list[Step] = [
                {"label": label, "to": to, "count": count}
                for (label, to), count in sorted(steps.items(), key=lambda step: (step[0][0], step[0][1] or ""))
            ]
            journal = latest(self.review.log.path.parent.resolve())
            return {"decisions": decisions, "plan": plan, "can_undo": journal is not None}

    def _left(self, pending: Mapping[Image, Decision]) -> dict[Image, Decision]:
        """The decisions that Apply has still to carry out; those about a list all together, or none of them."""
        splits = self.review.checked.found.splits
        in_lists = {image: one.label for image, one in pending.items() if splits[image.split].folder is None}
        return {image: one for image, one in pending.items() if in_lists != self.listed or image not in in_lists}

    def image_file(self, content: str) -> str:
        """The path of an image of the dataset with this content.

        Raises:
            Problem: There is none.
        """
        with self.lock:
            image = self.by_content.get(content)
        if image is None:
            raise Problem(404, "no image of the data has this content any more", GONE)
        return image.path

    def decide(self, name: str, decision: str, label: str) -> DeskState:
        """Decide about an image.

        Args:
            name: Of the item.
            decision: "keep", "relabel" or "exclude".
            label: The right class of an image to be relabelled; "" otherwise.

        Raises:
            Problem: There is no such item, or its image is not there any more.
            MstlError: See :meth:`mstl.review.review_data.ReviewData.decide`.
        """
        with self.lock:
            self.review.decide(self._image(name), decision, label)
            return self.state

    def take_back(self, name: str) -> DeskState:
        """Take back the decision about an image; an earlier one about it holds again.

        Raises:
            Problem: There is no such item, or no decision about it that could be taken back.
            MstlError: The file of decisions cannot be written.
        """
        with self.lock:
            image = self._image(name)
            one = self.review.standing().decided.get(image)
            if one is None:
                raise Problem(409, "nothing is decided about this image", "decide about it")
            if record_of(one, image)["applied"]:
                raise Problem(409, "this decision has been applied", "take back all that was applied, or decide anew")
            self.review.log.take_back(one)
            return self.state

    def apply(self, plan: Sequence[Mapping[str, object]]) -> Applied:
        """Carry out what has been decided.

        Args:
            plan: What the reviewer has agreed to.

        Raises:
            Problem: Somebody else has decided something meanwhile, so that more, or less, would be done.
            MstlError: It cannot be done; nothing has changed.
        """
        with self.lock:
            if list(plan) != self.state["plan"]:
                raise Problem(409, "somebody else has decided meanwhile", "look at what Apply would do now")
            return self._changed(apply)

    def undo(self) -> Applied:
        """Take back what was applied last.

        Raises:
            MstlError: There is nothing, or it cannot be done.
        """
        with self.lock:
            return self._changed(undo)

    def _changed(self, change: Callable[[ReviewSource], Applied]) -> Applied:
        """Change the data, read it again, and find the images at their new places.

        Raises:
            Problem: It is being trained on.
            MstlError: It cannot be changed.
        """
        if self.is_trained_on:
            raise Problem(409, "the data must not change while it is trained on", "wait until that has ended")
        before = self.review.log.read()
        done = change(self.review.source)
        self.review = ReviewData(self.review.source)
        now = {replace(one, path=""): one.path for one in self.review.log.read()}
        moved = {(one.path, one.sha256): now.get(replace(one, path=""), one.path) for one in before}
        for name, item in self.items.items():
            place = self.places[name]
            self.places[name] = moved.get((place, item.image.sha256), place)
        self._index()
        return done

    def _image(self, name: str) -> Image:
        """The image of an item as it is now.

        Raises:
            Problem: There is none.
        """
        if name not in self.places:
            raise Problem(404, "there is no such image to be looked at", "load the page again")
        image = self.by_place.get(self.places[name])
        if image is None:
            raise Problem(409, "this image is not in the data any more", "take back what was applied")
        return image


def record_of(one: Decision, image: Image | None) -> DecisionRecord:
    """A decision for the page.

    Args:
        one: The decision.
        image: The image that it is about; None if that is not in the data any more.
    """
    applied = image is None or (one.decision == "relabel" and image.label == one.label)
    return {"decision": one.decision, "label": one.label, "applied": applied}
