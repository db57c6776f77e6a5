"""The tree of the package in CONTRIBUTING.md, from each module's first line; ``python -m tests.tree`` renews it."""

import ast
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
START, END = "<!-- tree -->\n```\n", "```\n<!-- end of tree -->\n"
NAMES, WIDTH = 30, 120  # columns


def tree():
    """The tree as text: each folder and file on a line of its own, with the first line of its docstring."""
    return "".join(f"{line}\n" for line in lines_of(ROOT / "mstl", 0))


def lines_of(folder, depth):
    """The lines of a folder: itself, its files, then the folders in it."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".pyc")
    python = [path for path in files if path.suffix == ".py"]
    if not python:
        inside = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        return entry(f"{folder.name}/", ", ".join(inside), depth)
    lines = entry(f"{folder.name}/", first_line(folder / "__init__.py"), depth)
    for path in python:
        if path.name != "__init__.py":
            lines += entry(path.name, first_line(path), depth + 1)
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name != "__pycache__":
            lines += lines_of(path, depth + 1)
    return lines


def entry(name, text, depth):
    """A name and a text beside it, the text in as many lines as it needs."""
    lines = textwrap.wrap(text, WIDTH - NAMES) or [""]
    return [f"{'  ' * depth + name:<{NAMES}}{lines[0]}".rstrip(), *[" " * NAMES + line for line in lines[1:]]]


def first_line(path):
    """The first line of a module's docstring, without its marks."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].replace("``", "").removesuffix(".")


def written():
    """The tree that CONTRIBUTING.md shows."""
    return PAGE.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]


def main():
    """Put the tree into CONTRIBUTING.md."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    PAGE.write_text(before + START + tree() + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
