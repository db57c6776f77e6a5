"""load_data: find, read, check and split a dataset, into an ImageSet to train on and one to validate on."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mstl.data.checking.checks import CheckedDataset, check_dataset
from mstl.data.checking.findings import case_key
from mstl.data.checking.messages import log_warnings, no_images
from mstl.data.dataset import ImageSet, folder_for_mindspore
from mstl.data.finding.found import Split
from mstl.data.finding.sources import find_dataset
from mstl.data.samples import LeftOut
from mstl.data.split import split_samples
from mstl.errors import MstlError


def load_data(
    data: str | os.PathLike[str] = "demo",
    val: str | os.PathLike[str] | None = None,
    val_split: float = 0.2,
    seed: int = 1,
    strict: bool = False,
) -> tuple[ImageSet, ImageSet]:
    """Load a dataset by name, folder, list or archive.

    Args:
        data: One of

            * ``"demo"`` (drawn on this machine) or a known name such as ``"hymenoptera"`` (downloaded once);
            * a folder with ``train/`` and ``val/`` (or ``valid/``, ``validation/``, ``test/``), each with a folder for
              each class, or a folder with the class folders alone;
            * a list: a .txt with lines of ``path label``, or a .csv with the header ``path,label`` or
              ``path,label,split``;
            * a zip or tar of one of these.
        val: A folder with class folders, or a list, to validate on instead of the dataset's own validation images.
        val_split: Share of each class, between 0 and 1, that is split off where there is nothing to validate on.
        seed: Of that split. Versions of one picture stay on one side of it.
        strict: Whether to refuse a dataset with errors.

    Returns:
        Images to train on and images to validate on, with the same classes: those of the training images. Files that
        cannot be used are left out and logged.

    Raises:
        MstlError: Nothing has that name; or there are no images, fewer than two classes, or classes that do not match.
    """
    found = find_dataset(data, val)
    checked = check_dataset(found)
    warnings, left_out = log_warnings(checked), left_out_files(checked)
    if strict:
        refuse_errors(data, checked)
    for name, split in found.splits.items():
        if not checked.usable[name]:
            raise MstlError(no_images(split, checked))
    train = checked.usable["train"]
    classes = ordered_classes(found.train, {sample.label for sample in train})
    if found.val is None:
        train, held_out = split_samples(train, checked.groups, val_split, seed, found.train.where)
        return ImageSet(train, classes, None, warnings, left_out), ImageSet(held_out, classes, None, warnings)
    held_out = checked.usable["val"]
    refuse_unknown_classes(found.val.where, {sample.label for sample in held_out}, classes)
    return (
        ImageSet(train, classes, folder_for_mindspore(found.train.folder, train, classes), warnings, left_out),
        ImageSet(held_out, classes, folder_for_mindspore(found.val.folder, held_out, classes)),
    )


def ordered_classes(train: Split, names: set[str]) -> tuple[str, ...]:
    """The classes of the usable training images: as a file orders them, or sorted.

    Raises:
        MstlError: There are fewer than two.
    """
    classes = tuple(sorted(names)) if train.class_order is None else tuple(x for x in train.class_order if x in names)
    if len(classes) < 2:
        raise MstlError(
            f"{train.where} has {len(classes)} class ({', '.join(classes)}); a classifier needs two or more, "
            "each in a folder of its own"
        )
    return classes


def left_out_files(checked: CheckedDataset) -> tuple[LeftOut, ...]:
    """The files that cannot be used, and the images that have no label."""
    splits = checked.found.splits.values()
    faulty = [
        LeftOut(sample.path, sample.label, checked.faults[sample.path].detail)
        for split in splits
        for sample in split.samples
        if sample.path in checked.faults
    ]
    loose = [
        LeftOut(path, "", detail) for split in splits for path, problem, detail in split.oddities if problem == "loose"
    ]
    return tuple(dict.fromkeys(faulty + loose))


def refuse_errors(data: str | os.PathLike[str], checked: CheckedDataset) -> None:
    """Refuse a dataset with errors.

    Raises:
        MstlError: There are some.
    """
    kinds = Counter(finding.problem for finding in checked.errors)
    if kinds:
        raise MstlError(
            f"{data} must be fixed first: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}; "
            f"`mstl data check {data}` lists them all"
        )


def refuse_unknown_classes(where: Path, names: set[str], classes: Sequence[str]) -> None:
    """Refuse validation classes that are not trained on.

    Raises:
        MstlError: There are some.
    """
    unknown = sorted(names - set(classes))
    if unknown:
        known = {case_key(name): name for name in classes}
        alike = [f"{name} is {known[case_key(name)]} written otherwise" for name in unknown if case_key(name) in known]
        raise MstlError(
            f"{where} has classes that the training data lacks: {', '.join(unknown)} (known: {', '.join(classes)}); "
            + "".join(f"{hint}; " for hint in alike[:1])
            + "rename or remove them, or add images of them to the training data"
        )
