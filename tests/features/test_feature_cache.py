"""Features on disk: they come back as they were put in, or not at all, whatever happens to the files."""

import errno
import json
import logging
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import mstl.files
from mstl.errors import MstlError
from mstl.features import feature_cache as module
from mstl.features.cache_folders import clear, features_folder, list_folders
from mstl.features.cache_size import parse_size, show_size, size_limit
from mstl.features.feature_cache import FeatureCache
from mstl.runtime.environment import home

DESCRIPTION = {"format": 1, "model": "resnet50", "weights": "ab12", "stage": "backbone", "transforms": {"resize": 256}}
BIG = 10**9


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MSTL_CACHE_SIZE", raising=False)


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "mstl")
    return caplog


def rows(count, shape=(5,), seed=0):
    rng = np.random.default_rng(seed)
    return {f"{seed}-{index}": rng.normal(0, 3, shape).astype(np.float32) for index in range(count)}


def store(limit=BIG, **changes):
    return FeatureCache({**DESCRIPTION, **changes}, limit)


def shard_of(one):
    """The only file of a store's shards."""
    (path,) = one.folder.glob("*.safetensors")
    return path


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value)


# what comes back


def test_rows_come_back_exactly(log):
    items, more = rows(7), rows(3, seed=1)
    one = store()
    one.put(items)
    one.put(more)
    same(one.get([*items, *more]), {**items, **more})
    same(store().get([*more, *items]), {**more, **items})
    found = store().get(["1-2", "none", "0-3", "0-3"])
    same(found, {"1-2": more["1-2"], "0-3": items["0-3"]})
    assert list(found) == ["1-2", "0-3"]
    found["1-2"][:] = 0  # the caller's own
    same(one.get(["1-2"]), {"1-2": more["1-2"]})
    assert log.messages == []


def test_nothing_is_there_at_first():
    assert store().get(["a"]) == {}
    assert store().get([]) == {}
    store().put({})
    assert not features_folder().exists()


def test_awkward_values_and_keys():
    values = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3e38], np.float32)
    items = {"ü\ud800\n": values, "": values[::-1], "c" * 5000: -values}
    store().put(items)
    same(store().get(items), items)


@pytest.mark.parametrize("shape", [(1,), (), (0,), (2, 0), (2, 3, 1)])
def test_any_shape(shape):
    items = {"a": np.full(shape, 0.5, np.float32), "b": np.full(shape, -2, np.float32)}
    store().put(items)
    found = store().get(items)
    assert all(found[key].shape == shape and (found[key] == items[key]).all() for key in items)


def test_other_values_are_another_kind():
    items = rows(2)
    store().put(items)
    assert store(weights="ab13").get(items) == {}
    assert store(transforms={"resize": 257}).get(items) == {}
    assert store(new=None).get(items) == {}
    backwards = FeatureCache(dict(reversed(DESCRIPTION.items())), BIG)
    same(backwards.get(items), items)


def test_folder_is_named_after_the_values_and_describes_itself():
    one = FeatureCache({"b": [1, "ü"], "a": {"d": None, "c": 0.5}}, BIG)
    one.put(rows(1))
    # printf %s '{"a":{"c":0.5,"d":null},"b":[1,"\u00fc"]}' | sha256sum
    assert one.folder == home() / "features" / "0c6815ae7ad8da6f5d13437a6ba75222"
    assert json.loads((one.folder / "description.json").read_text(encoding="utf-8")) == one.description


def test_a_shard_copied_into_another_kind_is_refused(log):
    items = rows(2)
    one, other = store(), store(stage="layer3")
    one.put(items)
    other.put(rows(1, seed=1))
    shutil.copy(shard_of(one), other.folder / "copy.safetensors")
    assert store(stage="layer3").get(items) == {}
    assert len(log.messages) == 1 and "copy.safetensors" in log.text


def test_another_store_sees_what_comes_later():
    reader, writer = store(), store()
    assert reader.get(["0-0", "1-0"]) == {}
    writer.put(rows(1))
    same(reader.get(["0-0", "1-0"]), rows(1))
    writer.put(rows(1, seed=1))
    same(reader.get(["0-0", "1-0"]), {**rows(1), **rows(1, seed=1)})


