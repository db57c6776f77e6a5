"""Kinds of archives: what a file is by its first bytes, whatever its name, and what to do with one that is not read."""

import os
import re
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from mstl.data.image_files import has_image_suffix
from mstl.errors import MstlError

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
OTHER_SUFFIXES = (".7z", ".rar", ".tar.zst", ".tzst", ".tar.lz", ".tar.z", ".cab")  # refused, as what they are
ONE_OF_SEVERAL = re.compile(r"\.(z\d\d|r\d\d|part\d+\.rar|(zip|7z|tar|tgz|tar\.\w+)\.(\d{2,3}|a[a-z]|part\w*))$", re.I)
BEGINNINGS = {
    b"PK\3\4": "zip",
    b"PK\5\6": "zip",
    b"PK\7\x08": "zip",
    b"PK00": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z archive",
    b"Rar!\x1a\x07": "RAR archive",
    b"\x28\xb5\x2f\xfd": "file compressed by Zstandard",
    b"LZIP": "file compressed by lzip",
    b"\x1f\x9d": "file compressed by compress",
    b"MSCF": "Windows cabinet",
}
READ = ("zip", "tar", "gzip", "bzip2", "xz")
END, END_SIZE = b"PK\5\6", 22  # the end record of a zip; a comment of up to 65,535 bytes may follow
AGAIN = "copy or download it again"


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an archive, or at least is named like one.

    One of another name, such as a download without a suffix, must be seen to hold images: weights and documents are
    zips, too.
    """
    if is_named_archive(path):
        return True
    with suppress(OSError):
        kind = kind_of(Path(path)) if os.path.isfile(path) else ""
        return holds_images(Path(path), kind) if kind in READ else kind in BEGINNINGS.values()
    return False


def is_named_archive(path: str | os.PathLike[str]) -> bool:
    """Whether a file is named like an archive, or like a part of one."""
    name = Path(path).name.lower()
    return name.endswith((*ARCHIVE_SUFFIXES, *OTHER_SUFFIXES)) or ONE_OF_SEVERAL.search(name) is not None


def without_suffix(name: str) -> str:
    """A file's name without the suffix of an archive; any other name as it is, such as ``v1.2-images``."""
    suffix = max((suffix for suffix in ARCHIVE_SUFFIXES if name.lower().endswith(suffix)), key=len, default="")
    return name[: len(name) - len(suffix)]


def kind_of(path: Path) -> str:
    """What a file is by its content: one of ``READ``, another of ``BEGINNINGS``; "" if it is neither.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        beginning = file.read(512)
    for bytes_, kind in BEGINNINGS.items():
        if beginning.startswith(bytes_):
            return kind
    return "tar" if beginning[257:262] == b"ustar" else ""


def holds_images(path: Path, kind: str) -> bool:
    """Whether there is a member with the name of an image; False if the archive cannot be read."""
    with suppress(Exception):  # the decompressors raise a dozen kinds of errors for damaged bytes
        if kind == "zip":
            with zipfile.ZipFile(path) as zipped:
                return any(has_image_suffix(name) for name in zipped.namelist())
        with tarfile.open(path) as archive:
            return any(has_image_suffix(member.name) for member in archive)
    return False


def refuse_other_kinds(path: Path) -> str:
    """What an archive is: "zip", "tar", or what a tar is compressed by.

    Raises:
        MstlError: The file is something else, or one of several parts; the message says what it is, and what to do.
        OSError: It cannot be read.
    """
    kind = kind_of(path)
    zipped = kind == "zip" or (not kind and path.name.lower().endswith(".zip"))
    if ONE_OF_SEVERAL.search(path.name) or (zipped and is_last_part(path)):
        raise MstlError(
            f"{path} is one of several parts of an archive: unpack it with all its parts beside it, or join them, and "
            "give what comes of it"
        )
    if kind and kind not in READ:
        raise MstlError(
            f"{path} is a {kind}, which mstl does not read: unpack it, and give the folder, or pack it as a zip"
        )
    if kind == "zip" and not zipfile.is_zipfile(path):
        raise MstlError(f"{path} breaks off before its end, or is damaged: {AGAIN}")
    if kind:
        return kind
    with open(path, "rb") as file:
        refuse_by_beginning(path, file.read(512).lstrip().lower())
    return "zip" if zipped else "tar"


def refuse_by_beginning(path: Path, beginning: bytes) -> None:
    """Refuse what is downloaded in place of an archive.

    Raises:
        MstlError: It is empty, a web page, a pointer of git-lfs or an image.
    """

    def refuse(what: str, advice: str) -> NoReturn:
        raise MstlError(f"{path} is {what}, and no archive: {advice}")

    if path.stat().st_size == 0:
        refuse("empty", AGAIN)
    if beginning.startswith((b"<!doctype html", b"<html")):
        refuse("a web page", "the site may want you to log in or to confirm; download it with a browser")
    if beginning.startswith(b"<?xml"):
        refuse("an XML page", "the address may have expired; download it again")
    if beginning.startswith(b"version https://git-lfs"):
        refuse("a pointer of git-lfs", "get the file itself with `git lfs pull`")
    if beginning.startswith((b"\xff\xd8\xff", b"\x89png", b"gif8")):
        refuse("an image", "give the folder with the images")


def is_last_part(path: Path) -> bool:
    """Whether a zip says that it is split: by its first bytes, or by the disk numbers in its end record."""
    with open(path, "rb") as file:
        if file.read(4) == b"PK\7\x08":
            return True
        file.seek(max(0, path.stat().st_size - END_SIZE - 0xFFFF))
        end = file.read()
    where = end.rfind(END)
    disk = end[where + 4 : where + 6]
    return where >= 0 and disk not in (b"\0\0", b"\xff\xff")  # in a zip64, the number is elsewhere
