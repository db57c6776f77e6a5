"""The drawn demo set."""

import numpy as np
import pytest
from PIL import Image

import mstl
from mstl.data.finding import demo, demo_drawing


@pytest.mark.parametrize("kind", demo_drawing.KINDS)
def test_one_seed_one_picture(kind):
    first, same, other = (demo_drawing.render(kind, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.size == (256, 256)
    assert np.array_equal(np.asarray(first), np.asarray(same))
    assert not np.array_equal(np.asarray(first), np.asarray(other))


def test_set_is_made_whole_and_once(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "COUNTS", {"train": 2, "val": 1})
    folder = demo.make(tmp_path / "demo")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))
    assert len(files) == 5 * 3
    assert {path.split("/")[1] for path in files} == set(demo_drawing.KINDS)
    with Image.open(folder / files[0]) as image:
        image.load()
    stamps = [(folder / path).stat().st_mtime_ns for path in files]
    assert demo.make(tmp_path / "demo") == folder
    assert [(folder / path).stat().st_mtime_ns for path in files] == stamps


def test_an_interrupted_drawing_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def render(kind, rng):
        calls.append(kind)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return Image.new("RGB", (8, 8))

    monkeypatch.setattr(demo, "render", render)
    with pytest.raises(KeyboardInterrupt):
        demo.make(tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []


def test_color_does_not_give_the_kind_away():
    """The mean colours of two kinds differ by less than they scatter."""
    means = {
        kind: np.array(
            [np.asarray(demo_drawing.render(kind, np.random.default_rng([5, n]))).mean((0, 1)) for n in range(12)]
        )
        for kind in ("bicycle", "umbrella")
    }
    apart = np.abs(means["bicycle"].mean(0) - means["umbrella"].mean(0))
    assert (apart < means["bicycle"].std(0) + means["umbrella"].std(0)).all()


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("model", "pretrained", "counts", "size"),
    [
        ("efficientnet_lite0", "default", {"train": 10, "val": 6}, 96),
        ("resnet18", "mstl", {"train": 12, "val": 8}, 128),
    ],
)
def test_transfer_is_real(tmp_path, monkeypatch, model, pretrained, counts, size):
    """On a few of the demo's drawings, pretrained features beat random ones of the same net by far."""
    monkeypatch.setattr(demo, "COUNTS", counts)
    data = str(demo.make(tmp_path / "demo"))
    best = {}
    for weights in (pretrained, "none"):
        options = {"model": model, "weights": weights, "image_size": size, "epochs": 20, "views": 1, "report": False}
        state = mstl.fit(data=data, out=str(tmp_path / weights), **options)
        best[weights] = state.best["val_accuracy"]
    assert best[pretrained] >= 0.75
    assert best[pretrained] - best["none"] >= 0.4
