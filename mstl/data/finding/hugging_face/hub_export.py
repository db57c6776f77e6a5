"""Hub export: the images of a Hugging Face dataset as class folders, the encoded bytes as they are, written once."""

import hashlib
import logging
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from mstl.data.finding.archives.archive_names import shortened
from mstl.data.finding.archives.unpacked_copies import copies_folder, describe, remove_leftovers, touch
from mstl.data.finding.hugging_face.hub_dataset import PREFIX, HubDataset
from mstl.data.finding.lists.list_options import FOUND, ListOptions
from mstl.data.image_files import has_image_suffix
from mstl.errors import MstlError
from mstl.files import atomic_folder, lock, make_folder
from mstl.runtime.progress import track

logger = logging.getLogger("mstl")
VERSION = 1  # of how datasets are exported; part of the folder's name, so that a change exports them anew
NAMED = 60  # bytes of a dataset's name that are kept in that of its folder
NO_LABEL = -1  # in splits whose labels are not published
BEGINNINGS = {  # of files, for those without a name
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"RIFF": ".webp",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}


def exported(data: str, options: ListOptions = FOUND) -> Path:
    """The folder with a dataset's images, written into ``$MSTL_HOME`` if it is not there yet.

    It has ``train``, ``val`` and ``test``, as far as the dataset has them, each with a folder for each class. An image
    is called by the number of its row.

    Args:
        data: ``hf:owner/name``, or a folder that ``save_to_disk`` has written.
        options: Which columns are meant, where that is not clear.

    Raises:
        MstlError: The dataset cannot be had, is not one of images with a label each, or cannot be written.
    """
    if options.required and (options.images or options.group_column):
        raise MstlError(f"{data} is no list: of {options.given}, only --path-column and --label-column choose from it")
    dataset = HubDataset.load(data, options)
    folder = copies_folder() / f"{shortened(Path(data.removeprefix(PREFIX)).name, NAMED)}-{mark(dataset)}"
    if not folder.is_dir():
        make_folder(folder.parent)
        with lock(folder):
            if not folder.is_dir():  # else another process was faster
                remove_leftovers(folder)
                write(dataset, folder)
    touch(folder)
    return folder


def mark(dataset: HubDataset) -> str:
    """Twelve hexadecimal digits that tell what is exported from anything else."""
    parts = [f"{part} {split._fingerprint}" for part, split in sorted(dataset.splits.items())]
    return hashlib.sha256("\n".join([str(VERSION), dataset.image, dataset.label, *parts]).encode()).hexdigest()[:12]


def write(dataset: HubDataset, folder: Path) -> None:
    """Write a dataset into a new folder, whole or not at all.

    Raises:
        MstlError: It cannot be written, or two classes would have the same folder.
    """
    names = folder_names(dataset)
    total = sum(len(split) for split in dataset.splits.values())
    logger.info("data: exporting %d images of %s into %s", total, dataset.name, folder)
    if dataset.others:
        logger.info("data: not used of %s: %s", dataset.name, ", ".join(dataset.others))
    left_out: Counter[str] = Counter()
    try:
        with atomic_folder(folder) as fresh:
            for part, split in dataset.splits.items():
                left_out += write_part(dataset, split, fresh / part, names)
            describe(fresh, dataset.name if dataset.name.startswith(PREFIX) else Path(dataset.name).resolve())
    except OSError as error:
        raise MstlError(f"cannot export {dataset.name} into {folder}: {error.strerror or error}") from error
    for reason, count in left_out.items():
        logger.warning("data: %d rows of %s are left out: %s", count, dataset.name, reason)


def write_part(dataset: HubDataset, split: Any, folder: Path, names: list[str] | None) -> Counter[str]:
    """Write the images of a split.

    Args:
        dataset: The dataset.
        split: Its split.
        folder: Gets a folder for each class.
        names: The names of these by the numbers of the classes; None to take the labels as they are.

    Returns:
        How many rows are left out, by the reason.
    """
    import datasets

    left_out: Counter[str] = Counter()
    rows = split.select_columns([dataset.image, dataset.label]).cast_column(dataset.image, datasets.Image(decode=False))
    for index, row in enumerate(track(rows, "exporting", len(rows))):
        image, label = row[dataset.image], row[dataset.label]
        if label is None or label == NO_LABEL:
            left_out["no label"] += 1
            continue
        content, path = (image or {}).get("bytes"), (image or {}).get("path") or ""
        if content is None and not os.path.isfile(path):
            left_out["no image"] += 1
            continue
        place = folder / (folder_name(str(label)) if names is None else names[label])
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{index:06d}{suffix(content, path)}"
        if content is None:
            shutil.copyfile(path, file)
        else:
            file.write_bytes(content)
    return left_out


def suffix(content: bytes | None, path: str) -> str:
    """The suffix of an image's file: as it was, or else by its content."""
    if has_image_suffix(path):
        return os.path.splitext(path)[1].lower()
    return next((suffix for start, suffix in BEGINNINGS.items() if (content or b"").startswith(start)), "")


def folder_names(dataset: HubDataset) -> list[str] | None:
    """The folder of each class, by its number; None if the labels have no names.

    Raises:
        MstlError: Two classes would have the same folder.
    """
    classes = dataset.class_names()
    if classes is None:
        return None
    names = [folder_name(name) for name in classes]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise MstlError(f"{dataset.name} has several classes that would be the folder {twice[0]}: rename one")
    return names


def folder_name(label: str) -> str:
    """A class's name as the name of a visible folder."""
    name = label.strip().replace("/", "-").replace("\0", "")
    return f"_{name}" if name.startswith(".") or not name else shortened(name, 200)