def test_shards_of_different_kinds_live_together():
    vectors = rows(2, (4,))
    maps = {key: row.astype(np.float16) for key, row in rows(2, (3, 2, 2), seed=1).items()}
    store().put(vectors)
    store().put(maps)
    found = store().get([*vectors, *maps])
    assert {found[key].shape for key in vectors} == {(4,)} and {found[key].dtype.name for key in vectors} == {"float32"}
    assert {found[key].shape for key in maps} == {(3, 2, 2)} and {found[key].dtype.name for key in maps} == {"float16"}


# the file


def kept(*arrays):
    """The arrays as they come back."""
    items = {str(index): array for index, array in enumerate(arrays)}
    clear()
    store().put(items)
    found = store().get(items)
    return [found[key] for key in items]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_dtype_stays(dtype):
    vector, whole = np.array([1.5, 65504], dtype), np.full((3, 2, 2), 0.1, dtype)
    for was in (vector, whole):
        (found,) = kept(was)
        assert found.dtype == dtype and (found == was).all()


def test_rows_need_not_lie_together_in_memory():
    whole = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    given = whole.transpose(2, 1, 0)[::2]
    np.testing.assert_array_equal(kept(given)[0], given)


@pytest.mark.parametrize(
    "items",
    [
        {"a": np.zeros(3)},
        {"a": np.zeros(3, np.int32)},
        {"a": np.zeros(3, np.float32), "b": np.zeros(3, np.float16)},
        {"a": np.zeros(3, np.float32), "b": np.zeros(4, np.float32)},
        {"a": np.zeros((2, 3), np.float32), "b": np.zeros((3, 2), np.float32)},
    ],
)
def test_rows_that_differ_are_the_callers_mistake(items):
    with pytest.raises(ValueError, match="same (shape|dtype)"):
        store().put(items)
    assert not features_folder().exists()


def test_a_shard_is_plain_safetensors():
    items = rows(3, (2, 5))
    one = store()
    one.put(items)
    with safe_open(shard_of(one), "numpy") as file:
        metadata, features = file.metadata(), file.get_tensor("features")
    np.testing.assert_array_equal(features, np.stack(list(items.values())))
    index = json.loads(metadata["index"])
    assert index == {"name": one.folder.name, "crc32": {key: zlib.crc32(row) for key, row in items.items()}}
    assert list(index["crc32"]) == list(items)
    assert int(metadata["crc32"]) == zlib.crc32(metadata["index"].encode())


def test_no_flipped_byte_gives_a_wrong_value(log):
    items = {"a": np.array([1.5, -2, 3], np.float32), "b": np.array([4, 5, 6.25], np.float32)}
    one = store()
    one.put(items)
    path = shard_of(one)
    content = path.read_bytes()
    for index in range(len(content)):
        for flip in (0x01, 0x20, 0x80, 0xFF):
            log.clear()
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content[:index] + bytes([content[index] ^ flip]) + content[index + 1 :])
            found = store().get(items)
            same(found, {key: items[key] for key in found})
            assert len(found) < 2 and not path.exists(), (index, flip)
            assert len(log.messages) == 1 and path.name in log.text


def test_a_shard_cut_off_anywhere_is_missing(log):
    items = rows(2, (3,))
    one = store()
    one.put(items)
    path = shard_of(one)
    content = path.read_bytes()
    for length in [*range(len(content)), len(content) + 1]:
        log.clear()
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((content + b"\0")[:length])
        one = store()
        assert one.get(items) == {} and one.get(items) == {}
        assert not path.exists() and not path.parent.exists()
        assert len(log.messages) == 1 and path.name in log.text
    one.put(items)
    same(one.get(items), items)


def shard_with(header):
    """A shard with any header, and no rows."""
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "other"},
        {"crc32": None},
        {"crc32": [0]},
        {"crc32": {"a": 0}},
        {"dtype": "F64"},
        {"shape": 3},
        {"shape": []},
        {"shape": [0, "3"]},
        {"shape": [1, 3]},
        {"data_offsets": [0, 12]},
        {"metadata": {"crc32": "0"}},
        {"metadata": {"crc32": "x"}},
        {"metadata": {"index": None}},
    ],
)
def test_a_header_of_another_program(changes, log):
    one = store()
    index = json.dumps({"name": one.name, "crc32": {}, **changes})
    metadata = {"index": index, "crc32": str(zlib.crc32(index.encode())), **changes.get("metadata", {})}
    tensor = {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0], **changes}
    one.folder.mkdir(parents=True)
    path = one.folder / "x.safetensors"
    path.write_bytes(shard_with({"__metadata__": metadata, "features": tensor}))
    assert one.get(["a"]) == {}
    assert len(log.messages) == int(bool(changes))  # the values as they are make an empty shard
    assert path.exists() == (not changes)


