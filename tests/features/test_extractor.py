"""Features of what is frozen: computed once, never stale, never wrong."""

import dataclasses
import os
import random

import mindspore as ms
import numpy as np
import PIL
import pytest

import mstl
from mstl.config import TrainConfig
from mstl.data.dataset import content_digest, subset
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms
from mstl.engines.choice import choices
from mstl.engines.parts import Engines, FeaturesPart
from mstl.features import digests, extractor, row_storage
from mstl.features.extractor import FeatureExtractor
from mstl.features.feature_cache import FeatureCache
from mstl.features.feature_loader import FeatureLoader
from mstl.models.fusing import FusedModel
from mstl.training.freeze import Freeze
from tests.conftest import COLORS, write_photo

pytestmark = pytest.mark.usefixtures("no_pictures", "narrow_model")

TINY = {"model": "resnet18", "weights": "none", "image_size": 32, "batch_size": 5, "lr": 0.01, "report": False}


@pytest.fixture(scope="module")
def net():
    ms.set_seed(1)
    net = mstl.resnet18(num_classes=2)
    net.set_train(False)
    return net


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def ask(net, images, upto="backbone", view=0, size=32, **options):
    """Activations, and how many of them had to be computed."""
    config = TrainConfig(**{"augment": "tutorial", **options})
    freeze, preprocessing = Freeze(net, upto), net.preprocessing.at(size)
    engines = Engines(choices(config.engine, config.precision))
    front = lambda: FeaturesPart(FusedModel(net), engines, freeze.num_frozen_stages)  # noqa: E731
    part = FeatureExtractor(net, upto, freeze.frozen_cells, front, engines, preprocessing, config)
    return part.activations(images, view), part.computed


def by_hand(net, images, stages, size=32):
    """The same by the net itself, one photo at a time, with nothing folded or kept."""
    loader = Loader(images, eval_transforms(net.preprocessing.at(size)), 1)
    cells = [cell for name in list(net.stages())[:stages] for cell in net.stages()[name]]
    rows = []
    for x, _ in loader.batches():
        for cell in cells:
            x = cell(x)
        rows.append(x.asnumpy()[0])
    rows = np.stack(rows)
    return rows.mean((2, 3), keepdims=True) if stages == 5 else rows


@pytest.mark.parametrize(("upto", "stages", "close"), [("backbone", 5, 1e-5), ("layer2", 3, 2e-3)])
def test_they_are_what_the_frozen_part_gives(net, photos, home, upto, stages, close):
    images, _ = mstl.load_data(str(photos))
    expected = by_hand(net, images, stages)
    for computed in (12, 0):  # computed, then from disk
        rows, count = ask(net, images, upto)
        assert count == computed
        assert rows.dtype == (np.float32 if upto == "backbone" else np.float16)
        assert np.abs(rows - expected).max() <= close * np.abs(expected).max()


def test_a_changed_photo_costs_one_forward(net, photos, home):
    images, _ = mstl.load_data(str(photos))
    before, _ = ask(net, images)
    path = photos / "train" / "red" / "red-3.jpg"
    status = path.stat()
    other = write_photo(photos.parent / "other.jpg", COLORS["green"], 7).read_bytes()
    path.write_bytes(other)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # the content alone tells
    rows, computed = ask(net, images)
    index = images.paths.index(str(path))
    assert computed == 1
    assert np.abs(rows[index] - before[index]).max() > 1e-3
    assert np.delete(rows, index, 0) == pytest.approx(np.delete(before, index, 0))
    assert rows[index] == pytest.approx(by_hand(net, images, 5)[index], abs=1e-4)


def test_whatever_else_changes_makes_all_anew(net, photos, home):
    images, _ = mstl.load_data(str(photos))
    ask(net, images)
    assert ask(net, images)[1] == 0
    assert ask(net, images, size=48)[1] == 12  # another crop
    assert ask(net, images, view=1)[1] == 12  # an augmented view,
    assert ask(net, images, view=1)[1] == 0  # which is kept too,
    assert ask(net, images, view=1, seed=2)[1] == 12  # but for its own seed
    weight = net.layer1[0].conv1.weight
    kept = weight.asnumpy().copy()
    try:
        changed = kept.copy()
        changed[0, 0, 0, 0] += 0.1
        weight.set_data(ms.Tensor(changed))
        rows, computed = ask(net, images)
        assert computed == 12
        assert rows == pytest.approx(by_hand(net, images, 5), abs=1e-4)
    finally:
        weight.set_data(ms.Tensor(kept))
    assert ask(net, images)[1] == 0


