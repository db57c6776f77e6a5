"""Archives: a zip or tar with a dataset, unpacked once and safely."""

import contextlib
import functools
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mstl.data.finding.archives.archive_kinds import ARCHIVE_SUFFIXES, is_archive, refuse_other_kinds, without_suffix
from mstl.data.finding.archives.archive_limits import Limits
from mstl.data.finding.archives.archive_names import shortened
from mstl.data.finding.archives.archive_reading import DamagedArchiveError, extract
from mstl.data.finding.archives.inner_archives import archives_of, extract_each, extract_inner
from mstl.data.finding.archives.unpacked_copies import describe, remove_leftovers, touch
from mstl.data.finding.folders.folder import find_classes, visible
from mstl.data.finding.lists.list_file import LIST_SUFFIXES
from mstl.data.image_files import has_image_suffix, printable
from mstl.errors import MstlError
from mstl.files import atomic_folder, lock, make_folder
from mstl.runtime.environment import home

logger = logging.getLogger("mstl")
__all__ = ["ARCHIVE_SUFFIXES", "is_archive", "unpack", "unpacked", "unpacked_folder", "without_suffix"]
MARKED = 1 << 16  # bytes hashed at each end of an archive: a zip's end holds the CRCs of all its members
NAMED = 60  # bytes of an archive's name that are kept in that of its folder
VERSION = 2  # of how archives are unpacked; part of the mark, so that a change unpacks them anew


def unpacked(path: str | os.PathLike[str]) -> Path:
    """The folder with the content of a user's archive, unpacked into ``$MSTL_HOME`` if it is not there yet.

    Archives in it that hold its images are unpacked, too.

    Raises:
        MstlError: The archive is damaged or no archive, exceeds the limits, or has a member that must not be unpacked.
    """
    path = Path(path)
    try:
        refuse_other_kinds(path)
    except OSError as error:
        raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
    folder = unpacked_once(path, [path], extract)
    hint_at_classes(path, folder)
    return folder


def unpacked_folder(folder: Path) -> Path:
    """The folder itself; if it holds archives in place of data, the folder in which each is unpacked under its name.

    Raises:
        MstlError: See :func:`unpacked`.
    """
    archives = archives_of(folder)
    if not archives:
        return folder
    return unpacked_once(folder.resolve(), archives, lambda path, fresh, limits: extract_each(archives, fresh, limits))


def unpacked_once(path: Path, archives: Sequence[Path], fill: Callable[[Path, Path, Limits], None]) -> Path:
    """The folder with the content of archives, filled if it is not there yet.

    Args:
        path: The archive, or the folder of archives.
        archives: All that is unpacked; if one has changed, the folder is another.
        fill: Gets ``path``, a new folder and the limits.
    """
    total = mark(path) if archives == [path] else mark_of_all(archives)
    name = path.name.replace(".", "_") if path.is_dir() else path.name.partition(".")[0]
    folder = home() / "data" / f"{shortened(name, NAMED)}-{total}"
    if not folder.is_dir():
        make_folder(folder.parent)
        with lock(folder):
            if not folder.is_dir():  # else another process was faster
                remove_leftovers(folder)
                size = sum(archive.stat().st_size for archive in archives)
                logger.info("data: unpacking %s (%.1f MB) into %s", printable(path.name), size / 1e6, printable(folder))
                with fresh_folder(path, folder) as fresh:
                    limits = Limits(path, size, fresh)
                    try:
                        fill(path, fresh, limits)
                        extract_inner(fresh, limits)
                    except DamagedArchiveError as error:
                        raise MstlError(f"{error}: copy or download it again") from error
                    describe(fresh, path)
    touch(folder)
    return folder


@functools.cache  # said once, however often the archive is looked at
def hint_at_classes(path: Path, folder: Path) -> None:
    """Say what to do with an archive of images without folders, as Teachable Machine exports one for each class."""
    names = visible(folder)
    loose = sum(map(has_image_suffix, names))
    if loose and not find_classes(folder) and not any(name.lower().endswith(LIST_SUFFIXES) for name in names):
        logger.warning(
            "data: %s holds %d images, but no folder for each class: if it is one class, put it into a folder with the "
            "archives of the others (cat.zip, dog.zip), and give that folder",
            printable(path.name),
            loose,
        )


def mark(path: Path) -> str:
    """Twelve hexadecimal digits that tell a file from others, from its size, modification time and both ends.

    Raises:
        MstlError: The file cannot be read.
    """
    try:
        status = path.stat()
        total = hashlib.sha256(f"{VERSION} {status.st_size} {status.st_mtime_ns}".encode())
        with open(path, "rb") as file:
            total.update(file.read(MARKED))
            file.seek(max(0, status.st_size - MARKED))
            total.update(file.read(MARKED))
    except OSError as error:
        raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
    return total.hexdigest()[:12]


def mark_of_all(paths: Sequence[Path]) -> str:
    """The same for several files, and their names.

    Raises:
        MstlError: One cannot be read.
    """
    marks = b"".join(os.fsencode(path.name) + b"\0" + mark(path).encode() for path in paths)
    return hashlib.sha256(marks).hexdigest()[:12]


def unpack(path: Path, folder: Path, inner: str = "", names: Mapping[str, str] | None = None) -> None:
    """Unpack an archive into a new folder, whole or not at all.

    Args:
        path: A zip or tar; it is not changed.
        folder: Created by this call. If another process has created it meanwhile, with ``inner`` in it, that one stays.
        inner: A folder that the archive must contain.
        names: New names for class folders in the splits of ``inner``, by their old names.

    Raises:
        MstlError: The file is not an archive, is damaged or encrypted, or lacks ``inner``; or a member of it is a link
            or not a regular file, or would land outside of ``folder``.
    """
    make_folder(folder.parent)
    with fresh_folder(path, folder, inner) as fresh:
        extract(path, fresh, Limits(path, path.stat().st_size, fresh))
        if not (fresh / inner).is_dir():
            raise MstlError(f"{path} has no folder {inner}, it is not the dataset {folder.name}")
        for old, new in (names or {}).items():
            for found in (fresh / inner).glob(f"*/{old}"):
                found.rename(found.with_name(new))


@contextlib.contextmanager
def fresh_folder(path: Path, folder: Path, inner: str = "") -> Iterator[Path]:
    """Yield an empty folder, which becomes ``folder`` if the block succeeds, and is removed otherwise.

    Raises:
        MstlError: Something cannot be read or written, and no other process has made ``folder`` with ``inner`` in it.
    """
    try:
        with atomic_folder(folder) as fresh:
            yield fresh
    except OSError as error:
        if not (folder / inner).is_dir():  # else another process was faster
            raise MstlError(f"cannot unpack {path} into {folder}: {error.strerror or error}") from error
