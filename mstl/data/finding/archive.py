"""Data sets that come as an archive: published ones by name, and the user's own. Each is unpacked once."""

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

from mstl.download import fetch, lock
from mstl.errors import MstlError
from mstl.files import make_folder
from mstl.runtime.environment import home

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
SAMPLE = 1 << 16  # bytes at each end of an archive that tell it from others: a zip's hold the CRCs of all its members


@dataclass(frozen=True)
class Archive:
    """A published data set.

    Attributes:
        url: Of an archive.
        inner: The folder inside it that has train/ and val/, or the class folders.
        what: One line for people.
        sha256: Of the archive; None where nobody has published one.
        names: What class folders that carry a number are called.
    """

    url: str
    inner: str
    what: str
    sha256: str | None = None
    names: dict = field(default_factory=dict)


KNOWN = {
    "Canidae": Archive(
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/intermediate/Canidae_data.zip",
        "data/Canidae",
        "dogs and wolves from ImageNet, about 300 photos, of MindSpore's tutorial (12 MB)",
    ),
    "hymenoptera": Archive(
        "https://download.pytorch.org/tutorial/hymenoptera_data.zip",
        "hymenoptera_data",
        "ants and bees, about 400 photos, of PyTorch's tutorial (47 MB)",
        "fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209",
    ),
    "cats_and_dogs": Archive(
        "https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip",
        "cats_and_dogs_filtered",
        "3,000 photos of cats and dogs from Kaggle, of TensorFlow's tutorials (69 MB)",
    ),
    "flower_photos": Archive(
        "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
        "flower_photos",
        "3,670 photos of 5 flowers, CC BY 2.0, of TensorFlow's tutorials; not divided (229 MB)",
        "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    ),
    "imagenette": Archive(
        "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
        "imagenette2-160",
        "10 easy classes of ImageNet at 160 px, about 13,000 photos, of fast.ai (about 99 MB)",
        None,  # the file has been replaced more than once
        {
            "n01440764": "tench",
            "n02102040": "English springer",
            "n02979186": "cassette player",
            "n03000684": "chain saw",
            "n03028079": "church",
            "n03394916": "French horn",
            "n03417042": "garbage truck",
            "n03425413": "gas pump",
            "n03445777": "golf ball",
            "n03888257": "parachute",
        },
    ),
}


def folder_of(name):
    """Where a known data set is, or will be."""
    return home() / "data" / name / KNOWN[name].inner


def get(name):
    """The folder of a known data set, downloaded and unpacked into ``$MSTL_HOME`` if it is not there yet.

    An archive that the user has put there is unpacked in its place, and stays, right or wrong; a downloaded one does
    not.

    Raises:
        MstlError: It cannot be downloaded, or the archive is not what it should be.
    """
    entry = KNOWN[name]
    folder = home() / "data" / name
    if (folder / entry.inner).is_dir():
        return folder / entry.inner
    make_folder(folder.parent)
    with lock(folder):
        if not (folder / entry.inner).is_dir():  # else another process was faster
            if os.path.lexists(folder):
                raise MstlError(f"{folder} is in the way: it has no folder {entry.inner}; move it elsewhere")
            archive = folder.parent / entry.url.rsplit("/", 1)[-1]
            theirs = archive.is_file()
            hint = f"copy the archive to {archive} by hand, or use --data demo, which needs no network"
            fetch(entry.url, archive, entry.sha256, hint=hint)
            try:
                unpack(archive, folder, entry.inner, entry.names)
            except MstlError as error:
                advice = "replace or delete it" if theirs else "it was deleted; try again, or " + hint
                raise MstlError(f"{error}: {advice}") from error
            finally:
                if not theirs:
                    archive.unlink(missing_ok=True)
    return folder / entry.inner


def is_archive(path):
    """Whether a file's name is that of an archive."""
    return Path(path).name.lower().endswith(SUFFIXES)


def unpacked(path):
    """The folder with the content of a user's archive, unpacked into ``$MSTL_HOME`` if it is not there yet.

    Raises:
        MstlError: It is damaged, or has something in it that must not be unpacked.
    """
    path = Path(path)
    folder = home() / "data" / f"{path.name.partition('.')[0][:80]}-{mark(path)}"
    if not folder.is_dir():
        make_folder(folder.parent)
        with lock(folder):
            if not folder.is_dir():  # else another process was faster
                unpack(path, folder)
    return folder


def mark(path):
    """Twelve digits that tell a file from others, of its size, its time and both its ends."""
    try:
        status = path.stat()
        total = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode())
        with open(path, "rb") as file:
            total.update(file.read(SAMPLE))
            file.seek(max(0, status.st_size - SAMPLE))
            total.update(file.read(SAMPLE))
    except OSError as error:
        raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
    return total.hexdigest()[:12]


