"""The page as its readers meet it: what they do with files in a browser, and what they then see."""

import base64
from pathlib import Path

TRANSFER = """files => {
  const data = new DataTransfer();
  for (const [name, type, content] of files) {
    data.items.add(new File([Uint8Array.from(atob(content), (each) => each.charCodeAt(0))], name, { type }));
  }
  return data;
}"""
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".txt": "text/plain"}
COPY = """async content => {
  const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
  await navigator.clipboard.write([new ClipboardItem({ "image/png": new Blob([bytes], { type: "image/png" }) })]);
}"""


def encoded(path):
    """A file's content as text."""
    return base64.b64encode(Path(path).read_bytes()).decode()


def drop(page, *paths):
    """Drop files on the page."""
    files = [(path.name, TYPES[path.suffix], encoded(path)) for path in paths]
    page.dispatch_event("#drop", "drop", {"dataTransfer": page.evaluate_handle(TRANSFER, files)})


def paste(page, path):
    """Copy a PNG as an image, and paste it."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(COPY, encoded(path))
    page.keyboard.press("Control+V")


def answered(page, number=1):
    """Wait until all cards have what they are to show; gives the texts of each."""
    page.wait_for_selector(f".card >> nth={number - 1}")
    page.wait_for_selector(".card[data-state=waiting]", state="detached")
    return [card.inner_text() for card in page.query_selector_all(".card")]


def shares(page):
    """The answers that the first card shows, as (class, percentage)."""
    rows = page.query_selector_all(".card >> nth=0 >> .answers .row")
    return [(row.query_selector(".label").inner_text(), row.query_selector(".share").inner_text()) for row in rows]
