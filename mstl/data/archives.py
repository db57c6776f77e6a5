"""Data sets that are downloaded as an archive and unpacked once."""

import os
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from mstl.errors import MstlError
from mstl.fetch import fetch, lock
from mstl.files import make_folder
from mstl.runtime import home


@dataclass(frozen=True)
class Archive:
    """A published data set.

    Attributes:
        url: Of a zip.
        inner: The folder inside it that has train/ and val/.
        what: One line for people.
    """

    url: str
    inner: str
    what: str


KNOWN = {
    "Canidae": Archive(
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/intermediate/Canidae_data.zip",
        "data/Canidae",
        "dogs and wolves from ImageNet, of MindSpore's tutorial",
    ),
}


def get(name):
    """The folder of a known data set, downloaded and unpacked into ``$MSTL_HOME`` if it is not there yet.

    A zip that the user has put there is unpacked in its place, and stays, right or wrong; a downloaded one does not.

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
            zip_path = folder.parent / entry.url.rsplit("/", 1)[-1]
            theirs = zip_path.is_file()
            hint = f"copy the zip to {zip_path} by hand, or use --data demo, which needs no network"
            fetch(entry.url, zip_path, hint=hint)
            try:
                unpack(zip_path, folder, entry.inner)
            except MstlError as error:
                advice = "replace or delete it" if theirs else "it was deleted; try again, or " + hint
                raise MstlError(f"{error}: {advice}") from error
            finally:
                if not theirs:
                    zip_path.unlink(missing_ok=True)
    return folder / entry.inner


def unpack(zip_path, folder, inner=""):
    """Unpack a zip into a new folder, whole or not at all.

    Args:
        zip_path: The zip; it is left as it is.
        folder: Made now. If another process has made it meanwhile, with ``inner`` in it, that one stays.
        inner: A folder that the zip must hold.

    Raises:
        MstlError: No zip, a damaged or encrypted one, one without ``inner``, or one with a member that is a link or
            would land outside ``folder``.
    """
    make_folder(folder.parent)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            fresh = Path(temporary) / folder.name
            fresh.mkdir()
            extract(zip_path, fresh)
            if not (fresh / inner).is_dir():
                raise MstlError(f"{zip_path} has no folder {inner}, it is not the data set {folder.name}")
            try:
                os.rename(fresh, folder)
            except OSError:
                if not (folder / inner).is_dir():
                    raise
    except OSError as error:
        raise MstlError(f"cannot unpack {zip_path} into {folder}: {error.strerror or error}") from error


def extract(zip_path, folder):
    """Write all members of a zip below ``folder``, each checked against its CRC.

    Raises:
        MstlError: No zip, a damaged or encrypted one, or one with a member that must not be written.
        OSError: It cannot be read, or not be written.
    """
    try:
        with zipfile.ZipFile(zip_path) as archive:
            for member in archive.infolist():
                name = PureWindowsPath(member.filename)  # knows the separators and absolute paths of all systems
                if not member.filename or name.anchor or ".." in name.parts:
                    raise MstlError(f"{zip_path} holds {member.filename!r}, which would land outside its folder")
                if stat.S_ISLNK(member.external_attr >> 16):
                    raise MstlError(f"{zip_path} holds {member.filename!r}, which is a link")
                if member.flag_bits & 1:
                    raise MstlError(f"{zip_path} is encrypted")
            archive.extractall(folder)
    except (MstlError, OSError):
        raise
    except Exception as error:  # zipfile and the decompressors raise a dozen kinds on bytes that are not as they should
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MstlError(f"{zip_path} is no zip, or is damaged ({reason})") from error
