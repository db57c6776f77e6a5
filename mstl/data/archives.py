"""Data sets that are downloaded as an archive and unpacked once."""

import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mstl.errors import MstlError
from mstl.fetch import fetch
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

    Raises:
        MstlError: It cannot be downloaded, or the archive is not what it should be.
    """
    entry = KNOWN[name]
    folder = home() / "data" / name
    if (folder / entry.inner).is_dir():
        return folder / entry.inner
    zip_path = folder.parent / entry.url.rsplit("/", 1)[-1]
    fetch(entry.url, zip_path, hint=f"copy the zip to {zip_path} by hand, or use --data demo, which needs no network")
    unpack(zip_path, folder)
    if not (folder / entry.inner).is_dir():
        shutil.rmtree(folder)
        raise MstlError(
            f"{zip_path} has no folder {entry.inner}: it is not the data set {name}; delete it and try again"
        )
    zip_path.unlink()
    return folder / entry.inner


def unpack(zip_path, folder):
    """Unpack a zip into ``folder``, whole or not at all; a member that would land outside it is refused.

    Raises:
        MstlError: No zip, a damaged one, or one with such a member.
    """
    make_folder(folder.parent)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        with zipfile.ZipFile(zip_path) as archive:
            for member in archive.infolist():
                target = os.path.realpath(temporary / member.filename)
                if os.path.commonpath([target, os.path.realpath(temporary)]) != os.path.realpath(temporary):
                    raise MstlError(f"{zip_path} holds a file that would land outside its folder: {member.filename}")
            archive.extractall(temporary)
        temporary.chmod(0o755)
        try:
            os.rename(temporary, folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, and its copy is as good
                raise
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise MstlError(f"{zip_path} is no zip, or is damaged ({error}): delete it and get it again") from error
    except OSError as error:
        raise MstlError(f"cannot unpack {zip_path} into {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
