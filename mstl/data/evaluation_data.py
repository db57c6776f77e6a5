"""What a trained model is evaluated on: the images that were held out when it was trained, or others."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mstl.data.checking.checks import check_dataset
from mstl.data.checking.messages import log_warnings, no_images, some
from mstl.data.dataset import ImageSet
from mstl.data.finding.layout import TRAIN_NAMES, VAL_NAMES, first_with_classes
from mstl.data.finding.sources import find_dataset
from mstl.data.load_data import load_data
from mstl.errors import MstlError


def load_held_out(
    classes: tuple[str, ...], config: Mapping[str, Any], data: str | os.PathLike[str] | None = None
) -> tuple[ImageSet | None, ImageSet]:
    """Load images for a model, labelled in the order of its outputs.

    Args:
        classes: The model's.
        config: The settings that it was trained with.
        data: What ``--data`` takes; None for the data that it was trained on.

    Returns:
        Images to train on and images to evaluate on. The data that the model was trained on is split as it was then.
        Other data without a split is evaluated as a whole, and the first of the pair is None.

    Raises:
        MstlError: The data is not there, or has classes that the model does not know.
    """
    if data is None or same_data(data, config["data"]):
        try:
            train, val = load_data(config["data"], config["val"], config["val_split"], config["seed"])
        except MstlError as error:
            if data is not None:
                raise
            raise MstlError(f"{error} (the model was trained on that: --data names other images)") from error
        return relabelled(train, classes, config["data"]), relabelled(val, classes, config["data"])
    found = find_dataset(held_out_folder(data))
    checked = check_dataset(found)
    log_warnings(checked)
    sets = []
    for name, split in found.splits.items():
        samples = checked.usable[name]
        if not samples:
            raise MstlError(no_images(split, checked))
        refuse_unknown({sample.label for sample in samples}, classes, split.where)
        sets.append(ImageSet(samples, classes))
    return (sets[0] if len(sets) == 2 else None), sets[-1]


def same_data(data: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether two values of ``--data`` mean the same."""
    known = os.path.exists(data) and os.path.exists(other)
    return str(data) == str(other) or (known and os.path.samefile(data, other))


def held_out_folder(data: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """The folder itself, or if it has no folder to train on, the one inside it to validate or test on."""
    folder = Path(os.path.expanduser(data))
    if folder.is_dir() and first_with_classes(folder, TRAIN_NAMES) is None:
        return first_with_classes(folder, VAL_NAMES) or data
    return data


def relabelled(images: ImageSet, classes: tuple[str, ...], where: str | os.PathLike[str]) -> ImageSet:
    """An ImageSet with the class indices of a model.

    Raises:
        MstlError: It has classes that the model does not know.
    """
    if images.classes == classes:
        return images
    refuse_unknown(set(images.classes), classes, where)
    return dataclasses.replace(images, classes=classes, folder=None)


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
