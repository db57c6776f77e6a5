"""What is escaped is shown as it is, whatever it is; checked by parsers of Markdown and YAML that are not mstl's."""

import html
import random

import pytest
import yaml
from markdown_it import MarkdownIt

from mstl.report.markdown import escaped, front_matter, table
from tests.report.test_run_page import HOSTILE

NAMES = (
    *HOSTILE[:4], "a|b", "a\\", "a\\|b", "\\`x\\`", "*a* _b_ __c__", "[a](http://b.c)", "![a](b)", "~~a~~", "# a",
    "- a", "1. a", "> a", "`a", "``a``", "www.example.org", "https://example.org", "a@example.org", "&amp;", "&#124;",
    "$a$", ":smile:", "<!-- a", "-->", "</td>", "a  b", "{{a}}", "^a^", "==a==", "+++", "---",
    "golden_retriever", "St. Bernard",
)  # fmt: skip
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})


def shown(text):
    """What a reader sees of a line of Markdown; nothing of it may be anything but text."""
    (paragraph,) = [token for token in MARKDOWN.parse(text) if token.type == "inline"]
    assert {token.type for token in paragraph.children} <= {"text", "text_special"}, paragraph.children
    return "".join(token.content for token in paragraph.children)


def cells(text):
    """The rows of the only table of a page, as a reader sees them."""
    rows = []
    for token in MARKDOWN.parse(text):
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline":
            assert {each.type for each in token.children} <= {"text", "text_special"}, token.children
            rows[-1].append("".join(each.content for each in token.children))
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_a_text_stays_that_text(name):
    assert shown(f"It is {escaped(name)} here.") == f"It is {name} here."
    assert cells(table(["Class", "n"], [[escaped(name), "1"], ["b", "2"]], 1)) == [
        ["Class", "n"], [name, "1"], ["b", "2"],
    ]  # fmt: skip


def test_no_address_becomes_a_link():
    """GitHub and the hub make links of addresses; what does so begins with ``www.``, a scheme or a user."""
    for name in ("www.example.org", "WWW.example.org", "https://example.org", "a@example.org"):
        assert not any(part in escaped(name).lower() for part in ("www.", "https:", "a@"))


def test_characters_that_no_page_may_have():
    assert shown(escaped("a\nb\rc")) == "a\\nb\\rc"
    assert shown(escaped("\u202enul\x00 caf\udce9")) == "\\u202enul\\x00 caf\\udce9"


def test_any_text():
    draw = random.Random(0)
    for _ in range(500):
        name = "x" + "".join(draw.choices("\\`*_{}[]()<>#+-.!|~&;:/@$^=\"' ab1", k=draw.randrange(12))) + "x"
        assert shown(escaped(name)) == name, name
        assert html.unescape(cells(table(["a"], [[escaped(name)]]))[1][0]) == html.unescape(name), name


def test_front_matter_is_read_as_it_was_meant():
    odd = [
        *NAMES,
        "yes",
        "No",
        "null",
        "~",
        "1",
        "1e3",
        "",
        " a ",
        "a: b",
        "a #b",
        "caf\udce9",
        "\x00\x7f\u2028",
        "蚂蚁 🐜",
    ]
    values = {
        "license": "unknown", "numbers": [0, 1, 0.0001, 0.9477, 1.0], "odd": odd,
        "model-index": [{"name": "a", "results": [{"task": {"type": "x-y"}, "metrics": [{"value": 0.5}]}, {"b": "c"}]}],
    }  # fmt: skip
    text = front_matter(values)
    assert text.startswith("---\nlicense: unknown\n") and text.endswith("\n---")
    assert yaml.safe_load(text.removesuffix("---")) == values
