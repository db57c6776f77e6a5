"""A run trained again after a review: what counts, what is not computed again, and what is refused."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

import mstl
from mstl.data.manifest import Manifest
from mstl.errors import MstlError
from mstl.features.extractor import FeatureExtractor
from mstl.report.trained_again import train_again
from mstl.review.applying import apply, undo
from mstl.review.review_data import ReviewData, ReviewSource
from tests.conftest import COLORS, write_photo
from tests.review.trees import tree

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")
TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "workers": 1, "augment": "none"}
LINEAR = {**TINY, "recipe": "linear", "report": False}


def write_data(root):
    """12 blue and 12 red images without parts, and 4 more red ones under blue."""
    for offset, name in enumerate(("blue", "red")):
        for index in range(12):
            write_photo(root / name / f"{name}-{index}.jpg", COLORS[name], 100 * offset + index)
    for index in range(4):
        write_photo(root / "blue" / f"wrong-{index}.jpg", COLORS["red"], 500 + index)
    return root


def write_list(root):
    """A list of the images in a folder, beside it."""
    paths = sorted(path.relative_to(root.parent) for path in root.rglob("*.jpg"))
    lines = ["path,label", *(f"{path},{path.parent.name}" for path in paths)]
    (root.parent / "list.csv").write_text("\n".join(lines) + "\n")
    return root.parent / "list.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Data, a run on it as a folder and one as a list, whose backbones were frozen, and one whose was not."""
    root = tmp_path_factory.mktemp("again")
    data = write_data(root / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSTL_HOME", str(tmp_path_factory.getbasetemp() / "home"))  # as in the tests: with these features
        mstl.fit(data=str(data), out=str(root / "run"), **LINEAR)
        mstl.fit(data=str(write_list(data)), out=str(root / "of-list"), **LINEAR)
        mstl.fit(data=str(data), out=str(root / "tuned"), freeze="none", epochs=1, batch_size=8, report=False, **TINY)
    return root


@pytest.fixture
def computed(monkeypatch):
    """The paths of the images whose features are computed, not taken from the cache."""
    found, real = [], FeatureExtractor._batches

    def batches(self, extraction, view, missing):
        found.extend(extraction.images.paths[index] for index in missing)
        return real(self, extraction, view, missing)

    monkeypatch.setattr(FeatureExtractor, "_batches", batches)
    return found


def decide(review, name, decision, label=""):
    (image,) = (image for image in review.images if image.path.endswith(name))
    return review.decide(image, decision, label)


def review_wrong(run):
    """Decide rightly about all wrong labels, and set one image aside."""
    review = ReviewData(ReviewSource.of(str(run)))
    for index in range(4):
        decide(review, f"wrong-{index}.jpg", "relabel", "red")
    decide(review, "blue-3.jpg", "exclude")
    return review.source


@pytest.fixture
def reviewed(made):
    """The run on a folder, and its source, with decisions that are applied; undone at the end."""
    source = review_wrong(made / "run")
    apply(source)
    yield made / "run", source
    undo(source)
    (made / "photos" / "review.csv").unlink()


def used(run):
    """The split and the label of each content of a run."""
    return {row.sha256: (row.split, row.label) for row in Manifest.read(run / "manifest.csv").used}


def test_labels_change_and_no_unchanged_image_is_computed(reviewed, computed):
    run, source = reviewed
    before = tree(run)
    result = train_again(run / "best.ckpt", source)
    assert computed == [] and tree(run) == before
    new = Path(result.after.run)
    assert result.before.run == str(run) and new.parent == run.parent and new.name.startswith("run-")
    assert json.loads((new / "before_after.json").read_text()) == json.loads(json.dumps(result.to_dict()))
    old, now = used(run), used(new)
    assert set(now) < set(old) and len(old) - len(now) == 1
    assert all(now[content][0] == old[content][0] for content in now), "the split is that of the first run"
    moved = [content for content in now if now[content] != old[content]]
    assert len(moved) == 4 and {now[content][1] for content in moved} == {"red"}
    assert result.corrected == sum(now[content][0] == "val" for content in moved)
    assert result.before.train_images - result.after.train_images == (len(old) - result_images(old)) - (
        len(now) - result_images(now)
    )
    assert result.images == result_images(now)
    settings = [json.loads((each / "config.json").read_text()) for each in (run, new)]
    assert settings[1]["record"]["head"] is not None, "the weight decay is chosen anew"
    own = {"out", "weight_decay", "weights", "record"}  # the weights were random
    assert all(settings[0][key] == settings[1][key] for key in settings[0].keys() - own)


def result_images(contents):
    """How many images were validated on."""
    return sum(split == "val" for split, _ in contents.values())


def test_both_are_judged_by_the_labels_as_they_are_now(reviewed):
    run, source = reviewed
    result = train_again(run / "best.ckpt", source)
    for side in (result.before, result.after):
        predictor = mstl.Predictor(Path(side.run) / "best.ckpt", "CPU")
        shown = [image for image in ReviewData(source).images if used(run)[image.sha256][0] == "val"]
        answers = predictor([image.path for image in shown])
        right = [answer.label == image.label for answer, image in zip(answers, shown, strict=True)]
        assert (sum(right), len(right)) == (side.correct, result.images)


def test_of_a_list_the_new_one_is_trained_on(made, computed):
    run = made / "of-list"
    source = review_wrong(run)
    (new,) = apply(source).lists
    try:
        result = train_again(run / "best.ckpt", source)
        again = made / "of-list-2"
        assert computed == [] and result.after.run == str(again)
        assert json.loads((again / "config.json").read_text())["data"] == str(new)
        labels = Counter(label for _, label in used(again).values())
        assert labels == {"blue": 11, "red": 16}
        assert ReviewSource.of(str(again)).where == new
    finally:
        undo(source)
        (made / "review.csv").unlink()


def test_what_cannot_be_trained_again_is_refused_in_a_line(made):
    run = made / "run"
    with pytest.raises(MstlError, match="the data is as .*run was trained on: relabel or exclude images, and apply"):
        train_again(run / "best.ckpt", ReviewSource.of(str(run)))
    source = review_wrong(run)
    with pytest.raises(MstlError, match="decisions about 5 images are not applied: apply them first, or undo them"):
        train_again(run / "best.ckpt", source)
    (made / "photos" / "review.csv").unlink()
    with pytest.raises(MstlError, match=r"has trained more than the head.*`mstl train --config .*tuned/config.json`"):
        train_again(made / "tuned" / "best.ckpt", ReviewSource.of(str(made / "tuned")))
    shutil.copytree(run, made / "bare")
    (made / "bare" / "manifest.csv").unlink()
    with pytest.raises(MstlError, match="the images of .*bare are unknown"):
        train_again(made / "bare" / "best.ckpt", ReviewSource.of(str(run)))
