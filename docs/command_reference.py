"""A directive ``{commands}``: every command of mstl with its usage, help and options, from click itself."""

import inspect
import re

import click
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from mstl.__main__ import main
from mstl.runtime.language import all_libraries


class Commands(SphinxDirective):
    """Sections about all commands, one each, those of groups within that of their group."""

    def run(self) -> list[nodes.Node]:
        """The sections."""
        context = click.Context(main, info_name="mstl")
        return [section(main.get_command(context, name), name, context) for name in main.list_commands(context)]


def section(command, name, parent):
    """The section about a command, with those of its commands if it is a group."""
    context = click.Context(command, info_name=name, parent=parent)
    title = context.command_path
    made = nodes.section(ids=[nodes.make_id(title)], names=[title])
    made += nodes.title(title, title)
    usage = " ".join([title, *command.collect_usage_pieces(context)])
    made += nodes.literal_block(usage, usage, language="text")
    with all_libraries():  # click's words, too, are in the language of the page
        spoken = command.in_language(context)
        groups = option_groups(spoken, context)
    made += paragraphs(spoken.help)
    for heading, records in groups:
        made += nodes.rubric(heading, heading)
        made += definitions(records)
    if isinstance(command, click.Group):
        made += [section(command.get_command(context, each), each, context) for each in command.list_commands(context)]
    return made


def paragraphs(text):
    r"""The paragraphs of a command's help; those after a line with \b keep their lines."""
    for part in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        if part.startswith("\b"):
            lines = part.removeprefix("\b").strip("\n")
            yield nodes.literal_block(lines, lines, language="text")
        else:
            words = " ".join(part.split())
            yield nodes.paragraph("", "", *texts(words))


def texts(words):
    """Nodes of a text in which what stands between backticks, and options, are code."""
    for part in re.split(r"(`[^`]+`|(?<!\S)--[a-z][\w-]*)", words):
        if part.startswith(("`", "--")):
            yield nodes.literal("", part.strip("`"))
        elif part:
            yield nodes.Text(part)


def option_groups(command, context):
    """The options under their headings, as in the help."""

    class Recorder(click.HelpFormatter):
        """Keeps what a command writes about its options."""

        def __init__(self):
            super().__init__()
            self.found, self.heading = [], ""

        def write_heading(self, heading):
            self.heading = heading

        def write_dl(self, rows, col_max=30, col_spacing=2):
            self.found.append((self.heading, list(rows)))

    recorder = Recorder()
    if isinstance(command, click.Group):  # its own method lists its commands, too
        click.Command.format_options(command, context, recorder)
    else:
        command.format_options(context, recorder)
    return recorder.found


def definitions(records):
    """A definition list of options: names, and what they do."""
    made = nodes.definition_list()
    for names, words in records:
        term = nodes.term("", "", nodes.literal("", names))
        made += nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", "", *texts(words))))
    return made


def setup(app):
    """Add the directive."""
    app.add_directive("commands", Commands)
    return {"version": "1", "parallel_read_safe": True}
