"""What the page of a review asks its server for: images, decisions, and to apply them."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import httpx
import pytest
from PIL import Image

pytest.importorskip("fastapi")
from mstl.errors import MstlError
from mstl.review.review_data import ReviewData, ReviewSource
from mstl.serving.explainer import Explainer
from mstl.serving.review_items import review_items
from mstl.serving.review_server import predictor_of
from tests.conftest import COLORS, environment, write_photo
from tests.serving.review_site import Trainer, data_tree, featured, review_of, write_data, write_list

SHA = "0" * 64


@pytest.fixture
def site(tmp_path):
    with review_of(write_data(tmp_path / "here" / "photos", tiny=1)) as site:
        yield site


def items_of(site):
    """The items by path."""
    return {item["path"]: item for item in site.client.get("items").json()["items"]}


def decide(site, path, decision, label=""):
    """Ask for a decision about the image at a path."""
    values = {"item": items_of(site)[path]["id"], "decision": decision, "label": label}
    return site.client.post("decisions", json=values)


def rows(site):
    """What review.csv holds."""
    return list(csv.DictReader((site.root / "review.csv").open()))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_is_to_be_looked_at_and_what_is_beside_it(site):
    told = site.client.get("items").json()
    assert (told["name"], told["classes"]) == ("photos", ["blue", "red"])
    assert told["state"] == {"decisions": {}, "plan": [], "can_undo": False}
    found = [(item["path"], [reason["kind"] for reason in item["reasons"]]) for item in told["items"]]
    assert found == [
        (os.path.join("train", "blue", "wrong.jpg"), ["suspect"]),
        (os.path.join("val", "blue", "leak.jpg"), ["leak"]),
        (os.path.join("train", "red", "same.jpg"), ["duplicate"]),
        (os.path.join("train", "blue", "tiny-0.jpg"), ["odd"]),
        (os.path.join("train", "red", "tiny-0.jpg"), ["odd"]),
    ]
    wrong, leak, same, *_ = told["items"]
    assert wrong["sha256"] == wrong["id"] == digest(site.root / wrong["path"])
    assert [each["label"] for each in wrong["answer"]] == ["red", "blue"]
    assert wrong["answer"][0]["probability"] > 0.9
    assert {each["label"] for each in wrong["of_label"]} == {"blue"} and len(wrong["of_label"]) == 3
    assert {each["label"] for each in wrong["of_answer"]} == {"red"} and len(wrong["of_answer"]) == 3
    assert [each["path"] for each in same["versions"]] == [os.path.join("train", "red", "red-0.jpg")]
    assert leak["of_answer"] == [] and leak["versions"][0]["split"] == "train"
    assert "12 x 12 pixels" in told["items"][3]["reasons"][0]["detail"]


def test_images_unlike_their_class_come_before_odd_ones(tmp_path):
    review = ReviewData(ReviewSource.of(str(write_data(tmp_path / "photos", tiny=1))))
    found = featured(review.checked)
    assert "wrong.jpg" in {os.path.basename(found.paths[row]) for row in found.outliers}
    alone = next(row for row, path in enumerate(found.paths) if path.endswith("red-7.jpg"))
    items = review_items(review.images, review.checked, replace(found, outliers=(alone,)))
    kinds = [(os.path.basename(item.image.path), item.reasons[0].kind) for item in items]
    assert kinds[-3:] == [("red-7.jpg", "outlier"), ("tiny-0.jpg", "odd"), ("tiny-0.jpg", "odd")]


def test_images_are_known_by_their_content_alone(site):
    path = site.root / "train" / "blue" / "wrong.jpg"
    answer = site.client.get(f"image/{digest(path)}")
    assert answer.headers["content-type"] == "image/jpeg" and "default-src 'none'" in str(answer.headers)
    assert Image.open(io.BytesIO(answer.content)).size == (48, 40)
    small = site.client.get(f"image/{digest(path)}?side=32").content
    assert max(Image.open(io.BytesIO(small)).size) == 32
    outside = write_photo(site.root.parent / "outside.jpg", COLORS["red"], 999)
    for name in (SHA, digest(outside), "train%2Fblue%2Fwrong.jpg", "..%2F..%2Foutside.jpg", str(path)[1:]):
        assert site.client.get(f"image/{name}").status_code == 404
    assert site.client.get(f"image/{digest(path)}?side=5000").status_code == 422


def test_an_image_is_shown_upright_and_not_too_large(tmp_path):
    root = write_data(tmp_path / "photos")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    large = root / "train" / "blue" / "large.jpg"
    Image.effect_noise((2400, 1200), 50).convert("RGB").save(large, exif=exif)
    with review_of(root) as site:
        answer = site.client.get(f"image/{digest(large)}")
    assert Image.open(io.BytesIO(answer.content)).size == (800, 1600)


def test_an_image_that_was_changed_is_neither_shown_nor_decided_about(site):
    path, place = site.root / "train" / "blue" / "wrong.jpg", os.path.join("train", "blue", "wrong.jpg")
    content = digest(path)
    write_photo(path, COLORS["red"], 78)
    answers = [site.client.get(f"image/{content}"), decide(site, place, "keep")]
    path.unlink()
    answers += [site.client.get(f"image/{content}"), decide(site, place, "keep")]
    assert [answer.status_code for answer in answers] == [409] * 4
    assert all("wrong.jpg" in answer.json()["detail"] for answer in answers)
    assert not (site.root / "review.csv").exists()


def test_decisions_are_taken_and_taken_back(site):
    wrong = os.path.join("train", "blue", "wrong.jpg")
    state = decide(site, wrong, "relabel", "red").json()
    name = items_of(site)[wrong]["id"]
    assert state["decisions"] == {name: {"decision": "relabel", "label": "red", "applied": False}}
    assert state["plan"] == [{"label": "blue", "to": "red", "count": 1}] and not state["can_undo"]
    assert [(row["path"], row["decision"], row["new_label"]) for row in rows(site)] == [(wrong, "relabel", "red")]
    assert decide(site, wrong, "exclude").json()["plan"] == [{"label": "blue", "to": None, "count": 1}]
    assert decide(site, wrong, "keep").json()["plan"] == []
    assert site.client.delete(f"decisions/{name}").json()["plan"] == [{"label": "blue", "to": None, "count": 1}]
    for _ in range(2):
        state = site.client.delete(f"decisions/{name}").json()
    assert state["decisions"] == {} and rows(site) == []
    assert site.client.delete(f"decisions/{name}").status_code == 409


def test_applied_and_undone_the_tree_is_as_before(site):
    before = data_tree(site.root)
    decide(site, os.path.join("train", "blue", "wrong.jpg"), "relabel", "red")
    decide(site, os.path.join("train", "blue", "tiny-0.jpg"), "relabel", "蚂蚁")
    decide(site, os.path.join("val", "blue", "leak.jpg"), "exclude")
    plan = decide(site, os.path.join("train", "red", "same.jpg"), "keep").json()["plan"]
    assert data_tree(site.root) == before
    done = site.client.post("apply", json={"plan": plan}).json()
    assert (done["moved"], done["problems"], done["lists"]) == (3, [], [])
    assert (site.root / "train" / "red" / "wrong.jpg").exists()
    assert (site.root / "train" / "蚂蚁" / "tiny-0.jpg").exists()
    assert not (site.root / "val" / "blue" / "leak.jpg").exists()
    state = site.client.get("items").json()["state"]
    assert state == done["state"] and state["can_undo"] and state["plan"] == []
    assert sorted((one["decision"], one["applied"]) for one in state["decisions"].values()) == [
        *(("exclude", True), ("keep", False), ("relabel", True), ("relabel", True))
    ]
    wrong = items_of(site)[os.path.join("train", "blue", "wrong.jpg")]["id"]
    assert site.client.get(f"image/{wrong}").status_code == 200, "where it is now"
    assert site.client.delete(f"decisions/{wrong}").status_code == 409, "that would not move it"
    undone = site.client.post("undo").json()
    assert undone["moved"] == 3 and not undone["state"]["can_undo"]
    assert undone["state"]["plan"] == plan
    assert data_tree(site.root) == before
    assert site.client.post("undo").status_code == 409
    assert site.client.delete(f"decisions/{wrong}").status_code == 200


def test_of_a_list_a_new_one_is_made(tmp_path):
    root = write_data(tmp_path / "photos")
    with review_of(write_list(root)) as site:
        before = data_tree(root)
        told = site.client.get("items").json()
        assert told["is_list"] and told["items"][0]["path"] == os.path.join("train", "blue", "wrong.jpg")
        decide(site, told["items"][0]["path"], "relabel", "red")
        plan = decide(site, told["items"][1]["path"], "exclude").json()["plan"]
        done = site.client.post("apply", json={"plan": plan}).json()
        assert done["moved"] == 0 and [os.path.basename(path) for path in done["lists"]] == ["list-reviewed.csv"]
        lines = (root / "list-reviewed.csv").read_text().splitlines()
        assert "train/blue/wrong.jpg,red,train" in lines
        assert len(lines) == len((root / "list.csv").read_text().splitlines()) - 1
        assert done["state"]["plan"] == []
        with review_of(root / "list.csv") as other:  # as if the server had been started again
            assert other.client.get("items").json()["state"]["plan"] == []
        taken_back = site.client.delete(f"decisions/{told['items'][1]['id']}").json()
        assert taken_back["plan"] == [{"label": "blue", "to": "red", "count": 1}], "that list is not as it should be"
        assert decide(site, told["items"][1]["path"], "exclude").json()["plan"] == []
        site.client.post("undo")
        assert data_tree(root) == before


def test_nothing_is_applied_but_what_was_confirmed(site):
    before = data_tree(site.root)
    plan = decide(site, os.path.join("train", "blue", "wrong.jpg"), "relabel", "red").json()["plan"]
    with review_of(site.root) as other:
        assert items_of(other).keys() == items_of(site).keys()
        assert len(other.client.get("items").json()["state"]["decisions"]) == 1
        decide(other, os.path.join("val", "blue", "leak.jpg"), "exclude")
    answer = site.client.post("apply", json={"plan": plan})
    assert answer.status_code == 409 and "somebody else" in answer.json()["detail"]
    assert data_tree(site.root) == before


def test_copies_are_decided_about_one_by_one(tmp_path):
    root = write_data(tmp_path / "photos")
    for name in ("2.jpg", "3.jpg"):
        shutil.copy(root / "train" / "red" / "same.jpg", root / "train" / "red" / name)
    with review_of(root) as site:
        copies = [item for item in items_of(site).values() if item["reasons"][0]["kind"] == "duplicate"]
        assert len({item["id"] for item in copies}) == 3 and len({item["sha256"] for item in copies}) == 1
        state = decide(site, copies[1]["path"], "exclude").json()
        assert list(state["decisions"]) == [copies[1]["id"]]
        site.client.post("apply", json={"plan": state["plan"]})
    left = {path.name for path in (root / "train" / "red").iterdir()}
    assert left == {*(f"red-{n}.jpg" for n in range(8)), "same.jpg", "2.jpg", "3.jpg"} - {
        os.path.basename(copies[1]["path"])
    }


NONSENSE = [
    (b"", 422),
    (b"[1]", 422),
    (b"[" * 5000, 422),
    (b"x" * 200_000, 413),
    (json.dumps({"item": 3, "decision": "keep", "label": ""}).encode(), 422),
    (json.dumps({"item": SHA, "decision": "keep", "label": ""}).encode(), 404),
    (json.dumps({"item": "WRONG", "decision": "burn", "label": ""}).encode(), 409),
    (json.dumps({"item": "WRONG", "decision": "relabel", "label": "../etc"}).encode(), 409),
    (json.dumps({"item": "WRONG", "decision": "relabel", "label": ""}).encode(), 409),
    (json.dumps({"item": "WRONG", "decision": "keep", "label": "red"}).encode(), 409),
]


def test_what_makes_no_sense_is_refused(site):
    name = items_of(site)[os.path.join("train", "blue", "wrong.jpg")]["id"]
    for body, status in NONSENSE:
        answer = site.client.post("decisions", content=body.replace(b"WRONG", name.encode()))
        assert answer.status_code == status, body[:80]
        assert answer.headers["content-type"] == "application/problem+json"
    assert site.client.post("apply", content=b"{}").status_code == 422
    assert not (site.root / "review.csv").exists()


def test_a_read_only_folder_is_one_clear_line(site, monkeypatch):
    from mstl.review import decision_log

    def fail(path, decisions):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(decision_log, "write", fail)
    answer = decide(site, os.path.join("train", "blue", "wrong.jpg"), "keep")
    assert answer.status_code == 409 and "cannot write" in answer.json()["detail"]


def test_a_heat_map_is_of_an_image_of_the_data_and_a_class_of_the_model(tmp_path):
    class Model:
        """In place of a served one, whose heat maps tests/serving/test_of_checkpoint.py looks at."""

        classes, explaining = ("blue", "red"), True

        def explain(self, content, label):
            return label.encode() + content

    root = write_data(tmp_path / "photos")
    path = root / "train" / "blue" / "wrong.jpg"
    with review_of(root, Explainer(Model())) as site:
        assert site.client.get("items").json()["explained"] == ["blue", "red"]
        assert site.client.get(f"heat/{digest(path)}?label=red").content == b"red" + path.read_bytes()
        assert site.client.get(f"heat/{digest(path)}?label=green").status_code == 422
        assert site.client.get(f"heat/{SHA}?label=red").status_code == 404
    with review_of(root) as site:
        assert site.client.get("items").json()["explained"] == []
        assert site.client.get(f"heat/{digest(path)}?label=red").status_code == 404


COMPARED = {"images": 40}


def ended(site):
    """How training again stands once it does not run any more."""
    for _ in range(300):
        told = site.client.get("training").json()
        if told["state"] != "running":
            return told
        time.sleep(0.01)
    raise AssertionError("it has not ended")


def test_it_is_trained_again_once_all_is_applied_and_the_data_stays_meanwhile(tmp_path):
    trainer = Trainer(COMPARED)
    with review_of(write_data(tmp_path / "here" / "photos"), work=trainer) as site:
        assert site.client.get("training").json() == {
            **{"possible": True, "state": "none", "told": "", "seconds": 0, "result": None}
        }
        plan = decide(site, os.path.join("train", "blue", "wrong.jpg"), "relabel", "red").json()["plan"]
        refused = site.client.post("training")
        assert refused.status_code == 409 and "are not applied" in refused.json()["detail"]
        site.client.post("apply", json={"plan": plan})
        before = data_tree(site.root)
        assert site.client.post("training").json()["state"] == "running"
        assert site.client.post("training").status_code == 409
        told = decide(site, os.path.join("val", "blue", "leak.jpg"), "exclude").json()
        assert told["plan"], "decisions can be taken"
        for path, body in (("apply", {"plan": told["plan"]}), ("undo", {})):
            answer = site.client.post(path, json=body)
            assert answer.status_code == 409 and "while it is trained on" in answer.json()["detail"]
        assert data_tree(site.root) == before
        assert site.client.get("training").json()["told"] == "features: all from the cache"
        trainer.go.set()
        told = ended(site)
        assert (told["state"], told["told"], told["result"]) == ("done", "", COMPARED)
        assert site.client.post("undo").status_code == 200


def test_what_hinders_training_again_is_told(tmp_path):
    trainer = Trainer(error="the disk is full")
    with review_of(write_data(tmp_path / "here" / "photos"), work=trainer) as site:
        site.client.post("training")
        trainer.stop()
        told = ended(site)
        assert (told["state"], told["told"], told["result"]) == ("failed", "the disk is full", None)
    with review_of(site.root) as site:
        assert not site.client.get("training").json()["possible"]
        assert site.client.post("training").status_code == 404


def test_nobody_else_is_answered(site):
    with httpx.Client(base_url=site.url, trust_env=False) as anybody:
        assert anybody.get("").status_code == anybody.get("assets/review.js").status_code == 200
        paths = ("GET", "items"), ("GET", f"image/{SHA}"), ("POST", "apply"), ("POST", "undo"), ("POST", "training")
        for method, path in paths:
            assert anybody.request(method, path).status_code == 401
        assert anybody.delete(f"decisions/{SHA}").status_code == 401
    elsewhere = {"Origin": "http://elsewhere.example"}
    assert site.client.post("undo", headers=elsewhere).status_code == 403
    assert site.client.get("items", headers={"Host": "elsewhere.example"}).status_code == 421
    with review_of(site.root) as other:
        assert other.token != site.token and len(other.token) > 40


def test_the_command_prints_the_address_and_ends_in_peace(tmp_path):
    root = write_data(tmp_path / "photos")
    command = [sys.executable, "-m", "mstl", "review", str(root)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment(), **pipes) as process:
        line = process.stdout.readline()
        found = re.fullmatch(r"review .*photos at (http://127.0.0.1:\d+/)#token=(\S{40,}) \(Ctrl-C ends it\)\n", line)
        assert found, line + process.stderr.read()
        with httpx.Client(base_url=found[1], trust_env=False) as client:
            assert client.get("items").status_code == 401
            told = client.get("items", headers={"Authorization": f"Bearer {found[2]}"}).json()
            assert len(told["items"]) == 2 and told["explained"] == []
            process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=20)
    assert process.returncode in (0, -signal.SIGINT, 130) and rest == "" and "Traceback" not in errors


def test_data_alone_has_no_answers_and_a_run_needs_its_checkpoint(tmp_path, caplog):

    root = write_data(tmp_path / "photos")
    review = ReviewData(ReviewSource.of(str(root)))
    caplog.set_level("INFO", "mstl")
    assert predictor_of(str(root), "CPU") is None and "without a model" in caplog.text
    items = review_items(review.images, review.checked)
    assert [item.reasons[0].kind for item in items] == ["leak", "duplicate"]
    (root / "config.json").write_text("{}")
    (root / "best.ckpt").write_text("no checkpoint")
    with pytest.raises(MstlError):
        predictor_of(str(root), "CPU")
