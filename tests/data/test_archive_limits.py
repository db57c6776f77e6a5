"""Bombs are stopped before they fill the disk or the memory, and leave nothing; what is no archive is named."""

import gzip
import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from types import SimpleNamespace

import pytest

from mstl.data.finding.archives import archive, archive_limits
from mstl.data.finding.sources import find_dataset
from mstl.errors import MstlError
from tests.conftest import environment
from tests.data.archives import files_in, image, write_tar, write_zip

ZEROS = bytes(10_000_000)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def refusal(path):
    with pytest.raises(MstlError) as error:
        archive.unpacked(path)
    data = archive.home() / "data"
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    assert not data.exists() or [item.name for item in data.iterdir() if item.suffix != ".lock"] == []
    return str(error.value)


@pytest.fixture
def small_limit(monkeypatch):
    monkeypatch.setattr(archive_limits, "HARMLESS", 3_000_000)


def test_a_zip_of_zeros(tmp_path, small_limit):
    assert "over 100 times its size" in refusal(write_zip(tmp_path / "x.zip", {"a.bmp": ZEROS}))


def test_a_bomb_in_archives_in_a_zip(tmp_path, small_limit):
    inner = write_zip(tmp_path / "inner.zip", {"a.bmp": bytes(1_000_000)}).read_bytes()
    assert "over 100 times" in refusal(write_zip(tmp_path / "x.zip", {f"{n}.zip": inner for n in range(9)}))


def test_a_tar_of_zeros(tmp_path, small_limit):
    assert "over 100 times" in refusal(write_tar(tmp_path / "x.tar.xz", {"a.bmp": ZEROS}, "w:xz"))


def test_a_sparse_file_in_a_tar(tmp_path, small_limit):
    """Its size stands in its header, its zeros nowhere."""
    info = tarfile.TarInfo("a.bmp")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = bytes(24)
    header[483:495] = b"%011o\0" % 10**9  # the real size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "x.tar").write_bytes(bytes(header) + bytes(1024))
    assert "over 100 times" in refusal(tmp_path / "x.tar")


def test_zeros_after_the_end_of_a_tar(tmp_path, small_limit):
    path = write_tar(tmp_path / "x.tar.gz", {"cat/1.jpg": image()})
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + ZEROS))
    assert "over 100 times" in refusal(path)


def test_a_header_of_a_tar_that_would_fill_the_memory(tmp_path, small_limit):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 10**11
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(info.tobuf() + ZEROS))
    refusal(tmp_path / "x.tar.gz")


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_limits, "FILES", 5)
    many = {f"cat/{n}.jpg": b"" for n in range(6)}
    assert "more than 5 files" in refusal(write_zip(tmp_path / "x.zip", many))
    assert "more than 5 files" in refusal(write_tar(tmp_path / "x.tar.gz", many))


def test_too_little_room(tmp_path, monkeypatch):
    free = archive_limits.RESERVE + 9000
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    big = {"cat/1.jpg": os.urandom(10_000)}
    for path in (write_zip(tmp_path / "x.zip", big), write_tar(tmp_path / "x.tar", big, "w")):
        assert "no room to unpack" in refusal(path) and "MSTL_HOME" in refusal(path)
    archive.unpacked(write_zip(tmp_path / "small.zip", {"cat/1.jpg": image()}))


def test_archives_in_archives_without_an_end(tmp_path):
    path = write_zip(tmp_path / "0.zip", {"notes.md": b"x"})
    for n in range(1, 6):
        path = write_zip(tmp_path / f"{n}.zip", {f"{n - 1}.zip": path.read_bytes()})
    assert "archives in archives" in refusal(path)


def gzipped(content):
    return gzip.compress(content)


