"""What the commands share: one-line errors, log messages on stderr, and options made from a dataclass."""

import contextlib
import dataclasses
import functools
import io
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, TypeVar

import click

from mstl.commands import completing, standard_streams
from mstl.commands.help_texts import SpokenCommand, SpokenGroup
from mstl.config import ENGINES, GROUPS, PRECISIONS, Group, TrainConfig
from mstl.data.finding.lists.list_options import ListOptions
from mstl.download.failures import DISK_ERRORS
from mstl.errors import MstlError
from mstl.field_types import choices_of, empty, plain_type
from mstl.runtime import garbage
from mstl.runtime.language import translated as _

CONTEXT = {"help_option_names": ["-h", "--help"]}
Function = TypeVar("Function", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """An option that appears under one of the headings of its command's help."""

    def __init__(self, *args: Any, group: Group, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class Command(SpokenCommand):
    """A command that refuses empty arguments: ``--data ""`` would otherwise mean the current folder."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse empty arguments, then parse."""
        for before, argument in zip(["", *args], args, strict=False):
            name = before if before.startswith("-") and before not in ("-", "--") else "an argument"
            if not argument.strip():
                fail(empty(name))
            if argument.startswith("--") and argument.endswith("="):
                fail(empty(argument[:-1]))
        return super().parse_args(ctx, args)


class GroupedCommand(Command):
    """A command whose help lists the options under the headings of :data:`mstl.config.GROUPS`, in their order."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group that has options, and one for ``--help``."""
        sections: dict[str, list[tuple[str, str]]] = {f"{group} options": [] for group in GROUPS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                title = f"{parameter.group} options" if isinstance(parameter, GroupedOption) else "Help"
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(_(title)):
                    formatter.write_dl(records)


def command(function: Callable[..., Any]) -> click.Command:
    """Make a click command of a function whose errors end in one line on stderr and exit code 1.

    ``MSTL_DEBUG=1`` shows the traceback instead.
    """
    return click.command(cls=Command, context_settings=CONTEXT)(one_line_errors(function))


def grouped_command(function: Callable[..., Any]) -> click.Command:
    """Like :func:`command`, with the options grouped in the help."""
    return click.command(cls=GroupedCommand, context_settings=CONTEXT)(one_line_errors(function))


def group(function: Callable[..., Any]) -> click.Group:
    """Make a click group of a function, for :func:`command_of`."""
    return click.group(cls=SpokenGroup, context_settings=CONTEXT)(function)


def command_of(parent: click.Group, name: str | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """A decorator like :func:`command` that adds the command to a group, under the function's name by default."""
    return lambda function: parent.command(name, cls=Command, context_settings=CONTEXT)(one_line_errors(function))


def one_line_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a command's function so that it never ends in a traceback."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        standard_streams.prepare()
        garbage.not_collected_at_exit()
        show_messages()
        try:
            return flushed(function, *args, **kwargs)
        except click.ClickException:
            raise
        except KeyboardInterrupt as request:  # a Stopped knows what to say, and by which signal it came
            fail(str(request) or "interrupted", getattr(request, "exit_code", 130))
        except Exception as error:
            if os.environ.get("MSTL_DEBUG"):
                raise
            fail(explanation(error))

    return run


def flushed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function, and write what it has printed, whatever becomes of it."""
    try:
        result = function(*args, **kwargs)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong before is told
            standard_streams.finish()
        raise
    standard_streams.finish()
    return result


def explanation(error: Exception) -> str:
    """One line about an error."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MstlError):
        return text
    if isinstance(error, ModuleNotFoundError):
        return f"this needs {error.name}, which is not installed: pip install mstl"
    if isinstance(error, OSError) and error.strerror:
        what = "the output" if error.filename is None else f"{error.filename}"
        if error.errno in DISK_ERRORS:
            return f"cannot write {what}: {error.strerror}; make room, or write elsewhere"
        if error.filename is not None:
            return f"cannot use {what}: {error.strerror} (MSTL_DEBUG=1 shows where)"
    return f"unexpected {type(error).__name__}: {text[:300]} (MSTL_DEBUG=1 shows where)"


def fail(message: str, code: int = 1) -> NoReturn:
    """Print one line on stderr and exit."""
    click.echo(f"mstl: error: {message}", err=True)
    sys.exit(code)


def show_messages() -> None:
    """Send mstl's log messages to stderr, as plain lines; on stdout, too, names that are not Unicode are escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    logger = logging.getLogger("mstl")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def grouped_option(group: Group, *declarations: str, **settings: Any) -> Callable[[Function], Function]:
    """``click.option`` for a :class:`GroupedCommand`."""
    return click.option(*declarations, cls=GroupedOption, group=group, **settings)


def device_option(help_text: str = "Device: auto, Ascend, GPU or CPU.") -> Callable[[Function], Function]:
    """The option ``--device`` of the commands that compute."""
    return click.option("--device", default="auto", show_default=True, help=help_text)


def engine_options(function: Function) -> Function:
    """The options ``--engine`` and ``--precision`` of the commands that compute a trained model."""
    for name, names, help_text in (
        ("precision", PRECISIONS, "Precision; auto takes that of the training, where it is possible."),
        ("engine", ENGINES, "Engine that computes the model; auto takes the quickest that is installed."),
    ):
        choice = click.Choice(names, case_sensitive=False)
        function = click.option(f"--{name}", type=choice, default="auto", show_default=True, help=help_text)(function)
    return function


def list_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options about lists of the commands that take data; the command gets a ListOptions called ``lists``."""
    return with_list_options(function, ("path_column", "label_column", "images"))


def grouped_list_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, with the column of groups."""
    return with_list_options(function, ("path_column", "label_column", "group_column", "images"))


def with_list_options(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """Give a command the options of :class:`ListOptions` that have these names."""

    @functools.wraps(function)
    def run(**arguments: Any) -> Any:
        lists = ListOptions(**{name: arguments.pop(name) for name in names})
        return function(lists=lists, **arguments)

    for name in reversed(names):
        help_text = TrainConfig.__dataclass_fields__[name].metadata["help"]
        complete = completing.SETTINGS.get(name)
        run = click.option(f"--{name.replace('_', '-')}", name, help=help_text, shell_complete=complete)(run)
    return run


def dataclass_options(config_class: type[Any], without: Iterable[str] = ()) -> Callable[[Function], Function]:
    """A decorator that gives a command one option for each field of a dataclass, except those in ``without``.

    Args:
        config_class: A dataclass whose fields are made by :func:`mstl.config.option`.
        without: Names of fields that are left out.
    """

    def decorate(function: Function) -> Function:
        for field in reversed([field for field in dataclasses.fields(config_class) if field.name not in without]):
            dashed = field.name.replace("_", "-")
            kind = plain_type(field.type)
            choices = choices_of(kind)
            function = grouped_option(
                field.metadata["group"],
                f"--{dashed}/--no-{dashed}" if kind is bool else f"--{dashed}",
                *field.metadata["flags"],
                field.name,
                type=click.Choice(choices, case_sensitive=False) if choices else kind,
                default=field.default,
                show_default=field.default is not None,
                help=field.metadata["help"],
                shell_complete=completing.SETTINGS.get(field.name),
            )(function)
        return function

    return decorate
