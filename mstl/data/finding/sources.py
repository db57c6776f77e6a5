"""Sources: what ``--data`` and ``--val`` name (a known dataset, a folder, a list or an archive) and its samples."""

import difflib
import os
from pathlib import Path

from mstl.data.finding import archive, demo, known_datasets
from mstl.data.finding.found import FoundDataset
from mstl.data.finding.layout import find_splits
from mstl.data.finding.list_file import LIST_SUFFIXES
from mstl.errors import MstlError


def find_dataset(data: str | os.PathLike[str], val: str | os.PathLike[str] | None = None) -> FoundDataset:
    """Find the samples of a dataset.

    Args:
        data: See :func:`mstl.data.load_data.load_data`.
        val: A folder with a folder for each class, a list, or an archive of one, to validate on instead of the
            dataset's own validation images.

    Raises:
        MstlError: Nothing has that name, or it holds nothing that could be a dataset.
    """
    where = locate(os.fspath(data))
    train, own_val = find_splits(where)
    key = str(where.resolve())
    if val is None:
        return FoundDataset(key, train, own_val)
    val_where = locate(os.fspath(val))
    other_train, other_val = find_splits(val_where)
    return FoundDataset(f"{key}\0{val_where.resolve()}", train, (other_val or other_train).renamed("val"))


def locate(data: str) -> Path:
    """The folder or the list file that ``--data`` names: a known dataset first, then a path.

    Raises:
        MstlError: It is neither a known dataset nor a folder, a list or an archive.
    """
    if data == "demo":
        return demo.make()
    if data in known_datasets.KNOWN:
        return known_datasets.get(data)
    path = Path(os.path.expanduser(data))
    is_file = os.path.isfile(path)  # unlike Path.is_file, os.path says False to a name that is too long
    if os.path.isdir(path) or (is_file and path.suffix.lower() in LIST_SUFFIXES):
        return path
    if is_file and archive.is_archive(path):
        return archive.unpacked(path)
    names = ", ".join(["demo", *known_datasets.KNOWN])
    forms = (
        f"a known name ({names}), a folder, a list ({', '.join(LIST_SUFFIXES)}) "
        f"or an archive ({', '.join(archive.ARCHIVE_SUFFIXES)})"
    )
    if os.path.exists(path):
        raise MstlError(f"{data} cannot be data: it is neither {forms}")
    close = difflib.get_close_matches(data.lower(), [name.lower() for name in known_datasets.KNOWN], 1, 0.8)
    meant = next((name for name in known_datasets.KNOWN if name.lower() in close), None)
    raise MstlError(f"no data {data!r}: neither {forms}" + (f"; did you mean {meant}?" if meant else ""))
