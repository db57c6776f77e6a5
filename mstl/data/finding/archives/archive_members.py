"""Members of a zip or a tar: their names, sizes and contents, one after the other, none of them trusted."""

import bz2
import contextlib
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast

from mstl.data.finding.archives.archive_limits import Limits
from mstl.data.finding.archives.archive_names import Guess, encoding_of
from mstl.errors import MstlError

UTF8_FLAG, ENCRYPTED_FLAG = 0x800, 0x1
FOLDER_ATTRIBUTE = 0x10  # of MS-DOS
UNICODE_PATH = 0x7075  # Info-ZIP's extra field: version, CRC of the name, and the name in UTF-8
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
Said = Callable[[Guess, str], None]


class Member(NamedTuple):
    """A file or folder in an archive.

    Attributes:
        name: As in the archive, decoded; not yet safe.
        is_folder: Whether it is a folder.
        size: Bytes, as the archive has it.
        open: Opens its content.
    """

    name: str
    is_folder: bool
    size: int
    open: Callable[[], IO[bytes]]


def zip_members(path: Path, limits: Limits, guessed: Said) -> Iterator[Member]:
    """The members of a zip, each checked against its CRC when it is read.

    Args:
        path: The zip.
        limits: What all members take is counted before the first is given.
        guessed: Called with an encoding that was guessed, and a name read so.

    Raises:
        MstlError: It is encrypted, or compressed in a way that Python does not read; or a member is a link.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        for member in members:
            if stat.S_ISLNK(member.external_attr >> 16):
                raise MstlError(f"{path} holds {member.filename!r}, which is a link")
            if member.flag_bits & ENCRYPTED_FLAG:
                raise MstlError(f"{path} is encrypted: unpack it with its password, and give the folder")
            if member.compress_type not in METHODS:
                raise MstlError(
                    f"{path} is compressed by method {member.compress_type}, which mstl does not read: unpack it, "
                    "and give the folder"
                )
        limits.take(len(members), sum(member.file_size for member in members))
        names = zip_names(members, guessed)
        for member, name in zip(members, names, strict=True):
            is_folder = name.endswith(("/", "\\")) or (
                bool(member.external_attr & FOLDER_ATTRIBUTE) and not member.file_size
            )
            yield Member(name, is_folder, member.file_size, lambda member=member: archive.open(member))  # type: ignore[misc]


def zip_names(members: Collection[zipfile.ZipInfo], guessed: Said) -> list[str]:
    """The names of a zip's members: by the flag, by Info-ZIP's field, else in the encoding in which all make sense."""
    stored = [member.orig_filename for member in members]
    unknown = {}
    for index, member in enumerate(members):
        if not member.flag_bits & UTF8_FLAG and not stored[index].isascii():
            raw = stored[index].encode("cp437")  # as zipfile has read it
            named = unicode_path(member.extra, raw)
            if named is None:
                unknown[index] = raw
            else:
                stored[index] = named
    if unknown:
        guess = encoding_of(unknown.values())
        for index, raw in unknown.items():
            stored[index] = raw.decode(guess.encoding)
        if not guess.certain:
            guessed(guess, stored[min(unknown)])
    return [name.partition("\0")[0] for name in stored]


def unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in Info-ZIP's field for names in UTF-8; None if there is none, or it is about another name."""
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        content = extra[4 : 4 + size]
        if kind == UNICODE_PATH and content[:5] == b"\1" + struct.pack("<L", zlib.crc32(raw)):
            with contextlib.suppress(UnicodeDecodeError):
                return content[5:].decode()
        extra = extra[4 + size :]
    return None


def tar_members(path: Path, kind: str, limits: Limits, guessed: Said) -> Iterator[Member]:
    """The members of a tar; what each takes is counted before it is given.

    Args:
        path: The tar.
        kind: "tar", or what it is compressed by: "gzip", "bzip2" or "xz".
        limits: They also hold for what is decompressed, whatever it is.
        guessed: Called with an encoding that was guessed, and a name read so.

    Raises:
        MstlError: A member is a link, or no regular file.
    """
    names: dict[str, str] | None = None
    with open_tar(path, kind, limits) as archive:
        for member in archive:
            if not member.isfile() and not member.isdir():
                what = "a link" if member.issym() or member.islnk() else "not a regular file"
                raise MstlError(f"{path} holds {member.name!r}, which is {what}")
            limits.take(1, member.size)
            if names is None and not_certain(member):
                names = names_in_tar(path, kind, limits, guessed)
            name = (names or {}).get(member.name, member.name)
            yield Member(name, member.isdir(), member.size, lambda member=member: content_of(archive, member))  # type: ignore[misc]
        read_to_the_end(archive)


def raw_name(member: tarfile.TarInfo) -> bytes:
    """The name of a member of a tar as it is stored; b"" where a header of POSIX says that it is UTF-8."""
    return b"" if "path" in member.pax_headers else member.name.encode("utf-8", "surrogateescape")


def not_certain(member: tarfile.TarInfo) -> bool:
    """Whether a name is neither ASCII nor UTF-8 for certain, so that it must be read as all others are."""
    raw = raw_name(member)
    return not raw.isascii() and not encoding_of([raw]).certain


def names_in_tar(path: Path, kind: str, limits: Limits, guessed: Said) -> dict[str, str]:
    """The names in a tar in the encoding in which all of them make sense, by their names as tarfile has them."""
    with open_tar(path, kind, limits) as archive:
        stored = {member.name: raw for member in archive if not (raw := raw_name(member)).isascii()}
    guess = encoding_of(stored.values())
    if guess.certain:
        return {}
    names = {name: raw.decode(guess.encoding) for name, raw in stored.items()} if guess.makes_sense else {}
    name = next(iter(stored))
    guessed(guess, names.get(name, name))
    return names  # where they make no sense, their bytes stay as they are: tar has no encoding that would apply


def decompressed(path: Path, kind: str) -> IO[bytes]:
    """Open a tar, or what a tar is compressed by."""
    if kind == "gzip":
        return cast(IO[bytes], gzip.open(path))
    if kind == "bzip2":
        return bz2.open(path)
    return lzma.open(path) if kind == "xz" else open(path, "rb")


@contextlib.contextmanager
def open_tar(path: Path, kind: str, limits: Limits) -> Iterator[tarfile.TarFile]:
    """Open a tar, of which no more is decompressed than the limits allow."""
    with (
        decompressed(path, kind) as stream,
        tarfile.open(
            fileobj=cast(BinaryIO, LimitedReader(stream, limits)), mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as archive,
    ):
        yield archive


def content_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """The content of a regular file in a tar."""
    content = archive.extractfile(member)
    if content is None:  # only for members that are neither files nor links
        raise tarfile.ReadError(f"{member.name!r} has no content")
    return content


class LimitedReader(io.BufferedIOBase):
    """A stream that ends in an error where it exceeds the limits: headers, and what follows the end, may be endless."""

    def __init__(self, stream: IO[bytes], limits: Limits) -> None:
        self.stream, self.limits = stream, limits

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, but not many more than the limits allow."""
        at = self.stream.tell()
        most = max(0, self.limits.most - at) + 1
        content = self.stream.read(most if size is None or size < 0 else min(size, most))
        self.limits.check(at + len(content))
        return content

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a position from the beginning on."""
        self.limits.check(offset)
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self.stream.tell()


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
