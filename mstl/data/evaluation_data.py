"""What a trained net is evaluated on: the photos that were held out when it was trained, or others."""

import dataclasses
import os
from pathlib import Path

from mstl.data.checking.checks import inspect
from mstl.data.dataset import image_set, load_data, no_images, report, some
from mstl.data.finding.source import TRAIN_NAMES, VAL_NAMES, find_source, first_of
from mstl.errors import MstlError


def load_held_out(classes, config, data=None):
    """Find photos for a net, labelled in the order of its outputs.

    Args:
        classes: The net's.
        config: The settings that it was trained with, a dict.
        data: What ``--data`` takes; the data that it was trained on if not given.

    Returns:
        A pair of :class:`mstl.data.dataset.ImageSet`: photos to train on, and photos to evaluate on. The data that it
        was trained on is divided as it was then. Other data that is not divided is evaluated as a whole, and the first
        of the pair is None.

    Raises:
        MstlError: The data is not there, or has classes that the net does not know.
    """
    if data is None or same_data(data, config["data"]):
        try:
            sets = load_data(config["data"], config["val"], config["val_split"], config["seed"])
        except MstlError as error:
            if data is not None:
                raise
            raise MstlError(f"{error} (the net was trained on that: --data names other photos)") from error
        return tuple(relabelled(images, classes, config["data"]) for images in sets)
    source = find_source(held_out_folder(data))
    inspection = inspect(source)
    report(source, inspection)
    sets = []
    for name, part in source.parts.items():
        entries = inspection.usable[name]
        if not entries:
            raise MstlError(no_images(part, inspection))
        refuse_unknown({entry.label for entry in entries}, classes, part.where)
        sets.append(image_set(entries, classes))
    return (None, *sets)[-2:]


def same_data(data, other):
    """Whether two values of ``--data`` mean the same."""
    known = os.path.exists(data) and os.path.exists(other)
    return str(data) == str(other) or (known and os.path.samefile(data, other))


def held_out_folder(data):
    """The folder itself, or the one inside it to validate or test on, where it has none to train on."""
    folder = Path(os.path.expanduser(data))
    if folder.is_dir() and first_of(folder, TRAIN_NAMES) is None:
        return first_of(folder, VAL_NAMES) or data
    return data


def relabelled(images, classes, where):
    """An ImageSet under a net's classes.

    Raises:
        MstlError: It has other ones.
    """
    if images.classes == classes:
        return images
    refuse_unknown(set(images.classes), classes, where)
    return dataclasses.replace(images, classes=classes, folder=None)


def refuse_unknown(names, classes, where):
    """Refuse classes that a net does not know.

    Raises:
        MstlError: There are some.
    """
    unknown = sorted(names - set(classes))
    if unknown:
        raise MstlError(
            f"{where} has classes that the net does not know: {some(unknown)}; it knows {some(list(classes))}: rename "
            "or remove them"
        )
