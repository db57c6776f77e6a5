"""Label desk: images without a label in the order in which labels bring most, and the labels as a page gives them."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mstl.data.class_names import known_name, why_no_class
from mstl.data.image_files import printable
from mstl.errors import MstlError
from mstl.evaluation.label_rounds import Round
from mstl.review.label_list import LabelList
from mstl.review.standing import Image, refuse_changed
from mstl.serving.label_learner import Learner
from mstl.serving.label_material import Material
from mstl.serving.problems import Problem

LABELLED = "labelled"  # what an image with a label is, where an example is one of training
ROUND = 10  # labels, after which heads learn from them and the order of the rest is renewed


class LabelDesk:
    """The labels of a folder's images. Threads may share it; what they ask for is done in turn.

    Args:
        images: All that are to be labelled.
        groups: A number for each, which versions of one picture share.
        labels: The list of labels, which may have some already.
        material: What a model makes of the images.
        announce: Called with a line at the end of each round.

    Attributes:
        names: The classes, those of the model first, then new ones.
        rounds: What each round has brought.
    """

    def __init__(
        self,
        images: Sequence[Image],
        groups: Sequence[int],
        labels: LabelList,
        material: Material,
        announce: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.images, self.labels, self.material, self.announce = tuple(images), labels, material, announce
        self.learner = Learner(material, groups)
        self.names = list(material.classes)
        self.index = {image.sha256: index for index, image in enumerate(self.images)}
        self.by_place = {image.place: index for index, image in enumerate(self.images)}
        self.files = {image.sha256: image.path for image in (*material.examples, *self.images)}
        self.rounds: list[Round] = []
        self.front: list[int] = []  # images whose label was taken back, to be looked at first
        self.skipped: list[int] = []  # those to be looked at last
        self.proposals: dict[int, str] = {}  # what was proposed for images when they were labelled
        self.lock = threading.RLock()
        self.learnt_from = self.given()
        self.history = list(self.learnt_from)  # images that were labelled or skipped, the latest last
        self.lesson = self.learner.learn(self.learnt_from, self.names)

    def given(self) -> dict[int, str]:
        """The labels that images have by now, the oldest first, whoever has given them.

        Raises:
            MstlError: The list cannot be read.
        """
        rows = self.labels.read()
        given = {self.by_place[row.path]: row.label for row in rows if row.path in self.by_place}
        self.names += sorted({*given.values()} - {*self.names})
        return given

    def queue(self, given: dict[int, str]) -> list[int]:
        """The images that have no label, in the order in which they are to be looked at."""
        apart = {*self.front, *self.skipped, *given}
        rest = [index for index in self.lesson.order if index not in apart]
        return [index for index in (*self.front, *rest, *self.skipped) if index not in given]

    def left(self, given: dict[int, str]) -> int:
        """How many labels are to be given until the end of the round."""
        return max(0, ROUND - len(self._new(given)))

    def proposal(self, index: int) -> str:
        """The most probable class of an image."""
        return self.names[int(self.lesson.probabilities[index].argmax())]

    def image_file(self, content: str) -> str:
        """The path of an image with this content, which may be an example.

        Raises:
            Problem: There is none.
        """
        if content not in self.files:
            raise Problem(404, "no image here has this content", "load the page again")
        return self.files[content]

    def label(self, name: str, label: str) -> None:
        """Give an image a label, in place of an older one; the list has it when this returns.

        Args:
            name: The SHA-256 of its content.
            label: Its class, which may be a new one.

        Raises:
            Problem: There is no such image.
            MstlError: It has changed, the label cannot be a class, or the list cannot be written.
        """
        with self.lock:
            index = self._index(name)
            label = known_name(label, self.names)
            reason = "" if label in self.names else why_no_class(label, self.names)
            if reason:
                raise MstlError(f"the class {printable(label)!r} {reason}: give another")
            refuse_changed(self.images[index])
            self.labels.add(self.images[index].place, label)
            self.proposals[index] = self.proposal(index)
            self._done_with(index)
            self._end_round()

    def skip(self, name: str) -> None:
        """Look at an image after all others.

        Raises:
            Problem: There is no such image.
        """
        with self.lock:
            index = self._index(name)
            self._done_with(index)
            self.skipped.append(index)

    def take_back(self) -> None:
        """Take back the last label that was given, or the last skip; that image is looked at next.

        Raises:
            Problem: There is nothing to be taken back.
            MstlError: The list cannot be written.
        """
        with self.lock:
            if not self.history:
                raise Problem(409, "there is nothing to be taken back", "label an image first")
            index = self.history[-1]
            if index not in self.skipped:
                self.labels.take_back(self.images[index].place)
            self.history.pop()
            without(self.skipped, index)
            without(self.front, index)
            self.front.insert(0, index)

    def nearest(self, index: int, label: str, given: dict[int, str], count: int) -> list[Image]:
        """The images of a class that are most like an image: of the examples, and of those that have a label by now."""
        examples = [row for row, each in enumerate(self.material.examples) if each.label == label]
        labelled = [row for row, each in given.items() if each == label and row != index]
        own = [replace(self.images[row], label=label, split=LABELLED) for row in labelled]
        images = [*(self.material.examples[row] for row in examples), *own]
        units = np.concatenate([self.material.example_units[examples], self.material.units[labelled]])
        best = np.argsort(-(units @ self.material.units[index]), kind="stable")[:count]
        return [images[row] for row in best]

    def _index(self, name: str) -> int:
        if name not in self.index:
            raise Problem(404, "there is no such image to be labelled", "load the page again")
        return self.index[name]

    def _new(self, given: dict[int, str]) -> list[int]:
        """The images whose label is one that was not learnt from yet."""
        return [index for index, label in given.items() if self.learnt_from.get(index) != label]

    def _done_with(self, index: int) -> None:
        without(self.skipped, index)
        without(self.front, index)
        self.history.append(index)

    def _end_round(self) -> None:
        """Learn from the labels, if so many are new that it is worth it, or no image is left."""
        given = self.given()
        new = self._new(given)
        if not new or (self.left(given) and self.queue(given)):
            return
        self.learnt_from, self.lesson = given, self.learner.learn(given, self.names)
        done = Round(
            number=len(self.rounds) + 1,
            labels=len(new),
            proposed=sum(index in self.proposals for index in new),
            as_proposed=sum(self.proposals.get(index) == given[index] for index in new),
            total=len(given),
            right_before=self.lesson.right_before,
            right_now=self.lesson.right_now,
            interval=self.lesson.interval,
        )
        self.rounds.append(done)
        self.announce(done.line())


def without(places: list[int], index: int) -> None:
    """Remove an image from a list, if it is there."""
    if index in places:
        places.remove(index)
