"""Part names: train, val and test, whatever people call these parts of a dataset."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Literal

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
# The words for each part, the usual one first. FER2013 validates on its PublicTest, and tests on its PrivateTest
WORDS: dict[Part, tuple[str, ...]] = {
    "train": ("train", "training", "trainval", "trn", "训练"),
    "val": (
        *("val", "valid", "validation", "validate", "validating", "vld", "publictest"),
        *("dev", "devel", "development", "eval", "evaluation", "evaluate", "evaluating", "验证"),
    ),
    "test": ("test", "testing", "tst", "holdout", "heldout", "privatetest", "测试"),
}
PICTURES = "images?|imgs?|photos?|pictures?|pics"
THINGS = (
    f"{PICTURES}|set|datasets?|data|samples?|files?|folders?|dir|splits?|parts?|subset|集|"
    "mini|tiny|small|simple|full|all|clean|new|raw|resized|cropped|augmented|aug|labell?ed|unlabell?ed"
)
BEFORE = "seg|img|images?|data|dataset|my|final|new"  # seg_train/ of Intel's scenes, Final_Training/ of GTSRB
PATTERNS = {
    part: re.compile(rf"\d*(?:{BEFORE})?(?P<word>{'|'.join(words)})(?:{THINGS})*\d*") for part, words in WORDS.items()
}
CONTAINER = re.compile(
    r"(?:all|raw|original|cropped|resized|my)?"
    rf"(?:{PICTURES}|jpgs?|jpegs?|jpegimages?|pngs?|data(?:sets?)?|imagefolder|samples)\d*"
)
BESIDE = re.compile(
    r"annotations?|labels?|(?:seg(?:mentation)?)?masks?|segmentations?|trimaps?|bbox(?:es)?|boundingbox(?:es)?|"
    r"(?:the)?groundtruths?|gt|depth|attributes?|lists?|meta(?:data)?|xmls?|imdb|edges|heatmaps?|thumbs|thumbnails?|"
    r"landmarks|keypoints"
)
EXTRA = re.compile(r"(?:seg)?pred(?:ictions?)?|unlabell?ed|extra|query|gallery|submissions?|distractors?")
# Pieces that a large download comes in: images_001 of NIH's chest X-rays, HAM10000_images_part_1
PIECE = re.compile(r".*(?:images?|imgs?|batch|fold|chunk|shard|imagespart|dataset)\d+")


def part_of(name: str) -> Part | None:
    """The part of a dataset that a folder, a list's stem or a value of a split column names; None if it names none.

    Case, marks and blanks do not matter, and neither do a number or a word for images or data beside it: ``Training``,
    ``train_images``, ``seg_train``, ``TRAIN-SET`` and ``train2017`` all mean "train"; ``trains`` and ``test tube`` mean
    none.
    """
    letters = bare(name)
    return next((part for part in PARTS if PATTERNS[part].fullmatch(letters)), None)


def parts_of(names: Iterable[str]) -> dict[str, Part]:
    """The part that each of the folders in one folder means, for those that mean one.

    Names that differ in a part's word alone mean parts too: ``cars_train`` and ``cars_test``.
    """
    names = list(names)
    alike: dict[tuple[str, ...], dict[str, Part]] = {}
    for name in names:
        words = re.findall(r"[^\W\d_]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
        for index, word in enumerate(words):
            if part := part_of(word):
                rest = tuple(other.casefold() for other in (*words[:index], "", *words[index + 1 :]))
                alike.setdefault(rest, {})[name] = part
    found = {name: part for same in alike.values() if len({*same.values()}) > 1 for name, part in same.items()}
    return found | {name: part for name in names if (part := part_of(name))}


def is_container(name: str) -> bool:
    """Whether a folder is called after images as such, not after what they show: ``images``, ``data``."""
    return CONTAINER.fullmatch(bare(name)) is not None


def is_beside(name: str) -> bool:
    """Whether a folder is called after what lies beside images, and may be images too: ``annotations``, ``masks``."""
    return BESIDE.fullmatch(bare(name)) is not None


def is_no_class(name: str) -> bool:
    """Whether a name is that of a part, of more images, or of what lies beside images; few classes are called so."""
    return part_of(name) is not None or is_container(name) or is_beside(name) or EXTRA.fullmatch(bare(name)) is not None


def are_pieces(names: Iterable[str]) -> bool:
    """Whether names differ in a number alone, after a word for a piece of a download."""
    letters = {bare(name) for name in names}
    return (
        len(letters) > 1
        and len({re.sub(r"\d+$", "", name) for name in letters}) == 1
        and all(PIECE.fullmatch(name) for name in letters)
    )


def rank(name: str) -> tuple[int, int, str]:
    """Sorts names of parts: by their word as listed in ``WORDS``, then the shorter name first."""
    letters = bare(name)
    matches = ((WORDS[part], PATTERNS[part].fullmatch(letters)) for part in PARTS)
    order = next((words.index(match["word"]) for words, match in matches if match), 0)
    return order, len(letters), name


def bare(name: str) -> str:
    """A name without case, marks and blanks."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())
