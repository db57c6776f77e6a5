"""Class names: which new name a class may have, so that its folder is read as a class everywhere."""

import unicodedata
from collections.abc import Collection

from mstl.data.checking.findings import case_key
from mstl.data.finding.folders.other_folders import EXCLUDED, OUTPUT, SYSTEM
from mstl.data.finding.folders.part_names import part_of

LONGEST = 100  # characters of a name
BYTES = 255  # of it as a folder's


def known_name(name: str, classes: Collection[str]) -> str:
    """A name in NFC, or that of the class which differs from it in how accents are coded at most."""
    if name in classes:
        return name
    name = unicodedata.normalize("NFC", name)
    return next((known for known in classes if unicodedata.normalize("NFC", known) == name), name)


def why_no_class(name: str, classes: Collection[str] = ()) -> str:
    """Why a class cannot have a name, as the end of a sentence about it; "" if it can.

    Args:
        name: From :func:`known_name`.
        classes: Those that there are. Their names are refused, too, where they could not be those of folders.
    """
    if not name.strip() or name != name.strip():
        return "is empty, or has blanks at its ends"
    if len(name) > LONGEST or len(name.encode("utf-8", "surrogatepass")) > BYTES:
        return f"is longer than {LONGEST} characters or {BYTES} bytes"
    if name[0] in ".~" or set(name) & set("/\\:") or not name.isprintable():
        return "cannot be the name of a folder"
    if name in classes:
        return ""
    if part_of(name) is not None:
        return "is the name of a part of a dataset, such as train or test"
    if name.lower() in SYSTEM | OUTPUT or name.lower().endswith(EXCLUDED):
        return "is the name of a folder that is no class, for mstl or another program"
    alike = next((each for each in classes if case_key(each) == case_key(name)), None)
    return "" if alike is None else f"is {alike} written otherwise"