@pytest.mark.parametrize("augment", ["tutorial", "strong"])
def test_an_augmented_view_depends_on_image_view_and_seed_alone(net, photos, home, monkeypatch, augment):
    images, _ = mstl.load_data(str(photos))
    rows = ask(net, images, view=1, workers=8, augment=augment)[0]
    different = [ask(net, images, view=2, augment=augment)[0], ask(net, images, view=1, seed=2, augment=augment)[0]]
    for others in different:
        assert (np.abs(others - rows).max((1, 2, 3)) > 1e-4).all()
    monkeypatch.setattr("mstl.data.loading.views.clamp_workers", lambda workers: 3)  # another machine
    for number, chosen in enumerate([range(11, -1, -1), range(3, 8)]):
        monkeypatch.setenv("MSTL_HOME", str(home / str(number)))
        again, computed = ask(net, subset(images, chosen), view=1, workers=1, augment=augment)
        assert computed == len(chosen)
        np.testing.assert_allclose(again, rows[list(chosen)], atol=1e-5)


def test_computing_a_view_leaves_the_random_state_alone(net, photos, home):
    images, _ = mstl.load_data(str(photos))
    ms.dataset.config.set_seed(123)
    before = [ms.dataset.config.get_seed(), random.getstate(), np.random.get_state()[1].tolist()]
    ask(net, images, view=1)
    assert [ms.dataset.config.get_seed(), random.getstate(), np.random.get_state()[1].tolist()] == before


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (extractor, "TRANSFORMS_VERSION", 0),
        (extractor, "FORMAT", 0),
        (extractor, "__version__", "0"),
        (ms, "__version__", "0"),
        (PIL, "__version__", "0"),
    ],
)
def test_another_version_computes_all_anew(net, photos, home, monkeypatch, owner, name, value):
    images, _ = mstl.load_data(str(photos))
    ask(net, images)
    monkeypatch.setattr(owner, name, value)
    assert ask(net, images)[1] == 12


def test_the_cache_knows_the_precision(net, home, monkeypatch):
    """Of mixed precision, which this machine may not have."""
    kinds = []
    monkeypatch.setattr(extractor, "FeatureCache", lambda kind: kinds.append(kind) or FeatureCache(kind))
    for amp in ("O0", "O2"):
        freeze = Freeze(net, "backbone")
        config = TrainConfig(augment="tutorial", amp=amp)
        engines = Engines(choices(amp=amp))
        FeatureExtractor(net, "backbone", freeze.frozen_cells, lambda: None, engines, net.preprocessing, config)
    assert kinds[0] != kinds[1]