def test_headers_of_another_kind(log):
    headers = ([1, 2], {}, None, {"__metadata__": {}, "features": {}}, {"features": []})
    one = store()
    one.folder.mkdir(parents=True)
    for number, header in enumerate(headers):
        (one.folder / f"{number}.safetensors").write_bytes(shard_with(header))
    assert one.get(["a"]) == {}
    assert len(log.messages) == len(headers)


def test_damage_after_the_header_was_read(log):
    items = rows(3)
    one, reader = store(), store()
    one.put(items)
    same(reader.get(["0-1"]), {"0-1": items["0-1"]})
    path = shard_of(one)
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    found = reader.get(items)
    same(found, {key: items[key] for key in ("0-0", "0-1")})  # those before the damage are right
    assert not path.exists() and len(log.messages) == 1 and log.messages[0].endswith("wrong checksum of row 2")
    assert reader.get(items) == {}


def test_a_header_that_claims_to_be_huge_takes_no_memory(log):
    one = store()
    one.folder.mkdir(parents=True)
    (one.folder / "x.safetensors").write_bytes((500_000_000).to_bytes(8, "little") + bytes(100))
    tracemalloc.start()
    try:
        assert one.get(["a"]) == {}
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    assert len(log.messages) == 1


def test_another_copy_stands_in_for_a_damaged_one(log):
    items = rows(3)
    first, second = store(), store()
    first.put(items)
    damaged = shard_of(first)
    second.put(items)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    same(store().get(items), items)
    for one in (first, second):
        same(one.get(items), items)


def test_a_shard_that_cannot_be_opened_stays(log):
    items = rows(1)
    one = store()
    one.put(items)
    (one.folder / "folder.safetensors").mkdir()
    assert one.get(["0-0", "other"]).keys() == {"0-0"}
    assert one.get(["other"]) == {}
    assert len(log.messages) == 1 and "cannot be read" in log.text
    assert (one.folder / "folder.safetensors").is_dir()


def test_a_shard_that_another_run_evicts_is_missing(log, monkeypatch):
    items, more = rows(2), rows(2, seed=1)
    one = store()
    one.put(items)
    same(one.get(items), items)
    shard_of(one).unlink()
    assert one.get(items) == {}
    one.put(more)

    def too_late(path, read_header=module.read_header):
        path.unlink()
        return read_header(path)

    monkeypatch.setattr(module, "read_header", too_late)
    assert store().get(more) == {}
    assert log.messages == []


def test_only_what_is_asked_for_is_read():
    items = rows(16, (1_000_000,))
    store().put(items)
    tracemalloc.start()
    try:
        found = store().get(["0-3", "0-9"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    same(found, {key: items[key] for key in ("0-3", "0-9")})
    assert 8e6 <= peak < 9e6  # two rows of 4 MB


# several at once

SCRIPT = """
import sys
import numpy as np
from mstl.features.feature_cache import FeatureCache
who, limit = sys.argv[1:]
kind = {"model": "m", "who": who if int(limit) < 100_000 else "all"}
for number in range(30):
    store = FeatureCache(kind, int(limit))
    store.put({f"{who}-{number}-{i}": np.full(100, i + number, np.float32) for i in range(4)})
    store.put({f"both-{number}": np.full(100, -number, np.float32)})
    for key, row in store.get([f"{w}-{n}-1" for w in "AB" for n in range(30)]).items():
        assert (row == 1 + int(key.split("-")[1])).all(), key
    for key, row in store.get([f"both-{n}" for n in range(30)]).items():
        assert (row == -int(key.split("-")[1])).all(), key
"""


def run_two(limit):
    processes = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, who, str(limit)], stderr=subprocess.PIPE, text=True)
        for who in "AB"
    ]
    for process in processes:
        assert (process.communicate()[1], process.returncode) == ("", 0)


def test_two_processes_write_at_once():
    run_two(BIG)
    one = FeatureCache({"model": "m", "who": "all"}, BIG)
    for number in range(30):
        for who in "AB":
            expected = {f"{who}-{number}-{i}": np.full(100, i + number, np.float32) for i in range(4)}
            same(one.get(expected), expected)
        same(one.get([f"both-{number}"]), {f"both-{number}": np.full(100, -number, np.float32)})
    (folder,) = list_folders()
    assert folder.rows == 2 * 30 * 4 + 30
    assert len(list(features_folder().rglob("*.safetensors"))) == 120


