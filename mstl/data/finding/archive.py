"""Archives: a zip or tar with a dataset, unpacked once and safely."""

import hashlib
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath

from mstl.errors import MstlError
from mstl.files import atomic_folder, lock, make_folder
from mstl.runtime.environment import home

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MARKED = 1 << 16  # bytes hashed at each end of an archive: a zip's end holds the CRCs of all its members


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of an archive."""
    return Path(path).name.lower().endswith(ARCHIVE_SUFFIXES)


def without_suffix(name: str) -> str:
    """A file's name without the suffix of an archive; any other name as it is, such as ``v1.2-images``."""
    suffix = max((suffix for suffix in ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), key=len, default="")
    return name[: len(name) - len(suffix)]


def unpacked(path: str | os.PathLike[str]) -> Path:
    """The folder with the content of a user's archive, unpacked into ``$MSTL_HOME`` if it is not there yet.

    Raises:
        MstlError: The archive is damaged, or has a member that must not be unpacked.
    """
    path = Path(path)
    folder = home() / "data" / f"{path.name.partition('.')[0][:80]}-{mark(path)}"
    if not folder.is_dir():
        make_folder(folder.parent)
        with lock(folder):
            if not folder.is_dir():  # else another process was faster
                unpack(path, folder)
    return folder


def mark(path: Path) -> str:
    """Twelve hexadecimal digits that tell a file from others, from its size, modification time and both ends.

    Raises:
        MstlError: The file cannot be read.
    """
    try:
        status = path.stat()
        total = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode())
        with open(path, "rb") as file:
            total.update(file.read(MARKED))
            file.seek(max(0, status.st_size - MARKED))
            total.update(file.read(MARKED))
    except OSError as error:
        raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
    return total.hexdigest()[:12]


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
    try:
        with atomic_folder(folder) as fresh:
            extract(path, fresh)
            if not (fresh / inner).is_dir():
                raise MstlError(f"{path} has no folder {inner}, it is not the dataset {folder.name}")
            for old, new in (names or {}).items():
                for found in (fresh / inner).glob(f"*/{old}"):
                    found.rename(found.with_name(new))
    except OSError as error:
        if (folder / inner).is_dir():  # another process was faster
            return
        raise MstlError(f"cannot unpack {path} into {folder}: {error.strerror or error}") from error


def extract(path: Path, folder: Path) -> None:
    """Write all members of an archive below ``folder``.

    Raises:
        MstlError: The file is not an archive, is damaged or encrypted, or has a member that must not be written.
        OSError: Something cannot be read or written.
    """
    kind = "zip" if str(path).lower().endswith(".zip") else "tar"
    try:
        if kind == "zip":
            extract_zip(path, folder)
        else:
            extract_tar(path, folder)
    except (MstlError, OSError) as error:
        if isinstance(error, OSError) and error.errno is None:  # gzip and bz2 raise this for bytes that are not theirs
            raise MstlError(f"{path} is no {kind}, or is damaged ({error})") from error
        raise
    except Exception as error:  # the decompressors raise a dozen kinds of errors for damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MstlError(f"{path} is no {kind}, or is damaged ({reason})") from error


def extract_zip(path: Path, folder: Path) -> None:
    """Write a zip's members, each checked against its CRC."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            check_name(path, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise MstlError(f"{path} holds {member.filename!r}, which is a link")
            if member.flag_bits & 1:
                raise MstlError(f"{path} is encrypted")
        archive.extractall(folder)


def extract_tar(path: Path, folder: Path) -> None:
    """Write a tar's members, with the permissions of new files."""
    with tarfile.open(path) as archive:
        for member in archive:
            check_name(path, member.name)
            if not member.isfile() and not member.isdir():
                kind = "a link" if member.issym() or member.islnk() else "not a regular file"
                raise MstlError(f"{path} holds {member.name!r}, which is {kind}")
            place = folder / member.name
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(member)
            if content is None:  # only for members that are neither files nor links
                raise tarfile.ReadError(f"{member.name!r} has no content")
            with content, open(place, "wb") as file:
                shutil.copyfileobj(content, file)
        read_to_the_end(archive)


def read_to_the_end(archive: tarfile.TarFile) -> None:
    """Read a tar to its last byte, where a compressed file has its checksum.

    Raises:
        tarfile.ReadError: The end mark is missing; tarfile itself takes a header that is cut off for the end.
    """
    stream = archive.fileobj
    if stream is None:
        raise tarfile.ReadError("it is closed")
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it breaks off")
    while stream.read(1 << 20):
        pass


def check_name(path: Path, name: str) -> None:
    """Refuse a member that would land outside of the folder.

    Raises:
        MstlError: It would.
    """
    parts = PureWindowsPath(name)  # knows the separators and absolute paths of all systems
    if not name or parts.anchor or ".." in parts.parts:
        raise MstlError(f"{path} holds {name!r}, which would land outside its folder")
