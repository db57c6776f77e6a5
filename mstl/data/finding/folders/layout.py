"""Layout: which splits a folder or a list file holds."""

import logging
from pathlib import Path

from mstl.data.finding.folders.folder import make_dataset
from mstl.data.finding.folders.not_classes import copies, named, refuse_misread
from mstl.data.finding.folders.part_folders import Parts, is_dataset
from mstl.data.finding.folders.part_names import Part, is_beside, is_container
from mstl.data.finding.folders.shape import Shape
from mstl.data.finding.folders.unused import Unused, beside_parts, log_unused, loose, siblings, without_images
from mstl.data.finding.found import FoundSplits, Split
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.lists.list_splits import (
    list_of,
    lists_images,
    only_csv,
    splits_of_list,
    splits_of_lists,
    three_parts,
)
from mstl.data.image_files import printable
from mstl.errors import MstlError

logger = logging.getLogger("mstl")


def find_splits(where: Path, options: ListOptions = FOUND) -> FoundSplits:
    """The samples of a folder or a list file. What else lies in the folder is logged in one line.

    Args:
        where: The folder or the list file.
        options: How lists are to be read.

    Raises:
        MstlError: Something cannot be read, is wrong, or has no training images; or folders are parts or datasets under
            names that do not say which.
    """
    if where.is_file():
        return splits_of_list(where, options)
    unused: list[Unused] = []
    shape = descend(Shape(where), unused, options)
    parts = Parts.of(shape)
    if "train" in parts.chosen:
        unused += beside_parts(parts)
        splits = {part: class_folders(folder, part, unused) for part, folder in parts.chosen.items()}
        log_unused(unused)
        return three_parts(splits["train"], splits.get("val"), splits.get("test"))
    if listed := splits_of_lists(shape.path, options):
        log_unused(unused)
        return listed
    refuse_without_train(parts)
    split = class_folders(shape, "train", unused)
    unused += loose(shape, with_images=False)
    log_unused(unused)
    return FoundSplits(split)


def class_folders(shape: Shape, part: Part, unused: list[Unused]) -> Split:
    """The samples of a folder with class folders; to train on, only if these are classes.

    Args:
        shape: The folder.
        part: The split that they are for.
        unused: Gets what is left out.
    """
    leave_out = refuse_misread(shape) if part == "train" else {}
    if shape.filled:  # else what is in these folders is the best reason why there are no images
        leave_out |= {f.name: without_images(f) for f in shape.folders if not f.holds_images}
    split, skipped = make_dataset(shape.path, part, leave_out)
    counts = {folder.name: folder.count for folder in shape.folders if folder.name in leave_out}
    unused += [Unused(str(shape.path / name), reason, counts[name]) for name, reason in leave_out.items()]
    unused += [Unused(path, reason) for path, reason in skipped.items()]
    return split


def refuse_without_train(parts: Parts) -> None:
    """Refuse a folder that has parts, but none to train on.

    Raises:
        MstlError: It is one.
    """
    filled = bool(parts.shape.filled)  # without images anywhere, a part is one by its name alone
    held_out = next((part for part, folder in parts.chosen.items() if bool(folder.filled) == filled), None)
    if held_out is None:
        return
    where, name, labels = parts.shape.path, parts.candidates[held_out][0].name, parts.chosen[held_out].labels
    flat = [folder for folder in parts.flat if parts.named[folder.name] == "train"]
    others = [folder for folder in parts.rest if len(folder.bottom().labels & labels) > 1]
    if flat:
        raise MstlError(
            f"{where} has images in {named(flat)} but no class folders there, unlike {name}/; a classifier needs a "
            "folder for each class"
        )
    hint = f"if {named(others)} has the training images, call it train/" if others else ""
    raise MstlError(f"{where} has {name}/ but no train/ folder; {hint or 'put the training images into train/'}")


def held_out_folder(where: Path) -> Path:
    """What is given to validate or to test on: the folder or list itself, or a part in it without a train."""
    if not where.is_dir():
        return where
    shape = Shape(where)
    while inner := dataset_inside(shape):
        shape = inner
    chosen = Parts.of(shape).chosen
    held_out = [folder.path for folder in chosen.values() if folder.filled]
    return where if "train" in chosen or not held_out else held_out[0]


def descend(shape: Shape, unused: list[Unused], options: ListOptions) -> Shape:
    """The folder itself, or the one inside it that holds the dataset, as in the top folder of an archive.

    Args:
        shape: The folder.
        unused: Gets what lies beside the way.
        options: How lists are to be read.
    """
    while inner := dataset_inside(shape, options):
        unused += siblings(shape, inner) + loose(shape)
        shape = inner
        logger.info("data: in %s", printable(shape.path))
    return shape


def dataset_inside(shape: Shape, options: ListOptions = FOUND) -> Shape | None:
    """The folder inside a folder that holds all of its data; None if the folder itself does."""
    filled = shape.filled
    if len(filled) == 1 and is_dataset(filled[0]) and not has_working_list(shape, options):
        return filled[0]
    if has_list(shape, options) or not filled:
        return None
    if len(filled) == 1 and has_list(filled[0], options):
        return filled[0]
    if Parts.of(shape).chosen:
        return None
    datasets = [folder for folder in filled if is_dataset(folder)]
    same = copies(shape)
    if len(datasets) == 1 or same:
        return (same or datasets)[0]
    if len(filled) == 1:
        to_be_filled = any(not folder.holds_images and not any(folder.walk()) for folder in shape.folders)
        return filled[0] if filled[0].folders and not to_be_filled else None
    containers = [folder for folder in filled if is_container(folder.name)]
    beside = [folder for folder in filled if is_beside(folder.name)]
    only = len(containers) == 1 and len(containers) + len(beside) == len(filled)
    return containers[0] if only and containers[0].filled else None


def has_list(shape: Shape, options: ListOptions) -> bool:
    """Whether the lists in a folder say what its data is."""
    return bool(list_of(shape.path, "train", options) or only_csv(shape.path, options))


def has_working_list(shape: Shape, options: ListOptions) -> bool:
    """Whether the lists in a folder name images that are there."""
    found = list_of(shape.path, "train", options) or only_csv(shape.path, options)
    return found is not None and lists_images(found, options)
