"""Folders of runs: one for each run, whatever it is called and whoever starts at the same moment."""

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from mstl import MstlError, TrainConfig
from mstl.training import folder_lock, run_dir
from mstl.training.record import RunRecord


def new_state(folder):
    """What a run's folder is made from, without any image."""
    return SimpleNamespace(folder=folder, image_sets=(), config=TrainConfig(), record=RunRecord(), history=[])


@pytest.mark.parametrize("end", [KeyboardInterrupt(), MstlError("diverged"), OSError(errno.ENOSPC, "full"), None])
def test_the_next_run_gets_the_folder_of_one_that_ended_before_it_had_a_checkpoint(tmp_path, end):
    state = new_state(tmp_path / "runs" / "run")
    for _ in range(2):
        try:
            with run_dir.opened(state, resumed=False):
                assert sorted(os.listdir(state.folder)) == ["config.json", "manifest.csv"]
                with run_dir.opened(other := new_state(state.folder), resumed=False):  # as long as this one goes on
                    assert other.folder.name == "run-2"
                if end is not None:
                    raise end
        except type(end):
            pass
        assert (os.listdir(tmp_path / "runs"), state.folder.name) == ([], "run")


@pytest.mark.parametrize("epochs", [0, 1])
def test_the_folder_of_a_run_that_was_killed(tmp_path, epochs, monkeypatch):
    """It is the next one's, if there was no checkpoint yet."""
    with run_dir.opened(new_state(tmp_path / "run"), resumed=False), monkeypatch.context() as patch:
        patch.setattr(run_dir, "give_back", lambda folder: None)
        (tmp_path / "run" / ".manifest-0123abcd.csv").write_text("half written")
        if epochs:
            (tmp_path / "run" / "last.ckpt").write_text("")
    with run_dir.opened(state := new_state(tmp_path / "run"), resumed=False):
        assert state.folder.name == ("run-2" if epochs else "run")
        assert sorted(os.listdir(state.folder)) == ["config.json", "manifest.csv"]


def test_a_run_is_resumed_by_one_process_at_a_time(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.ckpt").write_text("")
    refusal = pytest.raises(MstlError, match="cannot resume .*run: another process is training there; stop it, or wait")
    with run_dir.opened(new_state(tmp_path / "run"), resumed=True), refusal:
        run_dir.opened(new_state(tmp_path / "run"), resumed=True).__enter__()
    with run_dir.opened(new_state(tmp_path / "run"), resumed=True):
        pass


def test_where_the_file_system_locks_no_folder(tmp_path, monkeypatch):
    """A folder that may be another's is left alone, and a run can be resumed."""
    monkeypatch.setattr(folder_lock.fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "no locks")))
    assert [run_dir.new_folder(tmp_path / "run")[0].name for _ in range(3)] == ["run", "run-2", "run-3"]
    with run_dir.opened(new_state(tmp_path / "run"), resumed=True):
        pass


def test_a_folder_with_a_checkpoint_or_with_files_of_others_stays(tmp_path):
    state = new_state(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with run_dir.opened(state, resumed=False):
        pass
    assert os.listdir(tmp_path / "run") == ["notes.txt"]
    with run_dir.opened(state, resumed=False):
        (tmp_path / "run" / "last.ckpt").write_text("")
    files = sorted(os.listdir(tmp_path / "run"))
    assert files == ["config.json", "last.ckpt", "manifest.csv", "notes.txt"]
    with run_dir.opened(new_state(tmp_path / "run"), resumed=False):  # another run in the same place
        pass
    assert sorted(os.listdir(tmp_path)) == ["run"] and sorted(os.listdir(tmp_path / "run")) == files


@pytest.mark.parametrize("there", [False, True])
def test_runs_that_start_at_once_get_a_folder_each(tmp_path, there, monkeypatch):
    """Threads are all held where the choice is made, so that all choose before any makes its folder."""
    folder, barrier, make_folder = tmp_path / "run", threading.Barrier(6), run_dir.make_folder

    def after_all_have_chosen(path):
        if path == folder:
            barrier.wait(10)
        return make_folder(path)

    if there:
        folder.mkdir()
    monkeypatch.setattr(run_dir, "make_folder", after_all_have_chosen)
    with ThreadPoolExecutor(6) as pool:
        folders = list(pool.map(lambda _: run_dir.new_folder(folder)[0], range(6)))
    assert sorted(path.name for path in folders) == ["run", "run-2", "run-3", "run-4", "run-5", "run-6"]
    assert all(path.is_dir() for path in folders)


def test_a_folder_without_a_run_is_used_and_one_with_a_run_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    assert run_dir.new_folder(tmp_path / "run")[0] == tmp_path / "run"
    assert run_dir.new_folder(tmp_path / "run")[0] == tmp_path / "run-2"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MstlError, match="cannot write into the folder .*file/run: Not a directory; choose another"):
        run_dir.new_folder(tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("v1.2-photos", "v1.2-photos"),
        ("v1.3-photos", "v1.3-photos"),
        ("v1.2-photos/list.csv", "v1.2-photos"),
        ("v1.2-photos/LIST.TXT", "v1.2-photos"),
        ("sets/v1.2-photos.zip", "v1.2-photos"),
        ("sets/v1.2-photos.TAR.gz", "v1.2-photos"),
        (".hidden", ".hidden"),
        ("/", "data"),
    ],
)
def test_the_default_folder_has_the_whole_name(data, name):
    assert run_dir.default_folder(data, "resnet18") == Path("checkpoints") / f"{name}-resnet18"


def test_the_latest_run_is_one_of_the_same_name(tmp_path):
    names = ("pets [1]-resnet18", "pets [1]-resnet18-2", "pets [1]-resnet18-2-old", "pets 1-resnet18-3")
    for number, name in enumerate(names):
        (tmp_path / name).mkdir()
        (tmp_path / name / "last.ckpt").write_text("")
        os.utime(tmp_path / name / "last.ckpt", (number, number))
    assert run_dir.latest_run(tmp_path / "pets [1]-resnet18").name == "pets [1]-resnet18-2"