def test_two_processes_evict_each_others_shards():
    """Each has a folder of its own, which the other removes again and again; neither says a word."""
    run_two(9_000)  # about four shards
    left = [path for path in features_folder().rglob("*") if path.is_file() and path.name != "description.json"]
    assert left and all(re.fullmatch(r"[0-9a-f]{32}\.safetensors", path.name) for path in left)
    assert sum(path.stat().st_size for path in left) < 14_000


def test_threads_share_a_store():
    one, failures = store(), []

    def work(seed):
        try:
            for number in range(10):
                items = rows(3, seed=100 * seed + number)
                one.put(items)
                same(one.get(items), items)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list(one.folder.glob("*.safetensors"))) == 40


def test_threads_that_ask_at_once_all_get_an_answer(monkeypatch):
    items, answers = rows(2), []
    store().put(items)
    one = store()

    def slowly(path, read_header=module.read_header):
        time.sleep(0.05)
        return read_header(path)

    monkeypatch.setattr(module, "read_header", slowly)
    threads = [threading.Thread(target=lambda: answers.append(one.get(items))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 3
    for found in answers:
        same(found, items)


# a disk that fails


def failing(number):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("place", ["open", "fsync", "replace"])
def test_a_write_that_fails_is_one_warning(place, number, log, monkeypatch):
    items, more = rows(2), rows(2, seed=1)
    store(stage="other").put(items)
    before = files_below(features_folder())
    one = store()
    with monkeypatch.context() as broken:
        broken.setattr(mstl.files.os, place, failing(number))
        one.put(items)
        one.put(more)
    assert len(log.messages) == 1
    assert log.records[0].levelname == "WARNING"
    assert log.messages[0].startswith("features are not cached: ") and os.strerror(number) in log.messages[0]
    assert files_below(features_folder()) == before
    assert one.get(items) == {}
    store().put(items)  # the next run tries again
    same(one.get(items), items)


def test_a_disk_that_is_full_in_the_middle_of_a_file(log):
    items = rows(4, (200_000,))
    one = store()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        one.put(items)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(log.messages) == 1 and "not cached" in log.text
    assert list(features_folder().rglob("*")) == []


def test_no_folder_can_be_made(tmp_path, monkeypatch, log):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "file"))
    one = store()
    one.put(rows(1))
    one.put(rows(1))
    assert one.get(["0-0"]) == {} and list_folders() == [] and clear() == 0
    assert len(log.messages) == 1 and "Not a directory" in log.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into any folder")
def test_a_folder_that_is_read_only(log):
    items, more = rows(2), rows(2, seed=1)
    store().put(items)
    one = store()
    path = shard_of(one)
    path.chmod(0o444)
    one.folder.chmod(0o555)
    try:
        same(one.get(items), items)
        one.put(more)
        assert len(log.messages) == 1 and "Permission denied" in log.text
        with pytest.raises(MstlError, match="cannot remove .*Permission denied"):
            clear()
        path.chmod(0o000)
        assert store().get(items) == {}
        assert "cannot be read" in log.messages[1]
    finally:
        one.folder.chmod(0o755)
    same(one.get(more), {})


def test_files_that_cannot_be_touched_or_removed_do_no_harm(log, monkeypatch):
    items = rows(1, (100,))
    store(stage="old").put(items)
    monkeypatch.setattr(os, "utime", failing(errno.EROFS))
    same(store(stage="old").get(items), items)
    unlink, denied = Path.unlink, []

    def unlink_hidden_only(path, missing_ok=False):
        if not path.name.startswith("."):
            denied.append(path)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_hidden_only)
    one = store(limit=1000)
    one.put(items)
    same(one.get(items), items)
    assert denied == [shard_of(store(stage="old"))]
    assert log.messages == [] and len(list_folders()) == 2


def test_a_folder_that_another_run_removes_is_made_again(log, monkeypatch):
    items = rows(2)
    one = store()
    make, calls = os.open, []

    def removed_first(*args, **kwargs):
        if not calls:
            calls.append(os.rmdir(one.folder))
        return make(*args, **kwargs)

    monkeypatch.setattr(mstl.files.os, "open", removed_first)
    one.put(items)
    same(store().get(items), items)
    assert log.messages == [] and calls


