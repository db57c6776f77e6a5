"""Unused: what lies in the folder of a dataset and is not used, said in one line."""

import logging
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from mstl.data.finding.folders.not_classes import is_copy
from mstl.data.finding.folders.part_folders import Parts
from mstl.data.finding.folders.part_names import Part
from mstl.data.finding.folders.shape import Shape
from mstl.data.image_files import has_image_suffix, printable

logger = logging.getLogger("mstl")
SHOWN = 5  # folders that are named in one message
DOCUMENTS = re.compile(
    r"(review\.csv|readme|licen[cs]e|copying|notice|thumbs\.db|desktop\.ini|icon\r).*|.*\.(md|rst|html?|pdf|docx?)",
    re.I,
)


class Unused(NamedTuple):
    """Something that is not used: its path, why, and how many images it holds."""

    path: str
    reason: str
    images: int = 0


def log_unused(unused: Iterable[Unused]) -> None:
    """Say on one line what is not used and why, the most images first; a warning where there are images."""
    ordered = sorted(unused, key=lambda one: -one.images)
    shown = [f"{printable(one.path)} ({one.reason})" for one in ordered[:SHOWN]]
    more = len(ordered) - len(shown)
    if ordered:
        level = logging.WARNING if ordered[0].images else logging.INFO
        logger.log(level, "data: not used: %s%s", ", ".join(shown), f" and {more} more" if more else "")


def beside_parts(parts: Parts) -> list[Unused]:
    """What lies beside the parts of a dataset."""
    train = parts.chosen["train"].labels
    found = [Unused(str(folder.path), why(folder, parts, train), folder.count) for folder in parts.rest]
    for part, folders in parts.candidates.items():
        found += around(folders[0], parts.chosen[part])
    return found + [Unused(path, reason) for path, reason in parts.shape.skipped.items()] + loose(parts.shape)


def why(folder: Shape, parts: Parts, train: set[str]) -> str:
    """Why a folder beside the parts is not used, with the number of its files."""
    part: Part | None = parts.named.get(folder.name)
    if not folder.holds_images:
        return without_images(folder)
    if part in parts.candidates and folder in parts.candidates[part]:
        return f"{images(folder.count)}; {parts.candidates[part][0].name}/ is used"
    if part is not None:
        return f"{images(folder.count)}, but no class folders"
    inside = folder.bottom().labels
    if len(inside) > 1 and inside <= train:
        return f"{images(folder.count)} in the same class folders; call it val/ or test/ to use it"
    return images(folder.count)


def around(outer: Shape, inner: Shape) -> list[Unused]:
    """What lies around a folder inside another one that only wraps it."""
    found: list[Unused] = []
    while outer.path != inner.path:
        way = outer.only()
        if way is None:
            break
        found += siblings(outer, way) + loose(outer)
        outer = way
    return found


def siblings(outer: Shape, used: Shape) -> list[Unused]:
    """What lies beside the one folder that is used, empty folders too."""
    found = []
    for folder in outer.folders:
        if folder is not used:
            reason = images(folder.count) if folder.holds_images else without_images(folder)
            once_more = ", the same folders and files once more" if is_copy(used, folder) else ""
            found.append(Unused(str(folder.path), reason + once_more, folder.count))
    return found + [Unused(path, reason) for path, reason in outer.skipped.items()]


def loose(shape: Shape, with_images: bool = True) -> list[Unused]:
    """The files in a folder, without what documents it; in one entry."""
    names = [name for name in shape.files if not DOCUMENTS.fullmatch(name)]
    names = [name for name in names if with_images or not has_image_suffix(name)]
    if not names:
        return []
    count = sum(has_image_suffix(name) for name in names)
    reason = "a file beside the folders"
    if len(names) > 1:
        reason = f"and others: {f'{count} of ' if count else ''}{len(names)} files beside the folders"
        reason += " are images" if count else ""
    return [Unused(os.path.join(shape.path, names[0]), reason, count)]


def without_images(folder: Shape) -> str:
    """Why a folder without images is not used."""
    count = sum(1 for _ in folder.walk())
    return f"{count:,} file{'s' * (count != 1)}, no images" if count else "empty"


def images(count: int) -> str:
    """A number of images in words."""
    return f"{count:,} image{'s' * (count != 1)}"
