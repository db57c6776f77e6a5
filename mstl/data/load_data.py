"""load_data: find, read, check and split a dataset, into ImageSets to train, to validate and to test on."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mstl.data.checking.checks import CheckedDataset, check_dataset
from mstl.data.checking.findings import case_key
from mstl.data.checking.messages import log_warnings, no_images
from mstl.data.dataset import ImageSet, folder_for_mindspore
from mstl.data.finding.found import Split
from mstl.data.finding.lists.list_options import ListOptions
from mstl.data.finding.sources import find_dataset
from mstl.data.samples import LeftOut, Sample
from mstl.data.split import split_samples
from mstl.errors import MstlError

ValidatedOn = Literal["val", "test", "split"]


@dataclass(frozen=True)
class DataSplits:
    """The splits of a dataset, with the same classes: those of the training images.

    Attributes:
        train: Images to train on.
        val: Images to validate on, by which the best epoch and the temperature are chosen.
        test: Images by which nothing is chosen; None if there are none.
        validated_on: What ``val`` is: the dataset's own validation split ("val"), what it calls its test split where it
            has no other ("test"), or split off the training images ("split").
    """

    train: ImageSet
    val: ImageSet
    test: ImageSet | None
    validated_on: ValidatedOn

    def __iter__(self) -> Iterator[ImageSet]:
        yield from (self.train, self.val) if self.test is None else (self.train, self.val, self.test)


def load_data(
    data: str | os.PathLike[str] = "demo",
    val: str | os.PathLike[str] | None = None,
    val_split: float = 0.2,
    seed: int = 1,
    strict: bool = False,
    path_column: str | None = None,
    label_column: str | None = None,
    images: str | os.PathLike[str] | None = None,
    group_column: str | None = None,
) -> tuple[ImageSet, ImageSet]:
    """Load a dataset by name, folder, list or archive.

    Args:
        data: One of

            * ``"demo"`` (drawn on this machine) or a known name such as ``"hymenoptera"`` (downloaded once);
            * a folder with ``train/`` and ``val/`` (or else ``test/``), or called alike (``Training``, ``dev``), each
              with a folder for each class, or a folder with the class folders alone;
            * a list: a .txt with lines of ``path label``, or a .csv or .tsv with the header ``path,label`` or
              ``path,label,split``; other headers, none, and other delimiters are found;
            * a zip or tar of one of these.
        val: A folder with class folders, or a list, to validate on instead of the dataset's own validation images.
        val_split: Share of each class, between 0 and 1, that is split off where there is nothing to validate on.
        seed: Of that split. Versions of one picture stay on one side of it.
        strict: Whether to refuse a dataset with errors.
        path_column, label_column: Columns of a list; None to find them by their names and content.
        images: The folder in which the paths of a list start; None for that of the list.
        group_column: Column of a list whose values, such as patients, are not divided by that split.

    Returns:
        Images to train on and images to validate on, with the same classes: those of the training images. Files that
        cannot be used are left out and logged. :func:`load_splits` gives the test split too.

    Raises:
        MstlError: Nothing has that name; or there are no images, fewer than two classes, or classes that do not match.
    """
    splits = load_splits(data, val, val_split, seed, strict, path_column, label_column, images, group_column)
    return splits.train, splits.val


def load_splits(
    data: str | os.PathLike[str] = "demo",
    val: str | os.PathLike[str] | None = None,
    val_split: float = 0.2,
    seed: int = 1,
    strict: bool = False,
    path_column: str | None = None,
    label_column: str | None = None,
    images: str | os.PathLike[str] | None = None,
    group_column: str | None = None,
) -> DataSplits:
    """Load a dataset with its test split, if it has one besides images to validate on (``val/`` and ``test/``).

    Arguments and errors are those of :func:`load_data`.
    """
    lists = ListOptions(
        path_column, label_column, None if images is None else os.fspath(images), group_column=group_column
    )
    checked = check_dataset(find_dataset(data, val, lists))
    warnings = log_warnings(checked)
    if strict:
        refuse_errors(data, checked)
    return divided(checked, val_split, seed, warnings)


def why_refused(checked: CheckedDataset) -> str:
    """Why a dataset cannot be trained on, as a sentence for users; "" if it can."""
    try:
        divided(checked)
    except MstlError as error:
        return str(error)
    return ""


def divided(
    checked: CheckedDataset,
    val_split: float = 0.2,
    seed: int = 1,
    warnings: tuple[str, ...] = (),
    parts: Mapping[str, str] | None = None,
) -> DataSplits:
    """The splits of a checked dataset; what it has none of is split off the images to train on.

    Args:
        checked: The dataset.
        val_split, seed: See :func:`load_data`.
        warnings: What is wrong with it, for people who look at the run later.
        parts: The split of contents, by digest, that an earlier run used: what it split off to validate on is so again,
            all else trained on. None to split anew.

    Raises:
        MstlError: A split has no images, there are fewer than two classes, those of the splits do not match, or no
            image can be split off.
    """
    found, left_out = checked.found, left_out_files(checked)
    for name, split in found.splits.items():
        if not checked.usable[name]:
            raise MstlError(no_images(split, checked))
    samples = checked.usable["train"]
    classes = ordered_classes(found.train, {sample.label for sample in samples})
    test = None if found.test is None else held_out_set(found.test, checked.usable["test"], classes)
    if found.val is None:
        if parts is None:
            samples, held_out = split_samples(samples, checked.groups, val_split, seed, found.train.where)
        else:
            samples, held_out = split_as_before(samples, parts, found.train.where)
        train = ImageSet(samples, classes, None, warnings, left_out, groups_of(samples, checked))
        val_set = ImageSet(held_out, classes, None, warnings, groups=groups_of(held_out, checked))
        return DataSplits(train, val_set, test, "split")
    folder = folder_for_mindspore(found.train.folder, samples, classes)
    train = ImageSet(samples, classes, folder, warnings, left_out, groups_of(samples, checked))
    val_set = held_out_set(found.val, checked.usable["val"], classes)
    val_set = replace(val_set, groups=groups_of(val_set.samples, checked))
    return DataSplits(train, val_set, test, "test" if found.val_is_test else "val")


def split_as_before(
    samples: Sequence[Sample], parts: Mapping[str, str], where: Path
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Samples to train on, and those whose content is validated on by ``parts`` of :func:`divided`.

    Raises:
        MstlError: None is.
    """
    named = [replace(sample, split="val" if parts.get(sample.digest) == "val" else "train") for sample in samples]
    train, val = (tuple(sample for sample in named if sample.split == name) for name in ("train", "val"))
    if not val:
        raise MstlError(f"none of the images that the run was validated on is left in {where}")
    return train, val


def groups_of(samples: Sequence[Sample], checked: CheckedDataset) -> tuple[int, ...]:
    """A number for each sample, which versions of one picture share, and images that a list puts into one group."""
    return tuple(checked.groups[sample.path] for sample in samples)


def held_out_set(split: Split, samples: tuple[Sample, ...], classes: tuple[str, ...]) -> ImageSet:
    """The images of a split that is not trained on.

    Raises:
        MstlError: It has classes that are not trained on.
    """
    refuse_unknown_classes(split.where, {sample.label for sample in samples}, classes)
    return ImageSet(samples, classes, folder_for_mindspore(split.folder, samples, classes))


def ordered_classes(train: Split, names: set[str]) -> tuple[str, ...]:
    """The classes of the usable training images: as a file orders them, or sorted.

    Raises:
        MstlError: There are fewer than two.
    """
    classes = tuple(sorted(names)) if train.class_order is None else tuple(x for x in train.class_order if x in names)
    if len(classes) < 2:
        hint = "" if train.folder is None else ", each in a folder of its own"
        raise MstlError(
            f"{train.where} has {len(classes)} class ({', '.join(classes)}); a classifier needs two or more{hint}"
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
    """Refuse classes to validate or to test on that are not trained on.

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
