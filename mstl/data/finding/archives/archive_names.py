"""Names in archives: decoded by what makes sense as text, and taken apart into folders that are safe to make."""

import os
import re
import unicodedata
from collections.abc import Callable, Collection
from hashlib import sha256
from pathlib import PurePosixPath, PureWindowsPath
from typing import NamedTuple

STANDARD = "cp437"  # what the zip format says of names without the flag for UTF-8
FLOOR = 0.6  # sense below which a text was not written in an encoding
SAMPLE = 5000  # names that are looked at to find the encoding
WORD = re.compile(r"[^\W\d_]+")


def in_rows(encoding: str, common: range, rare: range, second: int = 0x40) -> Callable[[str], float]:
    """The sense of a word in a two-byte encoding: 1 for characters of its common rows, 0.7 for those of its rare ones.

    Args:
        encoding: Its rows are sorted by how common the characters are.
        common: First bytes of common characters.
        rare: First bytes of rare ones.
        second: Least second byte of a character in them.
    """

    def sense(word: str) -> float:
        pairs = [char.encode(encoding) for char in word if not char.isascii()]
        weights = [(pair[0] in common) + 0.7 * (pair[0] in rare) for pair in pairs if pair[-1] >= second]
        return sum(weights) / len(pairs)

    return sense


def japanese(word: str) -> float:
    """The sense of a word as Japanese: kana of full width, and kanji; half of all bytes would be kana of half width."""
    kana = [char for char in word if "\u3040" <= char <= "\u30ff"]
    rest = "".join(
        char for char in word if not char.isascii() and char not in kana and not "\uff00" <= char <= "\uffef"
    )
    kanji = in_rows("cp932", range(0x88, 0x98), range(0x98, 0xEB))(rest) * len(rest) if rest else 0
    return (len(kana) + kanji) / sum(not char.isascii() for char in word)


def latin(word: str) -> float:
    """Whether a word is of Latin letters, with plain ones among them, and not in capitals amid the word."""
    sound = all(unicodedata.name(char, "").startswith("LATIN ") for char in word) and any(map(str.isascii, word))
    return float(sound and (word.islower() or word.isupper() or word.istitle()))


def cyrillic(word: str) -> float:
    """Whether a word is of Cyrillic letters alone, and not in capitals amid the word."""
    sound = all(unicodedata.name(char, "").startswith("CYRILLIC ") for char in word)
    return float(sound and (word.islower() or word.isupper() or word.istitle()))


def unicode_word(word: str) -> float:
    """The sense of what is valid UTF-8: only two bytes that are one Latin letter alone may be something else."""
    return latin(word) if max(word) < "\u0250" else 1.0


# By preference; each with the sense of a word that has more than ASCII
ENCODINGS: dict[str, Callable[[str], float]] = {
    "utf-8": unicode_word,
    "gbk": in_rows("gbk", range(0xB0, 0xD8), range(0xD8, 0xF8), 0xA1),
    "cp437": latin,
    "big5": in_rows("big5", range(0xA4, 0xC7), range(0xC9, 0xFA)),
    "cp932": japanese,
    "cp850": latin,
    "cp866": cyrillic,
    "cp1252": latin,
    "cp1251": cyrillic,
}
SHOWN = {"utf-8": "UTF-8", "gbk": "GBK", "big5": "Big5", "cp932": "Shift-JIS"}


class Guess(NamedTuple):
    """How names are encoded.

    Attributes:
        encoding: Python's name.
        makes_sense: Whether the names make sense in it.
    """

    encoding: str
    makes_sense: bool

    @property
    def certain(self) -> bool:
        """Whether it is as good as certain: other encodings hardly look like UTF-8."""
        return self.encoding == "utf-8" and self.makes_sense


def encoding_of(names: Collection[bytes]) -> Guess:
    """The encoding in which names make most sense; where they make none in any, UTF-8 if it is that, else ``STANDARD``.

    Args:
        names: Names as they are in the archive; those in ASCII say nothing.
    """
    parts = {part for name in names if not name.isascii() for part in name.split(b"/") if not part.isascii()}
    some = sorted(parts)[:: max(1, len(parts) // SAMPLE)]
    found: dict[str, float] = {}
    for encoding in ENCODINGS:
        if decodes(encoding, parts):
            found[encoding] = sense_in(encoding, some)
            if found[encoding] == 1:  # no later one can make more
                break
    best = max(found, key=lambda encoding: found[encoding])  # the first of several
    if found[best] >= FLOOR:
        return Guess(best, True)
    return Guess("utf-8" if "utf-8" in found else STANDARD, False)


def decodes(encoding: str, parts: Collection[bytes]) -> bool:
    """Whether all of these bytes are valid."""
    try:
        for part in parts:
            part.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def sense_in(encoding: str, parts: Collection[bytes]) -> float:
    """The mean sense, from 0 to 1, of all characters beyond ASCII; symbols have none, punctuation does not count."""
    total, sense = 0, 0.0
    for part in parts:
        text = part.decode(encoding)
        if encoding == "utf-8":
            text = unicodedata.normalize("NFC", text)  # macOS takes accents apart
            if max(text) >= "\u0800":  # three valid bytes in a row are no accident
                return 1.0
        for word in WORD.findall(text):
            beyond = sum(not char.isascii() for char in word)
            if beyond:
                total += beyond
                sense += beyond * ENCODINGS[encoding](word)
        total += sum(unicodedata.category(char)[0] in "SC" for char in text if not char.isascii())
    return sense / total if total else 1.0


def folders_and_file(name: str) -> list[str] | None:
    """The parts of a member's name, from the outermost folder on; None if it would land outside of its folder.

    Backslashes divide as slashes do: some Windows tools write them. The folder itself, as in a tar of ``.``, has none.
    """
    path = PureWindowsPath(name)  # knows the separators and absolute paths of all systems
    parts = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    if path.anchor or ".." in parts or not name or any(PureWindowsPath(part).drive for part in parts):
        return None
    return parts


def is_device(part: str) -> bool:
    """Whether a name is that of a device for Windows, such as ``con``, ``NUL.jpg`` or ``com1``."""
    return PureWindowsPath(part).is_reserved()


def shortened(part: str, limit: int) -> str:
    """A name of at most ``limit`` bytes: one that is too long keeps its beginning, with a hash, and its suffix."""
    whole = os.fsencode(part)
    if len(whole) <= limit:
        return part
    suffix = PurePosixPath(part).suffix
    ending = f"-{sha256(whole).hexdigest()[:8]}{suffix if len(os.fsencode(suffix)) <= 12 else ''}"
    begin = part[:limit]
    while len(os.fsencode(begin + ending)) > limit:
        begin = begin[:-1]
    return begin + ending
