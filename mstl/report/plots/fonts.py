"""Fonts that have the characters of class names: matplotlib's own one has no Chinese, Japanese or Korean."""

import functools
import logging
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger("mstl")
PREFERRED = (  # upright fonts without serifs, of Linux, macOS and Windows; others are tried after them
    *("Noto Sans CJK SC", "Noto Sans SC", "Noto Sans CJK JP", "Source Han Sans SC", "Source Han Sans CN"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans GB", "Heiti SC", "Heiti TC", "STHeiti", "Arial Unicode MS"),
    *("Microsoft YaHei", "SimHei", "DengXian"),
)
SILENT = "\n\u200c\u200d"  # a new line, and what keeps letters apart or joins them: without a picture, but harmless
BOXES = ("Last Resort", ".LastResort")  # fonts that "have" every character, as a box


def drawable(text: str) -> str:
    """A text in characters that can be drawn.

    Those that no installed font has, and those that control something, such as the direction of writing, are written as
    ``\\uXXXX``, which at least tells names apart.
    """
    _, missing = families(frozenset(text))
    if missing:
        complain("".join(sorted(missing))[:8])
    return "".join(escaped(each) if each in missing or controls(each) else each for each in text)


def escaped(character: str) -> str:
    """A character as Python writes it in ASCII, such as ``\\u8682``."""
    return character.encode("unicode_escape").decode()


def controls(character: str) -> bool:
    """Whether a character controls something, which would better be seen."""
    return unicodedata.category(character).startswith("C") and character not in SILENT


@functools.cache
def complain(characters: str) -> None:
    """Say what to install; once for the same characters, as a plot has many texts."""
    logger.warning(
        "no installed font has the characters %s, which plots show as %s: install a font that has them, such as "
        "Noto Sans CJK (`apt-get install fonts-noto-cjk`)",
        characters.encode("utf-8", "replace").decode(),
        escaped(characters[0]),
    )


def legible(figure: "Figure") -> "Figure":
    """Give each text of a figure fonts that have all its characters, and take ``$`` for a plain character.

    Args:
        figure: With all its texts, which are changed in place.

    Returns:
        The same figure.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if text.get_text():
            text.set_parse_math(False)
            more, _ = families(frozenset(text.get_text()))
            if more:
                text.set_fontfamily([*text.get_fontfamily(), *more])
    return figure


@functools.cache
def families(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Font families that have what the standard font lacks.

    Returns:
        Names of families, and the characters that no family has.
    """
    from matplotlib.font_manager import FontProperties, fontManager

    standard = fontManager.findfont(FontProperties())
    drawn = {each for each in characters if each not in SILENT and not controls(each)}
    missing = {each for each in drawn if not has(standard, each)}
    chosen: list[str] = []
    for search in (known_families, newly_installed_families):
        for name, path in search().items() if missing else ():
            found = {each for each in missing if has(path, each)}
            if found:
                chosen.append(name)
                missing -= found
            if not missing:
                break
    return tuple(chosen), frozenset(missing)


def known_families() -> dict[str, str]:
    """The families that matplotlib knows, the preferred ones first: from name to the file of a face."""
    from matplotlib.font_manager import fontManager

    files = {entry.name: entry.fname for entry in fontManager.ttflist if not entry.name.startswith(BOXES)}
    return dict(sorted(files.items(), key=lambda item: (rank(item[0]), item)))


def rank(name: str) -> int:
    """The place of a family among the preferred ones, or after them."""
    return PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)


@functools.cache
def newly_installed_families() -> dict[str, str]:
    """Families installed since matplotlib made its list, which it does once and keeps in the user's cache."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {entry.fname for entry in fontManager.ttflist}
    before = known_families()
    for path in sorted(set(findSystemFonts()) - known):
        try:
            fontManager.addfont(path)
        except (OSError, RuntimeError, NotImplementedError):  # damaged, or a kind that FreeType cannot scale
            logger.debug("%s cannot be used as a font", path)
    return {name: path for name, path in known_families().items() if name not in before}


def has(path: str, character: str) -> bool:
    """Whether a font file has a character."""
    from matplotlib.font_manager import get_font

    try:
        return get_font(path).get_char_index(ord(character)) != 0
    except (OSError, RuntimeError):  # matplotlib's list names a file that is gone or damaged
        return False