WHOLE = {"cat/1.jpg": os.urandom(3000), "dog/1.jpg": os.urandom(3000)}
OTHERS = {
    "7z": ("x.7z", b"7z\xbc\xaf\x27\x1c" + bytes(100), "7z archive"),
    "rar": ("x.rar", b"Rar!\x1a\x07\x01\0" + bytes(100), "RAR archive"),
    "rar named zip": ("x.zip", b"Rar!\x1a\x07\0" + bytes(100), "RAR archive"),
    "7z without suffix": ("x", b"7z\xbc\xaf\x27\x1c" + bytes(100), "7z archive"),
    "zstandard": ("x.tar.zst", b"\x28\xb5\x2f\xfd" + bytes(100), "Zstandard"),
    "web page": ("x.zip", b"\n<!DOCTYPE html><html><title>Sign in</title>", "web page"),
    "expired": ("x.zip", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code>', "XML page"),
    "git-lfs": ("x.tar.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "pointer of git-lfs"),
    "empty": ("x.zip", b"", "is empty"),
    "image": ("x.zip", image(), "an image"),
    "text": ("x.tar", b"hello" * 300, "no tar"),
    "gzip of text": ("x.tgz", gzipped(b"hello" * 300), "gzip"),
    "first part": ("x.zip.001", b"PK\3\4" + bytes(100), "several parts"),
    "part": ("x.z01", b"PK\7\x08PK\3\4" + bytes(100), "several parts"),
    "part of a rar": ("x.part1.rar", b"Rar!\x1a\x07\0" + bytes(100), "several parts"),
    "part of a tar": ("x.tar.gz.aa", gzipped(b"hello"), "several parts"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_not_read_is_named(tmp_path, kind):
    name, content, words = OTHERS[kind]
    (tmp_path / name).write_bytes(content)
    assert archive.is_archive(tmp_path / name)
    assert words in refusal(tmp_path / name)


def test_the_last_part_of_a_split_zip(tmp_path):
    content = bytearray(write_zip(tmp_path / "x.zip", WHOLE).read_bytes())
    content[-18:-16] = struct.pack("<H", 2)  # the number of this disk
    for begin in (0, 50):  # the last part may begin anywhere in a member
        (tmp_path / "x.zip").write_bytes(content[begin:])
        assert "several parts" in refusal(tmp_path / "x.zip")


def test_a_compression_that_python_does_not_read(tmp_path):
    content = write_zip(tmp_path / "x.zip", {"a.jpg": b"x"}).read_bytes()
    for mark, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        where = content.index(mark) + at
        content = content[:where] + struct.pack("<H", 9) + content[where + 2 :]  # Deflate64
    (tmp_path / "x.zip").write_bytes(content)
    assert "method 9" in refusal(tmp_path / "x.zip")


def test_names_marked_as_utf8_that_are_not(tmp_path):
    content = write_zip(tmp_path / "x.zip", {"é.jpg": b"x"}).read_bytes()
    (tmp_path / "x.zip").write_bytes(content.replace("é".encode(), b"\xe9\xff"))
    assert "marked as UTF-8" in refusal(tmp_path / "x.zip")


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz"])
def test_wherever_an_archive_breaks_off(tmp_path, name):
    write = write_zip if name == "x.zip" else write_tar
    content = write(tmp_path / name, WHOLE).read_bytes()
    for kept in (5, 100, 1000, 3500, len(content) - 300, len(content) - 20, len(content) - 1):
        (tmp_path / name).write_bytes(content[:kept])
        assert "again" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("x.zip", "w"), ("x.tar", "w:gz"), ("x.tgz", "w:xz"), ("x.tar.gz", "w:bz2"), ("download", "w:gz")],
)
def test_a_wrong_suffix_does_no_harm(tmp_path, name, mode):
    assert archive.is_archive(write_tar(tmp_path / name, WHOLE, mode))
    assert files_in(archive.unpacked(tmp_path / name)) == ["cat/1.jpg", "dog/1.jpg"]


@pytest.mark.parametrize("name", ["x.tar.gz", "pets", "pets.jpg", "pets.zip (1)"])
def test_a_zip_under_another_name(tmp_path, name):
    write_zip(tmp_path / name, WHOLE)
    assert archive.is_archive(tmp_path / name)
    assert files_in(archive.unpacked(tmp_path / name)) == ["cat/1.jpg", "dog/1.jpg"]


def test_weights_and_documents_are_no_data_although_they_are_zips(tmp_path):
    for name, member in (("best.pth", "best/data.pkl"), ("x.docx", "[Content_Types].xml"), ("x.npz", "a.npy")):
        assert not archive.is_archive(write_zip(tmp_path / name, {member: b"x"}))
        with pytest.raises(MstlError, match="cannot be data"):
            find_dataset(tmp_path / name)


def test_two_processes_unpack_at_once(tmp_path, home):
    path = write_zip(tmp_path / "x.zip", {f"cat/{n}.jpg": os.urandom(2000) for n in range(300)})
    script = f"from mstl.data.finding import archive; print(archive.unpacked({str(path)!r}))"
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment()) for _ in range(3)
    ]
    folders = {process.communicate(timeout=30)[0] for process in processes}
    assert len(folders) == 1
    assert len(files_in(archive.unpacked(path))) == 300


def test_what_a_killed_process_has_left_goes_with_the_next_try(tmp_path, home):
    path = write_zip(tmp_path / "x.zip", WHOLE)
    folder = archive.unpacked(path)
    left = folder.with_name(f".{folder.name}-0123abcd")
    shutil.move(folder, left)
    assert archive.unpacked(path) == folder
    assert not left.exists()


def test_members_are_streamed(tmp_path):
    """A file of 50 MB, which compresses badly enough, does not take 50 MB of memory at a time."""
    sizes = []
    original = zipfile.ZipExtFile.read

    def read(self, n=-1):
        data = original(self, n)
        sizes.append(len(data))
        return data

    content = io.BytesIO(os.urandom(5_000_000)).getvalue()
    path = write_zip(tmp_path / "x.zip", {"cat/1.jpg": content})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile.ZipExtFile, "read", read)
        folder = archive.unpacked(path)
    assert (folder / "cat" / "1.jpg").read_bytes() == content
    assert sizes and max(sizes) <= 1 << 20
