"""The manifest: what a run used, as a file that says the same when it is read again."""

import hashlib
from pathlib import Path

import pytest

from mstl import MstlError
from mstl.data.load_data import load_data
from mstl.data.manifest import Manifest, ManifestRow
from tests.conftest import write_photo

ODD = (
    "plain.jpg",
    "with, comma.jpg",
    'quote".jpg',
    "back\\slash\\x41.jpg",
    "line\nbreak\r.jpg",
    "caf\udce9.jpg",
    "\u72fc.jpg",
)


def test_every_image_and_every_file_left_out_is_in_it(tmp_path):
    data = tmp_path / "data"
    for label, color in (("blue", (40, 60, 200)), ("red", (210, 50, 40))):
        for index in range(4):
            write_photo(data / label / f"{index}.jpg", color, index)
    (data / "red" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    write_photo(data / "loose.jpg", (1, 2, 3))
    train, val = load_data(data, val_split=0.25)
    manifest = Manifest.of(train, val)
    used = {row.path: row for row in manifest.used}
    assert len(used) == 8 and {row.split for row in used.values()} == {"train", "val"}
    for images in (train, val):
        for sample in images.samples:
            content = hashlib.sha256(Path(sample.path).read_bytes()).hexdigest()
            assert used[sample.path] == ManifestRow(sample.path, sample.label, sample.split, content)
    left_out = {row.path: row for row in manifest.rows if row.left_out}
    assert set(left_out) == {str(data / "red" / "broken.jpg"), str(data / "loose.jpg")}
    broken = left_out[str(data / "red" / "broken.jpg")]
    assert (broken.label, broken.split, broken.sha256) == ("red", "", "")


@pytest.mark.parametrize("name", ODD)
def test_any_name_comes_back_from_one_line(tmp_path, name):
    manifest = Manifest((ManifestRow(f"a/{name}", name, "train", "0" * 64), ManifestRow("b", "", "", "", name)))
    manifest.write(tmp_path / "manifest.csv")
    content = (tmp_path / "manifest.csv").read_bytes()
    assert len(content.decode("utf-8").splitlines()) == 3
    assert Manifest.read(tmp_path / "manifest.csv") == manifest
    assert hashlib.sha256(content).hexdigest() == manifest.digest


@pytest.mark.parametrize("content", [b"", b"path,label\n", b"path,label,split,sha256,left_out\na,b\n", b"\xff"])
def test_a_damaged_manifest_is_said(tmp_path, content):
    (tmp_path / "manifest.csv").write_bytes(content)
    with pytest.raises(MstlError, match="is damaged"):
        Manifest.read(tmp_path / "manifest.csv")
    with pytest.raises(MstlError, match="cannot read"):
        Manifest.read(tmp_path / "none.csv")
