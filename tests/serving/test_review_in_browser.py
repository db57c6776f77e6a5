"""A review in a real browser, where there is one: by keyboard alone, applied and undone."""

import csv
import os
import re

import pytest

pytest.importorskip("fastapi")
from tests.chromium import PATIENCE, chromium, needs_chromium, playwright, serious_faults, watch
from tests.conftest import write_folder
from tests.serving.review_site import Trainer, data_tree, review_of, write_data, write_list

pytestmark = needs_chromium
expect = playwright.expect
TINY = 29  # of each class: 61 images to be looked at


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def view(browser, tmp_path, request):
    """The page of a review, in a browser with some settings; at the end nothing was complained of."""
    tiny, settings = getattr(request, "param", (1, {}))
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **settings})
    context.set_default_timeout(PATIENCE)
    page = watch(context.new_page())
    with review_of(write_data(tmp_path / "here" / "photos", tiny)) as site:
        page.site = site
        page.goto(f"{site.url}#token={site.token}")
        expect(page.locator("#large")).to_be_visible()
        yield page
        context.close()
    refused = r"Failed to load resource: the server responded with a status of 409"
    assert [text for text in page.complaints if not re.match(refused, text)] == []
    assert {url for url in page.requests if not url.startswith((site.url, f"blob:{site.url}"))} == set()


def file(view):
    """The name of the image that is shown."""
    return view.inner_text("#file bdi").rpartition(os.sep)[2]


def press(view, *keys):
    for key in keys:
        view.keyboard.press(key)


def decide(view, key):
    """Press the key of a decision, and wait until the next image is there."""
    before = view.inner_text("#file")
    view.keyboard.press(key)
    expect(view.locator("#file")).not_to_have_text(before)


def decisions(view):
    """(name, decision, new label) of each row of review.csv."""
    path = view.site.root / "review.csv"
    found = csv.DictReader(path.open(encoding="utf-8")) if path.exists() else ()
    return [(os.path.basename(row["path"]), row["decision"], row["new_label"]) for row in found]


@pytest.mark.parametrize("view", [(TINY, {})], indirect=True)
def test_sixty_decisions_by_keyboard_alone(view):
    before = data_tree(view.site.root)
    assert view.url == view.site.url and file(view) == "wrong.jpg"
    press(view, "r")
    expect(view.locator("#class")).to_be_focused()
    expect(view.locator("#classes [aria-selected=true]")).to_have_text("red")
    view.keyboard.type("re")
    press(view, "Enter")
    expect(view.locator("#file")).to_contain_text("leak.jpg")
    decide(view, "x")  # the copy of a training image
    decide(view, "x")  # the one that is there twice
    expect(view.locator("#file")).to_contain_text("tiny-0.jpg")
    press(view, "r")
    view.keyboard.type("蚂蚁")
    expect(view.locator("#classes [aria-selected=true]")).to_contain_text("New class")
    press(view, "Enter")
    expect(view.locator("#progress")).to_have_text("4 of 61 images decided")
    decide(view, "x")
    press(view, "u", "ArrowRight", "ArrowLeft", "n", "p")
    expect(view.locator("#progress")).to_have_text("4 of 61 images decided")
    for _ in range(55):
        decide(view, "k")
    expect(view.locator("#progress")).to_have_text("59 of 61 images decided")
    press(view, "r")
    view.keyboard.type("蚂")
    decide(view, "Enter")
    press(view, "x")
    expect(view.locator("#progress")).to_have_text("61 of 61 images decided")
    expect(view.locator("#notice")).to_contain_text("All images are decided")
    assert len(decisions(view)) == 61 and data_tree(view.site.root) == before
    expect(view.locator("#apply")).to_be_focused()
    press(view, "Enter")
    plan = [line.inner_text() for line in view.query_selector_all("#plan li")]
    plain = [re.sub("[\u2068\u2069]", "", line) for line in plan]
    assert plain == [
        "1 image of blue is set aside, out of the data",
        "1 image goes from blue to red",
        "1 image goes from blue to 蚂蚁",
        "2 images of red are set aside, out of the data",
        "1 image goes from red to 蚂蚁",
    ]
    assert serious_faults(view) == []
    press(view, "Escape")
    assert data_tree(view.site.root) == before, "not confirmed"
    press(view, "Enter")
    expect(view.locator("#confirm-count")).to_have_text("Apply to 6 images")
    press(view, "Enter")
    expect(view.locator("#notice")).to_contain_text("Applied: 6 files were moved.")
    assert sorted(path.name for path in (view.site.root / "train" / "蚂蚁").iterdir())[0] == "tiny-0.jpg"
    expect(view.locator("#restore")).to_be_focused()
    press(view, "Enter")
    expect(view.locator("#notice")).to_contain_text("Taken back: 6 files")
    assert data_tree(view.site.root) == before


