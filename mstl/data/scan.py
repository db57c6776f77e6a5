"""What is in a folder of photos: its classes, its images, and the files that cannot be used."""

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mstl.runtime import clamp_workers

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".gif", ".webp"))
DECODABLE = frozenset(("JPEG", "MPO", "PNG", "BMP", "DIB", "TIFF"))  # by MindSpore's C++ decoder


def class_folders(folder):
    """The classes of a folder: its subfolders that hold files, hidden ones left out.

    Returns:
        A dict from class name to the sorted paths of its files, classes sorted by name as MindSpore's
        ImageFolderDataset and torchvision's ImageFolder sort them. Hidden files are left out.
    """
    classes = {}
    for entry in sorted(Path(folder).iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            files = sorted(path for path in entry.iterdir() if path.is_file() and not path.name.startswith("."))
            if files:
                classes[entry.name] = files
    return classes


def find_fault(path):
    """Why a file cannot be used as a photo; None where it can.

    The whole file is decoded (a JPEG at an eighth of its size, which reads all of it but is quicker), so that a
    truncated one is found too.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return "not an image file"
    try:
        if os.path.getsize(path) == 0:
            return "empty file"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which harms nobody here
            with Image.open(path) as image:
                if image.format not in DECODABLE:
                    return f"{image.format} image, which MindSpore does not decode"
                if image.format in ("JPEG", "MPO"):
                    image.draft("RGB", (image.width // 8, image.height // 8))
                image.load()
    except Exception as error:  # Pillow raises whatever its many decoders do
        return (
            " ".join(str(error).split()).replace(f" '{path}'", "").replace(f" {str(path)!r}", "")
            or type(error).__name__
        )
    return None


def find_faults(paths):
    """Check many files at once; see :func:`find_fault`.

    Returns:
        A dict from path to reason, of the files that cannot be used, in the order given.
    """
    with ThreadPoolExecutor(clamp_workers()) as pool:
        reasons = list(pool.map(find_fault, paths))
    return {path: reason for path, reason in zip(paths, reasons, strict=True) if reason}
