"""Images that are dim, bright, blurred, poor in information, of odd size, ratio or colour: as cleanvision has it."""

import contextlib
import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from mstl.data.checking.checks import check_dataset
from mstl.data.checking.findings import Finding
from mstl.data.checking.odd_images import ODD, image_findings
from mstl.data.checking.quality_notes import brightness, is_grey, may_be_odd, sharpness
from mstl.data.checking.scan import examine, examine_all
from mstl.data.checking.scan_cache import ScanCache
from mstl.data.finding.sources import find_dataset
from tests.data.test_near_duplicates import scene

THEIRS = {
    "dark": {"dim"}, "light": {"bright"}, "blurry": {"blurred"}, "low_information": {"low_information"},
    "odd_size": {"odd_size"}, "odd_aspect_ratio": {"odd_ratio", "narrow"}, "grayscale": {"grey", "grey_among_colours"},
}  # fmt: skip


def made_of(pixels):
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def pictures():
    """What is odd, to various degrees, and what is not, by name."""
    for number in range(6):
        usual = scene(number)
        values = np.asarray(usual).astype(float)
        yield f"{number}.jpg", usual
        for percent in (15, 25, 40, 70):
            yield f"{number}-darker-{percent}.png", made_of(values * percent / 100)
            yield f"{number}-brighter-{percent}.png", made_of(255 - (255 - values) * percent / 500)
        for radius in (1, 4, 12):
            yield f"{number}-blurred-{radius}.jpg", usual.filter(ImageFilter.GaussianBlur(radius))
    base = scene(7)
    yield "grey.png", base.convert("L")
    yield "wide.png", scene(8, (320, 90))
    yield "high.png", scene(9, (60, 299))
    yield "square.png", scene(10, (220, 220))
    yield "small.png", scene(11, (40, 30))
    yield "large.jpg", scene(12, (1200, 900))
    board = np.kron(np.random.default_rng(0).integers(0, 2, (30, 40)), np.ones((8, 8)))
    yield "board.png", made_of(90 + 80 * board)
    part = np.asarray(scene(13)).copy()
    part[:199] = 0
    yield "part.png", made_of(part)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    for name, picture in pictures():
        picture.save(folder / name)
    return folder


def found(paths):
    """{problem: names of images}"""
    result = {}
    for finding in image_findings(examine_all([str(path) for path in paths])):
        result.setdefault(finding.problem, set()).add(finding.path.rpartition("/")[2])
    return result


def test_as_cleanvision(folder):
    """But for images whose few colours or one are a warning of their own; all of them are measured far from limits."""
    imagelab = pytest.importorskip("cleanvision").Imagelab
    paths = sorted(folder.iterdir())
    ours = found(paths)
    lab = imagelab(filepaths=[str(path) for path in paths])
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab.find_issues(dict.fromkeys(THEIRS, {}), n_jobs=1, verbose=False)
    warned = ours.get("graphic", set()) | ours.get("blank", set())
    for theirs, words in THEIRS.items():
        named = {path.rpartition("/")[2] for path in lab.issues.index[lab.issues[f"is_{theirs}_issue"]]}
        assert named, theirs
        size_or_shape = theirs in ("odd_size", "odd_aspect_ratio", "grayscale")
        expected = named if size_or_shape else named - warned
        assert set().union(*(ours.get(word, set()) for word in words)) == expected, theirs


