"""The files of the page: read once, so that an address is only ever looked up among their names."""

from importlib.resources import files
from typing import NamedTuple

INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}


class PageFile(NamedTuple):
    """A file of the page."""

    content: bytes
    media_type: str


def page_files(*folders: str) -> dict[str, PageFile]:
    """The files of a page by their names, INDEX among them.

    Args:
        folders: In which they lie; of files that are called alike, the last one is taken.
    """
    found = {}
    for folder in folders:
        for file in files("mstl.serving").joinpath(folder).iterdir():
            media_type = MEDIA_TYPES.get("." + file.name.rpartition(".")[2])
            if media_type is not None and file.is_file():
                found[file.name] = PageFile(file.read_bytes(), media_type)
    return found
