"""The page about a run, read back by a parser."""

import base64
import dataclasses
import hashlib
import html
import io
import json
import math
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from mstl.commands import report_command
from mstl.config import TrainConfig
from mstl.errors import MstlError
from mstl.evaluation.metrics import Evaluation
from mstl.report import verdict
from mstl.report.comparison import against, comparable, sentence, write_comparison
from mstl.report.notebook import history_html
from mstl.report.run_page import write_report
from mstl.report.run_report import KEPT, RunReport, WorstImages, load_run_report, save_run_report
from tests.conftest import COLORS, write_photo

VOID = {"meta", "link", "br", "img"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "a&amp;b",
    "蚂蚁",
    "\u202enul\x00",
    "{} %s $x",
)
TRUST = {"temperature": 1.5, "neighbours": 3, "distance_limit": 0.8125, "probability_limit": 0.234}


class Page(HTMLParser):
    """A page's elements and texts, each with the elements that it is in; the page must be well formed."""

    def __init__(self, source):
        super().__init__()
        self.source, self.elements, self.open, self.texts, self.tables = source, [], [], [], []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def all(self, tag):
        """The attributes of all elements of this name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, *within):
        """What stands inside elements of all these names."""
        return " ".join("".join(data for path, data in self.texts if set(within) <= set(path)).split())


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def evaluation_of(labels, predictions, classes, paths=None, **more):
    logits = 3 * np.eye(len(classes), dtype=np.float32)[predictions]
    paths = paths or [f"/photos/{n}.jpg" for n in range(len(labels))]
    return Evaluation(logits, np.array(labels, np.int32), tuple(classes), tuple(paths), **more)


def history_of(epochs):
    return [
        {
            "epoch": n, "lr": 0.1, "train_loss": 1 / n, "val_loss": 1.1 / n, "val_accuracy": 1 - 0.5 / n,
            "val_macro_f1": 0.9, "seconds": 2.0,
        }
        for n in range(1, epochs + 1)
    ]  # fmt: skip


def run_of(evaluation, name="a-run", checkpoint="/runs/a-run/best.ckpt", **more):
    config = TrainConfig(data="photos", model="resnet18", lr=0.01).to_dict()
    settings = {"history": history_of(3), "model": "resnet18", "train_count": 244, "seconds": 75.0, **more}
    return RunReport(name, evaluation, settings.pop("config", config), checkpoint=checkpoint, **settings)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Twelve photos of six classes whose names are meant to break a page; one file has such a name, and is gone."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [str(write_photo(folder / f"{n}.jpg", COLORS["red"], n)) for n in range(11)]
    paths.append("/gone/<i>no such&\udcff.jpg")
    labels = np.arange(12) % 6
    evaluation = evaluation_of(labels, np.roll(labels, 1), HOSTILE, paths, temperature=1.5)
    config = {"data": "<u>data</u>", "lr": 0.5}
    return run_of(evaluation, "<b>run</b>", "/runs/it's <here>/best.ckpt", warnings=("<s>leak</s>",), config=config)


@pytest.fixture(scope="module")
def page(hostile, tmp_path_factory):
    """That run's page."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(path, hostile)
    return read(path)


