"""Files: whole or not there, with the permissions that any other program's would have, and told in time."""

import errno
import os
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

from mstl import MstlError
from mstl import files as files_module
from mstl.checkpoint import save_checkpoint
from mstl.files import atomic_folder, atomic_path, check_output_file, check_output_folder, write_text
from tests.conftest import environment

ARRAYS = {"a": np.zeros((400, 400), np.float32), "b": np.zeros((400, 400), np.float32)}


def no_room(*_arguments, **_options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_whole_or_not_there(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        assert temporary.parent == tmp_path and temporary.name.startswith(".") and temporary.suffix == ".txt"
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_is_whole_or_not_there(tmp_path):
    target = tmp_path / "folder"
    with pytest.raises(ZeroDivisionError), atomic_folder(target) as temporary:
        (temporary / "half").touch()
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    with atomic_folder(target) as temporary:
        (temporary / "one").touch()
    with pytest.raises(OSError, match="not empty"), atomic_folder(target) as temporary:  # another process was faster
        (temporary / "two").touch()
    assert os.listdir(tmp_path) == ["folder"] and os.listdir(target) == ["one"]


MODES = """
import os, stat, sys
from pathlib import Path
import numpy as np
from mstl.checkpoint import save_checkpoint
from mstl.data.finding.archives.archive import unpack
from mstl.files import atomic_folder, lock, write_text

os.umask(int(sys.argv[1], 8))
write_text("text.json", "1")
save_checkpoint("a.ckpt", {"a": np.zeros(3, np.float32)}, {})  # MindSpore makes it readable alone
save_checkpoint("a.safetensors", {"a": np.zeros(3, np.float32)}, {})
with atomic_folder("folder") as fresh:
    (fresh / "file").touch()
unpack(Path("archive.zip"), Path("unpacked"))
with lock(Path("locked")):
    pass
Path("plain").touch()
Path("plain folder").mkdir()
for path in sorted(Path().rglob("*")):
    print(oct(stat.S_IMODE(path.stat().st_mode)), path.is_dir(), path)
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(("umask", "file", "folder"), [("077", "0o600", "0o700"), ("002", "0o664", "0o775")])
def test_files_and_folders_have_the_modes_of_any_other_programs(tmp_path, umask, file, folder):
    import zipfile

    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("folder/file", "x")
    (tmp_path / "archive.zip").chmod(int(file, 8))
    done = subprocess.run(
        [sys.executable, "-c", MODES, umask],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    assert len(lines) == 12
    assert {(mode, is_folder) for mode, is_folder, _ in lines} == {(file, "False"), (folder, "True")}


def test_the_umask_of_the_process_stays_as_it_is(tmp_path, monkeypatch):
    """For a moment it would be that of all threads, whose files would be writable for everybody."""
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("it is changed"))
    write_text(tmp_path / "a.txt", "x")


def test_file_and_folder_are_flushed(tmp_path, monkeypatch):
    """The file before it gets its name; then the folder, which has the name."""
    events = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda number: events.append(os.readlink(f"/proc/self/fd/{number}")))
    monkeypatch.setattr(os, "replace", lambda a, b: events.append("renamed") or replace(a, b))
    write_text(tmp_path / "a.txt", "x")
    assert [os.path.basename(event).split("-")[0] for event in events] == [".a", "renamed", tmp_path.name.split("-")[0]]


# a full disk


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
def test_a_full_disk_leaves_nothing_and_says_one_line(tmp_path, suffix, capfd):
    """A limit on the size of files stands for it: the same error, and at the same place."""
    resource = pytest.importorskip("resource")
    save_checkpoint(tmp_path / f"best.{suffix}", {"a": np.ones(3, np.float32)}, {"epoch": 1})
    before = (tmp_path / f"best.{suffix}").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        message = f"cannot write .*best.{suffix}: .*; choose another folder, or make room"
        with pytest.raises(MstlError, match=message) as caught:
            save_checkpoint(tmp_path / f"best.{suffix}", ARRAYS, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value) and "None" not in str(caught.value)
    assert os.listdir(tmp_path) == [f"best.{suffix}"] and (tmp_path / f"best.{suffix}").read_bytes() == before
    assert "".join(capfd.readouterr()) == ""  # nothing of MindSpore's, either


def test_an_error_of_the_disk_says_which_file(tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "flush", no_room)
    with pytest.raises(OSError, match=r"No space left on device: '.*/history.csv'"):
        write_text(tmp_path / "history.csv", "x")
    assert os.listdir(tmp_path) == []


# told in time


def test_what_cannot_be_written_is_told_and_nothing_created(tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    check_output_file(tmp_path / "new" / "folders" / "file.csv")
    check_output_file(tmp_path / "file")
    check_output_folder(tmp_path / "new")
    for path, message in {
        tmp_path: "is a folder: give the name of a file",
        tmp_path / "file" / "a.csv": f"cannot write into the folder {tmp_path / 'file'}: ",
        tmp_path / "file" / "more" / "a.csv": "file is not a folder; choose another",
        tmp_path / "pipe": "pipe is not a file, but a device or the like",
        "/proc/self/nowhere/a.csv": "cannot write into the folder /proc/self",
    }.items():
        with pytest.raises(MstlError, match=message) as caught:
            check_output_file(path)
        assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe"]


def test_threads_may_write_at_once(tmp_path):
    """The permissions of each are its own, and so are the temporary names."""
    threads = [
        threading.Thread(target=write_text, args=(tmp_path / f"{number % 3}.txt", "x" * 1000)) for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(os.listdir(tmp_path)) == ["0.txt", "1.txt", "2.txt"]
    assert len({stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}) == 1
