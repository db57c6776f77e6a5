"""Photos that look alike are found, others are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from mstl.data.checking import near_duplicates as module
from mstl.data.checking.near_duplicates import close_pairs, correlations, hashes, near_duplicates
from mstl.data.checking.scan import THUMB, examine, shrink

SMALL = (150, 110)


def scene(seed, size=(300, 220)):
    """A picture with blobs, edges and texture, somewhat like a photo."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 256, (cells, cells + 1, 3), dtype=np.uint8)).resize(size, 3), float)
        for cells in (3, 7, 17, 60)
    ]
    mixed = sum(weight * layer for weight, layer in zip((0.45, 0.3, 0.15, 0.1), layers, strict=True))
    return Image.fromarray(np.clip((mixed - 128) * 1.6 + 128, 0, 255).astype(np.uint8))


VERSIONS = {
    "re-encoded": lambda image: (image, {"format": "JPEG", "quality": 35}),
    "half": lambda image: (image.resize((image.width // 2, image.height // 2)), {"format": "JPEG"}),
    "square": lambda image: (image.resize((224, 224)), {"format": "JPEG"}),
    "double, PNG": lambda image: (image.resize((image.width * 2, image.height * 2)), {"format": "PNG"}),
    "WebP": lambda image: (image, {"format": "WEBP", "quality": 60}),
    "turned, with the orientation in EXIF": lambda image: (
        image.transpose(Image.Transpose.ROTATE_90),
        {"format": "JPEG", "exif": orientation(6)},
    ),
}


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def test_five_planted_among_four_hundred(tmp_path):
    """All are found, and nothing else."""
    paths = []
    for number in range(400):
        paths.append(tmp_path / f"{number:03}.jpg")
        scene(number, SMALL).save(paths[-1], quality=90)
    planted = []
    for number, make in enumerate(list(VERSIONS.values())[:5]):
        picture, options = make(scene(40 * number + 7, SMALL))
        planted.append((40 * number + 7, len(paths)))
        paths.append(tmp_path / f"planted {number}")
        picture.save(paths[-1], **options)
    thumbs = [examine(path).thumb for path in paths]
    assert near_duplicates(paths, thumbs) == planted


@pytest.mark.parametrize("kind", VERSIONS)
def test_versions_of_a_picture(tmp_path, kind):
    found = 0
    for seed in range(3):
        scene(seed).save(tmp_path / "a.jpg", quality=90)
        picture, options = VERSIONS[kind](scene(seed))
        picture.save(tmp_path / "b", **options)
        paths = [tmp_path / "a.jpg", tmp_path / "b"]
        found += near_duplicates(paths, [examine(path).thumb for path in paths]) == [(0, 1)]
    assert found == 3


def test_flat_pictures_are_not_alike(tmp_path):
    paths = []
    for number, color in enumerate(((0, 0, 0), (255, 255, 255), (0, 0, 1), (90, 90, 90))):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (60, 50), color).save(paths[-1])
    assert near_duplicates(paths, [examine(path).thumb for path in paths]) == []


def test_one_outline_in_other_colors_is_another_picture(tmp_path):
    """They have nearly the same hash, which is why candidates are compared in colour."""
    paths, shape = [], scene(3).convert("L").filter(ImageFilter.GaussianBlur(9)).point(lambda grey: 255 * (grey > 128))
    for number, color in enumerate(((230, 30, 30), (30, 60, 235))):
        paths.append(tmp_path / f"{number}.png")
        Image.composite(Image.new("RGB", shape.size, color), Image.new("RGB", shape.size, "white"), shape).save(
            paths[-1]
        )
    thumbs = [examine(path).thumb for path in paths]
    grey = np.stack([np.frombuffer(thumb, np.uint8).reshape(THUMB, THUMB) for thumb in thumbs])
    assert len(close_pairs(hashes(grey), module.MOST_BITS)) == 1
    assert near_duplicates(paths, thumbs) == []


def test_nothing_to_compare():
    assert near_duplicates([], []) == []


def test_hashes_against_a_plain_transform():
    """The cosine transform written as its sum."""
    thumb = np.asarray(scene(1).convert("L").resize((THUMB, THUMB)))
    waves = [
        sum(
            thumb[y, x] * np.cos(np.pi * u * (2 * y + 1) / (2 * THUMB)) * np.cos(np.pi * v * (2 * x + 1) / (2 * THUMB))
            for y in range(THUMB)
            for x in range(THUMB)
        )
        for u in range(8)
        for v in range(8)
    ][1:]
    middle = sorted(waves)[31]
    assert hashes(thumb[None])[0].tolist() == [1 if wave > middle else -1 for wave in waves]


@pytest.mark.parametrize("block", [1, 500, 1 << 22])
def test_close_pairs_against_two_loops(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(0)
    codes = rng.choice([-1.0, 1.0], (120, 63)).astype(np.float32)
    for number in range(0, 120, 3):  # copies with 0 to 13 bits flipped
        codes[number + 1] = codes[number]
        codes[number + 1, rng.choice(63, number % 14, replace=False)] *= -1
    slow = [(i, j) for i in range(120) for j in range(i + 1, 120) if (codes[i] != codes[j]).sum() <= 10]
    assert 20 < len(slow) < 40
    assert [tuple(pair) for pair in close_pairs(codes, 10)] == slow


def test_the_search_ends_in_a_set_of_near_duplicates(tmp_path, monkeypatch, caplog):
    scene(1, SMALL).save(tmp_path / "a.jpg")
    thumb = examine(tmp_path / "a.jpg").thumb
    monkeypatch.setattr(module, "MOST_PAIRS", 50)
    assert len(near_duplicates([tmp_path / "a.jpg"] * 30, [thumb] * 30)) == 50
    assert "more than 50 pairs" in caplog.text


def test_thumbs_are_hashed_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "THUMBS_AT_A_TIME", 3)
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for path, seed in zip(paths, (1, None, 2, 3, 4, None, 1, 3), strict=True):
        (Image.new("RGB", SMALL) if seed is None else scene(seed, SMALL)).save(path)
    assert near_duplicates(paths, [examine(path).thumb for path in paths]) == [(0, 6), (3, 7)]


@pytest.mark.parametrize("count", [1, 3, 4, 100])
def test_pairs_are_compared_in_parts(tmp_path, monkeypatch, count):
    """Of few images at a time: all pixels of a large dataset would fill the memory."""
    monkeypatch.setattr(module, "PAIRS_AT_A_TIME", count)
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for path, seed in zip(paths, (1, 2, 1, 1), strict=True):
        scene(seed, SMALL).save(path)
    pairs = np.array([(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)])
    largest = []
    monkeypatch.setattr(module, "correlations", lambda rows, of: largest.append(len(rows)) or correlations(rows, of))
    assert module.alike(paths, pairs).tolist() == [False, True, True, False, False, True]
    assert max(largest) <= 2 * count


def test_correlations_against_numpy():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 40), dtype=np.uint8)
    pictures[5] = 0
    pairs = np.array([(i, j) for i in range(6) for j in range(i + 1, 6)])
    wanted = [0 if 5 in pair else np.corrcoef(pictures[pair[0]], pictures[pair[1]])[0, 1] for pair in pairs]
    assert correlations(pictures, pairs) == pytest.approx(wanted, abs=1e-6)


