"""What a trained model is evaluated on: the images that its run held out, or other data."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mstl.config import RECORD
from mstl.data.checking.checks import CheckedDataset, check_dataset
from mstl.data.checking.messages import log_warnings, no_images, some
from mstl.data.dataset import ImageSet
from mstl.data.finding.folders.layout import held_out_folder
from mstl.data.finding.hugging_face.hub_dataset import is_hub_dataset
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.sources import find_dataset, locate
from mstl.data.manifest import NAME, Manifest
from mstl.data.recorded import RecordedData, from_directory, is_name
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
OTHER, UNKNOWN = "other", "unknown"  # splits of images that the run did not use, or of which that is not known
MOVED = 0.5  # share of each split that a dataset must hold to be taken for the run's own, moved


@dataclass(frozen=True)
class RunData:
    """What a checkpoint and the manifest beside it record of the data of the run that they come from.

    Attributes:
        classes: The model's, in the order of its outputs.
        data, val: The ``--data`` and ``--val`` of the run.
        lists: How it read lists.
        directory: The working directory in which the run was started; None if unknown.
        manifest: What the run used; None if unknown.
        unknown: Why it is unknown, as the part of a sentence; "" if it is known.
    """

    classes: tuple[str, ...]
    data: str
    val: str | None
    lists: ListOptions
    directory: str | None
    manifest: Manifest | None
    unknown: str = ""

    @classmethod
    def read(cls, checkpoint: Path, metadata: Mapping[str, Any]) -> "RunData":
        """Read what is recorded of a run.

        Args:
            checkpoint: Its best.ckpt or last.ckpt.
            metadata: The record of that.
        """
        record = metadata.get(RECORD) or {}
        config = settings_beside(checkpoint, record) or metadata["config"]
        manifest, unknown = None, ""
        path = checkpoint.parent / NAME
        if not record.get("manifest"):
            unknown = f"{checkpoint} does not record it, as an older version of mstl wrote it"
        elif not path.exists():
            unknown = f"there is no {NAME} beside {checkpoint}"
        else:
            manifest = Manifest.read(path)
            if manifest.digest != record["manifest"]:
                manifest, unknown = None, f"{path} is not that of the run, or has been changed"
        columns = config.get("path_column"), config.get("label_column"), config.get("images")
        lists = ListOptions(*columns, group_column=config.get("group_column"))
        directory = record.get("directory")
        return cls(tuple(metadata["classes"]), config["data"], config["val"], lists, directory, manifest, unknown)

    @cached_property
    def split_of(self) -> dict[str, str]:
        """The split of each content that the run used; a training image is one whatever else it is."""
        rows = () if self.manifest is None else self.manifest.used
        return {row.sha256: row.split for row in sorted(rows, key=lambda row: row.split == "train")}

    def find(self, data: str, val: str | None, lists: ListOptions = FOUND) -> RecordedData:
        """Find the run's images.

        Args:
            data, val: What ``--data`` and ``--val`` take; relative paths are those of the run.
            lists: How lists are to be read; what it leaves open is as in the run.

        Raises:
            MstlError: The manifest is unknown, or there is no such data.
        """
        if self.manifest is None:
            raise MstlError(f"the run's images are unknown: {self.unknown}")
        hint = "(the model was trained on that: --data says where it is now)"
        where, val_where = (path and from_directory(path, self.directory) for path in (data, val))
        for path in (where, val_where):
            if path and not is_name(path) and not os.path.exists(os.path.expanduser(path)):
                raise MstlError(f"no data {path!r} any more {hint}")
        try:
            found = find_dataset(where or data, val_where, self.lists_here(lists))
        except MstlError as error:
            raise MstlError(f"{error} {hint}") from error
        return RecordedData.find(self.manifest, check_dataset(found), self.directory)

    def lists_here(self, lists: ListOptions) -> ListOptions:
        """How the run's lists are read: as the run did, but for what is given."""
        whole = lists.over(self.lists)
        return replace(whole, images=whole.images and from_directory(whole.images, self.directory))


