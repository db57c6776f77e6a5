"""Pictures: what is on them, read back from the Figure."""

import itertools
import logging
import warnings

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, fontManager
from PIL import Image

from mstl.evaluation.metrics import Evaluation
from mstl.report import plots
from mstl.report.plots import charts, fonts, grids
from mstl.report.plots.style import label, share
from mstl.runtime.wide_text import columns
from tests.conftest import COLORS, write_photo

HISTORY = [
    {"epoch": 1, "train_loss": 1.0, "val_loss": 0.9, "val_accuracy": 0.5},
    {"epoch": 2, "train_loss": 0.5, "val_loss": 0.6, "val_accuracy": 0.75},
]
HOSTILE = ("$x^{$", "a" * 200, "two\nlines", "蚂蚁", "\u202enul\x00")


def evaluate(labels, predictions, classes, paths=None, scale=9.0):
    """An Evaluation in which each photo's predicted class has the logit ``scale``, the others 0."""
    logits = scale * np.eye(len(classes), dtype=np.float32)[predictions]
    return Evaluation(logits, np.array(labels, np.int32), tuple(classes), tuple(paths or ["x"] * len(labels)))


@pytest.fixture
def four(tmp_path):
    """Four photos of two classes, two of them right."""
    paths = [str(write_photo(tmp_path / f"{n}.jpg", COLORS["red"], n)) for n in range(4)]
    return evaluate([0, 0, 1, 1], [0, 1, 0, 1], ("dogs", "wolves"), paths)


def luminance(color):
    """WCAG's relative luminance, from 0 to 1."""
    values = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(color)]
    return float(np.dot(values, (0.2126, 0.7152, 0.0722)))


def test_curves_draw_the_history():
    figure = plots.curves(HISTORY)
    left, right = figure.axes
    assert list(left.lines[0].get_ydata()) == [1.0, 0.5]
    assert list(left.lines[1].get_ydata()) == [0.9, 0.6]
    assert list(right.lines[-1].get_ydata()) == [0.5, 0.75]
    assert left.get_xlabel() == "epoch" and "nats" in left.get_ylabel()
    assert right.get_title() == "Validation accuracy (best 0.750, epoch 2)"


def test_curves_draw_the_interval():
    """Of 10 photos, 5 right are 0.2366 to 0.7634 (Wilson's interval by hand, as in test_metrics.py)."""
    right = plots.curves(HISTORY[:1], images=10).axes[1]
    (segment,) = right.collections[0].get_segments()
    assert segment[:, 1] == pytest.approx([0.2366, 0.7634], abs=2e-4)
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["95% interval"]


def test_the_best_epoch_is_that_of_the_lowest_loss_if_asked():
    history = [{**HISTORY[0], "val_loss": 0.1}, HISTORY[1]]
    assert plots.curves(history, best="loss").axes[1].get_title() == "Validation accuracy (best 0.500, epoch 1)"
    assert plots.curves(history).axes[1].get_title() == "Validation accuracy (best 0.750, epoch 2)"


def test_epochs_are_whole_numbers():
    figure = plots.curves(HISTORY[:1])
    FigureCanvasAgg(figure).draw()
    assert [tick for tick in figure.axes[0].get_xticks() if 0.5 < tick < 1.5] == [1]


def test_several_runs_in_one_picture():
    figure = plots.compare_accuracies({"one": HISTORY, "two": HISTORY[:1]})
    lines = figure.axes[0].lines
    assert [list(line.get_ydata()) for line in lines] == [[0.5, 0.75], [0.5]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]


