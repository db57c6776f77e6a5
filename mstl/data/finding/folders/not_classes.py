"""Folders that are no classes: parts under other names, datasets, copies, pieces of a download."""

import filecmp
import logging
from collections import Counter
from collections.abc import Collection, Sequence

from mstl.data.finding.folders.part_folders import Parts, is_dataset
from mstl.data.finding.folders.part_names import are_pieces, is_beside, is_container, is_no_class, part_of
from mstl.data.finding.folders.shape import Shape
from mstl.data.image_files import printable
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
SHOWN = 4  # names in a message
COMPARED = 100  # different sets of folders, the commonest, with which all others are compared
AS_CLASSES = "a list with the header path,label takes them as they are"


def refuse_misread(shape: Shape) -> dict[str, str]:
    """Refuse folders that would be taken for classes and are none.

    Args:
        shape: The folder whose folders are to be classes.

    Returns:
        Folders in it to leave out, by name, with the reason: copies of the class folders.

    Raises:
        MstlError: They are parts, datasets or pieces of one.
    """
    leave_out = once_more(shape)
    refuse_parts(shape, leave_out)
    folders = [folder for folder in shape.filled if folder.name not in leave_out]
    same = alike(folders)
    if same:
        most = max((folder.bottom() for folder in same), key=lambda folder: len(folder.filled))
        raise MstlError(
            f"{shape.path} has {len(same)} folders, {named(same)}, that all hold the same folders "
            f"({some(most.filled)}): if they are parts of the data, call them train/, val/ and test/; "
            f"if they are several datasets, name one of them; if they are classes, {AS_CLASSES}"
        )
    refuse_pieces(shape)
    hint_at_folders_inside(shape, folders)
    doubtful = [folder for folder in folders if is_no_class(folder.name)]
    if doubtful:
        logger.warning(
            "data: %s taken for %s, whatever the name says; move out of %s what is none",
            *(named(doubtful), "classes" if len(doubtful) > 1 else "a class", printable(shape.path)),
        )
    return leave_out


def refuse_parts(shape: Shape, leave_out: Collection[str]) -> None:
    """Refuse folders that are called like parts, or are datasets in parts, but for those that are left out.

    Raises:
        MstlError: There are some.
    """
    parts, filled = Parts.of(shape), shape.filled
    inner = [
        folder
        for folders in parts.candidates.values()
        for folder in folders
        if folder.name not in leave_out and folder.filled
    ]
    if inner:
        raise MstlError(
            f"{shape.path} holds {named(inner)} itself, with class folders there: put all parts side by side, in one "
            "folder"
        )
    with_folders = [folder for folder in filled if folder.name not in parts.named and len(folder.core().filled) > 1]
    if parts.flat and with_folders:
        trained = any(parts.named[folder.name] == "train" for folder in parts.flat)
        raise MstlError(
            f"{shape.path} has {named(parts.flat)} without class folders: if {named(with_folders)} holds the training "
            f"images, {f'name {with_folders[0].path} as the data' if trained else 'call it train/'}"
        )
    if parts.flat and all(folder.name in parts.named or is_no_class(folder.name) for folder in filled):
        raise MstlError(
            f"{shape.path} has images in {named(filled)} but no class folders there; a classifier needs a folder for "
            "each class"
        )
    datasets = [folder for folder in filled if is_dataset(folder)]
    if len(datasets) > 1:
        raise MstlError(
            f"{shape.path} has {len(datasets)} datasets in it, {named(datasets)}, each with parts of its own: name one "
            f"of them, such as {datasets[0].path}"
        )


def refuse_pieces(shape: Shape) -> None:
    """Refuse folders whose names say that they are no classes.

    Raises:
        MstlError: There are some.
    """
    names = [folder.name for folder in shape.filled]
    if are_pieces(names):
        raise MstlError(
            f"{shape.path} has its images in {named(shape.filled)}, which look like pieces of one download, not like "
            "classes: make a folder for each class, or a list with the header path,label"
        )
    if len(names) > 1 and all(is_no_class(name) for name in names):
        raise MstlError(
            f"{shape.path} has images in {named(shape.filled)}, whose names are not those of classes: make a folder "
            "for each class, or a list with the header path,label; or name the one folder that has the class folders"
        )


