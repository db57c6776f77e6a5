"""The page in a real browser, where there is one, with a real model behind it."""

import json
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace
from urllib.parse import quote

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnx")
from mstl.report.plots.style import share
from tests.chromium import PATIENCE, chromium, needs_chromium, playwright, serious_faults, watch
from tests.serving.color_model import CLASSES, COLORS, UNKNOWN, probabilities
from tests.serving.page_site import answered, drop, paste, shares
from tests.serving.requests import client_of, image_file

pytestmark = needs_chromium
expect = playwright.expect
TOKEN = "a+token/of=this~server"
ANSWER = {"path": None, "label": "red", "probability": 0.8, "rejected": False}
ANSWER["top"] = [{"label": "red", "probability": 0.8}, {"label": "blue", "probability": 0.2}]
ODD = ('<b>bold</b> & "quoted"', "نحل عسل", "x" * 90)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(color_file, tmp_path_factory):
    """A server: its address, a client, and the folder for corrected images."""
    folder = tmp_path_factory.mktemp("collected")
    with client_of(color_file, collect=folder) as client:
        yield SimpleNamespace(url=address_of(client), client=client, collected=folder)


@pytest.fixture(scope="module")
def guarded(color_file):
    """The address of a server that asks for a token."""
    with client_of(color_file, token=TOKEN) as client:
        yield address_of(client)


def address_of(client):
    """Where a client's server is."""
    return f"http://127.0.0.1:{client.base_url.port}/"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A red JPEG, a blue PNG, an image that is none of the classes, and a text file."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "red.jpg").write_bytes(image_file(COLORS["红"], (60, 40), "JPEG"))
    (folder / "blue.png").write_bytes(image_file(COLORS["blue"]))
    (folder / "unknown.png").write_bytes(image_file(UNKNOWN))
    (folder / "notes.txt").write_text("no image")
    names = {"red": "red.jpg", "blue": "blue.png", "unknown": "unknown.png", "text": "notes.txt"}
    return SimpleNamespace(**{key: folder / name for key, name in names.items()})


