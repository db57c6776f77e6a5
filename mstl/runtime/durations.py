"""Durations in words, such as ``1 min 10 s``, as precise as they are worth, and as settings, such as ``1m10s``."""

import re


def in_words(seconds: float, decimals: int = 0) -> str:
    """A duration: hours and minutes from an hour on, whole minutes from ten minutes on, minutes and seconds before.

    Args:
        seconds: 0 or more.
        decimals: Of durations below 10 s.
    """
    if seconds < 9.95:
        return f"{seconds:.{decimals}f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def parse_duration(text: str) -> float | None:
    """Seconds of a text such as ``"90s"``, ``"3m"``, ``"1.5h"`` or ``"1h 30m"``; None if it is no duration above 0.

    A number without a unit is none: it may be meant as minutes or as seconds.
    """
    number = r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?"
    match = re.fullmatch(rf"(?:{number}h)? ?(?:{number}m(?:in)?)? ?(?:{number}s)?", text.strip().lower())
    if match is None:
        return None
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds or None
