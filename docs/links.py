"""Links of all Markdown pages, and of the built documentation: ``python -m docs.links``.

A link inside must lead to a file, and to a heading or label in it, that is there. Of a link elsewhere only the form is
checked, as nothing here asks the network. Built pages must load nothing from elsewhere.
"""

import re
import sys
from urllib.parse import unquote, urlsplit

from docs.translations import ROOT, pairs, shown

BUILT = ROOT / "build" / "docs"
OTHERS = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "benchmarks/README.md", "examples/README.md")
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+(?:\([^()\s]*\))?)\)")
FENCED = re.compile(r"^ *```.*?^ *```", re.M | re.S)
CODE = re.compile(rf"{FENCED.pattern}|`[^`\n]+`", re.M | re.S)
HREF = re.compile(r'\bhref="([^"#?]+)')
LOADED = re.compile(r'<(?:script|img|iframe|source)\b[^>]*?\bsrc="(?:https?:)?//|<link\b[^>]*?\bhref="(?:https?:)?//')


def pages():
    """All Markdown pages whose links are checked."""
    return [page for pair in pairs().items() for page in pair if page.exists()] + [ROOT / name for name in OTHERS]


def anchors(page):
    """The fragments that lead to a place in a Markdown page: headings as GitHub names them, and labels of MyST."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    found = set(re.findall(r"^\((\S+)\)=$", text, re.M))
    for heading in re.findall(r"^#+ (.+)$", text, re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip()).lower()
        found.add(re.sub(r"[^\w\- ]", "", words).replace(" ", "-"))
    return found


def fault(page, link):
    """What is wrong with a link of a page, or None."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        return None if re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?", parts.netloc) else "is no address"
    if parts.scheme or link.startswith("/"):
        return "must be relative, or begin with https://"
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.exists():
        return "leads nowhere"
    if parts.fragment and target.suffix == ".md" and parts.fragment not in anchors(target):
        return f"has no place #{parts.fragment}"
    return None


def faults():
    """Lines about all links that are wrong."""
    for page in pages():
        for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
            wrong = fault(page, link)
            if wrong:
                yield f"{shown(page)}: {link} {wrong}"


def built_faults(folder):
    """Lines about built pages that load something from others, or have links (as to the other language) that fail."""
    for page in sorted(folder.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        for found in LOADED.findall(text):
            yield f"{page.relative_to(folder)} loads {found}"
        for link in sorted(set(HREF.findall(text))):
            parts = urlsplit(link)
            if not parts.scheme and not parts.netloc and not (page.parent / unquote(parts.path)).exists():
                yield f"{page.relative_to(folder)}: {link} leads nowhere"


def main():
    """Check all links, and the built pages if there are any."""
    found = [*faults(), *built_faults(BUILT)]
    print("\n".join(found) or f"the links of {len(pages())} pages lead somewhere")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