def test_the_verdict_by_hand(tmp_path):
    """146 of 153: Wilson's interval is 0.9085 to 0.9777 (tests/evaluation/test_metrics.py)."""
    labels = [0] * 70 + [1] * 83
    predictions = [0] * 65 + [1] * 5 + [1] * 81 + [0] * 2
    evaluation = evaluation_of(labels, predictions, ("ants", "bees"))
    sentence = (
        "Right on 146 of 153 validation images, 95.4% (95% interval 90.9% to 97.8%); the most frequent confusion is "
        "“ants” taken for “bees” (5 of 70)"
    )
    assert verdict.verdict(evaluation) == sentence + "."
    assert verdict.verdict(evaluation, ["one"]) == sentence + "; 1 data warning makes this doubtful."
    assert verdict.verdict(evaluation, ["one", "two"]) == sentence + "; 2 data warnings make this doubtful."
    assert verdict.against_guessing(evaluation) == "Always answering “bees” would be right for 54.2%."
    write_report(tmp_path / "report.html", run_of(evaluation))
    page = read(tmp_path / "report.html")
    assert sentence in page.text("header")
    assert "244 + 153" in page.text("dl") and "3 epochs in 1 min" in page.text("dl")
    assert page.tables[0] == [["is ↓called →", "ants", "bees"], ["ants", "65", "5"], ["bees", "2", "81"]]
    assert page.tables[1][1:] == [["ants", "bees", "5 of 70", "7.1%"], ["bees", "ants", "2 of 83", "2.4%"]]
    # precision 65 / 67 and 81 / 86, recall 65 / 70 and 81 / 83, F1 130 / 137 and 162 / 169
    assert page.tables[2][1:] == [
        ["ants", "70", "97.0%", "92.9%", "0.949", "bees (5)"], ["bees", "83", "94.2%", "97.6%", "0.959", "ants (2)"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "predictions", "words"),
    [
        ([0, 1, 2], [0, 1, 2], "no image is taken for another class"),
        ([0, 1, 2], [1, 2, 2], "no two classes are confused more than once"),
        ([0, 1, 2], [1, 1, 2], "“a” taken for “b” (1 of 1)"),
    ],
)
def test_confusions_in_words(labels, predictions, words):
    assert words in verdict.verdict(evaluation_of(labels, predictions, "abc"))


def test_no_better_than_guessing():
    """Of 10 photos 6 are of one class; 7 right are 0.397 to 0.892 by Wilson's interval."""
    evaluation = evaluation_of([0] * 6 + [1] * 4, [0] * 6 + [1] + [0] * 3, "ab")
    assert "not significantly better than always answering “a”, which is right for 60.0%" in verdict.against_guessing(
        evaluation
    )


def test_about_calibration():
    """Two classes with logits of 3 and 0: a probability of 1 / (1 + exp(-3)) = 95.3 %."""
    half = evaluation_of([0, 1] * 50, [0, 0] * 50, "ab")
    assert "95.3% on average, and 50.0% are right: it is too sure of itself." in verdict.about_calibration(half)
    whole = evaluation_of([0] * 100, [0] * 100, "ab", temperature=10.0)
    assert "right more often than it says" in verdict.about_calibration(whole)
    assert verdict.about_calibration(evaluation_of([0] * 20, [0] * 20, "ab")).endswith("100% are right.")


def test_mcnemar_by_hand():
    """One photo that only the first got right, five that only the second did: p = 2 (1 + 6) / 2^6."""
    first = np.array([1, 1, 0, 0, 0, 0, 0, 1], bool)
    second = np.array([1, 0, 1, 1, 1, 1, 1, 1], bool)
    assert verdict.mcnemar(first, second) == (1, 5, pytest.approx(14 / 64))
    assert verdict.mcnemar(first, first) == (0, 0, 1.0)


def test_mcnemar_is_twice_the_binomial_tail():
    """By exact integers: 2 (C(n, 0) + ... + C(n, k)) / 2^n, at most 1."""
    for only_first, only_second in ((0, 1), (3, 3), (0, 60), (11, 40), (199, 251)):
        first = np.repeat([True, False], [only_first, only_second])
        total, fewer = only_first + only_second, min(only_first, only_second)
        tail = sum(math.comb(total, count) for count in range(fewer + 1))
        by_hand = (only_first, only_second, pytest.approx(min(1.0, 2 * tail / 2**total), rel=1e-9, abs=1e-12))
        assert verdict.mcnemar(first, ~first) == by_hand


def test_a_page_loads_nothing(hostile, page, tmp_path):
    write_comparison(tmp_path / "comparison.html", [hostile, dataclasses.replace(hostile, name="other")])
    for each in (page, read(tmp_path / "comparison.html")):
        for tag, attributes in each.elements:
            for key, value in attributes.items():
                if key in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                    assert value.startswith(("#", "data:")), (tag, key, value[:80])
                assert not key.startswith("on"), (tag, key)
                assert "http" not in value or key.startswith("xmlns"), (tag, key)
        assert "@import" not in each.source and not re.search(r"url\((?!#)", each.source)


