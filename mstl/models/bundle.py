"""Bundles: weights files with their hashes in one archive, to carry to a machine without a network."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mstl.errors import MstlError
from mstl.files import atomic_path, digest, make_folder
from mstl.models.pretrained import TABLE, find_by_name, published_as
from mstl.models.weights_files import folders, local_path, locate

MANIFEST = "mstl-weights.json"


def write_bundle(path: str | Path, names: Sequence[str] = ()) -> list[str]:
    """Put weights files into a zip archive.

    Args:
        path: The archive; an existing one is replaced.
        names: Weights such as ``"resnet50.mindcv"``, which are downloaded if they are not on this machine; by default
            all that are.

    Returns:
        The names of the files in the archive.

    Raises:
        MstlError: A name is unknown, there are no files, one is not what its name says, or the archive cannot be
            written.
    """
    if names:
        files = [locate(find_by_name(name)) for name in names]
    else:
        files = [found for entry in TABLE if (found := local_path(entry)) is not None]
    if not files:
        raise MstlError(
            "no weights are on this machine: name some, such as `mstl weights bundle OUT.zip resnet50.mindcv`"
        )
    path = Path(path)
    hashes = {file.name: digest(file) for file in files}
    for file in files:
        check_published(file.name, hashes[file.name], file)
    make_folder(path.parent)
    try:
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(MANIFEST, json.dumps(hashes, indent=2))
            for file in files:
                archive.write(file, file.name)
    except OSError as error:
        raise MstlError(f"cannot write {path}: {error.strerror or error}") from error
    return [file.name for file in files]


def install_bundle(path: str | Path) -> list[str]:
    """Copy the weights files of a bundle into the cache, except those that are already there.

    Args:
        path: An archive that :func:`write_bundle` wrote.

    Returns:
        The names of its files.

    Raises:
        MstlError: The archive is damaged or no bundle, a file is not the published one of its name, its hash is wrong,
            or another file is in its place.
    """
    target = make_folder(folders()[-1])
    try:
        with zipfile.ZipFile(path) as archive:
            hashes = json.loads(archive.read(MANIFEST))
            for name, sha256 in hashes.items():
                if PurePosixPath(name).name != name or "\\" in name:
                    raise MstlError(f"{path} holds a file that would land outside its folder: {name}")
                check_published(name, sha256, path)
            for name, sha256 in hashes.items():
                install_file(archive, name, sha256, target / name)
    except (KeyError, ValueError, AttributeError, zipfile.BadZipFile, FileNotFoundError) as error:
        raise MstlError(f"{path} is not a bundle of mstl's, or is damaged ({error}); make it again") from error
    except OSError as error:
        raise MstlError(f"cannot install {path} into {target}: {error.strerror or error}") from error
    return list(hashes)


def check_published(name: str, sha256: str, where: str | Path) -> None:
    """Check the hash of a file that has the name of published weights: the table of weights decides, not the bundle.

    Raises:
        MstlError: It is another one than was published.
    """
    entry = published_as(name)
    if entry is not None and entry.sha256 is not None and not sha256.startswith(entry.sha256):
        raise MstlError(
            f"{name} of {where} is not the published file {entry.name}: its SHA-256 begins with {sha256[:8]}, not with "
            f"{entry.sha256[:8]}; get it again with `mstl weights download {entry.name}`"
        )


def install_file(archive: zipfile.ZipFile, name: str, sha256: str, target: Path) -> None:
    """Copy one file of a bundle to ``target``, if its hash is right."""
    if target.is_file() and digest(target) == sha256:
        return
    if target.exists():
        raise MstlError(f"{target} already exists with other content; move it away and try again")
    with atomic_path(target) as temporary:
        with archive.open(name) as source, open(temporary, "wb") as sink:
            while block := source.read(1 << 20):
                sink.write(block)
        if digest(temporary) != sha256:
            raise MstlError(f"{name} in {archive.filename} is damaged: its SHA-256 is not the one in the bundle")
