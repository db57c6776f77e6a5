"""Help texts: the help of commands and options in the language of whoever asks, in lines that suit the terminal."""

import contextlib
import copy
import inspect
import sys
from collections.abc import Iterable, Iterator

import click
from click.formatting import measure_table

from mstl.runtime.language import CHINESE, all_libraries, in_english, language
from mstl.runtime.language import translated as _
from mstl.runtime.wide_text import wrapped

KEPT = "\b\n"  # before a paragraph whose lines are kept, as click has it


class SpokenCommand(click.Command):
    """A command whose help, written in English, is shown in the language of whoever asks."""

    def get_help(self, ctx: click.Context) -> str:
        """The help as a text."""
        if language() != CHINESE or not can_show("中文，"):
            with in_english():
                return super().get_help(ctx)
        formatter = WideFormatter(width=ctx.terminal_width, max_width=ctx.max_content_width)
        with all_libraries():
            self.in_language(ctx).format_help(ctx, formatter)
        return formatter.getvalue().rstrip("\n")

    def in_language(self, ctx: click.Context) -> "SpokenCommand":
        """This command with its help, and that of its options, translated."""
        command = copy.copy(self)
        command.help = in_paragraphs(self.help)
        command.params = list(map(with_words, self.get_params(ctx)))
        command.add_help_option = False  # it is among these
        return command

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence of the help."""
        if language() != CHINESE:
            return super().get_short_help_str(limit)
        return in_paragraphs(self.help).partition("。")[0]


class SpokenGroup(SpokenCommand, click.Group):
    """The same of a group of commands."""


class WideFormatter(click.HelpFormatter):
    """A formatter that knows which characters take two columns; click counts one for each, and divides at spaces."""

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        super().write_text(in_lines(text, self.width - self.current_indent))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of names and what they are."""
        rows = list(rows)
        width = self.width - min(measure_table(rows)[0], col_max) - col_spacing - self.current_indent
        super().write_dl([(first, in_lines(second, max(width, 10))) for first, second in rows], col_max, col_spacing)


def in_lines(text: str, width: int) -> str:
    """Paragraphs in lines of their own, which click keeps."""
    paragraphs = (
        each if each.startswith(KEPT) else KEPT + "\n".join(wrapped(each, width)) for each in text.split("\n\n") if each
    )
    return "\n\n".join(paragraphs)


def in_paragraphs(text: str | None) -> str:
    """A help text translated, paragraph by paragraph."""
    return "\n\n".join(kept + _(paragraph) for kept, paragraph in paragraphs(text))


def paragraphs(text: str | None) -> Iterator[tuple[str, str]]:
    """The paragraphs of a help text, each on one line, unless it begins with :data:`KEPT`, which is given before it."""
    for part in inspect.cleandoc(text or "").split("\n\n"):
        if part.startswith(KEPT):
            yield KEPT, part.removeprefix(KEPT)
        elif part:
            yield "", " ".join(part.split())


def with_words(parameter: click.Parameter) -> click.Parameter:
    """An option with its help translated; anything else as it is."""
    if not isinstance(parameter, click.Option) or not parameter.help:
        return parameter
    option = copy.copy(parameter)
    option.help = _(parameter.help)
    return option


def can_show(text: str) -> bool:
    """Whether stdout has the characters of a text."""
    with contextlib.suppress(UnicodeEncodeError):
        return bool(text.encode(getattr(sys.stdout, "encoding", None) or "utf-8"))
    return False