def settings_beside(checkpoint: Path, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The settings of the run in whose folder a checkpoint is, which name the data where the run was last resumed.

    Returns:
        What config.json beside the checkpoint holds; None if that is missing, or of another run.
    """
    try:
        settings = json.loads((checkpoint.parent / "config.json").read_text(encoding="utf-8"))
        same: bool = settings[RECORD]["manifest"] == record["manifest"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return settings if same else None


def load_held_out(
    run: RunData, data: str | os.PathLike[str] | None = None, lists: ListOptions = FOUND
) -> dict[str, ImageSet]:
    """Load images to evaluate a model on, labelled in the order of its outputs.

    Args:
        run: What is recorded of the data that the model was trained on.
        data: What ``--data`` takes; None for the data that it was trained on.
        lists: How lists are to be read; without columns, those of the run are taken if the list has them.

    Returns:
        An ImageSet of each split. Of the data that the model was trained on, also where it has moved, these are the
        recorded splits, less what is gone or changed since. Of other data, "val" is its validation split, or all of it
        if it has no splits, less the images that the model was trained on.

    Raises:
        MstlError: The split is unknown, the data is not there, or it has classes that the model does not know.
    """
    if data is None and run.manifest is None:
        raise MstlError(f"the split into training and validation images is unknown: {run.unknown}; give --data")
    if data is None or (run.manifest is not None and same_data(data, from_directory(run.data, run.directory))):
        return recorded_splits(run, run.find(run.data, run.val, lists), run.data)
    if not lists.names_columns:
        lists = replace(run.lists, images=lists.images, required=lists.images is not None)
    where = held_out_folder(locate(os.fspath(data), lists))
    checked = check_dataset(find_dataset(where, options=FOUND if is_hub_dataset(data) else lists))
    if run.manifest is not None:
        recorded = RecordedData.find(run.manifest, checked, run.directory)
        if min(recorded.shares.values()) >= MOVED:
            return recorded_splits(run, recorded, data)
    return other_splits(run, checked, data)


def recorded_splits(run: RunData, recorded: RecordedData, data: str | os.PathLike[str]) -> dict[str, ImageSet]:
    """The recorded splits, as far as their images are still there.

    Raises:
        MstlError: No validation image is.
    """
    changes = recorded.changes(" (not evaluated)")
    sets = recorded.image_sets(run.classes)
    if not len(sets["val"]):
        raise MstlError(f"no validation image of the run is left in {data}: since training, {changes}")
    if recorded.differs:
        logger.warning("data: %s, split as the run's %s records it; since training: %s", data, NAME, changes)
    else:
        logger.info("data: %s, split as the run's %s records it, unchanged since training", data, NAME)
    return {name: images for name, images in sets.items() if len(images)}


def other_splits(run: RunData, checked: CheckedDataset, data: str | os.PathLike[str]) -> dict[str, ImageSet]:
    """The splits of data that is not the run's.

    Raises:
        MstlError: It has no images, or only such as the model was trained on, or unknown classes.
    """
    log_warnings(checked)
    found, sets = checked.found, {}
    for name, split in found.splits.items():
        samples = checked.usable[name]
        if not samples:
            raise MstlError(no_images(split, checked))
        refuse_unknown({sample.label for sample in samples}, run.classes, split.where)
        sets[name] = ImageSet(samples, run.classes)
    if found.val is None:
        sets["val"] = sets.pop("train")
    return {
        name: images if name == "train" else without_training_images(run, images, data) for name, images in sets.items()
    }


def without_training_images(run: RunData, images: ImageSet, data: str | os.PathLike[str]) -> ImageSet:
    """Images without those that the model was trained on; each sample's split becomes what it was in the run.

    Raises:
        MstlError: None are left.
    """
    if run.manifest is None:
        logger.warning("data: %s; whether the model was trained on some of it is unknown: %s", data, run.unknown)
        return replace(images, samples=tuple(replace(sample, split=UNKNOWN) for sample in images.samples))
    splits = [run.split_of.get(digest, OTHER) for digest in images.digests]
    kept = [index for index, split in enumerate(splits) if split != "train"]
    excluded = len(splits) - len(kept)
    if not kept:
        raise MstlError(f"the model was trained on all {excluded} images of {data}: give images that it has not seen")
    if excluded:
        logger.warning("data: %s, without %d images that the model was trained on", data, excluded)
    samples = tuple(replace(images.samples[index], split=splits[index]) for index in kept)
    return replace(images, samples=samples)


def same_data(data: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two values of ``--data`` mean the same."""
    known = os.path.exists(data) and os.path.exists(other)
    return str(data) == str(other) or (known and os.path.samefile(data, other))


def refuse_unknown(names: set[str], classes: tuple[str, ...], where: str | os.PathLike[str]) -> None:
    """Refuse classes that a model does not know.

    Raises:
        MstlError: There are some.
    """
    unknown = sorted(names - set(classes))
    if unknown:
        raise MstlError(
            f"{where} has classes that the model does not know: {some(unknown)}; it knows {some(classes)}: rename "
            "or remove them"
        )