def test_decisions_are_there_after_the_page_was_closed(view):
    decide(view, "k")
    decide(view, "k")
    expect(view.locator("#progress")).to_have_text("2 of 5 images decided")
    view.reload()
    expect(view.locator("#progress")).to_have_text("2 of 5 images decided")
    expect(view.locator("#file")).to_contain_text("same.jpg")
    press(view, "ArrowLeft")
    expect(view.locator("#verdict")).to_have_text("kept")
    assert view.get_attribute("[data-do=keep]", "aria-pressed") == "true"
    press(view, "u")
    expect(view.locator("#verdict")).to_be_hidden()
    assert [name for name, *_ in decisions(view)] == ["wrong.jpg"]


def test_a_quick_hand_decides_about_nothing_unseen(view):
    held = []
    view.route("**/decisions", lambda route: held.append(route))
    with view.expect_request("**/decisions"):
        press(view, "k", "k", "x")
    press(view, "r", *"kxu")  # the field is not there yet
    view.wait_for_timeout(100)
    assert len(held) == 1
    held[0].continue_()
    expect(view.locator("#file")).to_contain_text("leak.jpg")
    assert view.is_hidden("#relabel"), "it was pressed at another image"
    view.unroute("**/decisions")
    press(view, "n")
    expect(view.locator("#progress")).to_have_text("1 of 5 images decided")
    assert decisions(view) == [("wrong.jpg", "keep", "")]


def test_buttons_do_what_keys_do(view):
    view.click("[data-do=next]")
    assert file(view) == "leak.jpg"
    view.click("[data-do=exclude]")
    view.click("[data-do=back]")
    expect(view.locator("#verdict")).to_have_text("to be excluded")
    view.click("[data-do=undo]")
    expect(view.locator("#progress")).to_have_text("0 of 5 images decided")
    view.click("[data-do=relabel]")
    press(view, "k", "Escape")
    expect(view.locator("#relabel")).to_be_hidden()
    view.click("[data-do=relabel]")
    view.click("#classes li >> nth=0")
    expect(view.locator("#progress")).to_have_text("1 of 5 images decided")
    assert decisions(view) == [("leak.jpg", "relabel", "red")]


def test_beside_it_are_versions_and_the_nearest_of_both_classes(view):
    titles = [re.sub("[\u2068\u2069]", "", each.inner_text()) for each in view.query_selector_all("#beside h3")]
    assert titles == ["Most like it in blue", "Most like it in red"]
    expect(view.locator("#beside img[src]")).to_have_count(6)
    press(view, "n")
    expect(view.locator("#beside h3").first).to_have_text("The same picture")
    expect(view.locator("#beside .part").first).to_have_text("training")


def test_grad_cam_on_demand(view):
    assert view.is_hidden("#explain"), "there is no model"
    items = view.site.client.get("items").json()
    view.route("**/items", lambda route: route.fulfill(json={**items, "explained": ["blue", "red"]}))
    image = (view.site.root / "train" / "red" / "red-0.jpg").read_bytes()
    view.route("**/heat/*?label=red", lambda route: route.fulfill(body=image, content_type="image/jpeg"))
    view.reload()
    expect(view.locator("#large")).to_be_visible()
    press(view, "g")
    expect(view.locator("#heat")).to_be_visible()
    assert "speaks for" in view.inner_text("#seen") and view.get_attribute("#explain", "aria-pressed") == "true"
    view.click("#explain")
    expect(view.locator("#heat")).to_be_hidden()
    press(view, "g")
    expect(view.locator("#heat")).to_be_visible()
    press(view, "n")
    expect(view.locator("#heat")).to_be_hidden()


def test_of_a_list_a_new_one_is_made(view):
    with review_of(write_list(view.site.root)) as site:
        page = watch(view.context.new_page())
        page.goto(f"{site.url}#token={site.token}")
        expect(page.locator("#large")).to_be_visible()
        decide(page, "x")
        page.click("#apply")
        expect(page.locator("#confirm-why")).to_contain_text("A new list is written")
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_contain_text("list-reviewed.csv")
        expect(page.locator("#apply")).to_be_hidden()
        page.click("#restore")
        expect(page.locator("#notice")).to_contain_text("the new list is removed")
        expect(page.locator("#apply")).to_be_visible()
        assert page.complaints == []


def test_where_nothing_is_to_be_looked_at_decisions_can_be_applied(browser, tmp_path):
    root = write_folder(tmp_path / "here" / "photos", {"train": 8, "val": 3})
    before = data_tree(root)
    with review_of(root) as site:
        site.desk.review.decide(site.desk.review.images[0], "exclude")
        page = watch(browser.new_page())
        page.goto(f"{site.url}#token={site.token}")
        expect(page.locator("#notice")).to_contain_text("There is nothing to look at")
        page.keyboard.press("k")
        page.click("#apply")
        page.keyboard.press("Enter")
        expect(page.locator("#notice")).to_contain_text("Applied: 1 file was moved.")
        assert data_tree(root) != before
        page.click("#restore")
        expect(page.locator("#notice")).to_contain_text("Taken back: 1 file is where it was.")
        assert data_tree(root) == before and page.complaints == []
        page.close()


