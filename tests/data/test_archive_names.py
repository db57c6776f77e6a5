"""Names in archives are read as they were meant, and none leads out of the folder."""

import os
import struct
import zlib

import pytest

from mstl.data.finding.archives import archive, archive_places
from mstl.data.finding.archives.archive_names import encoding_of, folders_and_file, shortened
from mstl.errors import MstlError
from tests.data.archives import Member, files_in, image, write_tar, write_zip


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MSTL_HOME", str(tmp_path / "home"))


WORDS = [
    ("gbk", ["猫", "狗"]),
    ("gbk", ["猫"]),  # its two bytes are also an è in UTF-8
    ("gbk", ["鹦鹉", "蜻蜓"]),  # rare characters
    ("gbk", ["训练集", "测试集"]),
    ("gbk", ["第1类", "第2类（新）"]),
    ("big5", ["貓", "狗"]),
    ("big5", ["訓練", "測試"]),
    ("cp932", ["猫", "犬"]),
    ("cp932", ["ネコ", "イヌ"]),
    ("cp932", ["ソフト", "表示"]),  # with bytes that are backslashes in ASCII
    ("cp437", ["café", "Übung"]),
    ("cp437", ["Château", "pâtes", "été"]),
    ("cp850", ["maçã", "limão"]),
    ("cp866", ["кот", "собака"]),
    ("cp1252", ["café", "brûlée"]),
    ("cp1251", ["кот", "собака"]),
    ("utf-8", ["猫", "狗"]),
    ("utf-8", ["café"]),
    ("utf-8", ["cafe\u0301"]),
    ("utf-8", ["кот", "да"]),
    ("utf-8", ["лимон", "банан"]),
    ("utf-8", ["cat’s"]),
    ("utf-8", ["😀"]),
]


@pytest.mark.parametrize(("encoding", "words"), WORDS)
def test_the_encoding_is_found(encoding, words):
    guess = encoding_of([f"{word}/img 1.jpg".encode(encoding) for word in words])
    read = [word.encode(encoding).decode(guess.encoding) for word in words]
    assert (read, guess.makes_sense) == (words, True)
    assert guess.certain == (encoding == "utf-8")


def test_nonsense_is_called_so():
    assert not encoding_of([b"\xb0\xb1\xdb/1.jpg", b"\xfe\xb2\x9b\xdc/1.jpg"]).makes_sense


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_names_in_gbk_are_classes_and_it_is_said(tmp_path, caplog, write):
    caplog.set_level("INFO", logger="mstl")
    members = {f"{name}/{n}.jpg".encode("gbk"): image(n) for name in ("猫", "狗") for n in (1, 2)}
    folder = archive.unpacked(write(tmp_path / ("x.zip" if write is write_zip else "x.tar.gz"), members))
    assert files_in(folder) == ["狗/1.jpg", "狗/2.jpg", "猫/1.jpg", "猫/2.jpg"]
    said = [record.message for record in caplog.records if "encoded" in record.message]
    assert len(said) == 1 and "GBK" in said[0] and "猫/1.jpg" in said[0]


def test_names_that_make_no_sense_are_said(tmp_path, caplog):
    archive.unpacked(write_zip(tmp_path / "x.zip", {b"\xb0\xb1\xdb/1.jpg": image(), b"\xfe\xb2\x9b/1.jpg": image()}))
    assert "names in x.zip cannot be read for certain" in caplog.text


def test_names_in_utf8_need_no_word(tmp_path, caplog):
    caplog.set_level("INFO", logger="mstl")
    plain = write_zip(tmp_path / "x.zip", {"猫/1.jpg".encode(): image(), "狗/é.jpg": image()})
    assert files_in(archive.unpacked(plain)) == ["狗/é.jpg", "猫/1.jpg"]
    assert "encoded" not in caplog.text


def test_info_zips_own_field_is_believed_if_it_is_about_this_name(tmp_path):
    raw, named = b"\x9f\x9f/1.jpg", "猫/1.jpg".encode()

    def field(crc):
        return struct.pack("<HHBL", 0x7075, 5 + len(named), 1, crc) + named

    path = write_zip(tmp_path / "a.zip", [(Member(raw, field(zlib.crc32(raw))), image())])
    assert files_in(archive.unpacked(path)) == ["猫/1.jpg"]
    path = write_zip(tmp_path / "b.zip", [(Member(raw, field(1)), image())])
    assert files_in(archive.unpacked(path)) != ["猫/1.jpg"]


def test_backslashes_are_folders(tmp_path):
    members = {"pets\\cat\\1.jpg": image(), "pets/dog\\1.jpg": image(), "pets\\cat\\": b"", ".\\cow//1.jpg": image()}
    folder = archive.unpacked(write_zip(tmp_path / "x.zip", members))
    assert files_in(folder) == ["cow/1.jpg", "pets/cat/1.jpg", "pets/dog/1.jpg"]


