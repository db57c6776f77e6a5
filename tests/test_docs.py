"""README and the documentation name only what is there: options, files, variables, figures; both languages alike."""

import re

import click
import pytest

from docs import links
from docs.blocks import blocks, fences
from docs.translations import ROOT, pairs, shown
from mstl.__main__ import COMMANDS, main
from tests.run_docs import Folder

PAIRS = {english: chinese for english, chinese in pairs().items() if english.exists()}
PAGES = [page for pair in PAIRS.items() for page in pair if page.exists()]
SOURCES = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "mstl").rglob("*.py"))]
FENCED = re.compile(r"^ *```.*?^ *```", re.M | re.S)
CODE = re.compile(r"`([^`\n]+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
FILE = re.compile(r"[\w.-]+\.(?:ckpt|json|csv|png|html|npz|onnx|mindir|xml|bin|md)$")
FIGURES = re.compile(r"<!-- from benchmarks/README\.md: (.+?) -->\n(.+?)(?:\n\n|\Z)", re.S)
VARIABLE = re.compile(r"\bMSTL_[A-Z_]+\b")
# Options of other programs, in the text: pip, docs.translations, the scripts in .ci
FOREIGN = {"--option", "--no-deps", "--update", "--number", "--seconds", "--clients", "--stop-timeout", "--fmk"}
# Files that users have, or that lie beside the package
OTHERS = {
    "train.csv",
    "test.csv",
    "val.csv",
    "file.csv",
    "resnet50_224_new.ckpt",
    "answers.csv",
    "README.zh-CN.md",
    "small-3_2.ckpt",
}
PROSE = {"{toctree}", "{warning}", "{note}"}  # directives whose text is translated
BESIDE = {path.name for path in ROOT.glob("*.md")} | {path.name for path in ROOT.glob("examples/**/*.yaml")}


def read(page):
    return page.read_text(encoding="utf-8")


def spans(page):
    """What stands between backticks in the text of a page."""
    return CODE.findall(FENCED.sub("", read(page)))


def options_of(command):
    """All names of a command's options."""
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"-h", "--help"}


def commands():
    """A dict from each command, such as "data check", to its options."""
    context, found = click.Context(main), {"": options_of(main)}
    for name in COMMANDS:
        command = main.get_command(context, name)
        found[name] = options_of(command)
        for inner in getattr(command, "commands", {}).values():
            found[f"{name} {inner.name}"] = options_of(inner)
    return found


KNOWN = commands()
ALL = set().union(*KNOWN.values())


def uses(code):
    """The commands of mstl in shell code: each with the options that it is given."""
    joined = re.sub(r"\\\n", " ", code)
    for line in re.split(r"\n|&&|\|", re.sub(r"(^|\s)#.*", "", joined)):
        found = re.search(r"(?:^|\s)(?:python -m )?mstl[ .](\S+)(?: ([a-z-]+))?", line)
        if found and "install" not in line[: found.start()] and "docker" not in line:
            name = f"{found[1]} {found[2]}"
            yield name if name in KNOWN else found[1], OPTION.findall(line[found.start() :])


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_each_option_exists(page):
    named = {option for span in spans(page) for option in OPTION.findall(span)}
    assert named - ALL - FOREIGN == set()
    for _, text, _, _ in (fence for fence in fences(read(page)) if fence[0] in ("sh", "bash")):
        for command, options in uses(text):
            assert command in KNOWN or command.startswith("-"), command
            assert set(options) - KNOWN.get(command, ALL) == set(), command
    for span in spans(page):
        for command, options in uses(span):
            if command in KNOWN:
                assert set(options) - KNOWN[command] == set(), span


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_each_file_and_variable_exists(page):
    for span in spans(page):
        for name in (word.rpartition("/")[2] for word in span.split() if FILE.fullmatch(word.rpartition("/")[2])):
            stem = name.removeprefix("best") if name.startswith("best.") else name  # exported files have its name
            assert name in OTHERS | BESIDE or any(stem in source for source in SOURCES), name
        if re.fullmatch(r"(?:tests|docs|examples|benchmarks|\.ci)/[\w./-]+", span):
            assert (ROOT / span).exists(), span
    for name in VARIABLE.findall(read(page)):
        assert any(name in source for source in SOURCES), name


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_figures_are_those_of_the_benchmarks(page):
    table = read(ROOT / "benchmarks" / "README.md")
    for figures, paragraph in FIGURES.findall(read(page)):
        for figure in figures.split("; "):
            assert figure in table, figure
            assert figure in " ".join(paragraph.split()), figure
    if "benchmarks/README.md" in "".join(spans(page)):
        assert FIGURES.search(read(page)) or not re.search(r"\d (?:ms|MB)", read(page))


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_the_comments_of_blocks_are_understood(page):
    for block in blocks(read(page)):
        block.code()
        assert not block.not_run or len(block.not_run) > 8
        assert all(callable(getattr(Folder, need.replace(" ", "_").replace(".", "_"))) for need in block.needs)
    comments = len(re.findall(r"^ *<!-- (?:not run|run with|in the background|exit code|needs)", read(page), re.M))
    assert comments == sum(len(fence[3]) for fence in fences(read(page))), "a comment is not right above its block"


@pytest.mark.parametrize("english", PAIRS, ids=shown)
def test_a_chinese_page_has_the_same_blocks(english):
    chinese = PAIRS[english]
    if not chinese.exists():
        pytest.skip("not translated yet; .ci/docs refuses that")

    def comparable(page):
        kept = (fence for fence in fences(read(page)) if fence[0] not in PROSE)
        return [(language, text, comments) for language, text, _, comments in kept]

    def toctrees(page):
        entries = [text.splitlines() for language, text, _, _ in fences(read(page)) if language == "{toctree}"]
        return [[line for line in lines if not line.startswith(":caption:")] for lines in entries]

    assert comparable(chinese) == comparable(english)
    assert toctrees(chinese) == toctrees(english)


def test_links_lead_somewhere():
    assert list(links.faults()) == []


def test_readme_is_short_and_has_its_two_commands():
    text = read(ROOT / "README.md")
    assert text.count("\n") < 250
    assert 'pip install ".[offline,onnx]" && python -m mstl.train' in text
    first = next(line for line in text.splitlines() if "python -m pytest" in line)
    assert first == 'pip install ".[test]" && python -m pytest'
