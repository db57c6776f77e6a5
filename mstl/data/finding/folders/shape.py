"""Shape: the folders and images in a folder, by their names, to find out what it holds of a dataset."""

import os
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from pathlib import Path

from PIL import Image

from mstl.data.finding.folders.other_folders import why_no_data
from mstl.data.finding.folders.part_names import Part, is_beside, is_container, part_of
from mstl.data.image_files import has_image_suffix
from mstl.errors import MstlError

LOOKED_AT = 20  # files without the suffix of an image, to find out whether a folder holds images all the same
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")


class Shape:
    """What is visible in a folder.

    Args:
        path: The folder.
        above: Real paths of the folders it is in, to which no link leads back.

    Raises:
        MstlError: From its properties: a folder cannot be read.
    """

    def __init__(self, path: Path, above: tuple[str, ...] = ()) -> None:
        self.path, self.name = path, path.name
        self.above = (*above, os.path.realpath(path))

    @cached_property
    def entries(self) -> tuple[list[str], list[str]]:
        """The names of the folders and of the files in it, without hidden ones, sorted."""
        names: tuple[list[str], list[str]] = ([], [])
        try:
            with os.scandir(self.path) as found:  # knows what is a folder without another look, unless it is a link
                for entry in found:
                    if not entry.name.startswith("."):
                        is_folder = os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()
                        names[not is_folder].append(entry.name)
        except OSError as error:
            raise MstlError(f"cannot read the folder {self.path}: {error.strerror or error}") from error
        return sorted(names[0]), sorted(names[1])

    @property
    def inside(self) -> list[Path]:
        """The folders in it."""
        return [self.path / name for name in self.entries[0]]

    @cached_property
    def skipped(self) -> dict[str, str]:
        """Those of them that are no data, each with the reason."""
        return {str(path): reason for path in self.inside if (reason := why_no_data(path))}

    @cached_property
    def folders(self) -> list["Shape"]:
        """The others, without links that lead back."""
        paths = [path for path in self.inside if str(path) not in self.skipped]
        return [Shape(path, self.above) for path in paths if os.path.realpath(path) not in self.above]

    @cached_property
    def filled(self) -> list["Shape"]:
        """The folders that hold images."""
        return [folder for folder in self.folders if folder.holds_images]

    @property
    def files(self) -> list[str]:
        """The names of the files in it."""
        return self.entries[1]

    @cached_property
    def images(self) -> list[str]:
        """The names of its files that have the suffix of an image."""
        return [name for name in self.files if has_image_suffix(name)]

    @cached_property
    def holds_images(self) -> bool:
        """Whether there are images below it, by their suffix or, failing that, by the content of the first files."""
        return self.holds_named_images or any(is_image(path) for path in islice(self.walk(), LOOKED_AT))

    @cached_property
    def holds_named_images(self) -> bool:
        """Whether there are files below it that have the suffix of an image."""
        return bool(self.images) or any(folder.holds_named_images for folder in self.folders)

    def walk(self) -> Iterator[Path]:
        """The files below it."""
        yield from (self.path / name for name in self.files)
        for folder in self.folders:
            yield from folder.walk()

    @cached_property
    def count(self) -> int:
        """The number of images below it by their suffix; of files, if they are images without one."""
        number = sum(has_image_suffix(path) for path in self.walk())
        return sum(1 for _ in self.walk()) if not number and self.holds_images else number

    @property
    def labels(self) -> set[str]:
        """The names of the folders in it that hold images, in lower case."""
        return {folder.name.casefold() for folder in self.filled}

    def core(self, part: Part | None = None) -> "Shape":
        """The folder that has the class folders: this one, or one inside it that only wraps them.

        That is the only one with images in it, but for masks and the like, if it repeats the name or the part of this
        one, or is called after images: ``train/train``, ``seg_train/seg_train``, ``train/images``.
        """
        inner = self.only()
        wraps = inner and (inner.name.casefold() == self.name.casefold() or is_container(inner.name))
        if inner and (wraps or (part is not None and part_of(inner.name) == part)):
            return inner.core(part)
        return self

    def only(self) -> "Shape | None":
        """The only folder with images in this one, apart from ``masks`` and the like beside ``images``."""
        if self.images:
            return None
        named = [folder for folder in self.filled if is_container(folder.name)]
        rest = [folder for folder in self.filled if not is_beside(folder.name)]
        if len(self.filled) == 1 or (named and named == rest and len(named) == 1):
            return (named or self.filled)[0]
        return None

    def bottom(self) -> "Shape":
        """The first folder below that holds images, or several folders with images, for comparisons."""
        inner = self.only()
        return inner.bottom() if inner is not None and inner.filled else self


def is_image(path: Path) -> bool:
    """Whether a file begins like an image."""
    if not path.is_file():
        return False
    try:
        with Image.open(path, formats=FORMATS):
            return True
    except Image.DecompressionBombError:
        return True
    except (OSError, ValueError, SyntaxError):
        return False
