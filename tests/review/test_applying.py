"""Apply and undo of a folder: what moves where, and that all comes back, whenever a process is killed."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mstl.errors import MstlError
from mstl.review import applying, moving
from mstl.review.applying import apply, undo
from mstl.review.decision_log import DecisionLog
from mstl.review.review_data import ReviewSource
from mstl.review.review_status import status_lines
from mstl.runtime.environment import home
from tests.conftest import environment
from tests.review.trees import contents, decide, review_of, tree, write_classes, write_image


@pytest.fixture
def root(tmp_path):
    return write_classes(tmp_path / "data" / "insects")


def decide_three(root):
    """Decisions of all kinds: into a class that has the name already, into a new class, and out."""
    review = review_of(root)
    decide(review, "ant/0.png", "relabel", "bee")
    decide(review, "bee/1.png", "relabel", "wasp")
    decide(review, "bee/2.png", "exclude")
    decide(review, "bee/3.png", "keep")
    return review.source


def test_apply_moves_what_was_decided_and_undo_brings_all_back(root):
    source = decide_three(root)
    before, images = tree(root.parent), contents(root.parent)
    applied = apply(source)
    assert [one.decision for one in applied.done] == ["relabel", "relabel", "exclude"]
    assert (applied.moved, applied.problems, applied.finished) == (3, (), "")
    after = tree(root.parent)
    names = sorted(name for name in after if name.endswith(".png"))
    assert names == [
        *("insects-excluded/bee/2.png", "insects/ant/1.png", "insects/ant/2.png", "insects/ant/3.png"),
        *("insects/bee/0-2.png", "insects/bee/0.png", "insects/bee/3.png", "insects/wasp/1.png"),
    ]
    assert after["insects/bee/0-2.png"] == before["insects/ant/0.png"]  # content and time
    assert contents(root.parent) == images
    undone = undo(source)
    assert (undone.moved, undone.problems) == (3, ())
    assert tree(root.parent) == before
    with pytest.raises(MstlError, match="nothing to undo"):
        undo(source)


def test_what_is_applied_is_not_applied_again_and_each_apply_is_undone_by_itself(root):
    source = decide_three(root)
    before = tree(root.parent)
    apply(source)
    middle = tree(root.parent)
    assert apply(source).done == ()
    assert tree(root.parent) == middle
    decide(review_of(root), "wasp/1.png", "relabel", "ant")  # a change of mind
    middle = tree(root.parent)
    assert apply(source).moved == 1
    assert (root / "ant" / "1-2.png").exists()
    undo(source)
    assert tree(root.parent) == middle
    undo(source)
    rows = DecisionLog(root).read()
    assert [(one.path, one.new_label) for one in rows if one.decision == "relabel"] == [
        *(("ant/0.png", "bee"), ("bee/1.png", "wasp"), ("bee/1.png", "ant"))
    ]
    assert set(tree(root.parent)) == set(before)


def test_folders_keep_their_times_unless_something_else_was_put_in(root):
    for name in ("ant", "bee"):
        os.utime(root / name, (1_500_000_000, 1_500_000_000))
    source = decide_three(root)
    apply(source)
    write_image(root / "bee" / "new.png", 999)
    undo(source)
    assert os.stat(root / "ant").st_mtime == 1_500_000_000
    assert os.stat(root / "bee").st_mtime > 1_500_000_000


def test_parts_keep_their_images_and_paths_inside_a_class(tmp_path):
    root = tmp_path / "data"
    for part, seed in (("train", 0), ("val", 1000)):
        for offset, name in enumerate(("ant", "bee")):
            for index in range(2):
                write_image(root / part / name / "sub" / f"{index}.png", seed + 10 * offset + index)
    review = review_of(root)
    decide(review, "val/ant/sub/0.png", "relabel", "bee")
    decide(review, "train/bee/sub/1.png", "exclude")
    before = tree(tmp_path)
    apply(review.source)
    assert (root / "val" / "bee" / "sub" / "0-2.png").exists()
    assert (tmp_path / "data-excluded" / "train" / "bee" / "sub" / "1.png").exists()
    assert {image.place for image in review_of(root).images} == {
        *("train/ant/sub/0.png", "train/ant/sub/1.png", "train/bee/sub/0.png"),
        *("val/ant/sub/1.png", "val/bee/sub/0.png", "val/bee/sub/0-2.png", "val/bee/sub/1.png"),
    }
    undo(review.source)
    assert tree(tmp_path) == before


def test_names_that_differ_in_case_alone_are_one_name(root):
    write_image(root / "ant" / "Q.PNG", 500)
    write_image(root / "ant" / "q.png", 501)
    review = review_of(root)
    for name in ("Q.PNG", "q.png"):
        decide(review, f"ant/{name}", "relabel", "bee")
    write_image(root / "bee" / "Q.png", 502)
    apply(review.source)
    assert sorted(os.listdir(root / "bee")) == ["0.png", "1.png", "2.png", "3.png", "Q-2.PNG", "Q.png", "q-3.png"]


SERVER = """
import os, signal, sys
from mstl.review import applying
from mstl.review.review_data import ReviewData, ReviewSource

