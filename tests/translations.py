"""The Chinese catalogue, mstl.po, and mstl.mo made of it; ``python -m tests.translations`` renews both.

Messages that are new are added to mstl.po, to be translated there, and those that are gone are taken out.
"""

import ast
import struct
from pathlib import Path

import click
from jinja2.ext import extract_from_ast

from mstl.__main__ import main as mstl_group
from mstl.commands.help_texts import paragraphs
from mstl.config import GROUPS
from mstl.data.checking.odd_images import ODD
from mstl.data.finding import demo, known_datasets
from mstl.report.rendering import environment
from mstl.report.run_facts import UNKNOWN
from mstl.report.run_page import PARTS
from mstl.runtime.language import CHINESE, DOMAIN, FOLDER

PO = FOLDER / CHINESE / "LC_MESSAGES" / f"{DOMAIN}.po"
MO = PO.with_suffix(".mo")
PACKAGE = FOLDER.parent
HEADER = "Language: zh\nContent-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=1; plural=0;\n"
OF_CLICK = ("Usage:", "Options", "Commands", "Show this message and exit.", "default: {default}", "env var: {var}")
FUNCTIONS = ("_", "markup", "plural")  # that take messages


def messages():
    """All messages, each once: pairs of the English one and its plural, which is None for most."""
    named = [f"{group} options" for group in GROUPS] + ["Help", *OF_CLICK]
    listed = [UNKNOWN, *PARTS.values(), *ODD.values(), demo.WHAT]
    listed += [known.what for known in known_datasets.KNOWN.values()]
    found = [(message, None) for message in (*of_command(mstl_group), *named, *listed)]
    for path in sorted(PACKAGE.rglob("*.py")):
        if "mstl.runtime.language" in (source := path.read_text(encoding="utf-8")):
            found += of_module(ast.parse(source))
    made = environment()
    for name in made.list_templates(extensions=["html"]):
        source, *_ = made.loader.get_source(made, name)
        found += [pair(each) for *_, each in extract_from_ast(made.parse(source), FUNCTIONS, babel_style=False)]
    return list(dict.fromkeys(found))


def of_command(command):
    """The help of a command, of its options, and of its commands if it is a group."""
    context = click.Context(command)
    yield from (paragraph for _, paragraph in paragraphs(command.help))
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            yield parameter.help or f"{command.name}: {parameter.name} has no help"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from of_command(command.get_command(context, name))


def of_module(tree):
    """The messages in the calls of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            if texts:
                yield pair(texts)


def pair(texts):
    """A message and its plural, of one or two texts."""
    one, other = [*texts, None][:2]
    return one, other


def read():
    """What mstl.po says: {(message, plural): translation}, without the header."""
    found, entry, key = {}, {}, ""
    for line in [*PO.read_text(encoding="utf-8").splitlines(), ""]:
        if not line and entry:
            found[entry["msgid"], entry.get("msgid_plural")] = entry.get("msgstr", entry.get("msgstr[0]"))
            entry = {}
        elif line and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            key, text = (key, line) if line.startswith('"') else (word, rest)
            entry[key] = entry.get(key, "") + ast.literal_eval(text)
    found.pop(("", None), None)
    return found


def as_po(catalogue):
    """The text of a .po file."""
    parts = [f'msgid ""\nmsgstr ""\n{quoted(HEADER)}']
    for (one, other), translation in catalogue.items():
        if other is None:
            parts.append(f"msgid {quoted(one)}\nmsgstr {quoted(translation)}")
        else:
            parts.append(f"msgid {quoted(one)}\nmsgid_plural {quoted(other)}\nmsgstr[0] {quoted(translation)}")
    return "\n\n".join(parts) + "\n"


def quoted(text):
    """A text in quotes, one line each."""
    lines = [
        '"{}"'.format(line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for line in text.splitlines(keepends=True)
    ]
    return "\n".join(lines if len(lines) == 1 else ['""', *lines]) if lines else '""'


def as_mo(catalogue):
    """The content of a .mo file: two tables of lengths and places, of the messages in order and their translations."""
    pairs = {"\0".join(filter(None, key)): text for key, text in catalogue.items() if text}
    pairs[""] = HEADER
    texts = [(key.encode(), pairs[key].encode()) for key in sorted(pairs, key=str.encode)]
    place = 7 * 4 + len(texts) * 16
    tables, data = [], b""
    for column in zip(*texts, strict=True):
        for text in column:
            tables += [len(text), place + len(data)]
            data += text + b"\0"
    head = (0x950412DE, 0, len(texts), 28, 28 + len(texts) * 8, 0, 0)
    return struct.pack(f"<{len(head) + len(tables)}I", *head, *tables) + data


def main():
    """Renew both files."""
    known = read() if PO.exists() else {}
    catalogue = {key: known.get(key, "") for key in messages()}
    PO.write_text(as_po(catalogue), encoding="utf-8")
    MO.write_bytes(as_mo(catalogue))
    left = sum(not text for text in catalogue.values())
    print(f"{len(catalogue)} messages, {left} of them to be translated in {PO.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
