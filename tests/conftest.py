"""Images made on the fly, a cache folder for each test session, and no network."""

import contextlib
import gc
import logging
import os
import signal
import sys

import numpy as np
import pytest
from PIL import Image

COLORS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (210, 50, 40)}


@pytest.fixture(autouse=True, scope="session")
def interruptible_children():
    """A background job ignores Ctrl-C, or under nohup SIGHUP, and so would the commands that the tests interrupt."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    for number, handler in usual.items():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(autouse=True, scope="session")
def exact_numbers():
    """No engine is taken for its bf16, where OpenVINO is installed: tests compare numbers more closely than that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mstl.engines.choice.computes_bf16", lambda: False)
        yield


@pytest.fixture(autouse=True, scope="module")
def memory_comes_back():
    """MindSpore keeps every net that it has compiled; all those of the tests together would be 11 GB."""
    yield
    if "mindspore" in sys.modules:
        gc.collect()
        sys.modules["mindspore"].ms_memory_recycle()


@pytest.fixture(autouse=True, scope="session")
def notebook_runs(request, tmp_path_factory):
    """What :func:`tests.notebooks.running` gives, begun before the first test where a test will ask for it."""
    if not any(item.originalname == "test_a_notebook_runs" for item in request.session.items):
        yield {}
        return
    from tests.notebooks import can_run, running

    with running(tmp_path_factory.mktemp("notebooks")) if can_run() else contextlib.nullcontext({}) as results:
        yield results


@pytest.fixture(autouse=True)
def quiet_home(tmp_path_factory, monkeypatch):
    """Nothing of the user's own cache is read or written, and no test reaches the network by accident."""
    monkeypatch.setenv("MSTL_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    monkeypatch.delenv("MSTL_OFFLINE", raising=False)
    monkeypatch.delenv("MSTL_MIRROR", raising=False)
    monkeypatch.setenv("MSTL_LANG", "en")


@contextlib.contextmanager
def no_handlers():
    """Inside it, mstl's logger is as it is before a command sends its messages to stderr."""
    logger = logging.getLogger("mstl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logger, "handlers", [])
        patch.setattr(logger, "propagate", True)
        yield


@pytest.fixture(autouse=True)
def fresh_messages():
    """A command that a test runs in this process sends its messages to that test's stderr, not to an older one's."""
    with no_handlers():
        yield


@pytest.fixture(autouse=True, scope="module")
def fresh_messages_of_fixtures():
    """So does one that a module's fixture runs: its messages do not go where those of an older module's went."""
    with no_handlers():
        yield


@pytest.fixture(autouse=True)
def own_signals():
    """A command that a test runs in this process takes over its signals, as in a process of its own."""
    yield
    if "mstl.runtime.stopping" in sys.modules:
        sys.modules["mstl.runtime.stopping"].unwatch()


@pytest.fixture
def no_pictures(monkeypatch):
    """Runs leave no curves.png and no predictions.png: to draw them takes half of the time of a run on a few photos."""
    from mstl.report import plots

    monkeypatch.setattr(plots, "save", lambda figure, path: None)


@pytest.fixture(scope="module")
def narrow_model():
    """A resnet18 is :mod:`tests.narrow`'s in this process, for all tests of the module."""
    from tests.narrow import narrow

    with pytest.MonkeyPatch.context() as patch:
        narrow(patch)
        yield


def environment(**more):
    """This process's environment, for one that finds the same modules wherever it is started."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more}


def write_photo(path, color, seed=0, size=(48, 40)):
    """A noisy JPEG of one colour."""
    rng = np.random.default_rng([seed, *color])
    pixels = np.array(color) + rng.normal(0, 25, (size[1], size[0], 3))
    os.makedirs(path.parent, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=92)
    return path


def write_folder(root, counts, classes=("blue", "red")):
    """A data folder such as ``{"train": 6, "val": 3}`` photos of each class."""
    for part, count in counts.items():
        for name in classes:
            for index in range(count):
                seed = index + 1000 * (part != "train")
                write_photo(root / part / name / f"{name}-{index}.jpg", COLORS[name], seed)
    return root


@pytest.fixture
def photos(tmp_path):
    """6 training and 3 validation photos each of two classes."""
    return write_folder(tmp_path / "photos", {"train": 6, "val": 3})