def test_only_the_page_s_own_script_may_run(page):
    (script,) = [data for path, data in page.texts if path[-1:] == ("script",)]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_the_best_epoch_is_the_run_s_own(tmp_path):
    evaluation = evaluation_of([0, 1], [0, 1], "ab")
    history = history_of(3)
    history[0]["val_loss"] = 0.01
    for best, label in (("loss", "best 0.500 in epoch 1"), ("accuracy", "best 0.833 in epoch 3")):
        write_report(tmp_path / "report.html", run_of(evaluation, history=history, config={"best": best}))
        drawings = [drawing.get("aria-label", "") for drawing in read(tmp_path / "report.html").all("svg")]
        assert f"Accuracy: {label}" in drawings


def test_hostile_names_are_texts(page):
    assert {tag for tag, _ in page.elements} & {"i", "s", "u"} == set() and len(page.all("script")) == 1
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    shown = [*HOSTILE[:4], "\\u202enul\\x00", HOSTILE[5]]
    assert [row[0] for row in page.tables[2][1:]] == shown
    assert page.tables[0][0][1:] == shown
    assert page.text("h1") == "<b>run</b>" and page.text("title") == "<b>run</b>: report"
    assert "<s>leak</s>" in page.text("li") and "<u>data</u>" in page.text("dl")
    assert "<i>no such&\\udcff.jpg" in page.text("figcaption")
    assert "\x00" not in page.source and "\u202e" not in page.source


def test_commands_can_be_pasted(page):
    blocks = [data for path, data in page.texts if path[-2:] == ("pre", "code")]
    assert shlex.split(blocks[0]) == ["mstl", "predict", "/runs/it's <here>/best.ckpt", "image.jpg"]
    assert shlex.split(blocks[3]) == ["mstl", "evaluate", "/runs/it's <here>/best.ckpt", "--folds", "5"]
    assert shlex.split(blocks[4]) == ["mstl", "train", "--config", "/runs/it's <here>/config.json"]
    called = []
    code = blocks[5].replace("import mstl", "")
    exec(
        code, {"mstl": type("mstl", (), {"Predictor": staticmethod(lambda path: called.append(path) or called.append)})}
    )
    assert called == ["/runs/it's <here>/best.ckpt", ["image.jpg"]]


def test_a_page_says_what_it_is_to_everybody(page):
    assert page.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in page.all("meta")
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))
    assert all(image["alt"] for image in page.all("img"))
    pictures = [drawing for drawing in page.all("svg") if drawing.get("role") == "img"]
    assert len(pictures) == 4 and all(drawing["aria-label"] for drawing in pictures)
    assert len(page.all("caption")) == len(page.all("table"))
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and max(np.diff(levels)) <= 1
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    links = [link["href"][1:] for link in page.all("a")]
    assert links and set(links) <= set(identifiers)


def test_drawings_take_the_page_s_ink(page):
    drawings = re.findall(r'<svg class="chart".*?</svg>', page.source, re.DOTALL)
    assert len(drawings) == 4
    assert all(
        "currentColor" in drawing and "#000000" not in drawing and "#ffffff" not in drawing for drawing in drawings
    )


def test_worst_photos_come_with_what_was_said_of_them(tmp_path):
    """Probabilities of 1 / (1 + exp(-3)) for the predicted class, whichever it is."""
    paths = [str(write_photo(tmp_path / f"{n}.jpg", COLORS["red"], n)) for n in range(3)]
    evaluation = evaluation_of([0, 0, 1], [0, 1, 1], ("ants", "bees"), paths)
    write_report(tmp_path / "report.html", run_of(evaluation))
    page = read(tmp_path / "report.html")
    assert len(page.all("img")) == 3
    assert page.text("figcaption").startswith("is ants (4.7%)✗ called bees (95.3%)1.jpg")
    assert page.text("figcaption").count("also called so") == 2


def decoded(image):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(image["src"].split(",")[1]))).convert("RGB"))


