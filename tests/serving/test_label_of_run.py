"""Labelling with the checkpoint of a run: its answers, what it has seen, and a training on the list that comes out."""

import shutil

import numpy as np
import pytest

pytest.importorskip("fastapi")
import mstl
from mstl.predictor import Predictor
from mstl.review.label_list import LabelList
from mstl.review.unlabelled import find_unlabelled
from mstl.serving import label_server
from mstl.serving.label_desk import LabelDesk
from mstl.serving.label_material import label_material
from mstl.serving.label_server import serve_labels
from tests.conftest import COLORS, write_folder, write_photo

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 6, "workers": 1, "report": False}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run on 12 images, and a folder with 2 of these, 10 others and a damaged one."""
    root = tmp_path_factory.mktemp("labelled")
    write_folder(root / "photos", {"train": 6, "val": 3})
    for name in ("blue", "red"):
        shutil.copytree(root / "photos" / "train" / name, root / "images" / "old", dirs_exist_ok=True)
        for index in range(5):
            write_photo(root / "images" / f"{name}-{index}.jpg", COLORS[name], 70 + index)
    (root / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    mstl.fit(data=str(root / "photos"), recipe="linear", views=1, out=str(root / "run"), **TINY)
    return root


def material_of(root):
    predictor = Predictor(root / "run" / "best.ckpt", "CPU")
    found = find_unlabelled(root / "images", LabelList(root / "labels.csv"), predictor.run_data.split_of)
    return predictor, found, label_material(predictor, found.samples)


def test_proposals_are_the_models_answers_and_what_it_has_seen_is_left_out(root):
    predictor, found, material = material_of(root)
    assert len(found.images) == 10, "12 were trained on"
    answers = predictor([image.path for image in found.images])
    assert [max(range(2), key=row.__getitem__) for row in material.probabilities] == [
        predictor.classes.index(answer.label) for answer in answers
    ]
    assert material.probabilities.max(1) == pytest.approx([answer.probability for answer in answers], abs=1e-4)
    assert [image.label for image in material.examples] == ["blue"] * 6 + ["red"] * 6
    assert np.linalg.norm(material.units, axis=1) == pytest.approx(np.ones(10))


def test_without_its_images_at_hand_the_model_proposes_all_the_same(root, caplog):
    (root / "photos").rename(root / "elsewhere")
    try:
        _, _, material = material_of(root)
    finally:
        (root / "elsewhere").rename(root / "photos")
    assert material.examples == () and len(material.example_units) == 0 and len(material.probabilities) == 10
    assert "are not at hand" in caplog.text


def test_a_model_is_trained_on_the_list(root):
    _, found, material = material_of(root)
    labels = LabelList(root / "labels.csv")
    desk = LabelDesk(found.images, found.groups, labels, material)
    for image in found.images:
        desk.label(image.sha256, "b" if "blue" in image.path else "a new class")
    state = mstl.fit(data=str(labels.path), recipe="linear", views=1, out=str(root / "next"), **TINY)
    assert state.classes == ("a new class", "b")
    assert {sample.path for sample in (*state.train_set.samples, *state.val_set.samples)} == {
        image.path for image in found.images
    }


def test_the_server_says_where_the_labels_are(root, monkeypatch, capsys):
    labels, addresses = LabelList(root / "images" / "labels.csv"), []

    def run(app, bound, settings, announce):
        bound.close()
        labels.add("blue-0.jpg", "blue")
        announce("http://here/")

    monkeypatch.setattr(label_server, "serve_page", run)
    serve_labels(root / "images", root / "run" / "best.ckpt", labels, 0, "CPU", addresses.append)
    assert addresses == ["http://here/"]
    assert f"1 label in {labels.path}: mstl train --data {labels.path}" in capsys.readouterr().out
