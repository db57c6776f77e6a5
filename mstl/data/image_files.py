"""Image files: the format that each suffix promises, and paths as printable text."""

import os

JPEG = ("JPEG", "MPO")
SUFFIXES: dict[str, tuple[str, ...]] = {  # Pillow's names of the formats
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), JPEG),
    ".mpo": ("MPO", "JPEG"),
    **dict.fromkeys((".png", ".apng"), ("PNG",)),
    **dict.fromkeys((".bmp", ".dib"), ("BMP", "DIB")),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
    ".gif": ("GIF",),
    ".webp": ("WEBP",),
    **dict.fromkeys((".avif", ".avifs"), ("AVIF",)),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpf"), ("JPEG2000",)),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), ("PPM",)),
    **dict.fromkeys((".heic", ".heif"), ("HEIF",)),
}


def has_image_suffix(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name ends like that of an image."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def printable(path: str | os.PathLike[str]) -> str:
    """A path on one line, in characters that can be printed."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return text if text.isprintable() else repr(text)[1:-1]
