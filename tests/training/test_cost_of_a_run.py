"""What a run has cost, where it is written: config.json, last.ckpt, report.html and the state that mstl.fit returns."""

import json
import time

import pytest

import mstl
from mstl.config import RECORD
from mstl.report.describe_run import describe_folder
from mstl.report.run_page import write_report
from mstl.training.resume import SavedRun
from mstl.training.run_cost import OTHER, PARTS
from tests.conftest import write_folder

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")

TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 4, "workers": 1, "engine": "mindspore"}
STEPS = {**TINY, "optimizer": "momentum", "epochs": 2, "views": 1}


class Failure(Exception):
    pass


class Failing:
    def on_epoch_end(self, state):
        raise Failure


def recorded(folder):
    return json.loads((folder / "config.json").read_text())[RECORD]["cost"]


def text_of(page):
    return " ".join(page.read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with a page, and what it took by another clock."""
    from mstl.report import plots

    root = tmp_path_factory.mktemp("cost")
    write_folder(root / "photos", {"train": 6, "val": 3, "test": 2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSTL_HOME", str(root / "home"))
        patch.setattr(plots, "save", lambda figure, path: None)
        fit = mstl.fit  # which is loaded now
        began = time.perf_counter()
        state = fit(data=str(root / "photos"), out=str(root / "run"), **STEPS)
        took = time.perf_counter() - began
    return state, took


def test_the_parts_add_up_to_the_run(finished):
    state, took = finished
    cost = recorded(state.folder)
    assert cost == state.cost.to_dict()
    assert set(cost["seconds"]) == {*PARTS, OTHER} and min(cost["seconds"].values()) >= 0
    assert all(cost["seconds"][part] > 0 for part in PARTS)
    assert 0.9 * took <= sum(cost["seconds"].values()) <= took + 0.01
    assert (cost["device"], cost["sessions"]) == ("CPU", 1)
    assert 0.99 * (12 + 6) / cost["images_per_second"] <= cost["seconds"]["features"]
    assert cost["peak_memory_bytes"] > 50e6


def test_the_page_tells_what_it_knows(finished):
    state, _ = finished
    page = text_of(state.folder / "report.html")
    assert page.count('id="cost"') == 1 and page.count("not known yet") == 1
    assert "without this page; at most " in page and "on CPU, engine mindspore " in page
    assert f'data-value="{recorded(state.folder)["seconds"]["training"]}"' in page


def test_a_page_that_is_written_again_knows_all(finished, tmp_path):
    state, _ = finished
    write_report(tmp_path / "report.html", describe_folder(state.folder))
    page = text_of(tmp_path / "report.html")
    assert "not known yet" not in page and " in all; " in page
    assert f'data-value="{recorded(state.folder)["seconds"]["page"]}"' in page


def test_a_session_that_was_killed_counts_as_far_as_it_was_kept(finished):
    """config.json has nothing of it, as that is written at the end."""
    state, _ = finished
    saved = SavedRun.read(state.folder)
    assert saved.cost == state.cost
    path = state.folder / "config.json"
    settings = json.loads(path.read_text())
    try:
        path.write_text(json.dumps({**settings, RECORD: {**settings[RECORD], "cost": None}}))
        kept = SavedRun.read(state.folder).cost
    finally:
        path.write_text(json.dumps(settings))
    assert 0 < kept.total < state.cost.total and kept.seconds["training"] == state.cost.seconds["training"]


def test_a_run_that_fails_and_goes_on(photos, tmp_path):
    with pytest.raises(Failure):
        mstl.fit(data=str(photos), out=str(tmp_path / "run"), callbacks=[Failing()], report=False, **STEPS)
    first = recorded(tmp_path / "run")
    assert first["seconds"]["training"] > 0 and first["sessions"] == 1
    second = mstl.fit(resume=str(tmp_path / "run")).cost
    assert second.sessions == 2 and second.to_dict() == recorded(tmp_path / "run")
    assert second.images_per_second == first["images_per_second"]  # all were known the second time
    for part, seconds in first["seconds"].items():
        assert second.seconds[part] >= seconds
    assert second.seconds["scan"] > first["seconds"]["scan"]
