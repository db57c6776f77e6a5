"""Markdown: text that stays text, tables, and the YAML with which a model card begins."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mstl.report.rendering import printable

ENTITIES = {"\\": "&#92;", "|": "&#124;"}  # on whose escapes in tables parsers differ
MARKUP = re.compile(r"[\\|`*_\[\]<>~&$#!{}^=@]|:(?=\S)|(?<=\bwww)\.", re.IGNORECASE)
PLAIN = re.compile(r"[a-z][a-z0-9]*(?:[-_./][a-z0-9_]+)*")  # what YAML takes for a text without quotes, but for:
WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")
NOT_PRINTABLE = re.compile("[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u2028\u2029\ufeff]")  # in YAML


def escaped(text: str) -> str:
    """A text as Markdown shows it, on one line: nothing in it is markup, a link or a cell's end."""
    flat = str(printable(text.replace("\r", "\\r").replace("\n", "\\n")))
    return MARKUP.sub(lambda match: ENTITIES.get(match[0], f"\\{match[0]}"), flat)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 0) -> str:
    """A table of cells that are Markdown already.

    Args:
        columns: The titles.
        rows: As many cells each.
        numbers: How many of the columns, the last ones, are set right.
    """
    rules = ["---"] * (len(columns) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rules, *rows))


def front_matter(values: Mapping[str, Any]) -> str:
    """Plain values as YAML between two lines of dashes, which a model card begins with."""
    return "\n".join(["---", *yaml_lines(values), "---"])


def yaml_lines(value: Mapping[str, Any] | Sequence[Any]) -> Iterator[str]:
    """The lines of a table or list, of which none may be empty."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, Mapping | list):
                yield f"{key}:"
                yield from (f"  {line}" for line in yaml_lines(item))
            else:
                yield f"{key}: {scalar(item)}"
        return
    for item in value:
        lines = yaml_lines(item) if isinstance(item, Mapping | list) else iter([scalar(item)])
        yield f"- {next(lines)}"
        yield from (f"  {line}" for line in lines)


def scalar(value: str | float) -> str:
    """A text or a number."""
    if not isinstance(value, str):
        return json.dumps(value)
    if PLAIN.fullmatch(value) and value not in WORDS:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return NOT_PRINTABLE.sub(lambda match: f"\\U{ord(match[0]):08x}", quoted)
