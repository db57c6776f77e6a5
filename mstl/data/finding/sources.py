"""Sources: what ``--data`` and ``--val`` name (a known dataset, one of Hugging Face, a folder, a list, an archive)."""

import difflib
import logging
import os
from pathlib import Path

from mstl.data.finding import demo, known_datasets
from mstl.data.finding.archives import archive
from mstl.data.finding.folders.layout import find_splits, held_out_folder
from mstl.data.finding.found import FoundDataset, FoundSplits, Split
from mstl.data.finding.hugging_face.hub_dataset import PREFIX, is_hub_dataset
from mstl.data.finding.hugging_face.hub_export import exported
from mstl.data.finding.lists.list_file import LIST_SUFFIXES
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.finding.lists.list_splits import three_parts
from mstl.errors import MstlError
from mstl.field_types import empty

logger = logging.getLogger("mstl")


def find_dataset(
    data: str | os.PathLike[str], val: str | os.PathLike[str] | None = None, options: ListOptions = FOUND
) -> FoundDataset:
    """Find the samples of a dataset.

    Args:
        data: See :func:`mstl.data.load_data.load_data`.
        val: A folder with a folder for each class, a list, or an archive of one, to validate on instead of the
            dataset's own validation images.
        options: How lists are to be read.

    Raises:
        MstlError: Nothing has that name, or it holds nothing that could be a dataset; or there are options, and no
            list.
    """
    if options.images is not None and not os.path.isdir(os.path.expanduser(options.images)):
        raise MstlError(f"no folder {options.images} for --images")
    where = locate(os.fspath(data), options)
    own = find_splits(where, options)
    key = str(where.resolve())
    if val is not None:
        val_where = locate(os.fspath(val), options)
        key += f"\0{val_where.resolve()}"
        own = with_validation(own, find_splits(held_out_folder(val_where), options))
    elif own.val_is_test and own.val is not None:
        logger.info("data: %s is validated on, as there is no other part for that", own.val.where)
    is_folder = all(split.folder is not None for split in own.splits.values()) and not is_hub_dataset(data)
    if options and options.required and is_folder:
        raise MstlError(f"{options.given}: for lists, but {data} is read as class folders: leave it out or give a list")
    return FoundDataset(own.train, own.val, own.test, own.val_is_test, key)


def with_validation(own: FoundSplits, other: FoundSplits) -> FoundSplits:
    """The splits of a dataset, validated on those of another; its own test split is tested on, unless it is that."""
    val = (other.val or other.train).renamed("val")
    test = own.val.renamed("test") if own.val_is_test and own.val is not None else own.test
    if test is not None and same_samples(test, val):
        return FoundSplits(own.train, val, None, val_is_test=True)
    return three_parts(own.train, val, test)


def same_samples(one: Split, other: Split) -> bool:
    """Whether two splits are the same folder, or the same files of a list."""
    if one.folder is not None and other.folder is not None:
        return os.path.realpath(one.folder) == os.path.realpath(other.folder)
    return {sample.path for sample in one.samples} == {sample.path for sample in other.samples}


def locate(data: str, options: ListOptions = FOUND) -> Path:
    """The folder or the list file that ``--data`` names: a known dataset first, then a path.

    Args:
        data: See :func:`mstl.data.load_data.load_data`.
        options: Which columns of a Hugging Face dataset are meant.

    Raises:
        MstlError: It is neither a known dataset nor a folder, a list or an archive.
    """
    if not data.strip():
        raise MstlError(empty("the name of the data"))
    if data == "demo":
        return demo.make()
    if data in known_datasets.KNOWN:
        return known_datasets.get(data)
    if is_hub_dataset(data):
        return exported(data, options)
    path = Path(os.path.expanduser(data))
    is_file = os.path.isfile(path)  # unlike Path.is_file, os.path says False to a name that is too long
    if os.path.isdir(path):
        return archive.unpacked_folder(path)
    if is_file and path.suffix.lower() in LIST_SUFFIXES:
        return path
    if is_file and archive.is_archive(path):
        return archive.unpacked(path)
    names = ", ".join(["demo", *known_datasets.KNOWN])
    forms = (
        f"a known name ({names}), a dataset of Hugging Face ({PREFIX}owner/name), a folder, "
        f"a list ({', '.join(LIST_SUFFIXES)}) or an archive ({', '.join(archive.ARCHIVE_SUFFIXES)})"
    )
    if os.path.exists(path):
        raise MstlError(f"{data} cannot be data: it is neither {forms}")
    close = difflib.get_close_matches(data.lower(), [name.lower() for name in known_datasets.KNOWN], 1, 0.8)
    meant = next((name for name in known_datasets.KNOWN if name.lower() in close), None)
    raise MstlError(f"no data {data!r}: neither {forms}" + (f"; did you mean {meant}?" if meant else ""))
