"""The files of the page: nothing of them is elsewhere or inline, and each word is there in both languages."""

import json
import re
from pathlib import Path

import pytest

import mstl

PAGE = Path(mstl.__file__).parent / "serving" / "page"
HTML = (PAGE / "index.html").read_text(encoding="utf-8")
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in PAGE.glob("*.js")}
WORDS = {code: json.loads((PAGE / f"words.{code}.json").read_text(encoding="utf-8")) for code in ("en", "zh")}
WORD = re.compile(r'(?<!\w)"([a-z]+(?:_[a-z]+)*)"')


def forms(word):
    """All forms of a word, as texts: one, or one for each number."""
    return [word] if isinstance(word, str) else list(word.values())


def test_both_languages_have_the_same_words_with_the_same_values():
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    for key, english in WORDS["en"].items():
        values = {frozenset(re.findall(r"\{(\w+)\}", form)) for form in [*forms(english), *forms(WORDS["zh"][key])]}
        assert len(values) == 1, key
        assert all(form.strip() for form in forms(WORDS["zh"][key]))


def test_each_word_is_used_and_each_used_word_is_there():
    in_page = set(re.findall(r'data-(?:word|label)="(\w+)"', HTML))
    assert in_page <= WORDS["en"].keys()
    called = r'\b(?:say\([^,()]+(?:\([^()]*\))?,|words\(|fact\(|word:|hint:|phrase\()\s*"(\w+)"'
    in_scripts = {word for text in SCRIPTS.values() for word in re.findall(called, text)}
    assert len(in_scripts) > 25
    assert in_scripts <= WORDS["en"].keys()
    strings = {word for text in SCRIPTS.values() for word in WORD.findall(text)}
    made = {"stays_here_collected", "stays_there_collected"}
    assert WORDS["en"].keys() - in_page - strings - made == set()


@pytest.mark.parametrize("name", sorted(path.name for path in PAGE.iterdir()))
def test_nothing_is_asked_for_elsewhere(name):
    text = (PAGE / name).read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//[\w.-]+\.[a-z]{2,}", text)
    assert name.endswith(".js") or not re.search(r"@import|\burl\(", text)


def test_nothing_is_inline():
    """As the page's Content-Security-Policy demands."""
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", HTML) == []
    assert not any(
        re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text) for text in SCRIPTS.values()
    )


def test_the_files_that_are_asked_for_are_there():
    names = set(re.findall(r'(?:href|src)="assets/([^"]+)"', HTML))
    for text in SCRIPTS.values():
        names |= set(re.findall(r'from "\./([^"]+)"', text))
    assert names | {"index.html", "words.en.json", "words.zh.json"} == {path.name for path in PAGE.iterdir()}
