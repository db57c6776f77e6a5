"""Unlabelled images: those in a folder that can be used and labelled, each content once."""

import logging
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mstl.data.checking.checks import CheckedDataset, check_dataset
from mstl.data.checking.messages import SHOWN
from mstl.data.finding.found import FoundDataset, Split
from mstl.data.finding.predict_inputs import Unreadable, counted, images_below
from mstl.data.image_files import printable
from mstl.data.samples import Sample
from mstl.errors import MstlError
from mstl.review.label_list import LabelList
from mstl.review.standing import Image

logger = logging.getLogger("mstl")
MOST = 20_000  # images, of which the features take 100 MB: nobody labels as many by hand


@dataclass(frozen=True)
class Unlabelled:
    """Images to be labelled.

    Attributes:
        samples: One for each, with its scan; their labels are "".
        images: The same, as a page knows them.
        groups: A number for each, which versions of one picture share.
    """

    samples: tuple[Sample, ...]
    images: tuple[Image, ...]
    groups: tuple[int, ...]


def find_unlabelled(folder: Path, labels: LabelList, known: Collection[str] = ()) -> Unlabelled:
    """Find the images in a folder and in those inside it; what is left out is logged.

    Args:
        folder: The folder.
        labels: The list of labels, which may have some of the images already: they are among those found.
        known: The SHA-256 of contents that need no label.

    Raises:
        MstlError: There is no such folder, or no image that could be labelled in it.
    """
    if not folder.is_dir():
        raise MstlError(f"{folder} is not a folder: give one with images in it")
    found = list(images_below(os.path.abspath(folder)))
    faults = [f"{printable(each.path or folder)}: {each.reason}" for each in found if isinstance(each, Unreadable)]
    paths = [path for path in found if isinstance(path, str)]
    samples = tuple(Sample(path, "", "train", os.path.basename(path)) for path in paths)
    checked = check_dataset(FoundDataset(Split(folder, samples), key=f"label\0{folder.resolve()}"))
    faults += [f"{printable(path)}: {scan.detail}" for path, scan in checked.faults.items()]
    unlisted = [sample for sample in checked.usable["train"] if is_unlisted(labels.place(sample.path))]
    faults += [
        f"{printable(sample.path)}: blanks at the ends of its path, which a list cannot have" for sample in unlisted
    ]
    log_faults(faults)
    chosen = each_content_once(checked, {sample.path for sample in unlisted}, known)
    if not chosen:
        raise MstlError(f"no image in {folder} could be labelled: give a folder with images that have no label yet")
    chosen = not_too_many(chosen, labels)
    images = tuple(
        Image(sample.path, labels.place(sample.path), "", "", sample.digest, sample.scan.stamp if sample.scan else "")
        for sample in chosen
    )
    return Unlabelled(chosen, images, tuple(checked.groups[sample.path] for sample in chosen))


def is_unlisted(place: str) -> bool:
    """Whether a list would be read as having another path."""
    return place != place.strip()


def each_content_once(checked: CheckedDataset, without: Collection[str], known: Collection[str]) -> tuple[Sample, ...]:
    """The usable images whose content is neither known nor that of an earlier one; how many are not is logged.

    Args:
        checked: All images.
        without: Paths of images that cannot be taken.
        known: The SHA-256 of contents that need no label.
    """
    usable = [sample for sample in checked.usable["train"] if sample.path not in without]
    unknown = [sample for sample in usable if sample.digest not in known]
    first = {sample.digest: sample for sample in reversed(unknown)}
    chosen = tuple(sample for sample in unknown if first[sample.digest] is sample)
    if len(unknown) < len(usable):
        seen = counted(range(len(usable) - len(unknown)), "image")
        logger.info("label: left out %s that the model was trained or validated on", seen)
    if len(chosen) < len(unknown):
        copies = counted(range(len(unknown) - len(chosen)), "image")
        logger.info("label: left out %s with the content of another one", copies)
    return chosen


def not_too_many(samples: tuple[Sample, ...], labels: LabelList) -> tuple[Sample, ...]:
    """The images, of many those that have a label and a random sample of the others, which is logged."""
    if len(samples) <= MOST:
        return samples
    labelled = {row.path for row in labels.read()}
    others = [index for index, sample in enumerate(samples) if labels.place(sample.path) not in labelled]
    left_out = {*np.random.default_rng(0).permutation(others)[MOST:].tolist()}
    logger.warning("label: %d of the %d images are left for another time, by chance", len(left_out), len(samples))
    return tuple(sample for index, sample in enumerate(samples) if index not in left_out)


def log_faults(faults: Collection[str]) -> None:
    """Say which files cannot be labelled, on a line each; of many, the first ones."""
    if not faults:
        return
    lines = [f"  {fault}" for fault in list(faults)[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"  ... and {len(faults) - SHOWN} more")
    logger.warning("label: left out %s that cannot be used:\n%s", counted(faults, "file"), "\n".join(lines))
