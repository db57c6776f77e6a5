"""Commands whose output nobody reads, or that are started without a stream; and what cannot be written, told first."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from mstl.__main__ import COMMANDS, main
from tests.checkpoints import write_checkpoint
from tests.conftest import environment, write_folder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
MSTL = f"'{sys.executable}' -m mstl"


def shell(command, folder):
    """Exit codes of all parts of a pipeline, what it prints, and what it says on stderr."""
    done = subprocess.run(
        ["bash", "-c", f'{command}\necho "${{PIPESTATUS[*]}}" > codes'],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=folder,
        timeout=120,
    )
    return (folder / "codes").read_text().split(), done.stdout, done.stderr


@pytest.mark.parametrize("python", ["", "PYTHONUNBUFFERED=1 "])
def test_a_reader_that_has_enough(tmp_path, python):
    """Many lines more than a pipe holds."""
    script = f"{python}{MSTL} weights list | head -1"
    codes, out, err = shell(script, tmp_path)
    assert (codes, out.split()[0], err) == (["0", "0"], "name", "")
    code = (
        "from mstl.commands import shared\n"
        "@shared.command\n"
        "def main():\n"
        "    for number in range(30_000): print(number)\n"
        "    open('done', 'w').close()\n"
        "main()"
    )
    codes, out, err = shell(f"{python}'{sys.executable}' -c \"{code}\" | head -1", tmp_path)
    assert (codes, out, err) == (["0", "0"], "0\n", "")
    assert (tmp_path / "done").exists()  # a training run would go on


def test_a_full_disk_behind_stdout(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    codes, _, err = shell(f"{MSTL} weights list > /dev/full", tmp_path)
    assert codes == ["1"]
    assert err == "mstl: error: cannot write the output: No space left on device; make room, or write elsewhere\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed(tmp_path, closed):
    """The file that is written must not get the number of one, and with it what is printed."""
    write_folder(tmp_path / "data", {"train": 2, "val": 2})
    codes, out, err = shell(f"{MSTL} data check data --out check.csv {closed}", tmp_path)
    assert codes == ["0"] or codes == ["3"]
    assert ("check.csv" in out) is (">&-" not in closed.replace("2>&-", ""))
    assert err == "" and (tmp_path / "check.csv").read_text().splitlines()[0].startswith("path,problem,")
    codes, out, err = shell(f"{MSTL} weights path resnet18.mindcv {closed}", tmp_path)
    assert codes == ["1"] and out == ""
    assert ("mstl: error: resnet18.mindcv is not on this machine" in err) is ("2>&-" not in closed)


def test_predictions_for_nobody(tmp_path, narrow_model):
    """The process has a narrow model, too."""
    write_folder(tmp_path / "data", {"train": 4, "val": 2})
    write_checkpoint(tmp_path / "best.ckpt", tmp_path / "data", rejector=False)
    imports = "from tests.narrow import narrow; from mstl.__main__ import main; import pytest"
    predict = f"'{sys.executable}' -c '{imports}; narrow(pytest.MonkeyPatch()); main()' predict best.ckpt data/val"
    codes, out, err = shell(f"{predict} --batch-size 1 | head -1", tmp_path)
    assert (codes, len(out.splitlines()), err) == (["0", "0"], 1, "")
    codes, out, err = shell(f"{predict} --out a.csv >&- 2>&- <&-", tmp_path)
    assert (codes, out, err) == (["0"], "", "") and len((tmp_path / "a.csv").read_text().splitlines()) == 5


# what cannot be written, told first


@pytest.mark.parametrize(
    "command",
    [
        ["train", "--data", "nothing-here", "--out"],
        ["evaluate", "nothing-here.ckpt", "--out"],
        ["predict", "nothing-here.ckpt", "a.jpg", "--out"],
        ["visualize", "nothing-here.ckpt", "--out"],
        ["report", "nothing-here", "--out"],
        ["lr-find", "--data", "nothing-here", "--picture"],
        ["convert", "nothing-here.ckpt"],
        ["data", "check", "nothing-here", "--out"],
        ["data", "preview", "nothing-here", "--out"],
        ["weights", "bundle"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_written_is_told_first(tmp_path, command):
    """Before anything is read, so that the data may be missing, too."""
    (tmp_path / "file").touch()
    done = CliRunner().invoke(main, [*command, str(tmp_path / "file" / "out.csv")])
    assert done.exit_code == 1 and done.stdout == ""
    assert done.stderr.startswith("mstl: error: cannot write into the folder ") and len(done.stderr.splitlines()) == 1
    assert command[0] in COMMANDS
