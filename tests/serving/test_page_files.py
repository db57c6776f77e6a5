"""The files of the pages: nothing of them is elsewhere or inline, and each word is there in both languages."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import mstl

SERVING = Path(mstl.__file__).parent / "serving"
FOLDERS = {  # the later one goes before
    "serve": ("page",),
    "review": ("page", "review_page"),
    "label": ("page", "review_page", "label_page"),
}
MADE = {  # words whose names are put together
    "label": {"part_train", "part_labelled"},
    "serve": {"stays_here_collected", "stays_there_collected"},
    "review": {
        *("suspect", "two_labels", "near_two_labels", "leak", "near_leak", "duplicate", "near_duplicate"),
        *("outlier", "odd", "unsure", "part_train", "part_val", "part_test"),
    },
}
WORD = re.compile(r'(?<!\w)"([a-z]+(?:_[a-z]+)*)"')
EVERY = [path for folder in FOLDERS["label"] for path in sorted((SERVING / folder).iterdir())]


@pytest.fixture(params=FOLDERS)
def page(request):
    """The files that a page consists of: those that its first one leads to."""
    files = {path.name: path for folder in FOLDERS[request.param] for path in (SERVING / folder).iterdir()}
    html = files["index.html"].read_text(encoding="utf-8")
    waiting, scripts = re.findall(r'src="assets/([^"]+)"', html), {}
    while waiting:
        name = waiting.pop()
        if name not in scripts:
            scripts[name] = files[name].read_text(encoding="utf-8")
            waiting += re.findall(r'from "\./([^"]+)"', scripts[name])
    words = {code: json.loads(files[f"words.{code}.json"].read_text(encoding="utf-8")) for code in ("en", "zh")}
    return SimpleNamespace(name=request.param, files=files, html=html, scripts=scripts, words=words)


def forms(word):
    """All forms of a word, as texts: one, or one for each number."""
    return [word] if isinstance(word, str) else list(word.values())


def test_both_languages_have_the_same_words_with_the_same_values(page):
    assert page.words["en"].keys() == page.words["zh"].keys()
    for key, english in page.words["en"].items():
        chinese = page.words["zh"][key]
        values = {frozenset(re.findall(r"\{(\w+)\}", form)) for form in [*forms(english), *forms(chinese)]}
        assert len(values) == 1, key
        assert all(form.strip() for form in forms(chinese))


def test_each_word_is_used_and_each_used_word_is_there(page):
    in_page = set(re.findall(r'data-(?:word|label)="(\w+)"', page.html))
    assert in_page <= page.words["en"].keys()
    called = r'\b(?:say\([^,()]+(?:\([^()]*\))?,|words\(|fact\(|word:|hint:|phrase\(|notify\()\s*"(\w+)"'
    in_scripts = {word for text in page.scripts.values() for word in re.findall(called, text)}
    assert len(in_scripts) > 15
    assert in_scripts <= page.words["en"].keys()
    strings = {word for text in page.scripts.values() for word in WORD.findall(text)}
    assert page.words["en"].keys() - in_page - strings - MADE[page.name] == set()


@pytest.mark.parametrize("path", EVERY, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_is_asked_for_elsewhere(path):
    text = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//[\w.-]+\.[a-z]{2,}", text)
    assert path.suffix == ".js" or not re.search(r"@import|\burl\(", text)


def test_nothing_is_inline(page):
    """As the page's Content-Security-Policy demands."""
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page.html) == []
    unsafe = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\("
    assert not any(re.search(unsafe, text) for text in page.scripts.values())


def test_the_files_that_are_asked_for_are_there_and_no_others(page):
    names = {*re.findall(r'(?:href|src)="assets/([^"]+)"', page.html), *page.scripts}
    own = {path.name for path in (SERVING / FOLDERS[page.name][-1]).iterdir()}
    assert own <= names | {"index.html", "words.en.json", "words.zh.json"}
    assert names <= page.files.keys()
