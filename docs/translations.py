"""Chinese pages name the English ones that they translate by digest: ``python -m docs.translations`` compares them.

``python -m docs.translations --update PAGE ...`` writes the digests of the English pages, as they are now, into Chinese
pages whose text follows them.
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ROOT / "docs" / "en", ROOT / "docs" / "zh"
DIGEST = re.compile(r"<!-- english: ([0-9a-f]{64}) -->\n")


def pairs():
    """A dict from each English page to the Chinese one, whether that is there or not; README.md first."""
    pages = {ROOT / "README.md": ROOT / "README.zh-CN.md"}
    for page in sorted(ENGLISH.rglob("*.md")):
        pages[page] = CHINESE / page.relative_to(ENGLISH)
    return pages


def digest(english):
    """The SHA-256 of an English page."""
    return hashlib.sha256(english.read_bytes()).hexdigest()


def fault(english, chinese):
    """What is wrong with a Chinese page, in one line, or None."""
    if not chinese.exists():
        return f"{shown(chinese)} is missing: translate {shown(english)}"
    mark = DIGEST.match(chinese.read_text(encoding="utf-8"))
    if not mark:
        return f"{shown(chinese)} does not begin with a digest: python -m docs.translations --update {shown(chinese)}"
    if mark[1] != digest(english):
        return (
            f"{shown(english)} has changed since {shown(chinese)} was written: follow it, "
            f"then python -m docs.translations --update {shown(chinese)}"
        )
    return None


def faults():
    """What is wrong with the Chinese pages, one line each."""
    pages = pairs()
    found = [fault(english, chinese) for english, chinese in pages.items()]
    orphans = sorted(set(CHINESE.rglob("*.md")) - set(pages.values()))
    return [line for line in found if line] + [f"{shown(page)} has no English page" for page in orphans]


def update(chinese):
    """Write the digest of the English page, as it is now, into a Chinese one."""
    english = {other: page for page, other in pairs().items()}[chinese.resolve()]
    text = DIGEST.sub("", chinese.read_text(encoding="utf-8"), count=1)
    chinese.write_text(f"<!-- english: {digest(english)} -->\n{text}", encoding="utf-8")


def shown(page):
    """A page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def main():
    """Compare all pages, or update some."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", nargs="+", type=Path, metavar="PAGE", help="Chinese pages that follow the English")
    arguments = parser.parse_args()
    for page in arguments.update or ():
        update(page)
    if not arguments.update:
        found = faults()
        print("\n".join(found) or "each Chinese page follows its English one")
        sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
