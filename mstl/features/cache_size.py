"""Sizes as people write them, and the limit of the feature cache."""

import os
import re

from mstl.errors import MstlError

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
DEFAULT_LIMIT = "4GB"


def size_limit() -> int:
    """Bytes that all cached features may take together: ``MSTL_CACHE_SIZE``, or 4 GB.

    Raises:
        MstlError: It is set to something that is not a size.
    """
    return parse_size(os.environ.get("MSTL_CACHE_SIZE") or DEFAULT_LIMIT)


def parse_size(text: str) -> int:
    """Bytes from a text such as ``"4GB"``, ``"1.5 GB"``, ``"500MB"`` or ``"0"``; a GB is 10^9 bytes.

    Raises:
        MstlError: It is not a size.
    """
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([KMGT]?B)", text.strip().upper())
    if match:
        return round(float(match[1]) * UNITS[match[2]])
    if text.strip() == "0":
        return 0
    raise MstlError(
        f"MSTL_CACHE_SIZE is {text!r}, not a size: set it to one such as 2GB or 500MB, or to 0 for no cache"
    )


def show_size(size: int) -> str:
    """Bytes as a text such as ``"1.23 GB"``."""
    unit = next((unit for unit, factor in UNITS.items() if size < 999.5 * factor), "TB")
    return f"{size / UNITS[unit]:.3g} {unit}"