# the limit


def age(one, seconds):
    """Make a store's shards as old as that."""
    moment = time.time() - seconds
    for path in one.folder.glob("*.safetensors"):
        os.utime(path, (moment, moment))


def test_the_least_recently_used_goes_first():
    items = rows(1, (1000,))
    stores = {name: store(stage=name) for name in ("a", "b", "c")}
    for number, one in enumerate(stores.values()):
        one.put(items)
        age(one, 1000 - number)
    size = shard_of(stores["a"]).stat().st_size
    same(store(stage="a").get(items), items)  # now b is the oldest
    new = store(stage="new", limit=3 * size)
    new.put(items)
    assert {folder.description["stage"] for folder in list_folders()} == {"a", "c", "new"}
    assert not stores["b"].folder.exists()
    store(stage="newer", limit=2 * size).put(items)
    assert {folder.description["stage"] for folder in list_folders()} == {"new", "newer"}


def test_a_shard_is_touched_only_where_used():
    items, more = rows(2), rows(2, seed=1)
    store().put(items)
    store(stage="other").put(more)
    age(store(), 1000)
    age(store(stage="other"), 1000)
    one = store()
    used, unused = shard_of(one), shard_of(store(stage="other"))
    assert one.get(["nothing of it"]) == {}
    assert time.time() - used.stat().st_mtime > 900
    one.get(items)
    assert time.time() - used.stat().st_mtime < 100 and time.time() - unused.stat().st_mtime > 900


def test_a_store_keeps_its_own_shards(log):
    """What it has read or written stays, and is not crowded out by more: the rest is not cached, which is said once."""
    old, items = rows(1, (1000,)), [rows(1, (1000,), seed) for seed in (1, 2, 3, 4)]
    store().put(old)
    size = shard_of(store()).stat().st_size
    store(stage="other").put(old)
    age(store(), 1000)
    one = store(limit=3 * size)
    same(one.get(old), old)
    for part in items:
        one.put(part)
    same(store().get([*old, *(key for part in items for key in part)]), {**old, **items[0], **items[1]})
    assert len(list_folders()) == 1
    assert len(log.messages) == 1
    assert log.records[0].levelname == "INFO" and "not all features are cached" in log.text
    assert f"MSTL_CACHE_SIZE ({show_size(3 * size)})" in log.text


def test_a_shard_as_large_as_the_limit_fits_exactly(log):
    items = rows(1, (1000,))
    store().put(items)
    size = shard_of(store()).stat().st_size
    clear()
    store(limit=size - 1).put(items)
    assert not features_folder().exists() or list_folders() == []
    assert len(log.messages) == 1
    store(limit=size).put(items)
    same(store().get(items), items)


def test_a_limit_of_nothing_neither_writes_nor_reads(log, monkeypatch):
    items = rows(1)
    monkeypatch.setenv("MSTL_CACHE_SIZE", "0")
    off = FeatureCache(DESCRIPTION)
    off.put(items)
    assert not features_folder().exists()
    store().put(items)
    assert off.get(items) == {}
    same(store().get(items), items)  # nothing was removed
    assert log.messages == []


def test_what_a_killed_run_left_is_removed_after_a_day():
    one = store()
    one.put(rows(1))
    new, old = one.folder / ".abc-1.safetensors", one.folder / ".abc-2.safetensors"
    for path in (new, old):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 100_000,) * 2)
    one.put(rows(1, seed=1))
    assert new.exists() and not old.exists()
    same(store().get(["0-0", "1-0"]), {**rows(1), **rows(1, seed=1)})


def test_packs_of_earlier_versions_are_no_shards_but_are_counted_evicted_and_cleared(log):
    one = store(limit=2000)
    old = features_folder() / ("0" * 32)
    for folder in (old, one.folder):
        folder.mkdir(parents=True)
        (folder / "space.json").write_text("{}")
        (folder / "x.pack").write_bytes(b"MSTLPACK" + bytes(1000))
    assert one.get(["a"]) == {} and log.messages == []
    assert sorted((folder.rows, folder.bytes) for folder in list_folders()) == [(0, 1008), (0, 1008)]
    one.put(rows(1))
    assert len(list(features_folder().rglob("*.pack"))) == 1
    assert clear() > 1008
    assert list(features_folder().iterdir()) == []


