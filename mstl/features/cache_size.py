"""Sizes of what is kept on disk, as people write them."""

import os
import re

from mstl.errors import MstlError

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
DEFAULT_LIMIT = "4GB"


def size_limit():
    """Bytes that all kept features may take together: ``MSTL_CACHE_SIZE``, or 4 GB.

    Raises:
        MstlError: It is set to something else than a size.
    """
    return parse_size(os.environ.get("MSTL_CACHE_SIZE") or DEFAULT_LIMIT)


def parse_size(text):
    """Bytes from a text such as ``"4GB"``, ``"1.5 GB"``, ``"500MB"`` or ``"0"``; a GB is 10^9 bytes.

    Raises:
        MstlError: It is no size.
    """
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([KMGT]?B)", text.strip().upper())
    if match:
        return round(float(match[1]) * UNITS[match[2]])
    if text.strip() == "0":
        return 0
    raise MstlError(
        f"MSTL_CACHE_SIZE is {text!r}, which is no size: give one such as 2GB or 500MB, or 0 to keep nothing on disk"
    )


def show_size(size):
    """Bytes as a text such as ``"1.23 GB"``."""
    unit = next((unit for unit, factor in UNITS.items() if size < 999.5 * factor), "TB")
    return f"{size / UNITS[unit]:.3g} {unit}"
