"""A data set that comes as a zip is unpacked whole and inside its folder, or not at all."""

import errno
import io
import os
import stat
import subprocess
import sys
import tarfile
import threading
import zipfile

import pytest
from PIL import Image

import mstl.download.fetch
from mstl.data.finding import known_datasets
from mstl.data.finding.archives import archive
from mstl.errors import MstlError, OfflineError
from tests.server import Page, Server, wait_until

NAME = "Canidae_data.zip"
PATH = "/notebook/datasets/intermediate/" + NAME
PHOTOS = [
    f"data/Canidae/{part}/{kind}/{n}.jpg" for part in ("train", "val") for kind in ("dogs", "wolves") for n in "12"
]


def make_zip(members, compression=zipfile.ZIP_DEFLATED):
    """A zip's bytes, from names (or ZipInfo) and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def photo(number):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(buffer, "JPEG")
    return buffer.getvalue()


def damaged(content):
    """A zip of one stored member, one byte of which has changed, so that its CRC is wrong."""
    plain = make_zip({"data/Canidae/train/a.jpg": content}, zipfile.ZIP_STORED)
    return plain.replace(content, bytes([content[0] ^ 1]) + content[1:], 1)


def marked_encrypted(plain):
    """The zip, with the flag that says "encrypted" in the local and the central header."""
    changed = bytearray(plain)
    changed[plain.index(b"PK\3\4") + 6] |= 1
    changed[plain.index(b"PK\1\2") + 8] |= 1
    return bytes(changed)


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


GOOD = make_zip({name: photo(number) for number, name in enumerate(PHOTOS)})
BAD = {
    "no zip": b"<html>not found</html>",
    "empty": b"",
    "cut": GOOD[: len(GOOD) // 2],
    "crc": damaged(b"some bytes of a photo"),
    "deflate": GOOD.replace(photo(0)[-200:-100], b"\0" * 100)[:60] + b"\xff" * 20 + GOOD[80:],
    "encrypted": marked_encrypted(make_zip({PHOTOS[0]: b"secret"})),
    "nameless": make_zip({"name": b"x"}).replace(b"name", b"\0ame"),
    "parent": make_zip({"data/Canidae/../../../escaped": b"x"}),
    "absolute": make_zip({"/escaped": b"x"}),
    "backslashes": make_zip({"data\\..\\..\\escaped": b"x"}),
    "drive": make_zip({"C:\\escaped": b"x"}),
    "link": make_zip({link("data/Canidae"): b"/etc"}),
    "link to itself": make_zip({link("data/Canidae/train"): b"."}),
    "file and folder": make_zip({"data": b"x", "data/Canidae/train": b"x"}),
    "another data set": make_zip({"data/Felidae/train/cats/1.jpg": photo(1)}),
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The folder of the data sets in an empty cache."""
    for name in ("MSTL_MIRROR", "MSTL_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(mstl.download.fetch, "PAUSE", 0.01)
    (tmp_path / "home" / "data").mkdir(parents=True)
    return tmp_path / "home" / "data"


@pytest.fixture
def server(monkeypatch, data):
    with Server() as running:
        running.pages[PATH] = Page(GOOD)
        monkeypatch.setenv("MSTL_MIRROR", running.url)
        yield running


def left(folder):
    """What lies there, lock files aside."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def refusal(function, *args, error=MstlError):
    with pytest.raises(error) as caught:
        function(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_good_archive(server, data, monkeypatch):
    folder = known_datasets.get("Canidae")
    assert folder == data / "Canidae" / "data" / "Canidae"
    assert sorted(path.name for path in (folder / "train").iterdir()) == ["dogs", "wolves"]
    for number, name in enumerate(PHOTOS):
        assert (data / "Canidae" / name).read_bytes() == photo(number)
    assert left(data) == ["Canidae"], "the zip is not needed any more"
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    server.requests.clear()
    assert known_datasets.get("Canidae") == folder
    assert not server.requests


def test_what_is_unpacked_has_ordinary_permissions(server, data):
    other = data / "other"
    other.mkdir()
    (other / "file").touch()
    known_datasets.get("Canidae")
    assert (data / "Canidae").stat().st_mode == other.stat().st_mode
    assert (data / "Canidae" / PHOTOS[0]).stat().st_mode == (other / "file").stat().st_mode


def test_offline_says_what_to_copy_where(data, monkeypatch):
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    line = refusal(known_datasets.get, "Canidae", error=OfflineError)
    assert known_datasets.KNOWN["Canidae"].url in line and str(data / NAME) in line and "--data demo" in line


def test_a_zip_that_the_user_has_put_there(data, monkeypatch):
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    (data / NAME).write_bytes(GOOD)
    assert (known_datasets.get("Canidae") / "train" / "dogs").is_dir()
    assert (data / NAME).read_bytes() == GOOD


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_download_does_not_stay(server, data, kind):
    server.pages[PATH].body = BAD[kind]
    line = refusal(known_datasets.get, "Canidae")
    assert str(data / NAME) in line and "deleted" in line
    assert left(data) == []
    assert not list(data.parent.parent.rglob("escaped"))
    server.pages[PATH] = Page(GOOD)
    assert known_datasets.get("Canidae").is_dir()


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_zip_of_the_users_is_named_and_stays(data, kind):
    (data / NAME).write_bytes(BAD[kind])
    line = refusal(known_datasets.get, "Canidae")
    assert str(data / NAME) in line and "replace or delete it" in line
    assert left(data) == [NAME]
    assert (data / NAME).read_bytes() == BAD[kind]


def test_reasons_are_told_apart(tmp_path):
    lines = {}
    for kind, content in BAD.items():
        (tmp_path / "x.zip").write_bytes(content)
        lines[kind] = refusal(archive.unpack, tmp_path / "x.zip", tmp_path / "x", "data/Canidae")
    assert "CRC" in lines["crc"]
    assert "is encrypted" in lines["encrypted"] and "damaged" not in lines["encrypted"]
    assert "'data/Canidae/../../../escaped'" in lines["parent"]
    assert "link" in lines["link"] and "link" in lines["link to itself"]
    assert "no folder data/Canidae" in lines["another data set"]
    assert "is a web page" in lines["no zip"] and "is empty" in lines["empty"]
    for kind in ("cut", "deflate"):
        assert "damaged" in lines[kind], kind
    for kind in ("nameless", "parent", "absolute", "backslashes", "drive"):
        assert "outside" in lines[kind], kind
    assert left(tmp_path) == ["x.zip"]


def test_a_folder_of_the_users_in_the_way_stays(server, data):
    (data / "Canidae").mkdir()
    (data / "Canidae" / "notes.txt").write_text("mine")
    assert "in the way" in refusal(known_datasets.get, "Canidae")
    assert (data / "Canidae" / "notes.txt").read_text() == "mine"
    assert not server.requests


def test_another_process_finishes_first(tmp_path):
    (tmp_path / "x.zip").write_bytes(GOOD)
    theirs = tmp_path / "x" / "data" / "Canidae"
    theirs.mkdir(parents=True)
    (theirs / "whose").write_text("theirs")
    archive.unpack(tmp_path / "x.zip", tmp_path / "x", "data/Canidae")
    assert [path.name for path in theirs.iterdir()] == ["whose"]
    assert left(tmp_path) == ["x", "x.zip"]


def test_another_folder_in_the_way_of_unpacking(tmp_path):
    (tmp_path / "x.zip").write_bytes(GOOD)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "notes.txt").write_text("mine")
    assert "cannot unpack" in refusal(archive.unpack, tmp_path / "x.zip", tmp_path / "x", "data/Canidae")
    assert left(tmp_path / "x") == ["notes.txt"]


def test_the_second_process_waits_and_downloads_nothing(server, data):
    server.pages[PATH].silence = 0.5
    script = "from mstl.data.finding import known_datasets; known_datasets.get('Canidae')"
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait(20) for process in processes] == [0, 0]
    assert left(data) == ["Canidae"]
    assert len(server.requests) == 4, "both have downloaded it"


def test_the_second_uses_what_the_first_has_unpacked(server, data, caplog):
    caplog.set_level("INFO", logger="mstl")
    found = []
    second = threading.Thread(target=lambda: found.append(known_datasets.get("Canidae")))
    with archive.lock(data / "Canidae"):
        second.start()
        wait_until(lambda: "waiting" in caplog.text)
        (data / "Canidae" / "data" / "Canidae").mkdir(parents=True)
    second.join(10)
    assert found == [data / "Canidae" / "data" / "Canidae"]
    assert not server.requests


def test_a_full_disk_leaves_nothing(server, data, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("shutil.copyfileobj", fail)
    line = refusal(known_datasets.get, "Canidae")
    assert os.strerror(errno.ENOSPC) in line
    assert left(data) == []


def test_an_interrupted_unpacking_leaves_nothing(server, data, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.copyfileobj", interrupt)
    with pytest.raises(KeyboardInterrupt):
        known_datasets.get("Canidae")
    assert left(data) == []


def test_a_download_in_vain(server, data):
    del server.pages[PATH]
    line = refusal(known_datasets.get, "Canidae")
    assert "404" in line and str(data / NAME) in line
    assert left(data) == []


def test_a_home_that_cannot_be_written(server, data, monkeypatch):
    (data / "file").touch()
    monkeypatch.setenv("MSTL_HOME", str(data / "file"))
    assert str(data / "file") in refusal(known_datasets.get, "Canidae")
    assert not server.requests


def make_tar(members, mode="w:gz"):
    """A tar's bytes, from names (or TarInfo) and contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


MEMBERS = {name: photo(number) for number, name in enumerate(PHOTOS)}
BAD_TARS = {
    "no tar": b"<html>not found</html>" * 100,
    "empty": b"",
    "cut": make_tar(MEMBERS)[: len(make_tar(MEMBERS)) // 2],
    "cut at the end": make_tar(MEMBERS)[:-20],
    "crc": make_tar(MEMBERS)[:-6] + b"\0" * 6,
    "parent": make_tar({"data/../../escaped": b"x"}),
    "absolute": make_tar({"/escaped": b"x"}),
    "link": make_tar({special("data", tarfile.SYMTYPE, "/etc"): b""}),
    "hard link": make_tar({special("data/passwd", tarfile.LNKTYPE, "/etc/passwd"): b""}),
    "pipe": make_tar({special("data/pipe", tarfile.FIFOTYPE): b""}),
    "device": make_tar({special("data/null", tarfile.CHRTYPE): b""}),
    "file and folder": make_tar({"data": b"x", "data/Canidae/train": b"x"}),
}


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".TGZ", ".tar.bz2", ".tar.xz"])
def test_a_tar(tmp_path, data, suffix):
    mode = {".tar": "w", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}.get(suffix, "w:gz")
    path = tmp_path / ("my photos" + suffix)
    path.write_bytes(make_tar(MEMBERS, mode))
    assert archive.is_archive(path)
    folder = archive.unpacked(path)
    assert folder.parent == data and folder.name.startswith("my photos-")
    for name, content in MEMBERS.items():
        assert (folder / name).read_bytes() == content
        assert (folder / name).stat().st_mode & 0o777 == 0o644, "whatever the archive says"


