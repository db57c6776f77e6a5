"""Rendering: Jinja2 turns templates and plain values into pages; every text is escaped, every number formatted."""

import base64
import functools
import hashlib
import re
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

import mstl
from mstl.report.plots.style import share
from mstl.runtime.durations import in_words
from mstl.runtime.language import CHINESE, language, plural
from mstl.runtime.language import translated as _

CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # the last ones turn text around
DASH = "\N{EN DASH}"


def render_page(template: str, **values: Any) -> str:
    """A whole page that loads nothing: style, script and images are in it, and its own policy forbids the rest.

    Args:
        template: A file in ``templates/`` that extends ``page.html``.
        **values: What it names.
    """
    script = resource("page.js")
    return render(
        template,
        **values,
        style=Markup(resource("page.css")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        version=mstl.__version__,
        language="zh-CN" if language() == CHINESE else "en",
    )


def render(template: str, **values: Any) -> str:
    """A template filled in.

    Args:
        template: A file in ``templates/``.
        **values: What it names.
    """
    return environment().get_template(template).render(values)


@functools.cache
def environment() -> jinja2.Environment:
    """Jinja2's environment: where templates are, and the filters that they use."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("mstl.report"),
        autoescape=True,
        finalize=printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "count": "{:,}".format,
        "decimal": decimal,
        "duration": duration,
        "setting": setting,
        "share": share,
        "sort_key": sort_key,
    }
    made.globals |= {"_": _, "plural": plural, "markup": markup}
    return made


def markup(message: str, /, **values: object) -> Markup:
    """A message with elements in it, translated, and filled in with values that are escaped."""
    return Markup(_(message)).format(**{name: printable(value) for name, value in values.items()})


def resource(filename: str) -> str:
    """A text file beside the templates."""
    return files("mstl.report").joinpath(f"templates/{filename}").read_text(encoding="utf-8")


def printable(value: object) -> object:
    """A value with control characters, and what is not Unicode, as ``\\x00``; applied to all that a template writes."""
    if isinstance(value, Markup):
        return value
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def setting(value: object) -> str:
    """The value of a setting."""
    if value is None or value == "":
        return DASH
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float, decimals: int = 0) -> str:
    """A duration as :func:`in_words` has it, with units of the language."""
    units = {"h": _("h"), "min": _("min"), "s": _("s")}
    return re.sub("h|min|s", lambda match: units[match[0]], in_words(seconds, decimals))


def decimal(value: float) -> str:
    """Three decimals; a dash for NaN."""
    return DASH if value != value else f"{value:.3f}"


def sort_key(value: float) -> str:
    """What a table's cell is sorted by; nothing for NaN, which comes last."""
    return "" if value != value else str(value)
