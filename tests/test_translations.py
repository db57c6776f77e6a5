"""Chinese: every message has a translation that fits; help and pages are in the language that is asked for."""

import gettext
import io
import os
import re
import string

import click
import pytest
from click.testing import CliRunner

from mstl.__main__ import main as mstl_group
from mstl.commands.help_texts import in_lines
from mstl.report.rendering import duration, markup, render
from mstl.runtime.language import VARIABLES, in_english, language, plural, translated
from mstl.runtime.wide_text import columns, wrapped
from tests import translations

HOW = "`python -m tests.translations` renews mstl.po; translate there what is empty, and run it again"
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def catalogue():
    return translations.read()


@pytest.fixture
def in_chinese(monkeypatch):
    monkeypatch.setenv("MSTL_LANG", "zh")


def test_every_message_is_translated_and_none_is_left_over(catalogue):
    wanted = translations.messages()
    missing = [one for one, other in wanted if not catalogue.get((one, other))]
    assert not missing, f"not translated: {missing}; {HOW}"
    stale = [one for one, other in catalogue if (one, other) not in wanted]
    assert not stale, f"no longer used: {stale}; {HOW}"


def test_the_compiled_catalogue_is_that_of_the_text(catalogue):
    assert translations.MO.read_bytes() == translations.as_mo(catalogue), HOW
    read = gettext.GNUTranslations(io.BytesIO(translations.as_mo(catalogue)))
    for (one, other), text in catalogue.items():
        assert (read.gettext(one) if other is None else read.ngettext(one, other, 2)) == text


def test_fields_options_and_code_are_those_of_the_english(catalogue):
    for (one, other), text in catalogue.items():
        assert fields(text) == fields(other or one), one
        assert code(text) == code(other or one), one


def code(text):
    """The options, commands, elements, names in capitals and files that a text names."""
    patterns = r"(?<![\w-])--[a-z][\w-]*|`[^`]+`|</?\w+>|\b[A-Z]{2,}(?=s?\b)|[\w-]+\.(?:ckpt|csv|html|json|onnx|png)\b"
    return sorted(set(re.findall(patterns, text, re.ASCII)))


def fields(text):
    """The fields of a format string, each with its format."""
    return sorted({(name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name is not None})


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, "en"),
        ({"MSTL_LANG": "zh"}, "zh"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_TW", "LANG": "de_DE.UTF-8"}, "zh"),
        ({"MSTL_LANG": "en", "LC_ALL": "zh_CN"}, "en"),
        ({"MSTL_LANG": "", "LANG": "zh"}, "zh"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
    ],
)
def test_the_language_is_what_mstl_lang_or_the_locale_says(variables, wanted, monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == wanted


def test_messages_are_filled_in(in_chinese):
    assert translated("{name}: report", name="{x} 蚂蚁") == "{x} 蚂蚁：报告"
    assert plural("{count} epoch", "{count} epochs", 1) == "1 轮"
    assert (duration(3.25, 1), duration(70), duration(3720)) == ("3.2 秒", "1 分钟 10 秒", "1 小时 2 分钟")
    with in_english():
        assert translated("{name}: report", name="a") == "a: report"
        assert [plural("{count} epoch", "{count} epochs", n) for n in (1, 2)] == ["1 epoch", "2 epochs"]
        assert duration(70) == "1 min 10 s"
    assert language() == "zh"


def commands(command=mstl_group, path=()):
    """Each command with its path of names, those of groups too."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))


def help_of(path, width=80, **environment):
    return CliRunner().invoke(
        mstl_group, [*path, "--help"], prog_name="mstl", terminal_width=width, env={**environment, "LANGUAGE": None}
    )


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_help_is_in_chinese_and_fits_the_terminal(path):
    result = help_of(path, MSTL_LANG="zh")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith(f"用法: {' '.join(('mstl', *path))}")
    assert not re.search(r"Usage|Options|default:|env var|Show this message|[^`\"]\bthe\b", result.output)
    assert [line for line in lines if CHINESE.search(line) and columns(line) > 80] == []
    assert not re.search(r"^ *[，。；：、？！）》”\]]|[（《“[]$", result.output, re.MULTILINE)
    headings = [line for line in lines[1:] if re.fullmatch(r"\S.*[:：]", line)]
    assert headings and all(CHINESE.search(heading) for heading in headings)
    english = help_of(path, MSTL_LANG="en").output
    assert not CHINESE.search(english)
    options = r"(?<![\w-])--[a-z][\w-]*"
    assert sorted(set(re.findall(options, result.output, re.ASCII))) == sorted(set(re.findall(options, english)))


def test_words_of_click_are_its_own_again_afterwards():
    before = gettext.textdomain(), os.environ.get("LANGUAGE")
    help_of((), MSTL_LANG="zh")
    assert (gettext.textdomain(), os.environ.get("LANGUAGE")) == before
    assert gettext.gettext("Options") == "Options"


def test_help_is_in_english_where_chinese_cannot_be_shown():
    result = CliRunner(charset="ascii").invoke(mstl_group, ["--help"], env={"MSTL_LANG": "zh"})
    assert result.exit_code == 0
    assert "Fine-tune a pretrained model" in result.output and result.output.isascii()


def test_lines_are_divided_between_wide_characters_but_not_before_their_marks():
    assert wrapped("数据集：已知名称（demo、Canidae）。", 14) == ["数据集：已知名", "称（demo、", "Canidae）。"]
    assert wrapped("数据集。  [默认：demo]", 14) == ["数据集。", "[默认：demo]"]
    assert wrapped("plain words only", 11) == ["plain words", "only"]
    assert wrapped("a-word-of-more-columns", 5) == ["a-word-of-more-columns"]
    assert max(map(columns, wrapped("训练" * 40, 31))) == 30
    assert in_lines("\b\na    b\nc\n\n训练", 4) == "\b\na    b\nc\n\n\b\n训练"


def test_values_in_a_message_with_elements_are_escaped(in_chinese):
    message = "is <b><bdi>{own}</bdi></b> ({share})"
    assert "<bdi>&lt;i&gt;\\x00</bdi>" in markup(message, own="<i>\x00", share="3%")
    assert "还没有完成任何一轮" in render("notebook.html", rows=[])
