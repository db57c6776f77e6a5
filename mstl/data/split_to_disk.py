"""``mstl data split``: photos divided once and for all, on the disk."""

import os
import shutil
import tempfile
from pathlib import Path

from mstl.data.checking.checks import inspect
from mstl.data.dataset import divide, no_images, report
from mstl.data.finding.list_file import CLASSES, Row, write_rows
from mstl.data.finding.source import find_source, lies_in
from mstl.errors import MstlError
from mstl.files import make_folder


def split_data(data, out, val_split=0.2, seed=1, link=False):
    """Write ``out/train`` and ``out/val``, each with a folder for each class; of a list, two lists.

    Args:
        data: What ``--data`` takes, with nothing to validate on.
        out: A folder that is not there yet, or is empty.
        val_split: The share of each class to validate on.
        seed: Another one chooses other photos.
        link: Whether to make symbolic links instead of copies.

    Returns:
        Lines that say what was written.

    Raises:
        MstlError: The data is divided already, has nothing in it, or ``out`` cannot be written or is in the way.
    """
    source = find_source(data)
    out = Path(out)
    if source.val is not None:
        raise MstlError(f"{data} is divided already: it has {source.train.where} and {source.val.where}")
    if os.path.lexists(out) and not (out.is_dir() and not any(out.iterdir())):
        raise MstlError(f"{out} is there already: give the name of a new folder")
    if source.train.folder is not None and lies_in(out, source.train.folder):
        raise MstlError(f"{out} lies inside the data, where it would be a class itself: choose another folder")
    if source.train.folder is None and link:
        raise MstlError("links are for folders: of a list, two lists are written and no photo is copied")
    inspection = inspect(source)
    report(source, inspection)
    if not inspection.usable["train"]:
        raise MstlError(no_images(source.train, inspection))
    sides = dict(zip(("train", "val"), divide(source, inspection, val_split, seed), strict=True))
    out = Path(os.path.abspath(out))
    make_folder(out.parent)
    fresh = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name[:80]}-"))
    try:
        lines = write_lists(source, sides, fresh, out) if source.train.folder is None else copy(sides, fresh, link)
        fresh.chmod(0o755)
        os.rename(fresh, out)  # takes the place of an empty folder, and fails at any other
    except OSError as error:
        raise MstlError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return [f"{out}{os.sep}{line}" for line in lines]


def copy(sides, folder, link):
    """Copy or link the photos into folders for parts and classes."""
    for part, entries in sides.items():
        for entry in entries:
            place = folder / part / entry.label / entry.relative_path
            place.parent.mkdir(parents=True, exist_ok=True)
            if link:
                place.symlink_to(os.path.realpath(entry.path))
            else:
                shutil.copyfile(entry.path, place)
    return [f"{part}: {len(entries)} photos" for part, entries in sides.items()]


def write_lists(source, sides, folder, out):
    """Write a list for each part in the format of the old one, its paths seen from the folder ``out``."""
    names = source.train.where.parent / CLASSES
    numbers = None
    if names.is_file() and source.train.order:
        shutil.copyfile(names, folder / CLASSES)
        numbers = {name: str(number) for number, name in enumerate(source.train.order)}
    lines = []
    for part, entries in sides.items():
        file = (folder / part).with_suffix(source.train.where.suffix)
        rows = []
        for entry in entries:
            real = os.path.join(os.path.realpath(os.path.dirname(entry.path)), os.path.basename(entry.path))
            path = os.path.relpath(real, os.path.join(os.path.realpath(out.parent), out.name))
            rows.append(Row(path, numbers[entry.label] if numbers else entry.label))
        write_rows(file, rows)
        lines.append(f"{file.name}: {len(entries)} photos")
    return lines
