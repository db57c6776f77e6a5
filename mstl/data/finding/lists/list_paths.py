"""List paths: the images that the paths of a list mean, also without suffix or folder, or from another machine."""

import functools
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mstl.data.finding.folders.other_folders import why_no_data
from mstl.data.finding.folders.part_names import part_of
from mstl.data.image_files import has_image_suffix, printable
from mstl.errors import MstlError

LARGEST = 1_000_000  # files that are looked through
Parts = tuple[str, ...]


class AmbiguousPathError(MstlError):
    """A path of a list may mean more than one image.

    Attributes:
        example: One of the images.
        labels: That of each path in the list, where they are known.
    """

    def __init__(self, message: str, example: str) -> None:
        super().__init__(message)
        self.example = example
        self.labels: list[str] = []


@dataclass(frozen=True)
class PathFinder:
    """Finds what the paths of one list mean, all in the same way.

    They are taken as they are if an image is there. Otherwise all get what they lack: the folders between that of the
    list and the image, and the suffix; folders at the front that all paths share, such as those of another machine, are
    left out; backslashes divide folders.

    Attributes:
        file: The list.
        paths: As they are written in it.
        images: The folder in which they start; None for that of the list.
    """

    file: Path
    paths: Sequence[str]
    images: str | None = None

    @cached_property
    def base(self) -> str:
        """The folder in which the paths start."""
        return str(self.file.parent) if self.images is None else os.path.abspath(os.path.expanduser(self.images))

    @cached_property
    def complete(self) -> bool:
        """Whether the paths are to be taken as they are."""
        return any(is_there(os.path.join(self.base, path)) for path in self.paths)

    @cached_property
    def split_paths(self) -> list[Parts]:
        """The folders and the name of each path."""
        return [tuple(part for part in path.replace("\\", "/").split("/") if part != ".") for path in self.paths]

    @cached_property
    def shared(self) -> int:
        """Number of folders at the front that all paths share."""
        first = self.split_paths[0] if self.split_paths else ()
        least = min((len(parts) - 1 for parts in self.split_paths), default=0)
        return next((n for n in range(least) if any(parts[n] != first[n] for parts in self.split_paths)), max(least, 0))

    @cached_property
    def candidates(self) -> dict[Parts, list[Parts]]:
        """The images below the folder that a path may mean, by its name, and by its last folder and name."""
        wanted = {key(parts[-1]) for parts in self.split_paths if parts}
        found: dict[Parts, list[Parts]] = {}
        for place in images_below(self.base):
            folder = tuple(map(key, place[-2:-1]))
            for name in {key(place[-1]), key(os.path.splitext(place[-1])[0])} & wanted:
                for end in {(name,), (*folder, name)}:
                    found.setdefault(end, []).append(place)
        return found

    @cached_property
    def left_out(self) -> int:
        """The number of folders at the front to leave out: that with which the most images are found."""
        return self.counts.index(max(self.counts))

    @cached_property
    def counts(self) -> list[int]:
        """The number of paths that mean an image, by the number of folders at the front that are left out."""
        return [sum(bool(self.matches(parts[n:])) for parts in self.split_paths) for n in range(self.shared + 1)]

    @property
    def leads_to_images(self) -> bool:
        """Whether any of the paths means an image."""
        return self.complete or any(self.counts)

    def matches(self, rest: Parts) -> list[Parts]:
        """The images whose place ends like a path; those right in the folder alone, if there are some."""
        if not rest or not rest[-1]:
            return []
        folders = tuple(map(key, rest[:-1]))
        found = [
            place
            for place in self.candidates.get(tuple(map(key, rest[-2:])), ())
            if len(place) >= len(rest) and tuple(map(key, place[-len(rest) : -1])) == folders
        ]
        if len(found) < 2:
            return found
        for better in (
            [place for place in found if len(place) == len(rest)],
            [place for place in found if place[-1] == rest[-1]],
            [place for place in found if place[-len(rest) : -1] == rest[:-1]],
        ):
            found = better or found
        return found

    def find(self, index: int, part: str) -> str:
        """What one of the paths means.

        Args:
            index: Its place among the paths.
            part: "train", "val" or "test", in whose folder it is looked for first; "" if unknown.

        Returns:
            A path that starts in the folder of the list, or an absolute one; as it was written if nothing is there.

        Raises:
            AmbiguousPathError: It may mean more than one image.
        """
        written = self.paths[index]
        if self.complete:
            return written if self.images is None else os.path.join(self.base, written)
        rest = self.split_paths[index][self.left_out :]
        found = self.matches(rest)
        own = [place for place in found if part and any(part_of(folder) == part for folder in place[: -len(rest)])]
        found = own or found
        real = {os.path.realpath(os.path.join(self.base, *place)) for place in found} if len(found) > 1 else set()
        if len(real) > 1:
            one, other = (printable(os.path.join(*place)) for place in sorted(found)[:2])
            raise AmbiguousPathError(
                f"{self.file}: {printable(written)} may be {one} or {other} in {self.base}: say in which folder the "
                "images are, by --images DIR or in the list",
                min(real),
            )
        if not found:
            return written if self.images is None else os.path.join(self.base, written)
        place_text = os.path.join(*min(found))
        return place_text if self.images is None else os.path.join(self.base, place_text)


def is_there(path: str) -> bool:
    """Whether there is something at a path that is no folder; also a broken link."""
    return os.path.lexists(path) and not os.path.isdir(path)


@functools.lru_cache(maxsize=100_000)
def key(name: str) -> str:
    """A name, however its accents are encoded, and in whatever case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def images_below(folder: str) -> Iterator[Parts]:
    """The images below a folder, as folders and a name; links are followed, folders of runs and systems left out.

    Raises:
        MstlError: There are too many files to look through.
    """
    seen, number = set(), 0
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and not why_no_data(os.path.join(root, name))
        )
        inside = () if root == folder else Path(os.path.relpath(root, folder)).parts
        number += len(files)
        if number > LARGEST:
            raise MstlError(
                f"{folder} has too many files to look for the images of a list in: name their folder by --images DIR"
            )
        for name in files:
            if not name.startswith(".") and has_image_suffix(name):
                yield (*inside, name)