def once_more(shape: Shape) -> dict[str, str]:
    """The folders that hold the class folders beside them once more."""
    found = {}
    for folder in shape.filled:
        inside = folder.bottom().labels
        if len(inside) > 1 and inside == shape.labels - {folder.name.casefold()}:
            found[folder.name] = f"{folder.count:,} images: the class folders beside it once more"
    return found


def alike(folders: Sequence[Shape]) -> list[Shape]:
    """The folders that all hold the same two or more class folders, if that is more than half of them."""
    inside = {
        folder.name: frozenset(folder.bottom().labels)
        for folder in folders
        if len(folder.bottom().images) < len(folder.bottom().filled)
    }
    often = Counter(inside.values())
    names = max(
        (most for most, _ in often.most_common(COMPARED)),
        key=lambda most: (sum(number for other, number in often.items() if share(other, most)), len(most)),
        default=frozenset[str](),
    )
    same = [folder for folder in folders if share(inside.get(folder.name, frozenset()), names)]
    ordinary = all(part_of(name) or is_container(name) or is_beside(name) for name in names)
    parts_of_classes = ordinary and not any(is_dataset(folder) for folder in same)
    return same if len(names) > 1 and 2 * len(same) > len(folders) > 1 < len(same) and not parts_of_classes else []


def share(one: frozenset[str], most: frozenset[str]) -> bool:
    """Whether the folders in one folder are those in another one, or most of them, and two at least."""
    both = one & most
    return bool(both) and (one <= most or (len(both) > 1 and 2 * len(both) > len(one)))


def copies(shape: Shape) -> list[Shape]:
    """The folders that hold the same dataset, if it lies in a folder several times and nothing else does."""
    folders = shape.filled
    datasets = [folder for folder in folders if is_dataset(folder)]
    same = datasets if len(datasets) > 1 else alike(folders)
    return same if len(same) == len(folders) > 1 and all(is_copy(same[0], other) for other in same[1:]) else []


def is_copy(one: Shape, other: Shape) -> bool:
    """Whether two folders hold the same: names and sizes of all files, and the content of three in each folder."""
    one, other = one.bottom(), other.bottom()
    if one.files != other.files or [f.name for f in one.filled] != [f.name for f in other.filled]:
        return False
    pairs = [(one.path / name, other.path / name) for name in one.files]
    if not all(first.stat().st_size == second.stat().st_size for first, second in pairs):
        return False
    looked_at = {*pairs[:1], *pairs[len(pairs) // 2 :][:1], *pairs[-1:]}
    if not all(filecmp.cmp(first, second, shallow=False) for first, second in looked_at):
        return False
    return all(is_copy(*pair) for pair in zip(one.filled, other.filled, strict=True))


def hint_at_folders_inside(shape: Shape, folders: Sequence[Shape]) -> None:
    """Log what the folders in class folders are taken for, if the images lie in these alone."""
    nested = [folder for folder in folders if len(folder.filled) > 1 and not folder.images]
    inside = {inner.name: inner for folder in nested for inner in folder.filled}
    if not nested or 2 * len(nested) < len(folders):
        return
    if all(part_of(name) for name in inside):
        hint = "for parts, put train/ and val/ around the class folders"
    else:
        hint = f"for these as classes, put them side by side, or name one folder, such as {nested[0].path}"
    logger.info(
        "data: the classes are the folders in %s, such as %s/; the folders in them (%s) belong to their class; %s",
        printable(shape.path),
        printable(nested[0].name),
        some(list(inside.values())),
        hint,
    )


def named(folders: Sequence[Shape]) -> str:
    """Folders for a message: ``a/, b/ and c/``."""
    names = [f"{printable(folder.name)}/" for folder in folders[:SHOWN]]
    more = len(folders) - len(names)
    last = f"{more} more" if more else names.pop()
    return f"{', '.join(names)} and {last}" if names else last


def some(folders: Sequence[Shape]) -> str:
    """Names for a message, not too many of them."""
    return ", ".join(printable(folder.name) for folder in folders[:SHOWN]) + (", ..." if len(folders) > SHOWN else "")
