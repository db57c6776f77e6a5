"""List labels: which classes the labels of a list stand for, and that each image has one."""

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mstl.data.finding.lists.list_columns import ONE, ZERO
from mstl.data.finding.lists.list_dialect import Cells
from mstl.errors import MstlError

logger = logging.getLogger("mstl")
CLASSES = "classes.txt"  # beside a list: the class names that integer labels index, one a line
INTEGER = re.compile(r"0|-?[1-9][0-9]*")  # as a program writes it: 007 and +7 are names
DIGITS = re.compile(r"[+-]?[0-9]+")
SEQUENCE = re.compile(r"[\[({].*,.*[\])}]")  # ['cat', 'dog']
NUMBERS = re.compile(r"\W*\d+(?:\.\d+)?(?:[\s,;|]+\d+(?:\.\d+)?)+\W*")  # 1,0 or [0, 1] or 0 1
LARGEST = 18  # digits of an integer


def one_hot_label(file: Path, line: int, cells: Cells, names: Cells) -> str:
    """The class whose column holds 1.

    Args:
        file: The list, for messages.
        line: The number of the line, for messages.
        cells: A cell of each class.
        names: Of the classes.

    Raises:
        MstlError: There is none, or more than one; or a cell holds something else.
    """
    wrong = next((cell for cell in cells if cell not in (*ZERO, *ONE)), None)
    if wrong is not None:
        raise MstlError(f"{file}, line {line}: {wrong!r} in a column of a class, which holds 1 or 0")
    own = [name for name, cell in zip(names, cells, strict=True) if cell in ONE]
    if len(own) != 1:
        found = f"{len(own)} labels ({', '.join(own[:8])})" if own else f"none of the labels {', '.join(names[:8])}"
        raise MstlError(f"{file}, line {line}: the image has {found}; a classifier needs exactly one for each")
    return own[0]


def refuse_several(file: Path, labels: Iterable[str]) -> None:
    """Refuse lists that give an image more than one label.

    These are numbers in a row, lists in brackets, names divided by ``|`` or ``;``, and names divided by commas that are
    labels by themselves, too.

    Raises:
        MstlError: There is such a label.
    """
    known = set(labels)
    for label in sorted(known):
        parts = [part.strip(" '\"[]()") for part in re.split(r"[|;,]", label)]
        several = len(parts) > 1 and all(parts)
        if (
            several
            and ("|" in label or ";" in label or set(parts) <= known)
            or NUMBERS.fullmatch(label)
            or SEQUENCE.fullmatch(label)
        ):
            raise MstlError(
                f"{file} has {label!r}, which is more than one label; a classifier needs one for each image"
            )


def class_names(file: Path, labels: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...] | None]:
    """Which class the labels of a list stand for.

    Labels are names, unless all are integers as programs write them: then they are sorted as such, or index
    classes.txt.

    Returns:
        The class name of each label, and the order of the names (None: sorted).

    Raises:
        MstlError: classes.txt has no name for a label, or is wrong.
    """
    listed = file.parent / CLASSES
    known = set(labels)
    if not all(INTEGER.fullmatch(label) and len(label) <= LARGEST for label in known):
        if listed.is_file() and all(map(DIGITS.fullmatch, known)):
            odd = min(label for label in known if not INTEGER.fullmatch(label))
            logger.info("data: %s is not used: labels such as %s in %s are names, not numbers", listed, odd, file)
        return {label: label for label in known}, None
    if not listed.is_file():
        return {label: label for label in known}, tuple(sorted(known, key=int))
    order = read_classes(file, listed)
    missing = sorted(label for label in known if not 0 <= int(label) < len(order))
    if missing:
        raise MstlError(
            f"{file} has the label {missing[0]}, but {listed} has {len(order)} names, for 0 to {len(order) - 1}"
        )
    return {label: order[int(label)] for label in known}, tuple(order)


def read_classes(file: Path, listed: Path) -> list[str]:
    """The names in classes.txt, for the labels of a list.

    Raises:
        MstlError: It cannot be read, or lacks a name.
    """
    try:
        order = [line.strip() for line in listed.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise MstlError(
            f"cannot read {listed}: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}"
        ) from error
    while order and not order[-1]:
        order.pop()
    if not all(order) or len(set(order)) < len(order):
        raise MstlError(f"{listed} must have a different name on each line: the labels in {file} are line numbers")
    return order
