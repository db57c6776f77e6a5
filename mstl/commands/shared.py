"""What all commands share: how errors end, where messages go, and options made from a dataclass."""

import dataclasses
import functools
import logging
import os
import sys
import types
import typing

import click

from mstl.errors import MstlError

SETTINGS = {"context_settings": {"help_option_names": ["-h", "--help"]}}


def command(function):
    """Make a click command of a function whose errors end in one line on stderr and exit code 1.

    ``MSTL_DEBUG=1`` shows the traceback instead.
    """
    return click.command(**SETTINGS)(one_line_errors(function))


def command_of(group, name=None):
    """A decorator like :func:`command` that puts the command into a group, under its own name if none is given."""
    return lambda function: group.command(name, **SETTINGS)(one_line_errors(function))


def one_line_errors(function):
    """Wrap a command's function so that it never ends in a traceback."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        show_messages()
        try:
            return function(*args, **kwargs)
        except click.ClickException:
            raise
        except KeyboardInterrupt:
            fail("interrupted", 130)
        except Exception as error:
            if os.environ.get("MSTL_DEBUG"):
                raise
            known = isinstance(error, MstlError)
            text = " ".join(str(error).split()) or type(error).__name__
            fail(text if known else f"unexpected {type(error).__name__}: {text[:300]} (MSTL_DEBUG=1 shows where)")

    return run


def fail(message, code=1):
    """Print one line on stderr and exit."""
    click.echo(f"mstl: error: {message}", err=True)
    sys.exit(code)


def show_messages():
    """Let mstl's log messages reach stderr, as plain lines."""
    logger = logging.getLogger("mstl")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def dataclass_options(config_class, without=()):
    """A decorator that gives a command one option for each field of a dataclass but those named in ``without``."""

    def decorate(function):
        hints = typing.get_type_hints(config_class)
        for field in reversed([field for field in dataclasses.fields(config_class) if field.name not in without]):
            choices, dashed = field.metadata["choices"], field.name.replace("_", "-")
            kind = plain_type(hints[field.name])
            function = click.option(
                f"--{dashed}/--no-{dashed}" if kind is bool else f"--{dashed}",
                *field.metadata["flags"],
                field.name,
                type=click.Choice(choices, case_sensitive=False) if choices else kind,
                default=field.default,
                show_default=field.default is not None,
                help=field.metadata["help"],
            )(function)
        return function

    return decorate


def plain_type(hint):
    """``int`` from ``int | None``, and so on."""
    if isinstance(hint, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint
