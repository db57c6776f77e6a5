"""Decisions about contents: which image one is about, after others were moved, renamed, changed, copied or removed."""

import os
import shutil

import pytest

from mstl.errors import MstlError
from mstl.review.applying import apply, undo
from mstl.review.decision_log import DecisionLog
from tests.review.trees import decide, review_of, tree, write_classes, write_image


@pytest.fixture
def root(tmp_path):
    return write_classes(tmp_path / "data" / "insects")


def decided(root):
    """The decision about each image that has one: {"ant/0.png": "relabel bee"}."""
    standing = review_of(root).standing()
    return {image.place: f"{one.decision} {one.new_label}".strip() for image, one in standing.decided.items()}


def pending(root):
    return {image.place for image in review_of(root).standing().pending}


def test_a_decision_follows_a_renamed_image_but_not_into_a_class_it_was_not_about(root):
    review = review_of(root)
    decide(review, "ant/0.png", "relabel", "bee")
    decide(review, "ant/1.png", "keep")
    decide(review, "ant/2.png", "exclude")
    decide(review, "ant/3.png", "keep")
    os.rename(root / "ant" / "0.png", root / "ant" / "zero.png")
    os.rename(root / "ant" / "1.png", root / "ant" / "one.png")
    os.rename(root / "ant" / "2.png", root / "ant" / "two.png")
    os.rename(root / "ant" / "3.png", root / "bee" / "three.png")
    assert decided(root) == {"ant/zero.png": "relabel bee", "ant/one.png": "keep", "ant/two.png": "exclude"}
    assert review_of(root).standing().problems == ["bee/three.png is in bee now, and was in ant: decide again"]
    assert apply(review.source).moved == 2
    assert decided(root) == {"bee/zero.png": "relabel bee", "ant/one.png": "keep"}


def test_an_image_that_was_moved_by_hand_where_it_belongs_is_not_asked_about_again(root):
    review = review_of(root)
    decide(review, "ant/0.png", "relabel", "bee")
    os.rename(root / "ant" / "0.png", root / "bee" / "x.png")
    assert decided(root) == {"bee/x.png": "relabel bee"}
    assert pending(root) == set()


def test_the_latest_decision_holds_and_taken_back_the_one_before(root):
    review = review_of(root)
    decide(review, "ant/0.png", "relabel", "bee")
    second = decide(review, "ant/0.png", "exclude")
    assert decided(root) == {"ant/0.png": "exclude"}
    assert review.log.take_back(second)
    assert decided(root) == {"ant/0.png": "relabel bee"}
    assert not review.log.take_back(second)
    apply(review.source)
    third = decide(review_of(root), "bee/0-2.png", "relabel", "ant")
    assert pending(root) == {"bee/0-2.png"}
    undo(review.source)  # the image is where it was, and both decisions are about it
    assert decided(root) == {"ant/0.png": "relabel ant"} and pending(root) == set()
    assert review.log.take_back(third)
    assert pending(root) == {"ant/0.png"}


def test_a_relabelling_to_the_label_that_it_has_keeps_the_image(root):
    assert decide(review_of(root), "ant/0.png", "relabel", "ant").decision == "keep"


def test_of_two_copies_only_the_one_is_meant_that_was_decided_about(root):
    shutil.copy(root / "ant" / "0.png", root / "bee" / "copy.png")
    review = review_of(root)
    decide(review, "ant/0.png", "exclude")
    assert decided(root) == {"ant/0.png": "exclude"}
    assert apply(review.source).moved == 1
    assert pending(root) == set() and (root / "bee" / "copy.png").exists()
    shutil.rmtree(root.parent / "insects-excluded")  # the copy is not meant now either
    assert pending(root) == set()


def test_a_copy_that_keeps_another_label_is_said(root):
    shutil.copy(root / "ant" / "0.png", root / "bee" / "copy.png")
    review = review_of(root)
    decide(review, "ant/0.png", "relabel", "wasp")
    assert apply(review.source).problems == ("bee/copy.png is the same image as ant/0.png, and stays in bee",)


def test_it_is_not_guessed_which_of_several_copies_was_excluded(root):
    review = review_of(root)
    decide(review, "ant/0.png", "exclude")
    os.rename(root / "ant" / "0.png", root / "ant" / "x.png")
    shutil.copy(root / "ant" / "x.png", root / "ant" / "y.png")
    applied = apply(review.source)
    assert applied.moved == 0
    assert applied.problems == ("ant/0.png is not there any more, but 2 copies of it are: exclude one of these",)


def test_what_has_changed_or_is_gone_is_said(root):
    review = review_of(root)
    for name in ("0.png", "1.png", "2.png"):
        decide(review, f"ant/{name}", "relabel", "bee")
    write_image(root / "ant" / "0.png", 777)
    (root / "ant" / "1.png").unlink()
    os.rename(root / "ant" / "2.png", root / "ant" / "x.png")
    write_image(root / "ant" / "2.png", 778)  # another image under the name: the decision is about the other one
    applied = apply(review.source)
    assert set(applied.problems) == {
        "ant/0.png has changed since the decision: decide again",
        "ant/1.png is not in the data any more: its label was to be bee",
    }
    assert applied.moved == 1 and (root / "bee" / "x.png").exists() and (root / "ant" / "2.png").exists()


def test_an_image_that_has_changed_since_it_was_shown_is_not_decided_about(root):
    review = review_of(root)
    write_image(root / "ant" / "0.png", 777)
    (root / "ant" / "1.png").unlink()
    os.utime(root / "ant" / "2.png")  # the content is the same
    with pytest.raises(MstlError, match="ant/0.png has changed since it was shown: load the data again"):
        decide(review, "ant/0.png", "keep")
    with pytest.raises(MstlError, match="ant/1.png is not there any more"):
        decide(review, "ant/1.png", "keep")
    decide(review, "ant/2.png", "keep")
    assert list(decided(root)) == ["ant/2.png"]


def test_images_that_cannot_be_used_can_be_excluded(root):
    (root / "ant" / "broken.png").write_bytes(b"no image")
    review = review_of(root)
    decide(review, "ant/broken.png", "exclude")
    before = tree(root.parent)
    assert apply(review.source).moved == 1
    assert (root.parent / "insects-excluded" / "ant" / "broken.png").exists()
    undo(review.source)
    assert tree(root.parent) == before


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("Bee", "is bee written otherwise"),
        ("train", "is the name of a part of a dataset"),
        ("a/b", "cannot be the name of a folder"),
        (".ant", "cannot be the name of a folder"),
        ("ant ", "has blanks at its ends"),
        ("x" * 101, "is longer than 100 characters"),
        ("ant-excluded", "is the name of a folder that is no class"),
        ("__MACOSX", "is the name of a folder that is no class"),
    ],
)
def test_a_new_class_has_a_name_that_is_read_as_one(root, label, words):
    with pytest.raises(MstlError, match=words):
        decide(review_of(root), "ant/0.png", "relabel", label)
    assert DecisionLog(root).read() == []


@pytest.mark.parametrize(("decision", "label"), [("relabel", ""), ("keep", "bee"), ("drop", "")])
def test_what_is_no_decision_is_refused(root, decision, label):
    with pytest.raises(MstlError, match="is no decision"):
        decide(review_of(root), "ant/0.png", decision, label)
