"""Odd images on the page about a run: those that the scan has noted, and those far from their own class."""

import numpy as np
import pytest

from mstl.data.load_data import load_data
from mstl.report.odd_section import far_images, noted_images
from mstl.report.run_page import write_report
from mstl.report.run_report import load_run_report, save_run_report
from tests.conftest import write_photo
from tests.report.test_run_page import HOSTILE, evaluation_of, read, run_of


@pytest.fixture
def sets(tmp_path, monkeypatch):
    """38 images in colour, one of them dark and in training, one large and in validation."""
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    data = tmp_path / "data"
    for part, count in (("train", 12), ("val", 6)):
        for name, color in (("blue", (40, 60, 200)), ("red", (210, 50, 40))):
            for number in range(count):
                write_photo(data / part / name / f"{number}.jpg", color, number + 100 * (part == "val"))
    write_photo(data / "train" / "red" / "night.jpg", (12, 12, 20), 999)
    write_photo(data / "val" / "red" / "large.jpg", (210, 50, 41), 998, (480, 400))
    return load_data(str(data))


def test_what_the_scan_has_noted(sets, tmp_path):
    noted = {word: (count, [path.rpartition("/")[2] for path in paths]) for word, count, paths in noted_images(sets)}
    assert noted["dim"] == (1, ["night.jpg"]) and noted["odd_size"] == (1, ["large.jpg"])
    run = run_of(evaluation_of([0, 1], [0, 1], "ab"), noted=noted_images(sets))
    write_report(tmp_path / "report.html", run)
    page = read(tmp_path / "report.html")
    (table,) = [rows for rows in page.tables if rows[0] == ["Images", "Number", "Such as"]]
    assert ["dark", "1", "night.jpg"] in table and ["of another size than most", "1", "large.jpg"] in table


def test_images_far_from_their_class(tmp_path):
    """Features all alike but for one, which has the opposite ones: twice their length is its distance."""
    rng = np.random.default_rng(0)
    features = (np.ones((24, 8)) + rng.normal(size=(24, 8)) * 0.05).astype(np.float32)
    features[3] = -1
    labels = np.arange(24) % 2
    evaluation = evaluation_of(labels, labels, HOSTILE[:2], features=features)
    ((path, name, distance, usual),) = far_images(evaluation)
    assert (path, name) == ("/photos/3.jpg", HOSTILE[1]) and distance == pytest.approx(2, abs=0.01) and usual < 0.2
    assert far_images(evaluation_of(labels, labels, "ab")) == [], "no features, nothing to say"
    run = run_of(evaluation, far=far_images(evaluation))
    save_run_report(tmp_path, run)
    assert load_run_report(tmp_path).far == run.far
    write_report(tmp_path / "report.html", load_run_report(tmp_path))
    page = read(tmp_path / "report.html")
    (table,) = [rows for rows in page.tables if rows[0] == ["Image", "Class", "Distance", "Usual"]]
    assert table[1:] == [["3.jpg", HOSTILE[1], f"{distance:.3f}", f"{usual:.3f}"]]


def test_a_page_without_odd_images_has_no_such_section(tmp_path):
    write_report(tmp_path / "report.html", run_of(evaluation_of([0, 1], [0, 1], "ab")))
    sections = [attributes["id"] for tag, attributes in read(tmp_path / "report.html").elements if tag == "section"]
    assert "odd" not in sections and "settings" in sections