def test_a_cut_off_file_is_made_anew(net, photos, home):
    images, _ = mstl.load_data(str(photos))
    before, _ = ask(net, images)
    shards = list((home / "features").rglob("*.safetensors"))
    assert shards
    for path in shards:
        os.truncate(path, path.stat().st_size // 2)
    rows, computed = ask(net, images)
    assert computed == 12
    assert rows == pytest.approx(before, abs=1e-6)


def test_a_photo_under_two_names_is_computed_once(net, photos, home):
    images, _ = mstl.load_data(str(photos))
    swap = {"blue": "red", "red": "blue"}
    swapped = tuple(dataclasses.replace(sample, label=swap[sample.label]) for sample in images.samples)
    twice = dataclasses.replace(images, samples=images.samples + swapped, folder=None)
    rows, computed = ask(net, twice)
    assert computed == 12
    np.testing.assert_array_equal(rows[:12], rows[12:])


def test_an_image_that_changes_while_it_is_read_is_not_cached(net, photos, home, monkeypatch):
    images, _ = mstl.load_data(str(photos))
    path = photos / "train" / "red" / "red-2.jpg"
    before, status = path.read_bytes(), path.stat()

    def changed_first(*args):
        write_photo(path, COLORS["green"], 7)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        return eval_transforms(*args)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(extractor, "eval_transforms", changed_first)
        assert ask(net, images)[1] == 12
    path.write_bytes(before)  # the content that the scan has seen, of which nothing was computed
    rows, computed = ask(net, images)
    assert computed == 1
    index = images.paths.index(str(path))
    assert rows[index] == pytest.approx(by_hand(net, images, 5)[index], abs=1e-4)


def test_an_image_is_not_hashed_again_after_the_scan(net, photos, home, monkeypatch):
    images, _ = mstl.load_data(str(photos))
    hashed = []
    monkeypatch.setattr(digests, "content_digest", lambda path: hashed.append(path) or content_digest(path))
    assert [ask(net, images, view=view)[1] for view in (0, 1, 0)] == [12, 12, 0]
    assert hashed == []
    os.utime(images.paths[3])
    assert ask(net, images)[1] == 0
    assert hashed == [images.paths[3]]


def test_many_features_are_in_a_file_that_goes_with_the_process(net, photos, home, monkeypatch):
    images, _ = mstl.load_data(str(photos))
    few, _ = ask(net, images)
    monkeypatch.setattr(row_storage, "IN_MEMORY", 1000)
    kept, computed = ask(net, images)
    assert computed == 0
    assert isinstance(kept, np.memmap) and not isinstance(few, np.memmap)
    np.testing.assert_array_equal(kept, few)
    assert {path.name for path in home.iterdir()} == {"features", "scans"}
    loaders = [FeatureLoader(Loader(images, [], 5, seed=1), [rows[:, :, 0, 0]]) for rows in (kept, few)]
    for (mapped, _), (rows, _) in zip(*(loader.batches(3) for loader in loaders), strict=True):
        np.testing.assert_array_equal(mapped.asnumpy(), rows.asnumpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_rows_are_taken_from_the_file(tmp_path, monkeypatch, dtype):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(row_storage, "IN_MEMORY", 100)
    rows = row_storage.empty_rows((50, 3, 2, 2), np.dtype(dtype))
    rows[...] = np.arange(600).reshape(rows.shape)
    indices = np.array([49, 0, 7, 7, 12])
    for view in (rows, rows[:, :, 0, 0], rows[10:], rows[::-1], np.array(rows)):
        chosen = indices % len(view)
        np.testing.assert_array_equal(row_storage.take(view, chosen), np.array(view)[chosen])
    assert row_storage.take(rows, indices[:0]).shape == (0, 3, 2, 2)
    assert list((tmp_path / "home").iterdir()) == []


def test_without_room_for_a_file_features_are_in_memory(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("in the way")
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(row_storage, "IN_MEMORY", 1000)
    assert not isinstance(row_storage.empty_rows((300, 4), np.dtype(np.float32)), np.memmap)


def test_views_take_turns(photos):
    images, _ = mstl.load_data(str(photos))
    loader = Loader(images, [], 5, seed=1)
    views = [np.full((12, 2), 100 * number) + np.arange(12)[:, None] for number in range(3)]
    seen = {index: [] for index in range(12)}
    for epoch in range(3):
        pairs = [(rows.asnumpy(), labels.asnumpy()) for rows, labels in FeatureLoader(loader, views).batches(epoch)]
        rows, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        assert sorted(rows[:, 0] % 100) == list(range(12))
        np.testing.assert_array_equal(labels, images.labels[loader.order(epoch)])
        for value in rows[:, 0]:
            seen[int(value) % 100].append(int(value) // 100)
    assert all(sorted(numbers) == [0, 1, 2] for numbers in seen.values())


def history(state):
    return [[row[key] for key in ("train_loss", "val_loss", "val_accuracy")] for row in state.history]


@pytest.mark.parametrize(("freeze", "size"), [("backbone", 64), ("layer3", 64), ("layer4", 32)])
def test_training_is_the_same_with_and_without(photos, tmp_path, home, freeze, size):
    """Of photos that are not varied, what is kept is what would be computed; of 32 px, it is maps of a single pixel."""
    options = {**TINY, "data": str(photos), "augment": "none", "freeze": freeze, "epochs": 2, "lr": 0.0001}
    options.update(image_size=size, batch_size=6)
    plain = mstl.fit(out=str(tmp_path / "plain"), cache=False, **options)
    cold = mstl.fit(out=str(tmp_path / "cold"), **options)
    warm = mstl.fit(out=str(tmp_path / "warm"), **options)
    assert np.array(history(cold)) == pytest.approx(np.array(history(plain)), rel=1e-2)
    assert history(cold) == history(warm)


@pytest.mark.parametrize(("options", "message"), [({"mixup": 0.2}, "images are mixed"), ({}, "do not fit into memory")])
def test_what_cannot_be_kept_is_computed_in_every_epoch(photos, tmp_path, home, caplog, monkeypatch, options, message):
    monkeypatch.setattr(row_storage, "available_memory", lambda: 1000)
    monkeypatch.setattr(row_storage, "free_disk", lambda: 1000)
    caplog.set_level("INFO", logger="mstl")
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), epochs=1, **TINY, **options)
    assert message in caplog.text
    assert len(state.history) == 1
    assert not any((home / "features").glob("*/*"))


def test_a_full_disk_does_not_stop_a_run(photos, tmp_path, home, caplog, monkeypatch):
    home.mkdir()
    (home / "features").write_text("in the way")
    state = mstl.fit(data=str(photos), out=str(tmp_path / "run"), epochs=1, **TINY)
    assert len(state.history) == 1
    assert "features are not cached" in caplog.text


def test_a_resumed_run_ends_like_an_uninterrupted_one(photos, tmp_path, home):
    options = {**TINY, "data": str(photos), "freeze": "backbone", "views": 2, "schedule": "constant"}
    mstl.fit(out=str(tmp_path / "parts"), epochs=1, **options)
    state = mstl.fit(resume=str(tmp_path / "parts"), epochs=3)
    whole = mstl.fit(out=str(tmp_path / "whole"), epochs=3, **options)
    assert np.array(history(state)) == pytest.approx(np.array(history(whole)), abs=1e-6)
    assert state.model.fc.weight.asnumpy() == pytest.approx(whole.model.fc.weight.asnumpy(), abs=1e-6)
