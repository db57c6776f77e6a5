"""ReviewData: the images that are reviewed, where their decisions lie, and which decision is about which image."""

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path

from mstl.config import RECORD
from mstl.data.checking.checks import CheckedDataset, check_dataset
from mstl.data.class_names import known_name, why_no_class
from mstl.data.finding.folders.other_folders import holds_run
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.sources import find_dataset, locate
from mstl.data.image_files import printable
from mstl.data.recorded import from_directory
from mstl.data.samples import Sample, stamp
from mstl.errors import MstlError
from mstl.files import digest
from mstl.review.decision_log import DecisionLog
from mstl.review.decisions import VERDICTS, Decision
from mstl.review.standing import Image, Standing, refuse_changed

CHECKPOINT = "best.ckpt"


@dataclass(frozen=True)
class ReviewSource:
    """What is reviewed: the data itself, or that of a run.

    Attributes:
        data, val: What ``--data`` and ``--val`` take.
        lists: How lists are to be read.
    """

    data: str
    val: str | None = None
    lists: ListOptions = FOUND

    @classmethod
    def of(cls, what: str, val: str | None = None, lists: ListOptions = FOUND) -> "ReviewSource":
        """The data, or that of the run in a folder, or of a checkpoint in it; what is given goes before the record.

        Raises:
            MstlError: The run's config.json cannot be read.
        """
        checkpoint = checkpoint_of(what)
        if checkpoint is None:
            return cls(what, val, lists)
        run = checkpoint.parent
        try:
            settings = json.loads((run / "config.json").read_text(encoding="utf-8"))
            directory = settings.get(RECORD, {}).get("directory")
            data, recorded_val = settings["data"], settings.get("val")
            path, label, images, group = (
                settings.get(name) for name in ("path_column", "label_column", "images", "group_column")
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MstlError(f"cannot tell the data of {run}: its config.json is damaged; give the data") from error
        whole = lists.over(ListOptions(path, label, images, group_column=group))
        images = whole.images and from_directory(whole.images, directory)
        val = val or (recorded_val and from_directory(recorded_val, directory))
        return cls(from_directory(data, directory), val, dataclasses.replace(whole, images=images))

    @cached_property
    def where(self) -> Path:
        """The folder or list file, absolute.

        Raises:
            MstlError: There is none.
        """
        return Path(os.path.abspath(locate(self.data, self.lists)))

    @property
    def folder(self) -> Path:
        """The folder in which review.csv lies: that of the data, or of its list."""
        return self.where if self.where.is_dir() else self.where.parent


def checkpoint_of(what: str) -> Path | None:
    """The checkpoint of a run, where its folder or a checkpoint in it is given; None where data is."""
    path = Path(what).expanduser()
    checkpoint = path if path.suffix == ".ckpt" else path / CHECKPOINT
    return checkpoint if holds_run(checkpoint.parent) else None


class ReviewData:
    """The images of a dataset, to decide about each of them.

    Args:
        source: What is reviewed.

    Attributes:
        checked: The dataset, with what is odd about it.
        log: The decisions.
        images: All images, also those that cannot be used, by split, class and path.

    Raises:
        MstlError: There is no such data.
    """

    def __init__(self, source: ReviewSource) -> None:
        self.source = source
        self.log = DecisionLog(source.folder)
        self.checked: CheckedDataset = check_dataset(find_dataset(source.data, source.val, source.lists))
        usable = {sample.path: sample for split in self.checked.usable.values() for sample in split}
        self.images = tuple(
            self._image(usable.get(sample.path, sample), sample)
            for split in self.checked.found.splits.values()
            for sample in split.samples
        )

    def _image(self, read: Sample, sample: Sample) -> Image:
        content = read.digest or (digest(sample.path) if os.path.isfile(sample.path) else "")
        scan = read.scan
        now = scan.stamp if scan else stamp(sample.path) or ""
        return Image(sample.path, self.place(sample.path), sample.label, sample.split, content, now)

    def place(self, path: str | os.PathLike[str]) -> str:
        """The path of an image as review.csv has it."""
        return os.path.relpath(os.path.abspath(path), self.log.folder)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of all classes, sorted."""
        return tuple(sorted({image.label for image in self.images}))

    def standing(self, decisions: Iterable[Decision] | None = None) -> Standing:
        """Which decision is about which image, as the file has them now."""
        return Standing(self.images, self.log.read() if decisions is None else decisions, self.log.folder)

    def decide(self, image: Image, decision: str, new_label: str = "") -> Decision:
        """Decide about an image; an earlier decision about it holds no longer.

        Args:
            image: One of :attr:`images`.
            decision: "keep", "relabel" or "exclude".
            new_label: Its right class, which may be a new one; for "relabel" only.

        Returns:
            The decision, for :meth:`DecisionLog.take_back`.

        Raises:
            MstlError: The image has changed since it was read, there is no such decision, the label cannot be a class,
                or review.csv cannot be written.
        """
        if decision not in VERDICTS or (bool(new_label) != (decision == "relabel")):
            raise MstlError(f"{decision!r} is no decision: it is one of {', '.join(VERDICTS)}, relabel with a class")
        label = known_name(new_label, self.classes)
        is_new = decision == "relabel" and label not in self.classes
        reason = why_no_class(label, self.classes) if is_new else ""
        if reason:
            raise MstlError(f"the class {printable(label)!r} {reason}: give another")
        if label == image.label:
            decision, label = "keep", ""
        refuse_changed(image)
        now = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        taken = Decision(image.place, image.sha256, decision, image.label, label, now)
        self.log.add(taken)
        return taken