def test_heat_maps_lie_beside_their_photos(tmp_path):
    evaluation = evaluation_of([0, 0, 1], [0, 1, 1], ("ants", "bees"))
    photos = np.full((2, 40, 40, 3), 90, np.uint8)
    heat = np.zeros((2, 40, 40), np.float32)
    heat[0, :20] = 1
    run = run_of(evaluation, worst=WorstImages.resized((1, 0), photos, heat))
    write_report(tmp_path / "report.html", run)
    images = [decoded(image) for image in read(tmp_path / "report.html").all("img")]
    assert len(images) == 4
    plain, heated, _, cold = images
    assert np.abs(plain.astype(int) - 90).max() < 5 and np.abs(cold.astype(int) - 90).max() < 5
    assert heated[20, 96, 0] > 180 and abs(int(heated[170, 96, 0]) - 90) < 10


def test_calibration_before_and_after(tmp_path):
    evaluation = evaluation_of([0, 1] * 50, [0, 0] * 50, "ab", temperature=3.0)
    before = 1 / (1 + np.exp(-3)) - 0.5
    after = 1 / (1 + np.exp(-1)) - 0.5
    write_report(tmp_path / "report.html", run_of(evaluation, rejector=TRUST))
    text = read(tmp_path / "report.html").text("section")
    assert "A temperature of 3.00, fitted on these images, takes the expected calibration error (ECE)" in text
    assert f"(ECE) from {before:.3f} to {after:.3f}." in text
    assert "a probability below 23.4%" in text and "farther than 0.812" in text
    write_report(tmp_path / "report.html", run_of(evaluation.calibrated(1.0)))
    text = read(tmp_path / "report.html").text("section")
    assert f"The expected calibration error (ECE) is {before:.3f}." in text and "--reject" not in text


def test_many_classes_and_a_class_without_photos(tmp_path):
    names = [f"class {n}" for n in range(50)]
    labels = np.repeat(np.arange(49), 2)
    predictions = np.where(np.arange(98) % 7 == 0, (labels + 1) % 50, labels)
    write_report(tmp_path / "report.html", run_of(evaluation_of(labels, predictions, names)))
    page = read(tmp_path / "report.html")
    assert [row[0] for row in page.tables[1][1:]] == names
    assert page.tables[1][-1][:5] == ["class 49", "0", "0%", "–", "–"]
    cells = [attributes for tag, attributes in page.elements if tag == "td" and attributes.get("data-value") == ""]
    assert len(cells) == 2  # recall and F1 of the class without photos, which are sorted last
    assert any("Confusion matrix of 50 classes" in image["alt"] for image in page.all("img"))


def test_a_page_of_twenty_classes_is_small(tmp_path):
    names = [f"class {n}" for n in range(20)]
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(20), 15)
    predictions = np.where(rng.random(300) < 0.8, labels, rng.integers(20, size=300))
    noise = rng.integers(0, 255, (12, 224, 224, 3)).astype(np.uint8)  # no photo takes as much room
    worst = WorstImages.resized(range(12), noise, rng.random((12, 224, 224)))
    run = run_of(evaluation_of(labels, predictions, names), worst=worst, history=history_of(100))
    write_report(tmp_path / "report.html", run)
    assert (tmp_path / "report.html").stat().st_size < 3e6


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_net_that_has_diverged_has_a_page(tmp_path):
    evaluation = evaluation_of([0, 1], [0, 1], "ab")
    evaluation = dataclasses.replace(evaluation, logits=np.full((2, 2), np.nan, np.float32))
    history = [{**row, "train_loss": float("nan"), "val_loss": float("nan")} for row in history_of(2)]
    write_report(tmp_path / "report.html", run_of(evaluation, history=history))
    assert "Right on 1 of 2" in read(tmp_path / "report.html").text("header")
    assert "Right on 1 of 2" in history_html(history, evaluation)


