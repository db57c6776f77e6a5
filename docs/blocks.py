"""The shell and Python blocks of a page, and what the comments before them say of how they are run.

A comment stands alone on the line before its block, or before another comment of it::

    <!-- not run: needs an Ascend device -->      it is not run, for that reason
    <!-- run with: --epochs 80 => --epochs 1 -->  so much is other when it is run, to take seconds
    <!-- in the background -->                    a server: it is started, and ended at the end of the page
    <!-- exit code: 3 -->                         how its last command ends
    <!-- needs: pets, photos -->                  what is put into the folder before, see tests/run_docs.py
"""

import re
from dataclasses import dataclass, field

LANGUAGES = {"sh": "sh", "bash": "sh", "python": "python"}
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[^\s`]*)\s*$")
COMMENT = re.compile(r"^ *<!-- (?P<kind>not run|run with|in the background|exit code|needs)(?:: (?P<text>.+?))? -->$")


@dataclass
class Block:
    """A block of a page that a reader would run.

    Attributes:
        language: "sh" or "python".
        text: What stands in the page.
        line: Its first line in the page, from 1.
        not_run: Why it is not run, or "".
        changes: Pairs of what stands there, and what is run in its place.
        background: Whether it is a server.
        exit_code: How its last command ends.
        needs: Names of what is put into the folder before.
    """

    language: str
    text: str
    line: int
    not_run: str = ""
    changes: list[tuple[str, str]] = field(default_factory=list)
    background: bool = False
    exit_code: int = 0
    needs: list[str] = field(default_factory=list)

    def mark(self, kind, text):
        """Note what a comment says."""
        if kind == "not run":
            self.not_run = text
        elif kind == "run with":
            before, _, after = text.partition(" => ")
            self.changes.append((before, after))
        elif kind == "in the background":
            self.background = True
        elif kind == "exit code":
            self.exit_code = int(text)
        else:
            self.needs += text.split(", ")

    def code(self):
        """What is run.

        Raises:
            ValueError: What a comment would change does not stand in the block.
        """
        code = self.text
        for before, after in self.changes:
            if before not in code:
                raise ValueError(f"line {self.line}: {before!r} is not in the block")
            code = code.replace(before, after)
        return code


def fences(page):
    """The fenced blocks of a page in any language: (language, text, first line, comments before it)."""
    lines = page.splitlines()
    number = 0
    while number < len(lines):
        opened = FENCE.match(lines[number])
        if not opened:
            number += 1
            continue
        end = next(later for later in range(number + 1, len(lines)) if lines[later].strip() == "```")
        indent = len(opened["indent"])
        comments, above = [], number - 1
        while above >= 0 and (mark := COMMENT.match(lines[above])):
            comments.insert(0, (mark["kind"], mark["text"]))
            above -= 1
        text = "".join(f"{line[indent:]}\n" for line in lines[number + 1 : end])
        yield opened["language"], text, number + 2, comments
        number = end + 1


def blocks(page):
    """The blocks of a page, given as text, that a reader would run, in their order."""
    for language, text, line, comments in fences(page):
        if language in LANGUAGES:
            block = Block(LANGUAGES[language], text, line)
            for kind, words in comments:
                block.mark(kind, words)
            yield block