SIDE = {"train_images": 245, "interval": [0.85, 0.945]}
COMPARED = {
    **{"images": 153, "corrected": 4, "only_before": 3, "only_after": 10, "p": 0.0923},
    "before": {**SIDE, "run": "checkpoints/photos-resnet18", "correct": 139},
    "after": {**SIDE, "run": "checkpoints/photos-resnet18-2", "correct": 146, "train_images": 1238},
    "classes": [{"name": "blue", "images": 70, "before": 60, "after": 66}],
}


@pytest.mark.parametrize("view", [(1, {"viewport": {"width": 390, "height": 900}})], indirect=True)
def test_training_again_is_compared_with_before(view):
    trainer = Trainer(COMPARED)
    with review_of(view.site.root, work=trainer) as site:
        page = watch(view.context.new_page())
        page.goto(f"{site.url}#token={site.token}")
        expect(page.locator("#large")).to_be_visible()
        decide(page, "x")
        expect(page.locator("#train")).to_be_hidden()  # first, it is to be applied
        page.click("#apply")
        page.keyboard.press("Enter")
        page.click("#train")
        expect(page.locator("#training-state")).to_contain_text("Under way for")
        expect(page.locator("#train")).to_be_disabled()
        decide(page, "k")
        page.reload()
        expect(page.locator("#training-told")).to_have_text("features: all from the cache")
        trainer.go.set()
        expect(page.locator("#training-state")).to_contain_text("Done in")
        rows = [row.query_selector_all("th, td") for row in page.query_selector_all("tr")]
        assert [[re.sub("[\u2068\u2069]", "", cell.inner_text()) for cell in row] for row in rows] == [
            ["", "Before", "After"],
            ["Run", "photos-resnet18", "photos-resnet18-2"],
            ["Training images", "245", "1,238"],
            ["Accuracy", "90.8%", "95.4%"],
            ["95% interval", "85.0% to 94.5%", "85.0% to 94.5%"],
            ["blue", "60 of 70", "66 of 70"],
        ]
        assert "McNemar’s exact test: p = 0.092" in page.inner_text("#mcnemar")
        assert serious_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.complaints == []


def test_why_it_was_not_trained_again_is_said(view):
    trainer = Trainer(error="the data is as it was trained on")
    with review_of(view.site.root, work=trainer) as site:
        page = watch(view.context.new_page())
        page.goto(f"{site.url}#token={site.token}")
        trainer.go.set()
        page.click("#train")
        expect(page.locator("#training-told")).to_have_text("the data is as it was trained on")
        expect(page.locator("#training-state")).to_have_text("It has not been done:")
        expect(page.locator("#train")).to_be_enabled()
        assert page.is_hidden("#compared") and page.complaints == []


def test_what_is_refused_is_said(view):
    press(view, "r")
    view.keyboard.type("train")
    press(view, "Enter")
    expect(view.locator("#notice")).to_contain_text("is the name of a part of a dataset")
    expect(view.locator("#said")).to_contain_text("is the name of a part of a dataset")
    (view.site.root / "train" / "blue" / "wrong.jpg").unlink()
    press(view, "k")
    expect(view.locator("#notice")).to_contain_text("is not there any more")
    assert decisions(view) == [] and file(view) == "wrong.jpg"


@pytest.mark.parametrize("view", [(1, {"locale": "zh-CN"})], indirect=True)
def test_the_page_in_chinese(view):
    assert view.evaluate("document.documentElement.lang") == "zh-CN"
    expect(view.locator("[data-do=keep]")).to_contain_text("保留")
    press(view, "k")
    expect(view.locator("#progress")).to_have_text("已处理 1 / 5 张图片")
    view.select_option("#language", "en")
    expect(view.locator("#progress")).to_have_text("1 of 5 images decided")
    assert "{" not in view.inner_text("body")


VIEWS = [
    (1, {"viewport": {"width": width, "height": 900}, "color_scheme": scheme})
    for width, scheme in ((390, "light"), (1280, "dark"))
]


@pytest.mark.parametrize("view", VIEWS, indirect=True)
def test_it_fits_and_axe_finds_nothing_serious(view):
    press(view, "k", "ArrowLeft", "r")
    expect(view.locator("#class")).to_be_focused()
    assert serious_faults(view) == []
    assert view.evaluate("document.documentElement.scrollWidth") <= view.viewport_size["width"]