def test_what_a_page_needs_is_kept_in_the_run_s_folder(hostile, tmp_path):
    folder = tmp_path / "moved"
    folder.mkdir()
    paths = [str(write_photo(tmp_path / f"{n}.jpg", COLORS["red"], n)) for n in range(11)]
    evaluation = dataclasses.replace(hostile.evaluation, paths=(*paths, "gone.jpg"))
    run = dataclasses.replace(hostile, rejector=TRUST, evaluation=evaluation)
    worst = run.worst_images()
    heat = np.random.default_rng(0).random((len(worst.indices), 20, 20)).astype(np.float32)
    run = dataclasses.replace(run, worst=dataclasses.replace(worst, heat_maps=heat))
    save_run_report(folder, run)
    assert [entry.name for entry in folder.iterdir()] == [KEPT]
    kept = load_run_report(folder)
    assert kept.name == "moved" and kept.checkpoint == folder / "best.ckpt"
    for key in ("config", "history", "model", "train_count", "seconds", "warnings", "rejector"):
        assert getattr(kept, key) == getattr(run, key), key
    assert kept.evaluation.classes == run.evaluation.classes and kept.evaluation.paths == run.evaluation.paths
    assert kept.evaluation.temperature == 1.5
    assert (kept.evaluation.logits == run.evaluation.logits).all()
    assert (kept.evaluation.labels == run.evaluation.labels).all()
    assert kept.worst.indices == worst.indices and (kept.worst.images == worst.images).all()
    assert np.abs(kept.worst.heat_maps - heat).max() <= 0.5 / 255 + 1e-6
    for path in paths:
        Path(path).unlink()
    write_report(tmp_path / "report.html", kept)
    images = [decoded(image) for image in read(tmp_path / "report.html").all("img")]
    assert len(images) == 2 * len(worst.indices)
    assert sum(np.ptp(image) < 5 for image in images[::2]) == 1  # the file that was gone from the beginning is grey


def test_kept_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MstlError, match=f"has no {KEPT}"):
        load_run_report(tmp_path)
    for content in (b"", b"no archive", b"PK\x03\x04damaged"):
        (tmp_path / KEPT).write_bytes(content)
        with pytest.raises(MstlError, match="is damaged"):
            load_run_report(tmp_path)
    np.savez(tmp_path / KEPT, record=json.dumps({"format": 99}))
    with pytest.raises(MstlError, match="another version"):
        load_run_report(tmp_path)


def comparison_runs():
    """Three runs: 8, 7 and 2 of 10 photos right; the last is significantly worse: 6 photos went from right to wrong."""
    labels = [0, 1] * 5
    runs = []
    for name, wrong, rate in (("<second>", 3, 0.1), ("best", 2, 0.2), ("worst", 8, 0.2)):
        predictions = [1 - label if index < wrong else label for index, label in enumerate(labels)]
        config = {"lr": rate, "model": "resnet18"}
        evaluation = evaluation_of(labels, predictions, "ab")
        runs.append(run_of(evaluation, name, config=config, warnings=("leak",), digests=tuple("0123456789")))
    return runs


def test_runs_are_compared_on_the_photos_that_they_share(tmp_path):
    write_comparison(tmp_path / "comparison.html", comparison_runs())
    page = read(tmp_path / "comparison.html")
    assert page.text("p", "header").startswith(
        "“best” is best with 80.0% (95% interval 49.0% to 94.3%), significantly better than 1 of the 2 others."
    )
    first, second = page.tables
    assert [row[0] for row in first[1:]] == ["best", "<second>", "worst"]
    # McNemar: 0 to 1 photos, p = 1; 0 to 6, p = 2 / 2^6
    assert [row[-1] for row in first[1:]] == ["", "0 to 1p = 1.000", "0 to 6p = 0.031"]
    assert second == [["Setting", "best", "<second>", "worst"], ["lr", "0.2", "0.1", "0.2"]]
    assert "leak (best, <second>, worst)" in page.text("li")


@pytest.mark.parametrize(
    ("compared", "verdict"),
    [
        ((1, 0), "but not significantly better than the other."),
        ((1, 0, 0), "but not significantly better than any other."),
        ((1, 2), "significantly better than the other."),
        ((1, 2, 2), "significantly better than all others."),
    ],
)
def test_the_sentence_says_what_is_significant(compared, verdict):
    runs = comparison_runs()
    assert sentence([runs[index] for index in compared]).endswith(f", {verdict}")


