"""Labelling in a real browser, where there is one: by keyboard alone."""

import re

import pytest

pytest.importorskip("fastapi")
from mstl.review.label_list import LabelList
from mstl.serving import label_desk
from tests.chromium import PATIENCE, chromium, needs_chromium, playwright, serious_faults, watch
from tests.serving.label_site import label_of, write_images

pytestmark = needs_chromium
expect = playwright.expect


def rows(site):
    return [(row.path, row.label) for row in LabelList(site.root / "labels.csv").read()]


def press(view, *keys):
    """Press keys, or type texts, and wait until the next image is there, if the last one is a key for that.

    Returns:
        The file that was shown before.
    """
    before = view.inner_text("#file")
    for key in keys:
        if len(key) > 1 and key != "Enter":
            expect(view.locator("#class")).to_be_focused()
            view.keyboard.type(key)
        else:
            view.keyboard.press(key)
    if len(keys[-1]) == 1 or keys[-1] == "Enter":
        expect(view.locator("#file")).not_to_have_text(before)
    return before


def test_a_folder_labelled_by_keyboard_alone(tmp_path, monkeypatch):
    """As proposed, one of the answers, a new class, skipped, taken back, a round, in Chinese, and to the end."""
    monkeypatch.setattr(label_desk, "ROUND", 6)
    with label_of(write_images(tmp_path / "images", 3)) as site, chromium() as browser:
        context = browser.new_context(viewport={"width": 390, "height": 900})
        context.set_default_timeout(PATIENCE)
        view = watch(context.new_page())
        view.goto(f"{site.url}#token={site.token}")
        expect(view.locator("#large")).to_be_visible()
        assert view.url == site.url and "Labels for" in view.inner_text("#name")
        proposed = view.inner_text("#label")
        expected = [(press(view, "k"), proposed)]
        second = view.inner_text("#answers li >> nth=1 >> .label")
        expected.append((press(view, "2"), second))
        assert rows(site) == expected
        press(view, "r", "gre")
        expect(view.locator("#classes [aria-selected=true]")).to_contain_text("New class")
        press(view, "en", "Enter")
        assert rows(site)[2][1] == "green"
        skipped = press(view, "s")
        press(view, "u")
        expect(view.locator("#file")).to_have_text(skipped)
        press(view, "u")
        assert rows(site) == expected
        expect(view.locator("#progress")).to_have_text("2 of 9 images labelled")
        view.keyboard.press("r")
        expect(view.locator("#class")).to_be_focused()
        assert serious_faults(view) == []
        assert view.evaluate("document.documentElement.scrollWidth") <= 390
        view.keyboard.press("Escape")
        for _ in range(4):
            color = re.search(r"(\w+)-\d+\.jpg", view.inner_text("#file"))[1]
            press(view, "r", color, "Enter")
        expect(view.locator("#rounds li")).to_have_count(1)
        expect(view.locator("#notice")).to_contain_text("Round 1:")
        expect(view.locator("#left")).to_contain_text("3 more")
        view.select_option("#language", "zh")
        expect(view.locator("#rounds li")).to_contain_text("第 1 轮")
        press(view, "k")
        press(view, "1")
        view.keyboard.press("k")
        expect(view.locator("#notice")).to_contain_text("所有图片都已有标签")
        assert len(rows(site)) == 9 and view.is_hidden("#item")
        assert "{" not in view.inner_text("body")
        assert view.complaints == []
        assert {url for url in view.requests if not url.startswith((site.url, f"blob:{site.url}"))} == set()
