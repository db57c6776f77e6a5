"""The example notebooks, run beside the tests: most of those use one core, and each notebook takes half a minute."""

import contextlib
import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import environment

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SMALL = {  # settings with which a notebook takes seconds
    "01_dogs_and_wolves": {
        "MODEL": "resnet18",
        "WEIGHTS": "mstl",
        "IMAGE_SIZE": 64,
        "FIXED": {"recipe": "linear", "epochs": 1, "report": False},
        "TUNED": {"recipe": "finetune", "epochs": 1, "freeze": "layer4", "report": False},
    },
    "02_food": {"IMAGE_SIZE": 64, "EPOCHS": 1},
    "03_your_own_photos": {"IMAGE_SIZE": 64, "EPOCHS": 1},
}


def can_run():
    """Whether what the extra `notebook` brings is there."""
    return all(importlib.util.find_spec(name) for name in ("nbclient", "nbformat", "ipykernel"))


@contextlib.contextmanager
def running(folder):
    """Begin to run the notebooks, one after the other, on a demo of a few pictures.

    Args:
        folder: Where they may write.

    Yields:
        A dict from the notebook's path to a Future of the notebook with its outputs.
    """
    from examples.run_notebooks import run
    from mstl.data.finding import demo

    home = folder / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MSTL_HOME", str(home))
        patch.setattr(demo, "COUNTS", {"train": 6, "val": 4})
        demo.make()
    env = environment(MSTL_HOME=str(home))
    pool = ThreadPoolExecutor(1)
    results = {}
    for path in NOTEBOOKS:
        (folder / path.stem).mkdir()
        results[path] = pool.submit(run, path, folder / path.stem, SMALL[path.stem], env=env)
    try:
        yield results
    finally:
        pool.shutdown(cancel_futures=True)