def test_runs_on_other_photos_are_not_compared(tmp_path):
    """Of the same names and labels, as many data sets have them."""
    one, two, _ = comparison_runs()
    other = dataclasses.replace(two, config=one.config, digests=tuple("abcdefghij"))
    write_comparison(tmp_path / "comparison.html", [one, other])
    page = read(tmp_path / "comparison.html")
    assert "not all runs were validated on the same images" in page.text("header")
    assert page.tables[0][2][-1] == "other images"
    assert "have the same settings" in page.text("main")


def test_the_same_photos_under_other_names_and_in_another_order_are_compared():
    one, two, _ = comparison_runs()
    order = np.random.default_rng(3).permutation(10)
    evaluation = dataclasses.replace(two.evaluation.part(order), paths=tuple(f"other{n}" for n in range(10)))
    moved = dataclasses.replace(two, evaluation=evaluation, digests=tuple(two.digests[index] for index in order))
    assert comparable(one, moved) and against(one, moved) == against(one, two)
    relabelled = dataclasses.replace(moved, evaluation=dataclasses.replace(evaluation, labels=1 - evaluation.labels))
    assert not comparable(one, relabelled)


def test_whether_photos_are_the_same_may_be_unknown():
    one, two, _ = comparison_runs()
    unknown = dataclasses.replace(two, digests=())
    assert not comparable(one, unknown) and not comparable(unknown, unknown)
    assert sentence([one, unknown]).endswith("it is not known whether all runs were validated on the same images.")


def test_a_run_in_a_notebook():
    evaluation = evaluation_of([0, 0, 1], [0, 1, 1], HOSTILE[:2])
    history = history_of(30)
    history[0]["val_loss"] = 0.01
    piece = history_html(history, evaluation, "loss")
    page = Page(piece)
    assert not {"script", "style", "link"} & {tag for tag, _ in page.elements}
    (image,) = page.all("img")
    assert decoded(image).shape[1] > 400
    assert "Right on 2 of 3" in page.text("b") and html.escape(HOSTILE[0]) in piece
    assert [row[0] for row in page.tables[0][1:]] == ["1 (best)", *(str(n) for n in range(20, 31))]
    by_accuracy = Page(history_html(history, evaluation))
    assert [row[0] for row in by_accuracy.tables[0][1:]] == [*(str(n) for n in range(20, 30)), "30 (best)"]
    assert history_html([], None) == "<p>No epoch is finished yet.</p>"


@pytest.fixture
def folder(tmp_path):
    """A run's folder, as far as the command looks."""
    made = tmp_path / "run"
    made.mkdir()
    (made / "best.ckpt").write_bytes(b"")
    (made / "history.json").write_text(json.dumps(history_of(3)))
    save_run_report(made, run_of(evaluation_of([0, 1, 1], [0, 1, 0], "ab")))
    return made


def call(*arguments):
    return CliRunner().invoke(report_command.main, [str(argument) for argument in arguments])


def test_the_command_writes_the_page_of_a_run(folder, tmp_path):
    done = call(folder)
    assert (done.exit_code, done.stdout.strip()) == (0, str(folder / "report.html"))
    assert "Right on 2 of 3" in read(folder / "report.html").text("header")
    assert call(folder, "--out", tmp_path / "new" / "page.html").exit_code == 0
    assert (tmp_path / "new" / "page.html").exists()


def test_the_command_compares_runs_of_the_same_name(folder, tmp_path, monkeypatch):
    other = tmp_path / "other" / "run"
    other.mkdir(parents=True)
    for name in ("best.ckpt", "history.json", KEPT):
        (other / name).write_bytes((folder / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    done = call(folder, other, folder)
    assert (done.exit_code, done.stdout.strip()) == (0, "comparison.html")
    assert [row[0] for row in read(tmp_path / "comparison.html").tables[0][1:]] == [str(folder), str(other)]


def test_a_folder_without_a_run_is_one_line(tmp_path):
    done = call(tmp_path)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"mstl: error: {tmp_path} holds no run") and done.stderr.count("\n") == 1
