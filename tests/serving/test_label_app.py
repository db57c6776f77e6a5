"""The server of labelling: labels as they are given, taken back, learnt from, and kept."""

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("fastapi")
from mstl.data.load_data import load_data
from mstl.review.label_list import LabelList
from mstl.serving import label_desk
from tests.conftest import COLORS, environment, write_photo
from tests.serving.label_site import desk_of, label_of, write_images

SHA = "0" * 64


@pytest.fixture
def site(tmp_path):
    with label_of(write_images(tmp_path / "images", 12)) as site:
        yield site


def truth(item):
    return os.path.basename(item["path"]).partition("-")[0]


def label(site, item, name=None):
    """The state after an image got its right label, or another one."""
    answer = site.client.post("labels", json={"item": item["id"], "label": name or truth(item)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def rows(site):
    return [(row.path, row.label) for row in LabelList(site.root / "labels.csv").read()]


def test_labels_are_in_the_list_at_once(site):
    told = site.client.get("items").json()
    assert (told["name"], told["done"], told["count"], told["left"]) == ("images", 0, 36, 10)
    assert told["classes"] == ["blue", "red"] and told["explained"] == ["blue", "red"] and not told["can_undo"]
    first, second, _ = told["queue"]
    assert first["label"] == first["answer"][0]["label"] and len(first["answer"]) == 2
    state = label(site, first, "a new one")
    assert rows(site) == [(first["path"], "a new one")]
    assert state["queue"][0] == second and state["classes"] == ["blue", "red", "a new one"]
    assert (state["done"], state["left"], state["can_undo"]) == (1, 9, True)
    label(site, second)
    assert rows(site) == [(first["path"], "a new one"), (second["path"], truth(second))]
    assert label(site, first, "blue")["done"] == 2
    assert rows(site) == [(second["path"], truth(second)), (first["path"], "blue")], "the newest holds"


def test_what_was_done_last_is_taken_back_first(site):
    first, second, third = site.client.get("items").json()["queue"]
    label(site, first)
    assert site.client.post("skips", json={"item": second["id"]}).json()["queue"][0] == third
    assert site.client.delete("last").json()["queue"][0] == second, "it is not skipped any more"
    state = site.client.delete("last").json()
    assert [item["id"] for item in state["queue"]] == [first["id"], second["id"], third["id"]]
    assert rows(site) == [] and not state["can_undo"]
    assert site.client.delete("last").status_code == 409


def test_skipped_images_come_last(site):
    first = site.client.get("items").json()["queue"][0]
    state = site.client.post("skips", json={"item": first["id"]}).json()
    seen = []
    while (item := state["queue"][0])["id"] != first["id"]:
        seen.append(item["id"])
        state = label(site, item)
    assert len(set(seen)) == 35 and state["done"] == 35 and len(state["queue"]) == 1
    assert label(site, first)["queue"] == []


def test_after_a_round_the_new_class_is_proposed_and_it_is_said_what_the_labels_brought(tmp_path):
    lines = []
    with label_of(write_images(tmp_path / "images", 16), announce=lines.append) as site:
        state, right = site.client.get("items").json(), 0
        for left in range(10, 0, -1):
            assert (state["left"], state["rounds"]) == (left, [])
            item = state["queue"][0]
            right += item["label"] == truth(item)
            state = label(site, item)
        (done,) = state["rounds"]
        assert (done["number"], done["labels"], done["proposed"], done["as_proposed"]) == (1, 10, 10, right)
        named = [name for _, name in rows(site)]
        assert done["right_before"] == right == sum(name != "green" for name in named) < 10
        assert done["right_now"] == done["total"] == 10 and done["high"] == 1.0
        assert lines == [
            f"round 1: 10 labels, {right} of 10 as proposed; of all 10, the model that was given has {right} right, "
            f"one that learns from the others 10 ({done['low']:.3f} to 1.000)"
        ]
        while state["queue"]:
            assert state["queue"][0]["label"] == truth(state["queue"][0]), "green is known by now"
            state = label(site, state["queue"][0])
        assert state["rounds"][-1]["total"] == 48, "the last round ends with the last image"


def test_what_is_learnt_is_not_used_where_the_model_that_was_given_is_better(tmp_path):
    """From nine blue images nobody learns what red is: the proposals stay those of the model."""
    desk = desk_of(write_images(tmp_path / "images", 9, ("blue", "red")), examples=False)
    before = desk.lesson.probabilities
    images = sorted(desk.images, key=lambda image: os.path.basename(image.path))
    for image in images[:10]:
        desk.label(image.sha256, os.path.basename(image.path).partition("-")[0])
    (done,) = desk.rounds
    assert (done.as_proposed, done.right_before, done.right_now) == (10, 10, 9)
    assert (desk.lesson.probabilities == before).all()


def test_labels_of_another_time_or_of_somebody_else_count(tmp_path):
    root = write_images(tmp_path / "images", 4)
    with label_of(root) as site, label_of(root) as other:
        first, second, _ = site.client.get("items").json()["queue"]
        label(site, first)
        state = other.client.get("items").json()
        assert state["done"] == 1 and state["queue"][0]["id"] == second["id"]
        label(other, second)
        assert site.client.get("items").json()["done"] == 2
    with label_of(root) as site:
        state = site.client.get("items").json()
        assert state["done"] == 2 and state["can_undo"] and state["rounds"] == []
        assert site.client.delete("last").json()["queue"][0]["id"] == second["id"]
    assert rows(site) == [(first["path"], truth(first))]


def test_an_image_is_shown_with_the_nearest_ones_of_its_likeliest_classes(site):
    item = site.client.get("items").json()["queue"][0]
    path = site.root / item["path"]
    assert site.client.get(f"image/{item['id']}").headers["content-type"] == "image/jpeg"
    assert [each["label"] for each in (*item["of_label"], *item["of_answer"])] == [
        each["label"] for each in item["answer"]
    ], "one example of each class is known"
    assert site.client.get(f"heat/{item['id']}?label=red").content == b"red" + path.read_bytes()
    example = item["of_label"][0]
    assert site.client.get(f"image/{example['sha256']}?side=32").status_code == 200
    (site.root.parent / example["path"]).unlink()
    assert site.client.get(f"image/{example['sha256']}").status_code == 409
    assert site.client.get(f"image/{SHA}").status_code == 404


def test_what_makes_no_sense_is_refused(site):
    item = site.client.get("items").json()["queue"][0]
    for body, status in (
        ({"item": item["id"]}, 422),
        ({"item": 3, "label": "red"}, 422),
        ({"item": SHA, "label": "red"}, 404),
        ({"item": item["id"], "label": ""}, 409),
        ({"item": item["id"], "label": "train"}, 409),
        ({"item": item["id"], "label": "../etc"}, 409),
        ({"item": item["id"], "label": "red|blue"}, 409),
    ):
        assert site.client.post("labels", json=body).status_code == status, body
    assert site.client.post("skips", json={"item": SHA}).status_code == 404
    assert site.client.post("skips", json={}).status_code == 422
    assert not (site.root / "labels.csv").exists()
    write_photo(site.root / item["path"], COLORS["green"], 77)
    answer = site.client.post("labels", json={"item": item["id"], "label": "red"})
    assert answer.status_code == 409 and "has changed since it was shown" in answer.json()["detail"]


def test_nobody_else_is_answered(site):
    del site.client.headers["Authorization"]
    for method, path in (("GET", "items"), ("POST", "labels"), ("POST", "skips"), ("DELETE", "last")):
        assert site.client.request(method, path).status_code == 401


def test_the_list_is_one_to_train_on(tmp_path):
    root = write_images(tmp_path / "images", 4)
    desk = desk_of(root)
    for image in desk.images:
        desk.label(image.sha256, os.path.basename(image.path).partition("-")[0])
    train, val = load_data(str(root / "labels.csv"), val_split=0.25)
    assert train.classes == ("blue", "green", "red") and len(train) + len(val) == 12
    assert all(os.path.basename(each.path).startswith(each.label) for each in (*train.samples, *val.samples))


def test_killed_in_the_middle_no_label_is_lost(tmp_path):
    """Each label that was acknowledged is there, and the file can be read, at whatever moment the process dies."""
    root = write_images(tmp_path / "images", 40)
    code = (
        "import sys; from pathlib import Path; from mstl.review.label_list import LabelList\n"
        "for n in range(10**6): LabelList(Path(sys.argv[1])).add(f'{n}.jpg', 'ant'); print(n, flush=True)"
    )
    command = [sys.executable, "-c", code, str(root / "labels.csv")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        said = [int(process.stdout.readline()) for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.stdout.read().split()]
    kept = [row.path for row in LabelList(root / "labels.csv").read()]
    assert kept[: len(said)] == [f"{number}.jpg" for number in said] and len(kept) <= len(said) + 1
    LabelList(root / "labels.csv").add("last.jpg", "ant")
    assert [path.name for path in root.iterdir() if path.name.startswith(".labels-")] == [], (
        "nothing half written stays"
    )


def test_a_round_is_ten_labels():
    """As the help says."""
    assert label_desk.ROUND == 10
