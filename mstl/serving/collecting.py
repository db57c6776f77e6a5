"""Collecting: images whose label was corrected, in a folder for each class, as the next training reads them.

Nothing is written elsewhere, and no name comes from a client but that of a class, which is checked.
"""

import hashlib
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from mstl.data.finding.folders.part_names import part_of
from mstl.data.image_files import SUFFIXES
from mstl.data.opening import open_image
from mstl.files import atomic_path
from mstl.serving.problems import Problem

NAME_LENGTH = 100  # characters of the name of a class
NAME_BYTES = 255  # of it as a folder
DIGITS = 20  # of a content's SHA-256, in a file's name


def folder_name(label: str, classes: Iterable[str]) -> str:
    """The name of the folder for a class, which may be a new one.

    Args:
        label: The class.
        classes: Those that the model knows; one that differs from the label in how accents are coded is meant.

    Raises:
        Problem: It cannot be a folder's name, or would be taken for something else than a class.
    """
    name = unicodedata.normalize("NFC", label)
    known = {unicodedata.normalize("NFC", each): each for each in classes}
    name = known.get(name, name)
    if not name.strip() or name != name.strip():
        raise wrong("is empty, or has blanks at its ends")
    if len(name) > NAME_LENGTH or len(name.encode("utf-8", "surrogatepass")) > NAME_BYTES:
        raise wrong(f"is longer than {NAME_LENGTH} characters or {NAME_BYTES} bytes")
    if name[0] in ".~" or set(name) & set("/\\:") or not name.isprintable():
        raise wrong("cannot be the name of a folder")
    if part_of(name) is not None and name not in known.values():
        raise wrong("is the name of a part of a dataset, such as train or test")
    return name


def wrong(reason: str) -> Problem:
    """A label that cannot be one."""
    return Problem(422, f"the label {reason}", "give the name of a class, such as one of GET /model")


def keep(root: Path, folder: str, content: bytes) -> str:
    """Write an image into the folder of its class, unless it is there; another class's folder has it no longer.

    Args:
        root: The folder of all classes.
        folder: From :func:`folder_name`.
        content: Of an image file that can be decoded.

    Returns:
        The name of the file, below ``root``: of the image's content alone.

    Raises:
        Problem: It cannot be written.
    """
    name = hashlib.sha256(content).hexdigest()[:DIGITS] + suffix_of(content)
    target = root / folder / name
    try:
        target.parent.mkdir(exist_ok=True)
        if target.parent.resolve().parent != root.resolve():  # a link that leads elsewhere
            raise Problem(409, f"the folder of {folder} lies elsewhere", "remove the link in the folder that collects")
        if not target.exists():
            with atomic_path(target) as temporary:
                temporary.write_bytes(content)
        for other in root.iterdir():
            if other.is_dir() and not other.is_symlink() and other.name != folder:
                (other / name).unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or "it failed"
        raise Problem(507, f"the image cannot be written: {reason}", "make room, or choose another folder") from error
    return f"{folder}/{name}"


def suffix_of(content: bytes) -> str:
    """The suffix for an image file with this content."""
    with open_image(content) as image:
        kind = image.format or ""
    return next(
        (suffix for suffix, kinds in SUFFIXES.items() if kinds[0] == kind), f".{os.path.basename(kind).lower()}"
    )
