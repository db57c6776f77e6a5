"""Part names: train, val and test, whatever people call these parts of a dataset."""

import re
import unicodedata
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
THINGS = "set|datasets?|data|images?|imgs?|pics|pictures?|photos?|samples?|files?|folders?|dir|splits?|parts?|subset|集"
BEFORE = "seg|img|images?|data|dataset|my"  # seg_train/ of Intel's scenes, img_train/, data_train/
PATTERNS = {
    part: re.compile(rf"\d*(?:{BEFORE})?(?P<word>{'|'.join(words)})(?:{THINGS})*\d*") for part, words in WORDS.items()
}


def part_of(name: str) -> Part | None:
    """The part of a dataset that a folder, a list's stem or a value of a split column names; None if it names none.

    Case, marks and blanks do not matter, and neither do a number or a word for images or data beside it: ``Training``,
    ``train_images``, ``seg_train``, ``TRAIN-SET`` and ``train2017`` all mean "train"; ``trains`` and ``test tube`` mean
    none.
    """
    letters = bare(name)
    return next((part for part in PARTS if PATTERNS[part].fullmatch(letters)), None)


def usual_first(name: str) -> tuple[int, int, str]:
    """Sorts names of parts: by their word as listed in ``WORDS``, then the shorter name first."""
    letters = bare(name)
    matches = ((WORDS[part], PATTERNS[part].fullmatch(letters)) for part in PARTS)
    order = next((words.index(match["word"]) for words, match in matches if match), 0)
    return order, len(letters), name


def bare(name: str) -> str:
    """A name without case, marks and blanks."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())