def test_grid_is_blue_where_right_and_red_where_wrong(four, tmp_path):
    figure = plots.prediction_grid(four, count=4)
    shown = {(axes.get_title(), axes.title.get_color()) for axes in figure.axes}
    assert shown == {
        ("dogs 100%", plots.RIGHT), ("✗ wolves 100%\n(is dogs)", plots.WRONG),
        ("wolves 100%", plots.RIGHT), ("✗ dogs 100%\n(is wolves)", plots.WRONG),
    }  # fmt: skip
    blue, red = to_rgb(plots.RIGHT), to_rgb(plots.WRONG)
    assert blue[2] > blue[0] and red[0] > red[2]
    assert "2 of 4" in figure.get_suptitle()
    plots.save(figure, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        assert image.width > 300


@pytest.mark.parametrize("color", [plots.RIGHT, plots.WRONG])
def test_titles_can_be_read_on_white(color):
    assert 1.05 / (luminance(color) + 0.05) >= 4.5  # WCAG 2, level AA


def test_fewer_photos_than_asked_for(four):
    assert len(plots.prediction_grid(four, count=12).axes) == 4
    one = Evaluation(four.logits[:1], four.labels[:1], four.classes, four.paths[:1])
    assert len(plots.prediction_grid(one, count=12).axes) == 1


def test_worst_photos_by_hand(tmp_path):
    """Two classes and logits that differ by ln 3, ln 9 and ln 99: probabilities of 75, 90 and 99 %."""
    paths = [str(write_photo(tmp_path / f"{n}.jpg", COLORS["blue"], n)) for n in range(3)]
    logits = np.log(np.array([[3, 1], [9, 1], [1, 99]], np.float32))
    figure = plots.worst_grid(Evaluation(logits, np.array([0, 1, 0], np.int32), ("a", "b"), tuple(paths)), 2)
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == ["is a (1.0%)\n✗ b (99.0%)", "is b (10.0%)\n✗ a (90.0%)"]
    right = plots.worst_grid(Evaluation(logits[:1], np.zeros(1, np.int32), ("a", "b"), tuple(paths[:1])), 2)
    assert right.axes[0].get_title() == "is a (75.0%)"


def test_confusion_by_hand():
    figure = plots.confusion(evaluate([0, 0, 0, 1, 1], [0, 0, 1, 1, 1], ("a", "b", "c")))
    axes = figure.axes[0]
    assert axes.images[0].get_array().tolist() == [[2, 1, 0], [0, 2, 0], [0, 0, 0]]
    written = {text.get_position(): text.get_text() for text in axes.texts}  # column, row
    assert written == {(0, 0): "2", (1, 0): "1", (1, 1): "2"}
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "own class")
    assert "4 of 5" in figure.get_suptitle()


def test_confusion_in_percent_leaves_a_class_without_photos_open():
    figure = plots.confusion(evaluate([0, 0, 0, 1, 1], [0, 0, 1, 1, 1], ("a", "b", "c")), normalize=True)
    values = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    assert values[:2] == pytest.approx(np.array([[200 / 3, 100 / 3, 0], [0, 100, 0]]))
    assert np.isnan(values[2]).all()
    assert {text.get_text() for text in figure.axes[0].texts} == {"67", "33", "100"}


def test_confusion_can_be_printed_in_grey():
    figure = plots.confusion(evaluate([0, 1], [0, 1], "ab"))
    colors = figure.axes[0].images[0].cmap(np.linspace(0, 1, 20))
    assert (np.diff([luminance(color) for color in colors]) < 0).all()


@pytest.mark.parametrize("count", [2, 20, 100])
@pytest.mark.parametrize("length", [4, 80])
def test_names_beside_the_matrix_do_not_touch(count, length):
    names = [f"{'n' * (length - 3)}{n:03}" for n in range(count)]
    figure = plots.confusion(evaluate(range(count), range(count), names))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes = figure.axes[0]
    for labels, side in ((axes.get_yticklabels(), "y"), (axes.get_xticklabels(), "x")):
        assert len({text.get_text() for text in labels}) == count
        boxes = [text.get_window_extent() for text in labels]
        spans = sorted((getattr(box, f"{side}0"), getattr(box, f"{side}1")) for box in boxes)
        assert all(one[1] <= other[0] + 1 for one, other in itertools.pairwise(spans))


def test_numbers_are_in_the_cells_where_they_fit():
    def written(count, photos):
        labels = np.repeat(np.arange(count), photos)
        return len(plots.confusion(evaluate(labels, labels, [str(n) for n in range(count)])).axes[0].texts)

    assert [written(20, 10), written(100, 1), written(100, 10)] == [20, 100, 0]


def test_a_thousand_classes_have_no_names_and_a_usual_size():
    count = 1000
    figure = plots.confusion(evaluate(range(count), range(count), [str(n) for n in range(count)]))
    assert max(figure.get_size_inches()) < 20
    assert len(figure.axes[0].get_xticks()) < 20


