"""Language: help and pages are in Chinese where MSTL_LANG or the locale says so, all else is in English."""

import contextlib
import functools
import gettext
import os
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

DOMAIN = "mstl"  # of the catalogue, locale/zh/LC_MESSAGES/mstl.mo
FOLDER = Path(__file__).parents[1] / "locale"
ENGLISH, CHINESE = "en", "zh"
VARIABLES = ("MSTL_LANG", "LC_ALL", "LC_MESSAGES", "LANG")  # the first one that is set decides
FIXED: ContextVar[str | None] = ContextVar("FIXED", default=None)


def language() -> str:
    """:data:`ENGLISH` or :data:`CHINESE`."""
    asked = FIXED.get() or next(filter(None, map(os.environ.get, VARIABLES)), "")
    return CHINESE if asked.lower().startswith(CHINESE) else ENGLISH


@contextlib.contextmanager
def in_english() -> Iterator[None]:
    """Stay with English, whoever asks: for what programs read."""
    token = FIXED.set(ENGLISH)
    try:
        yield
    finally:
        FIXED.reset(token)


def translated(message: str, /, **values: object) -> str:
    """A message in the language, filled in.

    Modules import it as ``_``, by which ``python -m tests.translations`` finds the messages.

    Args:
        message: In English, with fields as ``str.format`` takes them.
        **values: What fills these in; without any, braces are plain characters.
    """
    found = catalogue().gettext(message) if language() == CHINESE else message
    return found.format(**values) if values else found


def plural(one: str, other: str, count: int, /, **values: object) -> str:
    """The same of a message about ``{count}`` things, which has another form in English for one thing."""
    found = catalogue().ngettext(one, other, count) if language() == CHINESE else one if count == 1 else other
    return found.format(count=count, **values)


@functools.cache
def catalogue() -> gettext.NullTranslations:
    """The Chinese messages."""
    return gettext.translation(DOMAIN, FOLDER, [CHINESE])


@contextlib.contextmanager
def all_libraries() -> Iterator[None]:
    """Let libraries that ask Python's gettext for their own words, as click does, find those of the catalogue."""
    domain, folder, languages = gettext.textdomain(), gettext.bindtextdomain(DOMAIN), os.environ.get("LANGUAGE")
    gettext.bindtextdomain(DOMAIN, str(FOLDER))
    gettext.textdomain(DOMAIN)
    os.environ["LANGUAGE"] = language()
    try:
        yield
    finally:
        gettext.textdomain(domain)
        gettext.bindtextdomain(DOMAIN, folder)
        del os.environ["LANGUAGE"]
        if languages is not None:
            os.environ["LANGUAGE"] = languages
