"""What a run's model makes of the images that are reviewed."""

import pytest

pytest.importorskip("fastapi")
import mstl
from mstl.review.review_data import ReviewData, ReviewSource
from mstl.serving import review_server
from mstl.serving.review_features import featured_images
from mstl.serving.review_items import review_items
from mstl.serving.review_server import predictor_of, serve_review
from tests.serving.review_site import write_data

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 6, "workers": 1, "report": False}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Data, and a run on it whose backbone was frozen, and one whose was not."""
    root = tmp_path_factory.mktemp("reviewed")
    write_data(root / "photos")
    for name, freeze in (("frozen", "backbone"), ("tuned", "none")):
        mstl.fit(data=str(root / "photos"), freeze=freeze, epochs=1, augment="none", out=str(root / name), **TINY)
    return root


def reviewed(run):
    """The images of a run's data, what its model makes of them, and what is to be looked at."""
    review = ReviewData(ReviewSource.of(str(run)))
    featured = featured_images(predictor_of(str(run), "CPU"), review.checked)
    return review, featured, review_items(review.images, review.checked, featured)


def test_all_images_are_looked_at_also_of_classes_that_the_model_does_not_know(root):
    (root / "photos" / "train" / "new").mkdir()
    moved = root / "photos" / "train" / "new" / "red-5.jpg"
    (root / "photos" / "train" / "red" / "red-5.jpg").rename(moved)
    try:
        review, featured, items = reviewed(root / "frozen")
    finally:
        moved.rename(root / "photos" / "train" / "red" / "red-5.jpg")
        moved.parent.rmdir()
    assert featured.classes == ("blue", "new", "red")
    assert sorted(featured.paths) == sorted(image.path for image in review.images)
    assert featured.probabilities.shape == (len(review.images), 3)
    wrong = next(item for item in items if item.image.path.endswith("wrong.jpg"))
    assert wrong.reasons[0].kind == "suspect" and wrong.answer[0][0] == "red"
    assert {image.label for image in wrong.of_answer} == {"red"}


def test_a_backbone_that_has_seen_the_labels_is_not_asked_about_them(root, caplog):
    _, featured, items = reviewed(root / "tuned")
    assert "review: wrong labels are not looked for, as the backbone was fine-tuned" in caplog.text
    assert featured.probabilities is None and not featured.suspects
    assert {item.reasons[0].kind for item in items} - {"outlier"} == {"leak", "duplicate"}
    assert all(len(item.of_label) == 3 and not item.of_answer and not item.answer for item in items)


def test_the_server_explains_by_the_runs_model(root, monkeypatch):
    said = []

    def run(app, bound, settings, on_start):
        on_start()
        bound.close()
        said.append(app.title)

    monkeypatch.setattr(review_server.web_server, "run", run)
    for what in (root / "frozen", root / "frozen" / "best.ckpt"):
        serve_review(str(what), ReviewSource.of(str(what)), 0, "CPU", said.append)
    assert [text for text in said if "#token=" not in text] == ["mstl review"] * 2
    assert len({text.partition("#token=")[2] for text in said}) == 3, "a new token each time"