def test_reliability_by_hand():
    """Two photos said to be 75 % (one right) and one said to be 99 % (right): ECE = 2/3 * 0.25 + 1/3 * 0.01."""
    logits = np.log(np.array([[3, 1], [3, 1], [99, 1]], np.float32))
    evaluation = Evaluation(logits, np.array([0, 1, 0], np.int32), ("a", "b"), tuple("xyz"))
    upper, lower = plots.reliability(evaluation, bins=10).axes
    assert "ECE 0.170" in upper.get_title() and "temperature 1.00" in upper.get_title()
    bars = {round(bar.get_x(), 2): bar.get_height() for bar in upper.patches}
    assert bars == pytest.approx({0.7: 0.5, 0.9: 1.0})
    assert [bar.get_height() for bar in lower.patches] == [0, 0, 0, 0, 0, 0, 0, 2, 0, 1]
    (points,) = [line for line in upper.lines if line.get_linestyle() == "None"]
    assert points.get_xydata() == pytest.approx(np.array([[0.75, 0.5], [0.99, 1.0]]))


def test_feature_map_rings_what_is_wrong():
    points = np.array([[0, 0], [1, 0], [0, 1], [2, 2]], float)
    figure = plots.feature_map(points, evaluate([0, 0, 1, 1], [0, 1, 1, 1], ("dogs", "wolves")))
    first, second, rings = figure.axes[0].collections
    assert first.get_offsets().tolist() == [[0, 0], [1, 0]] and second.get_offsets().tolist() == [[0, 1], [2, 2]]
    assert rings.get_offsets().tolist() == [[1, 0]]
    assert len(rings.get_facecolor()) == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["dogs", "wolves", "wrongly predicted"]
    assert "component" in figure.axes[0].get_xlabel()
    other = plots.feature_map(points, evaluate([0, 0, 1, 1], [0, 1, 1, 1], ("dogs", "wolves")), "tsne")
    assert "t-SNE" in other.axes[0].get_xlabel() and len(other.axes[0].get_xticks()) == 0


def test_each_class_has_a_sign_of_its_own():
    signs = [tuple(charts.sign(number).values()) for number in range(84)]
    assert len(set(signs)) == 84
    assert all(one[0] != other[0] and one[1] != other[1] for one, other in itertools.pairwise(signs))


def test_heat_grid_has_the_photo_beside_its_heat():
    photos = np.full((3, 40, 40, 3), 200, np.uint8)
    heat = np.zeros((3, 40, 40))
    heat[:, :20] = 1
    figure = plots.heat_grid(photos, heat, ["one", "two", "three"])
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == ["one", "two", "three"]
    pixels = np.asarray(drawn[0].images[0].get_array())
    assert (pixels[:, :40] == 200).all() and pixels.shape == (40, 81, 3)
    hottest, cold = pixels[0, -1], pixels[-1, -1]
    assert (cold == 200).all() and hottest[0] > hottest[2] + 50  # inferno's end is a light yellow
    assert any("Grad-CAM" in axes.get_xlabel() for axes in figure.axes)


def test_a_photo_that_is_turned_by_its_camera_is_upright(tmp_path):
    image = Image.new("RGB", (40, 20), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 20, 20))  # blue on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right: the left comes to the top
    image.save(tmp_path / "turned.jpg", exif=exif)
    pixels = grids.middle_square(tmp_path / "turned.jpg", 20)
    assert pixels[2, 10, 2] > 200 and pixels[17, 10, 0] > 200


def test_hostile_names_are_drawn(tmp_path):
    paths = [str(write_photo(tmp_path / f"{n}.jpg", COLORS["red"], n)) for n in range(5)]
    evaluation = evaluate([0, 1, 2, 3, 4], [1, 1, 2, 0, 4], HOSTILE, paths)
    figures = [
        plots.prediction_grid(evaluation), plots.worst_grid(evaluation, 5), plots.confusion(evaluation),
        plots.feature_map(np.random.default_rng(0).normal(size=(5, 2)), evaluation),
        plots.compare_accuracies(dict.fromkeys(HOSTILE, HISTORY)),
        plots.heat_grid(np.zeros((5, 8, 8, 3), np.uint8), np.zeros((5, 8, 8)), HOSTILE),
    ]  # fmt: skip
    for number, figure in enumerate(figures):
        plots.save(figure, tmp_path / f"{number}.png")
    assert any("$x^{$" in axes.get_title() for axes in figures[0].axes)
    assert "\\u202enul\\x00" in [text.get_text() for text in figures[2].axes[0].get_yticklabels()]


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("short", 5, "short"),
        ("abcdefghij", 7, "abc…hij"),
        ("蚂蚁蜜蜂", 8, "蚂蚁蜜蜂"),
        ("蚂蚁蜜蜂", 6, "蚂…蜂"),
        ("", 5, ""),
    ],
)
def test_long_names_lose_their_middle(monkeypatch, name, width, shown):
    monkeypatch.setattr("mstl.report.plots.style.drawable", lambda text: text)
    assert label(name, width) == shown
    assert columns(label(name, width)) <= width


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.9545, "95.5%"), (1, "100%"), (0.99999, "99.9%"), (0, "0%"), (0.0002, "<0.1%"), (float("nan"), "–")],
)
def test_shares(value, shown):
    assert share(value) == shown