@pytest.mark.parametrize("kind", BAD_TARS)
def test_a_bad_tar_leaves_nothing(tmp_path, data, kind):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(BAD_TARS[kind])
    assert str(path) in refusal(archive.unpacked, path)
    assert left(data) == []
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("bytes_kept", [600, 700, 1100])
def test_a_plain_tar_that_breaks_off(tmp_path, data, bytes_kept):
    """In a member's content, in a header, between them: tarfile itself takes some for the end."""
    (tmp_path / "x.tar").write_bytes(make_tar({"a": b"a" * 100, "b": b"b" * 100}, "w")[:bytes_kept])
    assert "x.tar" in refusal(archive.unpacked, tmp_path / "x.tar")
    assert left(data) == []


def test_an_archive_of_the_users_is_unpacked_once_and_anew_when_it_changes(tmp_path, data):
    path = tmp_path / "x.zip"
    path.write_bytes(GOOD)
    folder = archive.unpacked(path)
    (folder / "mark").touch()
    assert (archive.unpacked(path) / "mark").exists()
    path.write_bytes(make_zip(MEMBERS, zipfile.ZIP_STORED))
    other = archive.unpacked(path)
    assert other != folder and not (other / "mark").exists()
    assert path.exists()


def test_a_wrong_hash_is_refused(server, data, monkeypatch):
    server.pages["/tutorial/hymenoptera_data.zip"] = Page(make_zip({"hymenoptera_data/train/ants/1.jpg": photo(1)}))
    assert "sha256" in refusal(known_datasets.get, "hymenoptera")
    assert left(data) == []


def test_class_folders_with_numbers_get_their_names(server, data):
    numbers = {f"imagenette2-160/{part}/n03000684/1.jpg": photo(1) for part in ("train", "val")}
    server.pages["/fast-ai-imageclas/imagenette2-160.tgz"] = Page(make_tar(numbers))
    folder = known_datasets.get("imagenette")
    assert [path.name for path in (folder / "val").iterdir()] == ["chain saw"]


def test_the_table():
    for name, entry in known_datasets.KNOWN.items():
        assert entry.url.startswith("https://") and archive.is_archive(entry.url), name
        assert entry.sha256 is None or len(bytes.fromhex(entry.sha256)) == 32
        assert entry.what and "\n" not in entry.what