def step(event, args):
    global left
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event in ("os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.utime") or writes:
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    folder, what, at = line.rstrip().split("\t")
    child = os.fork()
    if child == 0:
        left = int(at)
        sys.addaudithook(step)
        getattr(applying, what)(ReviewSource.of(folder))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def killed_at():
    """Apply or undo in a process that is killed before the n-th change of a file; a function of folder, what and n.

    It says whether it was killed, and did not end before. All are forks of one process, so that they start at once.
    """
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as server:

        def run(folder, what, at):
            print(folder, what, at, sep="\t", file=server.stdin, flush=True)
            code = int(server.stdout.readline())
            assert code in (0, -signal.SIGKILL)
            return code != 0

        yield run
        server.stdin.close()


BESIDE = (".review.csv.lock", ".review-journal-1.json", "review.csv")


def test_killed_at_any_change_of_a_file_apply_again_or_undo_ends_in_one_of_two_states(root, killed_at):
    source = decide_three(root)
    before = tree(root.parent)
    apply(source)
    after = tree(root.parent, but=BESIDE)
    undo(source)
    assert tree(root.parent) == before
    at, interrupted = 1, 0
    while killed_at(root, "apply", at):
        began = (root / BESIDE[1]).exists()
        interrupted += began and '"applying"' in (root / BESIDE[1]).read_text()
        if at % 2 or not began:
            apply(source)
            assert tree(root.parent, but=BESIDE) == after, at
        undo(source)
        assert but_times(tree(root.parent)) == but_times(before), at
        at += 1
    assert at > 20 and interrupted > 10


def but_times(found):
    """A tree without the time of review.csv, which somebody may write twice."""
    return {name: value if value == "folder" or "review" not in name else value[0] for name, value in found.items()}


def test_a_killed_undo_is_finished_by_undo_or_before_the_next_apply(root, killed_at):
    source = decide_three(root)
    before = tree(root.parent)
    apply(source)
    after = tree(root.parent, but=BESIDE)
    for at in random.Random(1).sample(range(1, 20), 8):
        assert killed_at(root, "undo", at)
        began = json.loads((root / BESIDE[1]).read_text())["state"] if (root / BESIDE[1]).exists() else ""
        if at % 2:
            assert apply(source).finished == ("undo" if began == "undoing" else ""), at
        else:
            if began:
                undo(source)
            assert but_times(tree(root.parent)) == but_times(before), at
            apply(source)
        assert tree(root.parent, but=BESIDE) == after, at


def test_an_apply_that_was_interrupted_is_said(root, killed_at):
    source = decide_three(root)
    at = next(at for at in range(5, 40) if killed_at(root, "apply", at) and (root / BESIDE[1]).exists())
    assert at < 30
    assert status_lines(source)[-1].startswith("an --apply was interrupted: --apply finishes it, --undo takes back")
    assert apply(source).finished == "apply"
    assert status_lines(source)[-1] == "--undo would move 3 files back, and remove 0 lists"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_full_disk_changes_nothing(root, monkeypatch, number):
    source = decide_three(root)
    before, calls, real = tree(root.parent), [], os.link

    def link(source, target, **more):
        calls.append(target)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))
        return real(source, target, **more)

    monkeypatch.setattr(moving.os, "link", link)
    with pytest.raises(MstlError, match="No space left on device; nothing was changed: make room, and apply again"):
        apply(source)
    assert tree(root.parent) == before


@pytest.mark.parametrize("file", ["journal", "review.csv"])
def test_a_full_disk_where_a_record_is_written_changes_nothing(root, monkeypatch, file):
    source = decide_three(root)
    before, real = tree(root.parent), os.replace

    def replace(source, target):
        if file in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(MstlError, match="No space left on device; nothing was changed"):
        apply(source)
    assert tree(root.parent) == before


def test_where_files_have_no_second_names_they_are_renamed_and_nothing_is_overwritten(root, monkeypatch):
    def refuse(*paths, **more):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(paths[0]), None, str(paths[1]))

    source = decide_three(root)
    before = tree(root.parent)
    monkeypatch.setattr(moving.os, "link", refuse)
    assert apply(source).moved == 3
    undo(source)
    assert tree(root.parent) == before
    (root.parent / "one.png").write_bytes(b"1")
    (root.parent / "two.png").write_bytes(b"2")
    with pytest.raises(FileExistsError):
        moving.move_file(root.parent / "one.png", root.parent / "two.png")


def test_a_folder_that_cannot_be_written_to_changes_nothing(root, monkeypatch):
    source = decide_three(root)
    before = tree(root.parent)

    def mkdir(path, *more, **also):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(applying, "advance", lambda journal: mkdir(journal.folder / "wasp"))
    with pytest.raises(MstlError, match="cannot write .*wasp: Read-only file system; nothing was changed"):
        apply(source)
    assert tree(root.parent) == before