def test_a_photo_that_vanishes_meanwhile_is_like_no_other(tmp_path):
    scene(1).save(tmp_path / "a.jpg")
    thumb = examine(tmp_path / "a.jpg").thumb
    (tmp_path / "b.jpg").write_bytes(b"no photo any more")
    assert near_duplicates([tmp_path / "a.jpg", tmp_path / "gone.jpg", tmp_path / "b.jpg"], [thumb] * 3) == []


def test_thumbs_do_not_depend_on_the_format():
    """JPEG is decoded at a fraction of its size: the thumb is still that of the whole picture."""
    picture = scene(5, (1000, 800))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    thumbs = [np.asarray(shrink(Image.open(buffer), THUMB, "L"), float), np.asarray(shrink(picture, THUMB, "L"), float)]
    assert np.abs(thumbs[0] - thumbs[1]).max() < 4


def test_progress_counts_every_pair_once(monkeypatch):
    """Of 50 rows there are 1,275 pairs, those with themselves included, in whatever blocks they are compared."""
    counted = []

    class Counting(module.Progress):
        def __exit__(self, *error):
            counted.append((self.done, self.total))

    monkeypatch.setattr(module, "Progress", Counting)
    codes = np.random.default_rng(0).choice([-1, 1], (50, 63)).astype(np.float32)
    for block in (1, 70, 1 << 22):
        monkeypatch.setattr(module, "BLOCK", block)
        module.close_pairs(codes, 10)
    assert counted == [(1275, 1275)] * 3
