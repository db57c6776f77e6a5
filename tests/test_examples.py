"""The examples do what they say, and the notebooks are stored with what they show."""

import ast
import base64
import io
import re
import runpy
import sys

import numpy as np
import pytest
from PIL import Image

from tests.notebooks import EXAMPLES, NOTEBOOKS, can_run

FOREIGN = re.compile(r"(?<![\w.])/(work|tmp|root|home|opt|Users|var)/")


def run_script(name, *arguments):
    """Run an example as a script, in this process, which has loaded MindSpore already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(EXAMPLES / name, run_name="__main__")


def read(path):
    return pytest.importorskip("nbformat").read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shows_something(source):
    """Whether a cell prints, trains (which prints), or ends in a value."""
    code = "\n".join(line for line in source.splitlines() if not line.startswith("%"))
    return "print(" in code or "mstl.fit(" in code or isinstance(ast.parse(code).body[-1], ast.Expr)


def texts(notebook):
    """Everything in a notebook that a reader may see, without the pictures."""
    for cell in notebook.cells:
        yield cell.source
        for output in cell.get("outputs", ()):
            yield output.get("text", "")
            for kind, content in output.get("data", {}).items():
                if not kind.startswith("image/"):
                    yield re.sub(r"data:image/png;base64,[\w+/=]*", "", content)


def pictures(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                yield Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))


@pytest.mark.slow
def test_own_callback_ends_the_run(photos, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    run_script("own_callback.py", photos, "0.0")
    out, err = capfd.readouterr()
    assert out.splitlines()[-1].startswith("1 epochs")
    assert err == ""


@pytest.mark.slow
def test_recipes_are_compared_and_the_best_net_sorts_photos(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_script("compare_recipes.py", photos, "auto", "linear")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-3:-1]] == ["auto", "linear"]
    runs = tmp_path / "checkpoints" / "recipes"
    assert Image.open(runs / "recipes.png").width > 400

    heap = tmp_path / "heap"
    (heap / "inner").mkdir(parents=True)
    for number, kind in enumerate(("blue", "blue", "red")):
        photo = photos / "val" / kind / f"{kind}-{number}.jpg"
        (heap / ("inner" if number == 1 else "") / f"{number}.jpg").write_bytes(photo.read_bytes())
    (heap / "broken.jpg").write_text("no photo")
    run_script("sort_photos.py", runs / "linear" / "best.ckpt", heap, "sorted")
    said, complaints = capsys.readouterr()
    assert complaints.startswith(f"left out {heap / 'broken.jpg'}: ") and complaints.count("\n") == 1
    counts = {name: int(count) for count, name in (line.split(maxsplit=1) for line in said.splitlines())}
    there = {folder.name: len(list(folder.rglob("*.jpg"))) for folder in (tmp_path / "sorted").iterdir()}
    assert counts == there and sum(counts.values()) == 3
    assert counts.keys() <= {"blue", "red", "none of these"}
    assert len(list((tmp_path / "sorted").glob("*/inner/1.jpg"))) == 1


@pytest.mark.slow
@pytest.mark.skipif(not can_run(), reason="the extra `notebook` is not installed")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, notebook_runs):
    from examples.run_notebooks import outputs, tidy

    before = path.read_bytes()
    notebook = notebook_runs[path].result()
    assert path.read_bytes() == before
    for cell in code_cells(notebook):
        assert bool(cell.outputs) == shows_something(cell.source), cell.source
    assert [output.text for output in outputs(notebook) if output.get("name") == "stderr"] == []
    large = list(pictures(notebook))
    tidy(notebook)
    small = list(pictures(notebook))
    assert len(small) == len(large) >= 3
    for one, other in zip(large, small, strict=True):
        difference = np.asarray(one.convert("RGB"), int) - np.asarray(other.convert("RGB"), int)
        assert np.abs(difference).mean() < 12  # of 255: it is the same picture


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_what_it_shows(path):
    notebook = read(path)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))  # one run, from the top
    for cell in cells:
        assert bool(cell.outputs) == shows_something(cell.source), cell.source
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr"
    stored = list(pictures(notebook))
    assert len(stored) >= 3
    for picture in stored:
        assert picture.width > 200 and picture.height > 150
        assert np.asarray(picture.convert("L")).std() > 10  # not blank
    assert path.stat().st_size < 600_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_names_nothing_of_the_machine_that_ran_it(path):
    notebook = read(path)
    for text in texts(notebook):
        assert not FOREIGN.search(text), text
    assert notebook.metadata.kernelspec.name == "python3"
    assert all(cell.metadata.keys() <= {"tags"} for cell in notebook.cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_its_settings_for_the_demo(path):
    first = code_cells(read(path))[0]
    assert first.metadata.tags == ["parameters"]
    assert '"demo"' in first.source.splitlines()[0]
    assert first.source.count("#") >= 3  # how to put other data there


def test_every_example_is_listed_and_every_link_leads_somewhere():
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in [*NOTEBOOKS, *EXAMPLES.glob("*.py")]:
        assert f"]({path.name})" in page, path
    links = re.findall(r"\]\(([^)#:]+)\)", page)
    links += [link for path in NOTEBOOKS for text in texts(read(path)) for link in re.findall(r"\]\(([\w.]+)\)", text)]
    assert len(links) > 8
    for link in links:
        assert (EXAMPLES / link).exists(), link
