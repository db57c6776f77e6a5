"""Collecting: images whose label was corrected, in a folder for each class, as the next training reads them.

Nothing is written elsewhere, and no name comes from a client but that of a class, which is checked.
"""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from mstl.data.class_names import known_name, why_no_class
from mstl.data.image_files import SUFFIXES
from mstl.data.opening import open_image
from mstl.files import atomic_path
from mstl.serving.problems import Problem

DIGITS = 20  # of a content's SHA-256, in a file's name


def folder_name(label: str, classes: Collection[str]) -> str:
    """The name of the folder for a class, which may be a new one.

    Args:
        label: The class.
        classes: Those that the model knows; one that differs from the label in how accents are coded is meant.

    Raises:
        Problem: It cannot be a folder's name, or would be taken for something else than a class.
    """
    name = known_name(label, classes)
    reason = why_no_class(name, classes)
    if reason:
        raise wrong(reason)
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
