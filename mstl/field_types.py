"""Field types: whether a value suits the annotation of a dataclass's field, and what is wrong with it if not."""

import math
import numbers
import os
import types
import typing
from typing import Any, Literal

from mstl.errors import MstlError


def plain_type(hint: Any) -> Any:
    """``int`` of ``int | None``, and so on."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def choices_of(hint: Any) -> tuple[str, ...]:
    """The values of a Literal; none of any other type."""
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def checked(name: str, value: object, hint: Any) -> Any:
    """The value of a field as the type of its annotation: NumPy's numbers become Python's, paths text.

    Args:
        name: The field's.
        value: What was given.
        hint: The annotation: bool, int, float, str or a Literal of texts, perhaps ``| None``.

    Raises:
        MstlError: It is of another type. No number is taken for a bool, no float for an int, no text for a number.
    """
    kind = plain_type(hint)
    if value is None and kind is not hint:
        return None
    if choices := choices_of(kind):
        if not isinstance(value, str) or value not in choices:
            raise MstlError(f"unknown {name} {value!r}: choose one of {', '.join(choices)}")
        return value
    return CHECKS[kind](name, value)


def as_bool(name: str, value: object) -> bool:
    """True or False."""
    if isinstance(value, bool):
        return value
    import numpy as np  # only for its own type, to keep `mstl --help` quick

    if not isinstance(value, np.bool_):
        raise MstlError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def as_int(name: str, value: object) -> int:
    """A whole number, of an integer type."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise MstlError(f"{name} must be an integer, not {value!r}")
    return int(value)


def as_float(name: str, value: object) -> float:
    """A finite number."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise MstlError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an integer of more than 308 digits
        number = math.inf
    if not math.isfinite(number):
        raise MstlError(f"{name} must be a finite number, not {number}")
    return number


def as_text(name: str, value: object) -> str:
    """A text that is not empty."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise MstlError(f"{name} must be text, not {value!r}")
    if not text.strip():
        raise MstlError(empty(f"--{name.replace('_', '-')}"))
    return text


def empty(what: str) -> str:
    """The message about a text that should not be empty."""
    return f"{what} is empty: is a shell variable unset?"


CHECKS = {bool: as_bool, int: as_int, float: as_float, str: as_text}
