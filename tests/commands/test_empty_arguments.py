"""An empty argument, which an unset shell variable leaves behind: never the current folder."""

import pytest
from click.testing import CliRunner

from mstl.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["train", "--data", ""], "--data"),
        (["train", "--data="], "--data"),
        (["train", "--data", "pets", "--val", ""], "--val"),
        (["train", "--out", " "], "--out"),
        (["train", "--weights", "", "--data", "pets"], "--weights"),
        (["train", "--config", ""], "--config"),
        (["train", "--resume="], "--resume"),
        (["lr-find", "--data", ""], "--data"),
        (["data", "check", ""], "an argument"),
        (["evaluate", "best.ckpt", "--data", ""], "--data"),
        (["predict", "best.ckpt", ""], "an argument"),
        (["visualize", "best.ckpt", "--out", ""], "--out"),
        (["report", ""], "an argument"),
    ],
)
def test_an_empty_argument_is_refused_in_one_line(tmp_path, monkeypatch, arguments, name):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"mstl: error: {name} is empty: is a shell variable unset?\n"
    assert list(tmp_path.iterdir()) == []
