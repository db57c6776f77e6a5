"""mstl review --status, --apply and --undo, for data and for the data of a run."""

import json

import pytest
from click.testing import CliRunner

from mstl.__main__ import main
from tests.review.trees import decide, review_of, tree, write_classes


def run(*arguments):
    return CliRunner().invoke(main, ["review", *map(str, arguments)])


@pytest.fixture
def root(tmp_path):
    root = write_classes(tmp_path / "insects")
    review = review_of(root)
    decide(review, "ant/0.png", "relabel", "bee")
    decide(review, "ant/1.png", "exclude")
    return root


def test_status_apply_and_undo(root):
    before = tree(root.parent)
    lines = run(root, "--status").stdout.splitlines()
    assert lines == [
        f"8 images, 2 decided: 0 keep, 1 relabel, 1 exclude ({root}/review.csv)",
        "--apply would relabel 1 and exclude 1",
    ]
    assert run(root, "--apply").stdout == "1 relabelled, 1 excluded; --undo takes it back\n"
    assert run(root, "--apply").stdout == "nothing to apply\n"
    assert run(root, "--status").stdout.splitlines()[-1] == "--undo would move 2 files back, and remove 0 lists"
    assert run(root, "--undo").stdout == "undone: 2 files are where they were\n"
    assert tree(root.parent) == before
    again = run(root, "--undo")
    assert again.exit_code == 1 and again.stderr.startswith("mstl: error: nothing to undo")


def test_a_list_that_is_there_already_is_not_written_again(root):
    lines = ["path,label", *(f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.png")))]
    (root / "list.csv").write_text("\n".join(lines) + "\n")
    new = root / "list-reviewed.csv"
    assert run(root / "list.csv", "--apply").stdout.splitlines()[1:] == [f"new list: {new}"]
    assert run(root / "list.csv", "--apply").stdout == f"nothing to apply: {new} has it all already\n"


def test_a_run_leads_to_its_data(root, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    record = {"data": "insects", "val": None, "record": {"directory": str(tmp_path)}}
    (folder / "config.json").write_text(json.dumps(record))
    (folder / "best.ckpt").write_bytes(b"")
    monkeypatch.chdir(folder)
    for name in (folder, folder / "best.ckpt"):
        assert run(name, "--status").stdout.startswith("8 images, 2 decided")
    (folder / "config.json").write_text("{}")
    assert run(folder, "--status").stderr.startswith("mstl: error: cannot tell the data of")


def test_data_alone_cannot_be_trained_again(root):
    result = run(root, "--train-again")
    assert result.exit_code == 1 and result.stderr.startswith(f"mstl: error: {root} is no run: --train-again needs")


def test_without_data_there_is_no_page(root):
    assert run(root / "nothing").stderr.startswith("mstl: error: no data")
    assert run(root / "nothing", "--apply").stderr.startswith("mstl: error: no data")
