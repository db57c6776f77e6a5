"""The progress of ``mstl predict``: on stderr alone, whatever the format."""

import logging

import pytest
from click.testing import CliRunner

from mstl.commands import predict_command
from mstl.data.finding.predict_inputs import Unreadable, find_images, number_of_images
from mstl.prediction.image_predictor import Prediction
from mstl.runtime import progress


class Answers:
    """Says of all images but one that they are cats."""

    classes = ("cat", "dog")
    can_reject = False

    def stream(self, images, _batch_size, _top):
        for index, path in enumerate(images):
            if index == 1:
                yield Unreadable(path, "broken")
            else:
                yield Prediction(path, "cat", 0.75, (("cat", 0.75), ("dog", 0.25)), None)


@pytest.fixture
def images(tmp_path):
    for name in ("a.jpg", "b.png", "in/c.webp", "in/notes.txt", ".hidden/d.jpg", "in/.e.jpg"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no image")
    return tmp_path / "images"


@pytest.fixture
def predict(images, monkeypatch):
    monkeypatch.setattr("mstl.prediction.any_predictor.load_predictor", lambda *_: Answers())

    def call(*arguments):
        logging.getLogger("mstl").handlers.clear()
        return CliRunner().invoke(predict_command.main, ["best.ckpt", str(images), *arguments])

    return call


@pytest.mark.parametrize("kind", ["table", "json", "jsonl", "csv"])
def test_stdout_is_what_it_is_without(predict, monkeypatch, kind):
    without = predict("--format", kind)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0)
    result = predict("--format", kind)
    assert result.stdout_bytes == without.stdout_bytes != b""
    assert result.exit_code == without.exit_code == predict_command.INCOMPLETE
    told = result.stderr.splitlines()
    assert [told[0], told[2]] == ["predicting: 1 of 3", "predicting: 2 of 3"]
    assert [line for line in told if not line.startswith("predicting")] == without.stderr.splitlines()


def test_the_number_of_images_is_known_from_their_names(images, tmp_path):
    """As many as are found: three in the folder, one by a pattern, one by its name, and a file that is not there."""
    arguments = [str(images), str(images / "*.png"), str(images / "a.jpg"), str(tmp_path / "nope.jpg")]
    assert number_of_images(arguments) == len(list(find_images(arguments))) == 3 + 1 + 1 + 1
    assert number_of_images([str(images), "-"]) is None
