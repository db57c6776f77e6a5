"""Recorded data: the images of a run's manifest where they are now, and what is new, gone or changed since."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mstl.data.checking.checks import CheckedDataset
from mstl.data.checking.messages import log_warnings
from mstl.data.dataset import ImageSet, folder_for_mindspore
from mstl.data.finding.hugging_face.hub_dataset import PREFIX
from mstl.data.finding.known_datasets import KNOWN
from mstl.data.load_data import groups_of, left_out_files
from mstl.data.manifest import Manifest, ManifestRow
from mstl.data.samples import Sample


@dataclass(frozen=True)
class RecordedData:
    """The images of a run's manifest, found again in a dataset: by path, or by content where files have moved.

    Attributes:
        manifest: What the run used.
        checked: The dataset as it is now.
        samples: For each row of ``manifest.used``, its image as it is now, with the recorded label and split; None if
            it is gone or changed.
        changed: Number of recorded images that have other content or another label now, or cannot be read any more.
        gone: Number of recorded images that are not there any more.
        new: Number of images that the run did not use.
        other_part: Number of recorded images that lie in another part of the dataset now ("val" in place of "train").
    """

    manifest: Manifest
    checked: CheckedDataset
    samples: tuple[Sample | None, ...]
    changed: int
    gone: int
    new: int
    other_part: int

    @classmethod
    def find(cls, manifest: Manifest, checked: CheckedDataset, directory: str | None) -> "RecordedData":
        """Find the images of a manifest in a dataset.

        Args:
            manifest: What a run used.
            checked: The dataset.
            directory: The one that relative paths of the manifest refer to; None for the working directory.
        """
        usable = [sample for split in checked.usable.values() for sample in split]
        all_found = (sample for split in checked.found.splits.values() for sample in split.samples)
        places = Places([*usable, *(sample for sample in all_found if sample.path in checked.faults)])
        meant = [os.path.abspath(from_directory(row.path, directory)) for row in manifest.used]
        found = {  # from the paths in the manifest to the places of the images now
            row.path: place
            for row, place in zip(manifest.used, meant, strict=True)
            if any(sample.digest == row.sha256 for sample in places.samples.get(place, ()))
        }
        places.claimed.update(found.values())
        for row in manifest.used:
            moved_to = None if row.path in found else places.claim_content(row)
            if moved_to is not None:
                found[row.path] = moved_to
        samples: list[Sample | None] = []
        changed = gone = other_part = 0
        for row, place in zip(manifest.used, meant, strict=True):
            sample = places.best(found[row.path], row) if row.path in found else None
            if sample is not None and sample.label == row.label:
                other_part += checked.found.val is not None and sample.split != row.split
                samples.append(replace(sample, split=row.split))
                continue
            samples.append(None)
            if sample is not None or places.claim(place) or places.claim_name(row):
                changed += 1
            else:
                gone += 1
        return cls(manifest, checked, tuple(samples), changed, gone, places.unclaimed, other_part)

    @property
    def differs(self) -> bool:
        """Whether the dataset is not that of the run any more."""
        return bool(self.new or self.gone or self.changed or self.other_part)

    def changes(self, note: str = "") -> str:
        """How many images are new, gone or changed, such as "2 new, 1 gone, 0 changed"; ``note`` is about new ones."""
        part = f", {self.other_part} in another part of the dataset" if self.other_part else ""
        return f"{self.new} new{note}, {self.gone} gone, {self.changed} changed{part}"

    @cached_property
    def shares(self) -> dict[str, float]:
        """For each recorded split, the share of its images that are still there."""
        total = Counter(row.split for row in self.manifest.used)
        there = Counter(sample.split for sample in self.samples if sample is not None)
        return {split: there[split] / total[split] for split in total}

    def image_sets(self, classes: Sequence[str]) -> dict[str, ImageSet]:
        """The recorded splits, each in the recorded order, without what is gone or changed; they may be empty.

        Args:
            classes: Of the model, in the order of its outputs.
        """
        warnings = log_warnings(self.checked)
        if self.differs:
            warnings += (f"since training: {self.changes()}; the figures are of the images that are still there",)
        sets = {}
        for name in dict.fromkeys(row.split for row in self.manifest.used):
            samples = tuple(sample for sample in self.samples if sample is not None and sample.split == name)
            split = self.checked.found.splits.get(name)
            folder = None if split is None else folder_for_mindspore(split.folder, samples, classes)
            sets[name] = ImageSet(samples, tuple(classes), folder, groups=groups_of(samples, self.checked))
        sets["train"] = replace(sets["train"], warnings=warnings, left_out=left_out_files(self.checked))
        return sets


class Places:
    """Where the images of a dataset are, and which of these places are known to hold an image of the run.

    Attributes:
        samples: The samples at each absolute path; a list may name a file more than once. Files that cannot be used
            have no digest.
        claimed: Places of images of the run.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        self.samples: dict[str, list[Sample]] = {}
        self.claimed: set[str] = set()
        self.by_content: dict[str, list[str]] = {}
        self.by_name: dict[tuple[str, str], list[str]] = {}
        for sample in samples:
            place = os.path.abspath(sample.path)
            if place not in self.samples:
                self.by_content.setdefault(sample.digest or place, []).append(place)
                self.by_name.setdefault((sample.label, os.path.basename(place)), []).append(place)
            self.samples.setdefault(place, []).append(sample)

    @property
    def unclaimed(self) -> int:
        """Number of places with a usable image that is none of the run's."""
        return sum(bool(samples[0].digest) for place, samples in self.samples.items() if place not in self.claimed)

    def best(self, place: str, row: ManifestRow) -> Sample:
        """The sample at a place that is most like a row of the manifest."""
        return max(self.samples[place], key=lambda sample: likeness(sample, row))

    def claim(self, place: str | None) -> bool:
        """Claim a place, if there is an image that is not claimed yet; whether there was."""
        free = place in self.samples and place not in self.claimed
        if free and place is not None:
            self.claimed.add(place)
        return free

    def claim_content(self, row: ManifestRow) -> str | None:
        """Claim the place of a row's content that is most like the row, and return it; None if there is none left."""
        return self._claim_best(self.by_content.get(row.sha256, []), row)

    def claim_name(self, row: ManifestRow) -> bool:
        """Claim a place that has the label and the file name of a row; whether there was one."""
        return self._claim_best(self.by_name.get((row.label, os.path.basename(row.path)), []), row) is not None

    def _claim_best(self, places: list[str], row: ManifestRow) -> str | None:
        free = [place for place in places if place not in self.claimed]
        place = max(free, key=lambda place: likeness(self.best(place, row), row), default=None)
        return place if self.claim(place) else None


def likeness(sample: Sample, row: ManifestRow) -> tuple[bool, bool, bool]:
    """Whether label, split and file name are those of a row; for versions of one image under several labels."""
    same_name = os.path.basename(sample.path) == os.path.basename(row.path)
    return sample.label == row.label, sample.split == row.split, same_name


def is_name(data: str) -> bool:
    """Whether a value of ``--data`` is the name of a dataset, which no path can be."""
    return data in ("demo", *KNOWN) or data.startswith(PREFIX)


def from_directory(path: str | os.PathLike[str], directory: str | None) -> str:
    """A relative path as it was meant in the directory in which a run was started, if it is still there."""
    path = os.fspath(path)
    if directory is None or is_name(path) or os.path.isabs(os.path.expanduser(path)):
        return path
    meant = os.path.join(directory, path)
    return path if directory == os.getcwd() or not os.path.exists(meant) else meant