# what the command uses


def test_list_folders():
    assert list_folders() == []
    store(stage="layer3").put(rows(2))
    age(store(stage="layer3"), 1000)
    one = store()
    one.put(rows(2, seed=1))
    one.put({**rows(1, seed=1), **rows(2, seed=2)})
    (one.folder / "bad.safetensors").write_bytes(b"123")
    new, old = list_folders()
    assert (new.name, new.description, new.rows) == (one.folder.name, DESCRIPTION, 4)
    assert new.bytes == sum(path.stat().st_size for path in one.folder.glob("*.safetensors"))
    assert (old.description["stage"], old.rows) == ("layer3", 2)
    assert abs(time.time() - 1000 - old.last_used) < 100
    assert (one.folder / "bad.safetensors").exists()


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "\udcff"])
def test_a_description_that_cannot_be_read_is_empty(text):
    one = store()
    one.put(rows(1))
    path = one.folder / "description.json"
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert [folder.description for folder in list_folders()] == [{}]
    one.put(rows(1))
    assert [folder.description for folder in list_folders()] == [{} if text is not None else DESCRIPTION]


def test_clear_everything_but_what_is_not_ours():
    for stage in ("a", "b"):
        store(stage=stage).put(rows(2))
    foreign = [features_folder() / "note.txt", store(stage="b").folder / "note.txt"]
    for path in foreign:
        path.write_text("mine")
    (store(stage="a").folder / ".half.safetensors").write_bytes(b"12345")
    (store(stage="a").folder / ".description-1.json").write_text("{")
    size = sum(folder.bytes for folder in list_folders())
    assert clear() == size > 5
    assert sorted(path for path in features_folder().rglob("*") if path.is_file()) == sorted(foreign)
    assert clear() == 0


def test_clear_some():
    stores = [store(stage=stage) for stage in "abc"]
    for one in stores:
        one.put(rows(2))
    first, second, third = (one.folder.name for one in stores)
    size = shard_of(stores[0]).stat().st_size
    assert clear([first[:8], first]) == size
    assert {folder.name for folder in list_folders()} == {second, third}
    for wrong in ("", "xyz", "*", "..", first):
        with pytest.raises(MstlError, match="no cached features are named"):
            clear([second, wrong])
    assert len(list_folders()) == 2


def test_clear_wants_a_name_that_means_one():
    for number in range(17):  # of 17 names, two begin with the same of 16 digits
        store(stage=number).put(rows(1))
    firsts = [folder.name[0] for folder in list_folders()]
    digit = max(firsts, key=firsts.count)
    with pytest.raises(MstlError, match=f"'{digit}' may mean .* or .*: give more"):
        clear([digit])
    assert len(list_folders()) == 17


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2GB", 2_000_000_000),
        ("500MB", 500_000_000),
        ("500 mb", 500_000_000),
        (" 1.5Gb ", 1_500_000_000),
        ("0", 0),
        ("0GB", 0),
        ("12KB", 12_000),
        ("3TB", 3 * 10**12),
        ("999B", 999),
        ("0.1GB", 100_000_000),
    ],
)
def test_sizes(text, size, monkeypatch):
    assert parse_size(text) == size
    monkeypatch.setenv("MSTL_CACHE_SIZE", text)
    assert size_limit() == size == FeatureCache(DESCRIPTION).limit


@pytest.mark.parametrize(
    "text", ["much", "-1GB", "4", "GB", "1e9B", "1,5GB", "2GiB", "nan", "inf", "1..5GB", "٣GB", " ", "9" * 400 + "GB"]
)
def test_nonsense_is_no_size(text, monkeypatch):
    monkeypatch.setenv("MSTL_CACHE_SIZE", text)
    with pytest.raises(MstlError, match="MSTL_CACHE_SIZE is .*, not a size"):
        FeatureCache(DESCRIPTION)


def test_the_default_size(monkeypatch):
    assert size_limit() == 4 * 10**9
    monkeypatch.setenv("MSTL_CACHE_SIZE", "")
    assert size_limit() == 4 * 10**9


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (999_499, "999 KB"),
        (999_500, "1 MB"),
        (12_345_678, "12.3 MB"),
        (4 * 10**9, "4 GB"),
        (1_234_000_000_000, "1.23 TB"),
    ],
)
def test_sizes_as_text(size, text):
    assert show_size(size) == text