@pytest.fixture
def installed(monkeypatch):
    """A machine with the fonts that are put into the two dicts: known to matplotlib, and installed since."""
    known, new = {}, {}
    has = {}
    monkeypatch.setattr(fonts, "known_families", lambda: known)
    monkeypatch.setattr(fonts, "newly_installed_families", lambda: new)
    monkeypatch.setattr(fonts, "has", lambda path, character: character in has.get(path, "abc 0123456789"))
    for cached in (fonts.families, fonts.complain):
        cached.cache_clear()
    yield known, new, has
    for cached in (fonts.families, fonts.complain):
        cached.cache_clear()


def test_the_first_font_that_has_the_characters_is_taken(installed):
    known, new, has = installed
    known.update({"First": "first.ttf", "Second": "second.ttf", "Third": "third.ttf"})
    new.update({"New": "new.ttf"})
    has.update({"first.ttf": "", "second.ttf": "蚂蚁", "third.ttf": "蚂蚁蜜蜂", "new.ttf": "ñ"})
    assert fonts.families(frozenset("abc")) == ((), frozenset())
    assert fonts.families(frozenset("a蚂蚁")) == (("Second",), frozenset())
    assert fonts.families(frozenset("蚂蜂")) == (("Second", "Third"), frozenset())
    assert fonts.families(frozenset("ñ")) == (("New",), frozenset())
    assert fonts.families(frozenset("猫")) == ((), frozenset("猫"))


def test_without_a_font_names_can_still_be_told_apart(installed, caplog):
    with caplog.at_level(logging.WARNING, "mstl"):
        assert label("a蚂蚁") == "a\\u8682\\u8681"
        assert label("a蚂蚁") == "a\\u8682\\u8681"
    assert len(caplog.records) == 1
    assert "fonts-noto-cjk" in caplog.text and "蚁" in caplog.text
    figure = plots.confusion(evaluate([0, 1], [0, 1], ("蚂", "蜂")))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["\\u8682", "\\u8702"]


def test_preferred_fonts_come_first(monkeypatch):
    entries = [
        ("Zapf", "z.ttf"),
        ("SimHei", "simhei.ttf"),
        ("Noto Sans CJK SC", "noto.ttc"),
        ("Last Resort X", "l.ttf"),
    ]
    listed = [type("Entry", (), {"name": name, "fname": path}) for name, path in entries]
    monkeypatch.setattr(fontManager, "ttflist", listed)
    assert list(fonts.known_families()) == ["Noto Sans CJK SC", "SimHei", "Zapf"]


def test_a_damaged_font_file_has_nothing(tmp_path):
    (tmp_path / "damaged.ttf").write_bytes(b"no font")
    assert not fonts.has(str(tmp_path / "damaged.ttf"), "a")
    assert fonts.has(fontManager.findfont(FontProperties()), "a")


@pytest.mark.skipif(bool(fonts.families(frozenset("蚂蚁蜜蜂"))[1]), reason="no font with Chinese characters installed")
def test_chinese_names_are_drawn(tmp_path):
    evaluation = evaluate([0, 1], [0, 1], ("蚂蚁", "蜜蜂"))
    figure = plots.confusion(evaluation)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["蚂蚁", "蜜蜂"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each character that becomes a box
        plots.save(figure, tmp_path / "confusion.png")


def test_colours_of_classes_differ_in_more_than_hue():
    """Okabe and Ito's colours, and a heat map whose lightness only rises."""
    greys = [luminance(color) for color in colormaps["inferno"](np.linspace(0, 1, 20))]
    assert (np.diff(greys) > 0).all()
    assert len({round(luminance(color), 2) for color in charts.PALETTE}) == len(charts.PALETTE)