@pytest.mark.parametrize(
    "name",
    ["../x.jpg", "a/../../x.jpg", "a\\..\\..\\x.jpg", "/x.jpg", "\\x.jpg", "C:\\x.jpg", "C:x.jpg", "a/C:/x.jpg"]
    + ["\\\\server\\share\\x.jpg", "//server/share/x.jpg", "..", "a/..", "..\\..\\x.jpg"],
)
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    assert folders_and_file(name) is None
    path = write_zip(tmp_path / "x.zip", {"cat/1.jpg": image(), name: image()})
    with pytest.raises(MstlError, match="would land outside its folder") as error:
        archive.unpacked(path)
    assert "\n" not in str(error.value)
    assert [item.name for item in (tmp_path / "home" / "data").iterdir() if item.is_dir()] == []


def test_the_folder_itself_may_be_a_member(tmp_path):
    """As in `tar cz .`."""
    members = {"./": b"", "./cat/": b"", "./cat/1.jpg": image()}
    assert files_in(archive.unpacked(write_zip(tmp_path / "x.zip", members))) == ["cat/1.jpg"]
    with pytest.raises(MstlError, match="outside"):
        archive.unpacked(write_tar(tmp_path / "x.tar", {".": b"x"}, "w"))


def test_names_of_devices_are_left_out_and_said(tmp_path, caplog):
    members = dict.fromkeys(["cat/1.jpg", "cat/NUL.jpg", "con/1.jpg", "cat/console.jpg"], image())
    assert files_in(archive.unpacked(write_zip(tmp_path / "x.zip", members))) == ["cat/1.jpg", "cat/console.jpg"]
    assert "of x.zip, 2 files are left out (the name of a device for Windows), such as cat/NUL.jpg" in caplog.text


def test_a_name_that_is_too_long_keeps_its_beginning_and_suffix(tmp_path, caplog):
    names = ["猫" * 100 + f"{n}.jpg" for n in (1, 2)]  # 304 bytes, more than a file system takes
    folder = archive.unpacked(write_zip(tmp_path / "x.zip", {f"cat/{name}": image(n) for n, name in enumerate(names)}))
    found = sorted(path.name for path in (folder / "cat").iterdir())
    assert len(found) == 2
    assert all(name.startswith("猫" * 50) and name.endswith(".jpg") and len(os.fsencode(name)) <= 255 for name in found)
    assert "2 files are renamed (a name too long for the disk)" in caplog.text


def test_shortened():
    assert shortened("a.jpg", 20) == "a.jpg"
    assert len(shortened("a" * 30, 20)) == 20
    assert shortened("a" * 30 + "1.jpg", 20) != shortened("a" * 30 + "2.jpg", 20)
    assert len(os.fsencode(shortened("é" * 30 + "." + "x" * 30, 21))) <= 21
    assert shortened("\udce9" * 30, 20).startswith("\udce9")


@pytest.mark.parametrize("name", ["猫" * 80, "pets" * 50, "a" * 250])
def test_the_archives_own_name_may_be_long(tmp_path, name):
    short = shortened(name, 200) + ".zip"
    assert files_in(archive.unpacked(write_zip(tmp_path / short, {"cat/1.jpg": image()}))) == ["cat/1.jpg"]


def test_two_names_of_one_file_are_refused(tmp_path):
    path = write_zip(tmp_path / "x.zip", [("cat/1.jpg", image(1)), ("cat\\1.jpg", image(2))])
    with pytest.raises(MstlError, match="are one file: rename one"):
        archive.unpacked(path)


def test_the_last_of_two_members_of_one_name_is_taken_and_said(tmp_path, caplog):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = write_zip(tmp_path / "x.zip", [("cat/1.jpg", image(1)), ("cat/1.jpg", image(2))])
    assert (archive.unpacked(path) / "cat" / "1.jpg").read_bytes() == image(2)
    assert "1 file is there twice (the last is taken), such as cat/1.jpg" in caplog.text


@pytest.mark.parametrize(
    ("one", "two"), [("cat/1.jpg", "CAT/2.jpg"), ("cat/a.jpg", "cat/A.jpg"), ("caf\u00e9/1.jpg", "cafe\u0301/2.jpg")]
)
def test_a_disk_that_folds_case(tmp_path, monkeypatch, one, two):
    monkeypatch.setattr(archive_places, "folds_names", lambda folder: True)
    path = write_zip(tmp_path / "x.zip", {one: image(1), two: image(2)})
    with pytest.raises(MstlError, match="one name on this disk"):
        archive.unpacked(path)


def test_a_zip_without_permission_bits(tmp_path):
    members = [(Member("cat", attributes=0x10), b""), (Member("cat/1.jpg", attributes=0), image())]
    folder = archive.unpacked(write_zip(tmp_path / "x.zip", members))
    assert (folder / "cat" / "1.jpg").read_bytes() == image()
    assert os.access(folder / "cat" / "1.jpg", os.R_OK | os.W_OK)
