"""The pages about runs in Chinese: all of them but names, settings and data warnings."""

import dataclasses
import html
import json
import re

import numpy as np
import pytest

import mstl
from mstl.evaluation.metrics import Evaluation
from mstl.report.comparison import write_comparison
from mstl.report.notebook import history_html
from mstl.report.quotable import Quotable
from mstl.report.run_card import write_card
from mstl.report.run_page import write_report
from mstl.report.run_report import RunReport, WorstImages, load_run_report, save_run_report

NAMES = {"wolf", "run", "photos", "resnet18", "data", "auto"}  # of runs, data, model and recipe
SAME = {"F1", "Grad-CAM", "ECE", "SHA-256", "manifest.csv", "mstl", "GB", "CPU", "p", "McNemar", "Python"}


@pytest.fixture(autouse=True)
def in_chinese(monkeypatch):
    monkeypatch.setenv("MSTL_LANG", "zh_CN.UTF-8")


def run_of(**more):
    """A run with every section: 40 images, 30 of them right, one not there any more, and a warning."""
    labels = np.array([0] * 20 + [1] * 20)
    predictions = np.array([0] * 15 + [1] * 5 + [1] * 15 + [0] * 5)
    logits = 3 * np.eye(2, dtype=np.float32)[predictions]
    paths = tuple(f"{number}.jpg" for number in range(40))
    evaluation = Evaluation(logits, labels, ("猫", "<i>"), paths, temperature=1.5)
    worst = WorstImages((15, 16), np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 4, 4), np.float32))
    row = {"lr": 0.1, "train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.75, "val_macro_f1": 0.75, "seconds": 2.0}
    cost = {"seconds": {"scan": 0.5, "page": 700.0}, "sessions": 2, "device": "CPU"}
    settings = {
        "config": {"data": "photos", "freeze": "backbone", "recipe": "auto", "seed": 1, "val_split": 0.2},
        "history": [{"epoch": epoch, **row} for epoch in (1, 2)],
        "model": "resnet18",
        "checkpoint": "best.ckpt",
        "train_count": 100,
        "seconds": 75.0,
        "warnings": ("the same image in two parts",),
        "rejector": {"temperature": 1.5, "neighbours": 3, "distance_limit": 0.8, "probability_limit": 0.2},
        "worst": worst,
        "missing": ("15.jpg",),
        "validated_on": "split",
        "test_images": 50,
        "cost": {**cost, "peak_memory_bytes": 2e9, "images_per_second": 1234.5},
        "noted": [["dim", 3, ["1.jpg"]]],
        "far": [["2.jpg", "猫", 0.5, 0.2]] * 21,
        "digests": tuple(f"{number:064}" for number in range(40)),
    }
    return RunReport("run", evaluation, **{**settings, **more})


def words_of(page):
    """The English words of a page's text, without those in code, settings and warnings."""
    for pattern in (r"<(script|style|svg|code)\b.*?</\1>", r'<dl class="settings">.*?</dl>', r'<li lang="en">.*?</li>'):
        page = re.sub(pattern, " ", page, flags=re.DOTALL)
    page = re.sub(r'<p class="note">未设置.*?</p>', " ", page)
    spoken = " ".join(re.findall(r'(?:alt|aria-label|data-copied)="([^"]*)"', page))
    text = html.unescape(re.sub(r"<[^>]*>", " ", page) + " " + spoken).replace(mstl.__version__, "")
    return set(re.findall(r"[A-Za-z][\w.-]*", re.sub(r"`[^`]*`|\d+\.jpg|<i>|[\w/]+/best\.ckpt", " ", text), re.ASCII))


def test_a_page_has_no_english_but_names(tmp_path):
    write_report(tmp_path / "report.html", run_of())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in page
    assert words_of(page) - SAME - NAMES == set()
    text = html.unescape(re.sub(r"<[^>]+>", "", page))
    # 30 of 40: Wilson's interval is 0.598 to 0.858
    assert (
        "40 张验证图片中答对 30 张，准确率 75.0%（95% 置信区间 59.8% 至 85.8%）；最常见的混淆是把“猫”误认为“<i>”"
        in text
    )
    assert "2 轮，用时 1 分钟 15 秒" in text and "12 分钟" in text
    assert "每个类别的 20.0%，按种子 1 抽取" in text and "50 张测试图片尚未评估" in text
    assert "&lt;i&gt;" in page and "<i>" not in page
    assert "the same image in two parts" in page


def test_a_comparison_has_no_english_but_names(tmp_path):
    better = dataclasses.replace(run_of(), name="wolf", config={"lr": True})
    write_comparison(tmp_path / "page.html", [run_of(), better])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    settings = {"lr", "freeze", "recipe", "seed", "val_split", "backbone"}
    assert words_of(page) - SAME - NAMES - settings == set()
    assert "但与其余各次训练相比没有显著优势" in page


def test_a_notebook_has_no_english():
    run = run_of()
    assert words_of(history_html(run.history, run.evaluation)) - SAME - NAMES == set()


def test_what_programs_read_is_in_english(tmp_path, monkeypatch):
    run = run_of(test=Quotable(2, 40, 50, 0.8, (0.67, 0.89)))
    write_card(tmp_path / "zh.md", run)
    save_run_report(tmp_path, run)
    monkeypatch.setenv("MSTL_LANG", "en")
    write_card(tmp_path / "en.md", run)
    assert (tmp_path / "zh.md").read_bytes() == (tmp_path / "en.md").read_bytes()
    again = load_run_report(tmp_path)
    assert "猫" not in json.dumps([again.warnings, again.noted, again.cost], ensure_ascii=False)
    write_report(tmp_path / "report.html", again)
    assert '<html lang="en">' in (tmp_path / "report.html").read_text(encoding="utf-8")
