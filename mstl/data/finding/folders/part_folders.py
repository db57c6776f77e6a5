"""Part folders: which folders in a folder are its train, val and test, whatever they are called."""

from dataclasses import dataclass
from functools import cached_property

from mstl.data.finding.folders.part_names import PARTS, Part, parts_of, rank
from mstl.data.finding.folders.shape import Shape


@dataclass(frozen=True)
class Parts:
    """The folders of a folder.

    Attributes:
        shape: That folder.
        named: The part that the names of some folders mean.
    """

    shape: Shape
    named: dict[str, Part]

    @classmethod
    def of(cls, shape: Shape) -> "Parts":
        """Find the parts in a folder."""
        return cls(shape, parts_of(folder.name for folder in shape.folders))

    @cached_property
    def candidates(self) -> dict[Part, list[Shape]]:
        """The folders with class folders in them that mean each part: those with images and the usual names first.

        One that holds images directly is a class itself: trains, say, beside cars and ships.
        """
        found: dict[Part, list[Shape]] = {}
        for part in PARTS:
            folders = [f for f in self.shape.folders if self.named.get(f.name) == part and f.core(part).folders]
            folders.sort(key=lambda folder: (not folder.core(part).filled, rank(folder.name)))
            if folders:
                found[part] = folders
        return found

    @cached_property
    def chosen(self) -> dict[Part, Shape]:
        """The folder with the class folders of each part; no part is left out that could be found."""
        return {part: folders[0].core(part) for part, folders in self.candidates.items()}

    @cached_property
    def rest(self) -> list[Shape]:
        """The folders that are none of the chosen ones."""
        used = [folders[0] for folders in self.candidates.values()]
        return [folder for folder in self.shape.folders if folder not in used]

    @property
    def flat(self) -> list[Shape]:
        """The folders called like parts that hold images, but no class folders."""
        return [
            folder for folder in self.rest if folder.name in self.named and is_flat(folder, self.named[folder.name])
        ]


def is_flat(folder: Shape, part: Part) -> bool:
    """Whether a folder that means a part has images but no class folders."""
    return folder.holds_images and not folder.core(part).folders


def is_dataset(shape: Shape) -> bool:
    """Whether a folder, or the one that it wraps, is a dataset in parts."""
    return "train" in Parts.of(shape.bottom()).chosen
