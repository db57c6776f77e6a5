"""The page about a run in a real browser, where there is one."""

import numpy as np
import pytest

from mstl.config import TrainConfig
from mstl.evaluation.metrics import Evaluation
from mstl.report.comparison import write_comparison
from mstl.report.run_page import write_report
from mstl.report.run_report import RunReport, WorstImages
from tests.chromium import chromium, needs_chromium, serious_faults, watch

pytestmark = needs_chromium
VIEWS = [(width, scheme) for width in (390, 1280) for scheme in ("light", "dark")]
CLASSES = ("zebra", "10 cents", "9 cents", "蚂蚁", "a" * 90, "a class of many, many words that goes on and on", "empty")
# WCAG's contrast of an element's text with what is behind it, where backgrounds may be translucent
CONTRAST = """element => {
  const numbers = (color) => (color.match(/[\\d.]+/g) || []).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((value, i) => a * value + (1 - a) * below[i]);
  const parents = [];
  for (let each = element; each; each = each.parentElement) parents.unshift(each);
  let behind = [255, 255, 255];
  for (const each of parents) {
    const color = numbers(getComputedStyle(each).backgroundColor);
    if (color.length) behind = over(color, behind);
  }
  const linear = (value) => value <= 10.3 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const pair = [luminance(over(numbers(getComputedStyle(element).color), behind)), luminance(behind)];
  return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}"""


def make_run(name, seed):
    """A run with a warning, heat maps and all that a page can have."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(6), 10).astype(np.int32)
    logits = rng.normal(0, 1, (60, 7)).astype(np.float32)
    logits[np.arange(60), labels] += np.array([0.5, 1, 1.5, 2, 3, 9])[labels]
    evaluation = Evaluation(
        logits, labels, CLASSES, tuple(f"{'photo' * 20}-{n}.jpg" for n in range(60)), temperature=1.3
    )
    history = [
        {
            "epoch": n,
            "train_loss": 1 / n,
            "val_loss": 1 / n,
            "val_accuracy": 1 - 1 / n,
            "val_macro_f1": 0.5,
            "seconds": 1,
        }
        for n in (1, 2, 3)
    ]
    photos, heat = rng.integers(0, 255, (4, 64, 64, 3)).astype(np.uint8), rng.random((4, 64, 64))
    more = {"worst": WorstImages.resized((1, 2, 3, 4), photos, heat), "warnings": ("w" * 300, "a leak")}
    config = TrainConfig(data="a/long/path/" * 12).to_dict()
    return RunReport(name, evaluation, config, history, "resnet18", f"/{'deep/' * 30}best.ckpt", **more)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A report and a comparison."""
    folder = tmp_path_factory.mktemp("pages")
    runs = [make_run("one", 0), make_run("a-run-with-a-rather-long-name-of-its-own", 1)]
    write_report(folder / "report.html", runs[0])
    write_comparison(folder / "comparison.html", runs)
    return folder


@pytest.fixture(scope="module")
def browser():
    """A headless browser."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def view(browser, pages, request):
    """A page opened in a window of some width, in light or dark, with what it complains of and asks for."""
    name, width, scheme = getattr(request, "param", ("report.html", 1280, "light"))
    page = watch(browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme))
    page.goto((pages / name).as_uri())
    yield page
    page.close()


@pytest.mark.parametrize(
    "view", [(name, *each) for name in ("report.html", "comparison.html") for each in VIEWS], indirect=True
)
def test_it_opens_quietly_and_fits(view):
    assert view.complaints == []
    assert all(url.startswith(("file:", "data:")) for url in view.requests)
    assert view.evaluate("document.documentElement.scrollWidth") <= view.viewport_size["width"]
    assert view.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


@pytest.mark.parametrize("view", [("report.html", *each) for each in VIEWS], indirect=True)
def test_it_can_be_read(view):
    seen = 0
    for selector in (
        "p",
        "dt",
        "dd",
        "a",
        "td",
        "th",
        "small",
        "figcaption",
        "figcaption span",
        "li",
        "code",
        "button",
    ):
        for element in view.query_selector_all(selector):
            seen += 1
            assert element.evaluate(CONTRAST) >= 4.5, element.evaluate("element => element.outerHTML")[:200]
    assert seen > 150
    assert view.evaluate("Math.min(...[...document.querySelectorAll('p, td, th')].map("
                         "each => parseFloat(getComputedStyle(each).fontSize)))") >= 12  # fmt: skip


@pytest.mark.parametrize(
    "view",
    [("report.html", 390, "dark"), ("report.html", 1280, "light"), ("comparison.html", 1280, "dark")],
    indirect=True,
)
def test_axe_finds_nothing_serious(view):
    assert serious_faults(view) == []
    view.evaluate("document.querySelector('main img, main svg').outerHTML = '<img src=data:,>'")
    assert [rule for rule, _ in serious_faults(view)] == ["image-alt"]  # it would find something


def column(view, number):
    """The texts of a column of the table that sorts."""
    cells = f"table.sortable tbody tr > :nth-child({number})"
    return [cell.inner_text() for cell in view.query_selector_all(cells)]


def sorts(view):
    """What each title says of the order."""
    return [head.get_attribute("aria-sort") for head in view.query_selector_all("table.sortable thead th")]


def test_the_table_sorts_by_click(view):
    assert column(view, 1) == list(CLASSES) and sorts(view) == [None] * 6
    view.click("table.sortable thead th:nth-child(4) button")
    recalls = [text.strip().removesuffix("%") for text in column(view, 4)]
    assert recalls[-1] == "–" and sorted(recalls[:-1], key=float) == recalls[:-1] and recalls[0] != recalls[-2]
    assert sorts(view) == [None, None, None, "ascending", None, None]
    view.click("table.sortable thead th:nth-child(4) button")
    assert [text.strip().removesuffix("%") for text in column(view, 4)] == [*recalls[-2::-1], "–"]
    assert sorts(view) == [None, None, None, "descending", None, None]
    view.click("table.sortable thead th:nth-child(1) button")
    names = column(view, 1)
    assert names.index("9 cents") < names.index("10 cents") < names.index("zebra")
    assert sorts(view) == ["ascending", None, None, None, None, None]


def test_the_table_sorts_by_keyboard(view):
    view.focus("table.sortable thead th:nth-child(2) button")
    view.keyboard.press("Enter")
    assert column(view, 2) == ["0", *["10"] * 6] and sorts(view)[1] == "ascending"
    view.keyboard.press("Space")
    assert column(view, 2) == [*["10"] * 6, "0"] and sorts(view)[1] == "descending"
    view.keyboard.press("Tab")
    view.keyboard.press("Enter")
    assert sorts(view)[2] == "ascending"


def test_commands_are_copied(view):
    view.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.click(".code button >> nth=0")
    view.wait_for_function("document.querySelector('.code button').textContent === 'Copied'")
    assert view.evaluate("navigator.clipboard.readText()") == f"mstl predict /{'deep/' * 30}best.ckpt image.jpg"


def test_it_can_be_read_without_script(browser, pages):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((pages / "report.html").as_uri())
    assert column(page, 1) == list(CLASSES)
    assert not page.is_visible(".code button")
    context.close()


def test_in_print_everything_is_on_paper(view):
    view.emulate_media(media="print", color_scheme="dark")
    assert not view.is_visible("nav") and not view.is_visible(".code button")
    assert view.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 36)"  # dark ink in the dark too
    assert view.evaluate(
        "[...document.querySelectorAll('.scroll')].every(each => each.scrollHeight <= each.clientHeight)"
    )
    assert len(view.pdf()) > 10_000
