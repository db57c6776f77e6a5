"""Wide text: how many columns of a terminal a text takes, and its lines of so many columns; Chinese takes two each."""

import re
import unicodedata

WIDE = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
# What stands in brackets, or a word or a wide character with the marks that no line may end or begin with; and spaces
PIECES = re.compile(rf"\[[^][]{{,40}}\]\s*|[（《“[]*(?:[{WIDE}]|[^\s{WIDE}（《“”[]+)[，。；：、？！）》”\]]*\s*")


def columns(text: str) -> int:
    """How many columns a text takes: one for a character, two for a wide one."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines of at most so many columns, divided at spaces and between wide characters; longer words are not.

    Args:
        text: One paragraph.
        width: In columns.
    """
    lines, line = [], ""
    for piece in PIECES.findall(text):
        if line and columns(line + piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    return [*lines, line.rstrip()]
