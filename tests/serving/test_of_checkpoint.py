"""A checkpoint that is served: explained by Grad-CAM, and described by its run."""

import io
import json

import numpy as np
import pytest
from matplotlib.cm import inferno
from PIL import Image

pytest.importorskip("fastapi")
import mstl
from mstl.data.loading.pixels import center_pixels
from mstl.report.gradcam import gradcam
from mstl.serving.served_model import ServedModel
from tests.checkpoints import write_checkpoint
from tests.conftest import write_folder
from tests.serving.requests import client_of

pytestmark = pytest.mark.usefixtures("narrow_model")
CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def made(tmp_path_factory, narrow_model):
    root = tmp_path_factory.mktemp("checkpoint")
    write_folder(root / "photos", {"train": 4, "val": 3}, CLASSES)
    write_checkpoint(root / "colours" / "best.ckpt", root / "photos")
    return root


@pytest.fixture(scope="module")
def served(made):
    return ServedModel.load(made / "colours" / "best.ckpt", engine="mindspore")


@pytest.fixture(scope="module")
def client(served):
    with client_of(None, served) as client:
        yield client


def test_it_answers_as_its_predictor(client, served, made):
    for path in sorted((made / "photos" / "val").rglob("*.jpg")):
        answer = client.post("/predict?top=3", content=path.read_bytes()).json()["predictions"][0]
        expected = served.predictor(path, top=3)
        assert answer["label"] == expected.label
        assert [each["probability"] for each in answer["top"]] == [round(share, 6) for _, share in expected.top]


def test_it_is_explained(client, served, made):
    """Heat in colours over the image in grey, at the size that the model sees."""
    content = next((made / "photos" / "val" / "red").iterdir()).read_bytes()
    best = served.predictor(content).label
    for label in (None, *CLASSES):
        answer = client.post("/explain", params={} if label is None else {"label": label}, content=content)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        (heat,) = gradcam(served.predictor.model, served.prepare(content), CLASSES.index(label or best))
        opacity = 0.7 * heat[..., None]
        grey = (center_pixels(content, served.predictor.preprocessing) @ (0.299, 0.587, 0.114))[..., None]
        expected = grey * (1 - opacity) + 255 * inferno(heat)[..., :3] * opacity
        assert np.asarray(Image.open(io.BytesIO(answer.content))) == pytest.approx(expected, abs=1)
    assert client.post("/explain", params={"label": "purple"}, content=content).status_code == 422
    assert client.post("/explain", content=b"hello").json()["detail"] == "cannot read the image: not an image"


def test_its_card(client, served):
    card = client.get("/model").json()
    assert (card["name"], card["format"], card["architecture"]) == ("colours", "checkpoint", "resnet18")
    assert (card["data"], card["mstl"], card["classes"]) == ("photos", mstl.__version__, list(CLASSES))
    assert (card["engine"], card["precision"], card["can_explain"], card["can_reject"]) == (
        *("mindspore", "fp32"),
        *(True, True),
    )
    assert card["temperature"] == pytest.approx(served.predictor.temperature) and card["accuracy"] is None


def test_its_accuracy(made, served, monkeypatch):
    """Of validation images with its interval (Wilson: 8 of 9 are 56.5 to 98.0 %); of test images where there are."""
    metrics = {"epoch": 3, "val_accuracy": 8 / 9}
    monkeypatch.setitem(served.predictor.metadata, "metrics", metrics)
    accuracy = ServedModel(served.predictor).card["accuracy"]
    assert accuracy == {
        "value": pytest.approx(8 / 9),
        "low": pytest.approx(0.565, abs=5e-4),
        "high": pytest.approx(0.980, abs=5e-4),
        "images": 9,
        "what": "validation images",
    }
    test = {"epoch": 3, "correct": 45, "total": 50, "accuracy": 0.9, "interval": [0.786, 0.957]}
    (made / "colours" / "test.json").write_text(json.dumps(test))
    assert ServedModel(served.predictor).card["accuracy"] == {
        **{"value": 0.9, "low": 0.786, "high": 0.957},
        **{"images": 50, "what": "test images"},
    }
    (made / "colours" / "test.json").write_text(json.dumps({**test, "epoch": 2}))  # of another epoch
    assert ServedModel(served.predictor).card["accuracy"]["what"] == "validation images"
    (made / "colours" / "test.json").write_text("{")
    assert ServedModel(served.predictor).card["accuracy"]["what"] == "validation images"