def test_undo_overwrites_nothing_and_says_what_is_gone(root):
    source = decide_three(root)
    apply(source)
    write_image(root / "ant" / "0.png", 777)
    applied = tree(root.parent)
    with pytest.raises(MstlError, match="cannot undo: .*ant/0.png is there again; move that away, and undo again"):
        undo(source)
    assert tree(root.parent) == applied
    (root / "ant" / "0.png").unlink()
    (root.parent / "insects-excluded" / "bee" / "2.png").unlink()
    (problem,) = undo(source).problems
    assert problem == "bee/2.png cannot be put back: it is not at ../insects-excluded/bee/2.png any more"
    assert (root / "ant" / "0.png").exists() and (root / "bee" / "1.png").exists()


def test_links_stay_where_they_are(root, tmp_path):
    elsewhere = write_image(tmp_path / "elsewhere" / "9.png", 900)
    (root / "ant" / "relative.png").symlink_to(os.path.relpath(elsewhere, root / "ant"))
    (root / "ant" / "absolute.png").symlink_to(write_image(tmp_path / "elsewhere" / "8.png", 901))
    write_image(tmp_path / "elsewhere" / "wasps" / "7.png", 902)
    (root / "wasp").symlink_to(tmp_path / "elsewhere" / "wasps")
    review = review_of(root)
    for place in ("ant/relative.png", "ant/absolute.png", "wasp/7.png"):
        decide(review, place, "relabel", "bee")
    decide(review, "ant/1.png", "relabel", "wasp")
    applied = apply(review.source)
    stay = {problem.partition(":")[0] for problem in applied.problems}
    assert stay == {"ant/1.png stays", "ant/relative.png stays", "wasp/7.png stays"}
    assert applied.moved == 1 and (root / "bee" / "absolute.png").is_symlink()
    undo(review.source)
    assert (root / "ant" / "absolute.png").is_symlink()


def test_a_part_behind_a_link_stays_and_a_link_to_the_whole_does_not_matter(tmp_path):
    write_classes(tmp_path / "elsewhere" / "train")
    root = tmp_path / "data"
    root.mkdir()
    (root / "train").symlink_to(tmp_path / "elsewhere" / "train")
    review = review_of(root)
    decide(review, "train/ant/0.png", "exclude")
    before = tree(tmp_path)
    assert apply(review.source).problems == (
        "train/ant/0.png stays: it lies behind a link, perhaps outside of the data; move it yourself",
    )
    assert tree(tmp_path) == before
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    review = review_of(tmp_path / "link")
    decide(review, "train/ant/0.png", "exclude")
    decide(review, "train/ant/1.png", "relabel", "bee")
    before = tree(tmp_path)
    assert apply(review.source).moved == 2
    assert (tmp_path / "elsewhere-excluded" / "train" / "ant" / "0.png").exists()
    assert apply(review.source).moved == 0
    undo(review.source)
    assert tree(tmp_path) == before


def test_where_nothing_can_be_beside_the_data_what_is_excluded_is_hidden_in_it(root, monkeypatch):
    source = decide_three(root)
    before, real = tree(root.parent), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(root.parent) and real(path, mode))
    assert apply(source).moved == 3
    assert (root / ".excluded" / "bee" / "2.png").exists()
    assert sorted(image.place for image in review_of(root).images) == [
        *("ant/1.png", "ant/2.png", "ant/3.png", "bee/0-2.png", "bee/0.png", "bee/3.png", "wasp/1.png")
    ]
    assert apply(source).moved == 0
    undo(source)
    assert tree(root.parent) == before


NOBODY = """
import filelock, os, sys
from mstl.errors import MstlError
from mstl.review.applying import apply, undo
from mstl.review.review_data import ReviewData, ReviewSource
source = ReviewSource.of(sys.argv[1])
review = ReviewData(source)  # whoever becomes nobody may find no modules any more
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for what in (lambda: apply(source), lambda: undo(source), lambda: review.decide(review.images[2], "keep")):
    try:
        what()
    except MstlError as error:
        print(error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")
def test_nobody_may_write_what_is_only_read():
    with tempfile.TemporaryDirectory() as folder:
        root = write_classes(Path(folder) / "insects")
        decide(review_of(root), "ant/0.png", "relabel", "bee")
        os.chmod(folder, 0o755)
        before = tree(root)
        command = [sys.executable, "-c", NOBODY, str(root)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=100)
        assert tree(root) == before
    assert done.stdout.splitlines() == 3 * [
        f"cannot write {root}/review.csv: Permission denied; nothing was changed: make its folder writable"
    ], done.stderr


def test_what_mstl_keeps_is_not_changed():
    root = write_classes(home() / "data" / "insects")
    with pytest.raises(MstlError, match="is a copy that mstl keeps in .*insects: copy or unpack it"):
        apply(ReviewSource.of(str(root)))
    assert not (root / ".review.csv.lock").exists()