def unpack(path, folder, inner="", names=None):
    """Unpack an archive into a new folder, whole or not at all.

    Args:
        path: A zip or tar; it is left as it is.
        folder: Made now. If another process has made it meanwhile, with ``inner`` in it, that one stays.
        inner: A folder that the archive must hold.
        names: What class folders in the parts of ``inner`` are to be called.

    Raises:
        MstlError: No archive, a damaged or encrypted one, one without ``inner``, or one with a member that is a link
            or no ordinary file, or would land outside ``folder``.
    """
    make_folder(folder.parent)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            fresh = Path(temporary) / folder.name
            fresh.mkdir()
            extract(path, fresh)
            if not (fresh / inner).is_dir():
                raise MstlError(f"{path} has no folder {inner}, it is not the data set {folder.name}")
            for old, new in (names or {}).items():
                for found in (fresh / inner).glob(f"*/{old}"):
                    found.rename(found.with_name(new))
            try:
                os.rename(fresh, folder)
            except OSError:
                if not (folder / inner).is_dir():
                    raise
    except OSError as error:
        raise MstlError(f"cannot unpack {path} into {folder}: {error.strerror or error}") from error


def extract(path, folder):
    """Write all members of an archive below ``folder``.

    Raises:
        MstlError: No archive, a damaged or encrypted one, or one with a member that must not be written.
        OSError: It cannot be read, or not be written.
    """
    kind = "zip" if str(path).lower().endswith(".zip") else "tar"
    try:
        extract_zip(path, folder) if kind == "zip" else extract_tar(path, folder)
    except (MstlError, OSError) as error:
        if isinstance(error, OSError) and error.errno is None:  # gzip and bz2 say so that the bytes are not theirs
            raise MstlError(f"{path} is no {kind}, or is damaged ({error})") from error
        raise
    except Exception as error:  # the decompressors raise a dozen kinds on bytes that are not as they should be
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MstlError(f"{path} is no {kind}, or is damaged ({reason})") from error


def extract_zip(path, folder):
    """Write a zip's members, each checked against its CRC."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            check_name(path, member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                raise MstlError(f"{path} holds {member.filename!r}, which is a link")
            if member.flag_bits & 1:
                raise MstlError(f"{path} is encrypted")
        archive.extractall(folder)


def extract_tar(path, folder):
    """Write a tar's members, with the permissions of new files."""
    with tarfile.open(path) as archive:
        for member in archive:
            check_name(path, member.name)
            if not member.isfile() and not member.isdir():
                kind = "a link" if member.issym() or member.islnk() else "no ordinary file"
                raise MstlError(f"{path} holds {member.name!r}, which is {kind}")
            place = folder / member.name
            if member.isdir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with archive.extractfile(member) as content, open(place, "wb") as file:
                shutil.copyfileobj(content, file)
        archive.fileobj.seek(archive.offset)
        if archive.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
            raise tarfile.ReadError("it breaks off")  # tarfile itself takes a cut header for the end
        while archive.fileobj.read(1 << 20):  # to the last byte, where a compressed file has its checksum
            pass


def check_name(path, name):
    """Refuse a member that would land outside the folder."""
    parts = PureWindowsPath(name)  # knows the separators and absolute paths of all systems
    if not name or parts.anchor or ".." in parts.parts:
        raise MstlError(f"{path} holds {name!r}, which would land outside its folder")