def slow_brightness(image):
    """By the published formula, pixel by pixel; percentiles by counting."""
    values = sorted(
        (0.241 * red**2 + 0.691 * green**2 + 0.068 * blue**2) ** 0.5 / 255 for red, green, blue in image.getdata()
    )
    return values[len(values) // 20], values[99 * len(values) // 100]


def slow_sharpness(grey):
    """By the published formula: 8 times each pixel less its neighbours, within 0 to 255; the rim stays as it is."""
    rows = [[int(value) for value in row] for row in np.asarray(grey)]
    edges = [list(row) for row in rows]
    for y in range(1, len(rows) - 1):
        for x in range(1, len(rows[0]) - 1):
            around = sum(rows[y + dy][x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1))
            edges[y][x] = min(255, max(0, 9 * rows[y][x] - around))
    flat = [value for row in edges for value in row]
    counts = [sum(row.count(value) for row in rows) for value in range(256)]
    strength, concentration = (
        1 - np.exp(-0.01 * (sum(v * v for v in each) / len(each) - (sum(each) / len(each)) ** 2) ** 0.5)
        for each in (flat, counts)
    )
    return min(1, strength + (concentration if concentration > 0.18 else 0))


def test_the_formulas_by_hand():
    """Of images that are small enough to be measured as they are; a sharp one's concentration does not matter."""
    for number in range(3):
        image = scene(number, (50, 40))
        assert brightness(image) == pytest.approx(slow_brightness(image), abs=1e-6)
        assert brightness(image.convert("L")) == pytest.approx(
            tuple(np.sort(np.asarray(image.convert("L")), axis=None)[[100, 1980]] / 255)
        )
        for radius in (0, 2, 8):
            grey = image.filter(ImageFilter.GaussianBlur(radius)).convert("L")
            slow = slow_sharpness(grey)
            assert (sharpness(grey) < 0.29) == (slow < 0.29)
            if slow < 0.29:
                assert sharpness(grey) == pytest.approx(slow, abs=1e-5)


def test_what_a_thumbnail_excludes():
    """Of 256 parts, 16 lighter and 32 darker than the middle: more than 1 % of the pixels are light, 5 % are dark."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        shares = rng.choice([0, 0.02, 0.06, 0.1, 0.3], 2)
        values = rng.integers(40, 200, (64, 64))
        values.ravel()[: int(shares[0] * 4096)] = rng.integers(0, 80)
        values.ravel()[4096 - int(shares[1] * 4096) :] = rng.integers(200, 256)
        image = made_of(np.repeat(values[..., None] * rng.uniform(0.2, 1.5), 3, axis=2))
        low, high = brightness(image)
        parts = np.sort(np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX)), axis=None)
        assert may_be_odd(parts) or (high >= 0.32 and low <= 0.95)


def test_grey_in_colour_is_grey(tmp_path):
    grey = scene(3).convert("L")
    for name, picture in (("l.jpg", grey), ("rgb.jpg", grey.convert("RGB")), ("rgb.png", grey.convert("RGB"))):
        picture.save(tmp_path / name)
        assert ("grey", "grey: the same value for red, green and blue") in examine(tmp_path / name).notes, name
    almost = np.asarray(grey.convert("RGB")).copy()
    almost[:, :, 2] = np.clip(almost[:, :, 2].astype(int) + 3, 0, 255)
    assert is_grey(grey.convert("RGB")) and not is_grey(made_of(almost)) and not is_grey(scene(3))


def scans_of(sizes, grey=()):
    """Scans of images of these sizes, some of them grey."""
    from mstl.data.samples import ScanResult

    notes = [(("grey", "grey"),) if n in grey else () for n in range(len(sizes))]
    return {f"{n}.jpg": ScanResult("", "", notes[n], f"{n}", b"", "", size) for n, size in enumerate(sizes)}


def test_odd_sizes_by_hand():
    """Sides of 100 to 109 pixels and four others: quartiles are 102 and 107, so that 87 to 122 is usual."""
    usual = [(side, side) for side in range(100, 110)]
    scans = scans_of(usual * 4 + [(88, 88), (86, 86), (122, 122), (61, 249)])
    assert {finding.path for finding in image_findings(scans)} == {"41.jpg", "43.jpg"}, "61 x 249 is 123.2 squared"
    (finding,) = image_findings(scans_of([(64, 48)] * 40 + [(48, 64), (64, 49)]))
    assert finding == Finding(
        "41.jpg", "odd_size", "64 x 49 pixels: half of all have the area of 55 to 55 pixels squared"
    )
    assert list(image_findings(scans_of(usual[:9] * 3 + [(9, 9)] * 2))) == [], "of 29, nothing is usual"


def test_grey_images_are_odd_only_where_they_are_rare():
    for number, word in ((1, "grey_among_colours"), (4, "grey_among_colours"), (5, "grey"), (40, "grey")):
        problems = {finding.problem for finding in image_findings(scans_of([(9, 9)] * 40, range(number)))}
        assert problems == {word}


def test_they_are_notes(folder, tmp_path, monkeypatch):
    """Training does not warn of them, and the check's exit code is 0."""
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        (tmp_path / "data" / name).symlink_to(folder)
    severities = {
        finding.problem: finding.severity for finding in check_dataset(find_dataset(str(tmp_path / "data"))).findings
    }
    quality = ("dim", "bright", "blurred", "low_information", "odd_size", "odd_ratio", "grey_among_colours")
    assert {severities[word] for word in quality} == {"note"}
    assert set(quality) <= set(ODD)


def test_a_kept_scan_of_an_earlier_version_is_not_read(tmp_path, monkeypatch):
    """One without sizes and without these notes; one of today has both."""
    monkeypatch.setenv("MSTL_HOME", str(tmp_path))
    made_of(np.asarray(scene(1)) * 0.2).save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")
    first = ScanCache("key").scan([path])[path]
    assert first.size == (300, 220) and "dim" in dict(first.notes)
    cache = ScanCache("key")
    assert cache.unchanged(path) == first
    text = cache.path.read_text()
    cache.path.write_text(text.replace('"version": 6', '"version": 5').replace(", 300, 220]", "]"))
    assert ScanCache("key").scans == {}
    assert ScanCache("key").scan([path])[path] == first