@pytest.fixture
def view(browser, site, request):
    """The page, in a browser with some settings; at the end nothing was complained of, or asked for elsewhere."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **getattr(request, "param", {})})
    context.set_default_timeout(PATIENCE)
    page = watch(context.new_page())
    page.goto(site.url)
    expect(page.locator("#facts dd").first).to_be_visible()
    yield page
    context.close()
    refused = r"Failed to load resource: (the server responded with a status of [45]|net::ERR_FAILED)"
    assert [text for text in page.complaints if not re.match(refused, text)] == []  # a browser notes each refusal
    assert {url for url in page.requests if not url.startswith((site.url, f"blob:{site.url}"))} == set()


def answering(view, *answers):
    """Have the server give answers, the last one again and again: (status, headers, value)."""
    left = list(answers)

    def answer(route):
        status, headers, value = left.pop(0) if len(left) > 1 else left[0]
        route.fulfill(status=status, headers=headers, json=value)

    view.route(re.compile(r"/predict\?"), answer)


def say_of_model(view, site, **more):
    """Have the server say something else of the model, and open the page again."""
    model = site.client.get("/model").json()
    view.route("**/model", lambda route: route.fulfill(json={**model, **more}))
    view.reload()


def test_a_dropped_image_is_answered(view, site, images):
    drop(view, images.blue)
    assert len(answered(view)) == 1
    ranked = sorted(probabilities(COLORS["blue"]).items(), key=lambda each: -each[1])
    assert shares(view) == [(label, share(value)) for label, value in ranked]
    widths = view.evaluate("[...document.querySelectorAll('.bar span')].map(each => parseFloat(each.style.width))")
    assert widths == pytest.approx([100 * value for _, value in ranked], abs=0.01)
    expect(view.locator("#said")).to_contain_text(share(ranked[0][1]))
    assert view.evaluate("document.querySelector('.own').naturalWidth") == 40
    assert view.complaints == []


def test_a_pasted_image_is_answered(view, images):
    paste(view, images.blue)
    assert "image.png" in answered(view)[0]
    assert shares(view)[0][0] == "blue"
    view.evaluate("navigator.clipboard.writeText('words')")
    view.keyboard.press("Control+V")
    expect(view.locator("#notice")).to_have_text("There is no image in the clipboard.")
    drop(view, images.red)
    expect(view.locator("#notice")).to_be_hidden()


def test_none_of_these(view, images):
    drop(view, images.unknown)
    answered(view)
    assert view.inner_text(".state") == "None of these"
    assert [label for label, _ in shares(view)][0] == "红" and len(shares(view)) == 3
    expect(view.locator("#said")).to_contain_text("none of these")


def test_a_text_file_is_an_error_that_says_what_to_do(view, images):
    drop(view, images.text)
    (card,) = answered(view)
    assert "notes.txt" in card
    assert len(view.inner_text(".state")) > 10 and len(view.inner_text(".hint")) > 10
    expect(view.locator("#said")).to_contain_text(view.text_content(".state"))
    assert view.get_attribute(".state", "lang") == "en"  # also on the page in Chinese
    expect(view.locator(".missing")).to_be_visible()
    assert not view.is_visible(".again") and not view.is_visible(".answers")


def test_ten_images_at_once_a_few_at_a_time(view, tmp_path):
    paths = [tmp_path / f"{n}.jpg" for n in range(10)]
    for n, path in enumerate(paths):
        path.write_bytes(image_file(COLORS[CLASSES[n % 3]], (50 + n, 40), "JPEG"))
    now, most = set(), []
    view.on("request", lambda each: "predict" in each.url and (now.add(each), most.append(len(now))))
    view.on("requestfinished", lambda each: now.discard(each))
    view.set_input_files("#files", paths)
    cards = answered(view, 10)
    assert [card.splitlines()[:2] for card in cards] == [[path.name, CLASSES[n % 3]] for n, path in enumerate(paths)]
    assert max(most) <= 4
    expect(view.locator("#progress")).to_have_text("10 of 10 images answered")
    expect(view.locator("#said")).to_contain_text(re.compile("images answered|[0-9]%"))
    view.set_input_files("#files", paths[:1])
    assert [card.splitlines()[0] for card in answered(view, 11)][:2] == ["0.jpg", "0.jpg"]  # the latest comes first


DROPPED = """async () => {
  const { droppedFiles } = await import("/assets/dropped.js");
  const file = (name, type) => ({ name, isFile: true, file: (done) => done(new File([], name, { type })) });
  const folder = (name, ...children) => ({
    name, isDirectory: true,
    createReader: () => ({ readEntries: (done) => done(children.splice(0, 2)) }),  // browsers give a hundred at a time
  });
  const inner = folder("inner", file("10.jpg", "image/jpeg"), file("9.jpg", "image/jpeg"), file("Thumbs.db", ""));
  const entries = [file("notes.txt", "text/plain"), folder("outer", file("c.png", "image/png"), inner)];
  const items = entries.map((entry) => ({ webkitGetAsEntry: () => entry }));
  return (await droppedFiles({ items, files: [] })).map((each) => each.name);
}"""


def test_the_images_in_a_dropped_folder(view):
    assert view.evaluate(DROPPED) == ["notes.txt", "c.png", "9.jpg", "10.jpg"]


def focused(view):
    """The element that has the focus: its id or its class."""
    return view.evaluate("document.activeElement.id || document.activeElement.className")


def tab_to(view, selector, most=40):
    """Press Tab until an element has the focus, which can be seen."""
    for _ in range(most):
        view.keyboard.press("Tab")
        if view.evaluate("selector => document.activeElement.matches(selector)", selector):
            assert view.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    raise AssertionError(selector)


def test_all_can_be_done_by_keyboard(view, site, images):
    tab_to(view, "#choose")
    with view.expect_file_chooser() as chooser:
        view.keyboard.press("Enter")
    chooser.value.set_files([images.red, images.blue])
    answered(view, 2)
    tab_to(view, ".correct")
    view.keyboard.press("Enter")
    assert view.evaluate("document.activeElement.tagName") == "SELECT"
    view.keyboard.press("Escape")
    assert focused(view) == "correct"
    view.keyboard.press("Enter")
    view.keyboard.type("Another")
    view.keyboard.press("Tab")
    view.keyboard.type("蚂蚁")
    view.keyboard.press("Enter")
    expect(view.locator(".saved").first).to_contain_text("蚂蚁")
    assert focused(view) == "saved"
    expect(view.locator("#said")).to_contain_text("Saved as")
    (kept,) = (site.collected / "蚂蚁").iterdir()
    assert kept.read_bytes() == images.red.read_bytes()
    view.keyboard.press("Shift+Tab")
    assert focused(view) == "remove"
    view.keyboard.press("Enter")  # the second card is next
    view.keyboard.press("Space")
    assert view.locator(".card").count() == 0 and focused(view) == "choose"


def test_a_correction_that_is_refused_is_said_in_its_form(view, images):
    drop(view, images.red)
    answered(view)
    view.click(".correct")
    view.select_option(".correction select", index=4)
    view.fill(".new input", "../etc")
    view.click(".correction .main")
    expect(view.locator(".correction .problem")).to_be_visible()
    view.fill(".new input", "violet")
    view.click(".correction .main")
    expect(view.locator(".saved")).to_be_visible()
    assert not view.is_visible(".correction")


def test_names_of_any_kind(view, images):
    top = [{"label": label, "probability": value} for label, value in zip(ODD, (0.9996, 0.0003, 0.0001), strict=True)]
    answering(view, (200, {}, {"predictions": [{**ANSWER, "top": top}]}))
    view.set_viewport_size({"width": 390, "height": 800})
    drop(view, images.red)
    answered(view)
    assert shares(view) == list(zip(ODD, ("99.9%", "<0.1%", "<0.1%"), strict=True))
    assert view.locator(".label b").count() == 0
    assert view.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_busy_server_is_asked_again(view, images):
    busy = (503, {"Retry-After": "0"}, {})
    answering(view, busy, busy, (200, {}, {"predictions": [ANSWER]}))
    drop(view, images.red)
    answered(view)
    assert shares(view) == [("red", "80.0%"), ("blue", "20.0%")]


def test_a_server_that_is_gone_and_back(view, images):
    view.route(re.compile(r"/predict\?"), lambda route: route.abort(), times=1)
    drop(view, images.red)
    assert "The server does not answer." in answered(view)[0]
    view.click(".again")
    answered(view)
    assert len(shares(view)) == 3 and focused(view) == "card"


def test_an_image_that_is_dropped_before_the_words_are_there(browser, site, images):
    context = browser.new_context()
    page, held = watch(context.new_page()), []
    page.route("**/words.en.json", lambda route: held.append(route))
    page.goto(site.url)
    drop(page, images.red)
    page.wait_for_timeout(200)
    assert page.url == site.url and not page.is_visible(".card") and len(held) == 1
    held[0].continue_()
    assert len(answered(page)) == 1 and page.complaints == []
    context.close()


def test_too_large_a_file_is_not_sent(view, site, images):
    say_of_model(view, site, limits={"bytes": 10, "files": 32})
    drop(view, images.red)
    assert "the server takes up to 0.1 MB" in answered(view)[0]
    assert not any("/predict" in url for url in view.requests)


def test_grad_cam_on_demand(view, site, images):
    asked = []

    def explain(route):
        asked.append(route.request.url)
        route.fulfill(path=images.blue, content_type="image/png")

    view.route("**/explain?*", explain)
    say_of_model(view, site, can_explain=True)
    drop(view, images.red)
    answered(view)
    label = shares(view)[0][0]
    for shown in (True, False, True):
        view.click(".explain")
        expect(view.locator(".heat")).to_be_visible(visible=shown)
        assert view.get_attribute(".explain", "aria-pressed") == str(shown).lower()
        assert view.is_visible(".seen") == shown
    assert len(asked) == 1 and asked[0].endswith(f"label={quote(label)}")
    assert label in view.inner_text(".seen")


def test_images_are_forgotten(browser, site, images):
    context = browser.new_context()
    context.add_init_script("""
      const live = globalThis.live = new Set();
      const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
      URL.createObjectURL = (blob) => { const url = make(blob); live.add(url); return url; };
      URL.revokeObjectURL = (url) => { live.delete(url); revoke(url); };
    """)
    page = context.new_page()
    page.goto(site.url)
    expect(page.locator("#facts dd").first).to_be_visible()
    page.set_input_files("#files", [images.red, images.blue, images.text])
    answered(page, 3)
    assert page.evaluate("live.size") == 3
    page.click(".remove >> nth=0")
    assert page.evaluate("live.size") == 2
    page.click("#clear")
    assert page.evaluate("live.size") == 0 and focused(page) == "choose"
    context.close()


@pytest.mark.parametrize("view", [{"has_touch": True, "is_mobile": True}, {}], indirect=True)
def test_pictures_are_taken_where_there_is_a_touch_screen(view, images):
    has_touch = view.evaluate("navigator.maxTouchPoints > 0")
    assert view.is_visible("#camera") == has_touch and view.is_visible(".inviting") != has_touch
    if has_touch:
        with view.expect_file_chooser() as chooser:
            view.tap("#camera")
        assert chooser.value.element.get_attribute("capture") == "environment"
        chooser.value.set_files(images.blue)
        answered(view)


def test_it_says_where_images_go(view, site):
    here = site.url.removeprefix("http://").rstrip("/")
    assert re.search(f"stay on this computer: .* {here}, .* only those that you correct", view.inner_text("#privacy"))


def test_it_says_where_images_go_from_elsewhere(browser, site):
    context = browser.new_context()
    context.route(
        "http://model.example/**",
        lambda route: route.fulfill(response=route.fetch(url=site.url + route.request.url.split("/", 3)[3])),
    )
    page = context.new_page()
    page.goto("http://model.example/")
    expect(page.locator("#privacy")).to_contain_text("go only to the server that runs this page, at model.example,")
    assert "this computer" not in page.inner_text("#privacy")
    context.unroute_all(behavior="wait")  # what is being fetched would be cut off
    context.close()


@pytest.mark.parametrize("view", [{"locale": "zh-CN"}], indirect=True)
def test_the_page_in_chinese(view, images):
    assert view.evaluate("document.documentElement.lang") == "zh-CN"
    assert view.inner_text("#choose") == "选择图片"
    drop(view, images.text)
    answered(view)
    assert view.inner_text(".remove") == "移除"
    view.select_option("#language", "en")  # what is there already changes, too
    expect(view.locator(".remove")).to_have_text("Remove")
    assert "{" not in view.inner_text("body").partition("import")[0]
    assert view.evaluate("document.documentElement.lang") == "en"
    view.reload()
    expect(view.locator("#choose")).to_have_text("Choose images")  # the choice is kept


def test_a_token_is_asked_for(browser, guarded, images):
    context = browser.new_context()
    page = context.new_page()
    page.goto(guarded)
    page.press("#token input", "Escape")
    expect(page.locator("#unknown")).to_be_visible()
    drop(page, images.red, images.blue)
    for text in ("wrong", TOKEN):
        page.fill("#token input", text)
        page.keyboard.press("Enter")
        expect(page.locator("#token .problem" if text == "wrong" else ".answers >> nth=0")).to_be_visible()
    answered(page, 2)
    assert not page.is_visible("#token")
    expect(page.locator("#facts dd").first).to_be_visible()  # what is said of the model comes when it comes
    expect(page.locator("#unknown")).to_be_hidden()
    page.reload()  # it is kept as long as the tab
    expect(page.locator("#facts dd").first).to_be_visible()
    context.close()


def test_a_token_in_the_address_is_taken_out_of_it(browser, guarded, images):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{guarded}#token={TOKEN}")
    expect(page.locator("#facts dd").first).to_be_visible()
    assert page.url == guarded
    page.click("summary")
    assert "Authorization: Bearer TOKEN" in page.inner_text("#lines") and TOKEN not in page.content()
    context.close()


def test_the_lines_for_programs_work(view, images, tmp_path):
    for name in ("image", "one", "two"):
        shutil.copy(images.red, tmp_path / f"{name}.jpg")
    view.click("summary >> nth=-1")
    curl, python, javascript = (block.inner_text() for block in view.query_selector_all("#lines code"))
    label = "红"
    tried = {"python.py": (python, sys.executable), "javascript.mjs": (javascript, shutil.which("node"))}
    for name, (code, program) in tried.items():
        (tmp_path / name).write_text(code)
        if program:
            done = subprocess.run([program, name], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0 and label in done.stdout, done.stderr
    if shutil.which("curl"):
        first, several, model = (
            subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, check=True).stdout
            for line in curl.splitlines()
        )
        assert [each["label"] for each in json.loads(first)["predictions"]] == [label]
        answers = json.loads(several)["predictions"]
        assert [(each["path"], each["label"]) for each in answers] == [("one.jpg", label), ("two.jpg", label)]
        assert "classes" in json.loads(model)


def test_lines_are_copied(view):
    view.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.click("summary >> nth=-1")
    view.click(".code button >> nth=0")
    expect(view.locator(".code button").first).to_have_text("Copied")
    assert view.evaluate("navigator.clipboard.readText()").startswith("curl --data-binary @image.jpg")


VIEWS = [
    {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    for width, scheme in ((390, "light"), (1280, "dark"), (1920, "light"))
]


@pytest.mark.parametrize("view", VIEWS, indirect=True)
def test_it_fits_and_axe_finds_nothing_serious(view, images):
    view.emulate_media(reduced_motion="reduce")
    view.set_input_files("#files", [images.red, images.text])
    answered(view, 2)
    assert view.evaluate("getComputedStyle(document.querySelector('.bar span')).animationName") == "none"
    view.click(".correct")
    view.click("summary >> nth=-1")
    assert serious_faults(view) == []
    assert view.evaluate("document.documentElement.scrollWidth") <= view.viewport_size["width"]


def test_axe_finds_nothing_serious_in_the_dialog(browser, guarded):
    page = browser.new_page()
    page.goto(guarded)
    expect(page.locator("#token")).to_be_visible()
    assert serious_faults(page) == []
    page.close()


def test_it_says_why_nothing_happens_without_script(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url)
    assert "needs JavaScript" in page.inner_text("noscript")
    context.close()
