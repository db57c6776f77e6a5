"""Archives in archives, and folders of archives: a zip a class, a zip a part, a zip in a zip."""

import functools
import logging
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from mstl.data.finding.archives.archive_kinds import is_archive, is_named_archive, without_suffix
from mstl.data.finding.archives.archive_limits import Limits
from mstl.data.finding.archives.archive_reading import extract
from mstl.data.finding.folders.folder import find_classes, visible
from mstl.data.finding.folders.other_folders import why_no_data
from mstl.data.image_files import has_image_suffix, printable
from mstl.errors import MstlError
from mstl.files import temporary_name

logger = logging.getLogger("mstl")
DEPTH = 3  # archives in archives in archives
SAMPLES = "-samples"  # what Teachable Machine adds to the name of a class
NUMBERED = re.compile(r"(.+)-\d{3}")  # how Google Drive names the zips into which it divides one folder
LIST = re.compile(r".*\.[ct]sv|(train|val|test).*\.txt", re.I | re.S)  # a README.txt is none
OWN = ("check.csv", "predictions.csv")  # of mstl data check and mstl evaluate
SHOWN = 5


def archives_of(folder: Path) -> list[Path]:
    """The archives that a folder is made of; none if it holds classes, images or a list itself.

    Raises:
        MstlError: The folder cannot be read.
    """
    names = visible(folder)
    if any(map(has_image_suffix, names)):
        return []
    archives = [folder / name for name in names if is_archive(folder / name) and (folder / name).is_file()]
    if not archives or find_classes(folder):
        return []
    lists = [name for name in names if LIST.fullmatch(name) and name not in OWN]
    if lists:
        say_not_unpacked(folder, shown(archives), lists[0])
    return [] if lists else archives


@functools.cache  # said once, however often the folder is looked at
def say_not_unpacked(folder: Path, archives: str, beside: str) -> None:
    """Say that a folder is not taken for one of archives, because of a list."""
    logger.info("data: the archives in %s (%s) are not unpacked, as %s lies beside them", folder, archives, beside)


def extract_each(archives: Iterable[Path], folder: Path, limits: Limits) -> None:
    """Unpack archives, each into a folder of its name below ``folder``; numbered parts of one folder into one.

    Raises:
        MstlError: See :func:`mstl.data.finding.archives.archive_reading.extract`; or two have the same name.
        OSError: Something cannot be read or written.
    """
    names = {path: without_suffix(path.name) for path in archives}
    if all(name.lower().endswith(SAMPLES) for name in names.values()):
        names = {path: name[: -len(SAMPLES)] for path, name in names.items()}
    numbered = {path: match[1] for path, name in names.items() if (match := NUMBERED.fullmatch(name))}
    for path, name in names.items():
        together = list(numbered.values()).count(numbered.get(path, "")) > 1
        place = folder / (numbered[path] if together else name or "archive")
        if place.exists() and not together:
            raise MstlError(f"{limits.path} has {path.name} beside {place.name}, whose folder is the same: rename one")
        place.mkdir(exist_ok=True)
        extract(path, place, limits)
        if not together:
            lift(place)


def lift(folder: Path) -> None:
    """Take out the folder that is all a folder holds, if both have the same name: ``train/`` in ``train.zip``."""
    inside = [name for name in visible(folder) if not why_no_data(folder / name)]
    if len(inside) == 1 and inside[0].casefold() == folder.name.casefold() and (folder / inside[0]).is_dir():
        aside = temporary_name(folder)
        (folder / inside[0]).rename(aside)
        shutil.rmtree(folder)
        aside.rename(folder)


def extract_inner(folder: Path, limits: Limits, depth: int = 1) -> None:
    """Unpack the archives in a folder that holds no images, each beside itself, and those in them.

    Raises:
        MstlError: See :func:`extract_each`; or archives lie in archives without an end.
        OSError: Something cannot be read or written.
    """
    files = [Path(where) / name for where, _, names in os.walk(folder) for name in sorted(names) if name[0] != "."]
    images = any(has_image_suffix(file) for file in files)
    archives = [file for file in files if (is_named_archive(file) if images else is_archive(file))]
    if not archives:
        return
    if images:
        logger.warning(
            "data: archives in %s are not unpacked, as images are there: %s", limits.path.name, shown(archives)
        )
        return
    if depth > DEPTH:
        raise MstlError(f"{limits.path} has archives in archives, over {DEPTH} deep: unpack it, and give the folder")
    for where in sorted({file.parent for file in archives}):
        inside = [file for file in archives if file.parent == where]
        logger.info("data: unpacking %s in %s", shown(inside), limits.path.name)
        try:
            extract_each(inside, where, limits)
        except MstlError as error:
            message = str(error).replace(f"{folder}{os.sep}", "")
            raise type(error)(message if str(limits.path) in message else f"{limits.path}: in it, {message}") from error
        for file in inside:
            file.unlink()
    extract_inner(folder, limits, depth + 1)


def shown(paths: list[Path]) -> str:
    """The names of some files, on one line."""
    more = len(paths) - SHOWN
    names = ", ".join(printable(path.name) for path in paths[:SHOWN])
    return names + (f" and {more} more" if more > 0 else "")
