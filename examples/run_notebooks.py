"""Run the example notebooks as they stand and keep what they show, for whoever has changed one of them.

``python examples/run_notebooks.py [NOTEBOOK ...]``, all of them if none is named. Needs the extra `notebook`.

Each runs in an empty folder with an empty cache, so that no output is an old one or names a folder of this machine.
"""

import base64
import io
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

PARAMETERS = "parameters"  # the tag of the cell with the settings
PLAIN = "figure.dpi: 80"  # smaller pictures


def run(path, folder, settings=None, timeout=600, env=None):
    """Run a notebook in a folder.

    Args:
        path: Of the notebook; it is only read.
        folder: What the notebook's relative paths are taken against.
        settings: A dict of what overrides the notebook's own settings.
        timeout: Seconds that a cell may take.
        env: The environment that it runs in; this process's if not given.

    Returns:
        The notebook with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell ended in an error.
    """
    notebook = nbformat.read(path, as_version=4)
    if settings is not None:
        (cell,) = [cell for cell in notebook.cells if PARAMETERS in cell.metadata.get("tags", ())]
        cell.source = "\n".join([cell.source, *(f"{name} = {value!r}" for name, value in settings.items())])
    resources = {"metadata": {"path": str(folder)}}
    options = {"timeout": timeout, "resources": resources, "record_timing": False, "coalesce_streams": True}
    NotebookClient(notebook, **options).execute(env=env or os.environ)
    return notebook


def outputs(notebook):
    """All outputs of a notebook's cells."""
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def shrink(png):
    """A picture in base64, with 256 colours, which makes it a quarter as large."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture = picture.quantize(method=Image.Quantize.FASTOCTREE)  # the median cut would turn blue titles green
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True)
    return base64.b64encode(data.getvalue()).decode()


def tidy(notebook):
    """Shrink the pictures and leave out what differs from machine to machine."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for output in outputs(notebook):
        data = output.get("data", {})
        if "image/png" in data:
            data["image/png"] = shrink(data["image/png"])
        if "text/html" in data:
            data.pop("text/plain", None)  # of a run, its whole model


def main(*paths):
    """Run notebooks one after the other and write them back."""
    for path in map(Path, paths or sorted(Path(__file__).parent.glob("*.ipynb"))):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder, "work")
            work.mkdir()
            (work / "matplotlibrc").write_text(PLAIN)
            notebook = run(path, work, env={**os.environ, "MSTL_HOME": str(Path(folder, "home"))})
        tidy(notebook)
        complaints = [output.text for output in outputs(notebook) if output.get("name") == "stderr"]
        if complaints:
            sys.exit(f"{path} is left as it was, as it complains: {complaints[0]}")
        nbformat.write(notebook, path)
        print(f"{path}: {path.stat().st_size >> 10} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
