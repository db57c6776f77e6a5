"""The blocks of README and of the English pages, run as a reader would: ``python -m pytest tests/run_docs.py``.

Each page has a folder of its own, into which a few small images are put where a comment says that its commands need
them; its blocks are run one after the other. Nothing reaches the network. `.ci/docs` runs this; the other tests do not.
"""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from docs.blocks import blocks
from docs.translations import pairs, shown
from mstl.data.finding.demo_drawing import render
from tests.conftest import environment

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build" / "docs"
ASKED = {"en": ("transfer learning", "dogs and wolves"), "zh": ("迁移学习", "数据增强", "MindSpore")}
PAGES = [page for page in pairs() if any(not each.not_run for each in blocks(page.read_text("utf-8")))]
KINDS = {"cats": "cup", "dogs": "fish", "birds": "clock"}  # what is drawn in the place of animals
CURL = 'fail-with-body\nno-progress-meter\nnoproxy = "*"\n'  # curl's settings: an answer such as 403 is a failure
PATIENCE = 900  # seconds that a block may take, on a machine that has other things to do
SHELL = """set -euo pipefail
touch "$STATE"; . "$STATE"   # what earlier blocks have exported
trap 'declare -px | grep " MSTL_" > "$STATE"' EXIT
CODE
"""
VALUES = ".values.py"  # what the names mean that a Python block does not define


def draw(path, kind, seed):
    """A drawn object as a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    render(kind, np.random.default_rng(seed)).save(path, quality=88)


class Folder:
    """What a page's commands may need, put into its folder."""

    def __init__(self, where, run):
        self.where, self.trained = where, run

    def make(self, need):
        """Put one thing there."""
        getattr(self, need.replace(" ", "_").replace(".", "_"))()

    def pets(self, parts=(("train/", 12), ("val/", 6))):
        """Two classes in train/ and val/."""
        for seed, (part, count) in enumerate(parts):
            for name in ("cats", "dogs"):
                for number in range(count):
                    draw(self.where / f"pets/{part}{name}/{number}.jpg", KINDS[name], [seed, number])

    def class_folders(self):
        """Two classes without parts."""
        self.pets([("", 20)])

    def heap(self):
        """Two classes without parts, in heap/."""
        for name in ("cats", "dogs"):
            for number in range(10):
                draw(self.where / f"heap/{name}/{number}.jpg", KINDS[name], [5, number])

    def bad_image(self):
        """A file in pets/ that is no image."""
        (self.where / "pets/train/cats/broken.jpg").write_text("no image")

    def changed_label(self):
        """An image of pets/ in the folder of the other class, as after Apply."""
        (self.where / "pets/train/cats/3.jpg").rename(self.where / "pets/train/dogs/cat.jpg")

    def photos(self):
        """Images without classes, of which one is of a kind that is not known."""
        for number, kind in enumerate(("cats", "dogs", "cats", "birds")):
            draw(self.where / f"photos/{number}.jpg", KINDS[kind], [7, number])
        draw(self.where / "more/one.jpg", KINDS["cats"], [8, 0])

    def dog_jpg(self):
        """Three single images."""
        for number, name in enumerate(("dog", "one", "two")):
            draw(self.where / f"{name}.jpg", KINDS["dogs"], [9, number])

    def lists(self):
        """Lists of the images in pets/."""
        rows = {part: [] for part in ("train", "val")}
        for path in sorted((self.where / "pets").glob("*/*/[0-9]*.jpg")):
            rows[path.parts[-3]].append((path.relative_to(self.where / "pets").as_posix(), path.parts[-2]))
        for part, images in rows.items():
            (self.where / f"{part}.txt").write_text("".join(f"pets/{path} {name}\n" for path, name in images))
        table = "".join(f"{number},{path},{name}\n" for number, (path, name) in enumerate(rows["train"]))
        (self.where / "table.csv").write_text(f"number,picture,animal\n{table}")

    def food_lists(self):
        """Lists with numbers of classes, and the classes' names."""
        for seed, (part, count) in enumerate((("train", 8), ("test", 4))):
            lines = ""
            for label, (name, kind) in enumerate(KINDS.items()):
                for number in range(count):
                    path = f"images/{name}/{part} {number}.jpg"
                    draw(self.where / path, kind, [seed, number])
                    lines += f"{path} {label}\n"
            (self.where / f"{part}.txt").write_text(lines)
        (self.where / "classes.txt").write_text("bread\nnoodles\nsoup\n")

    def weights_file(self):
        """mstl's own weights under a name of the user's."""
        shutil.copy(ROOT / "checkpoints" / "mstl_resnet18.ckpt", self.where / "resnet18.ckpt")

    def run(self):
        """A trained run in runs/pets, its data, and its model as an exported file."""
        shutil.copytree(self.trained, self.where, dirs_exist_ok=True)
        settings = self.where / "runs/pets/config.json"
        moved = json.loads(settings.read_text().replace(str(self.trained), str(self.where)))
        settings.write_text(json.dumps(moved))

    def paths_and_images(self):
        """What `paths` and `images` are in a Python block."""
        code = "import glob, mindspore, numpy\npaths = sorted(glob.glob('pets/val/*/*.jpg'))\n"
        code += "images = mindspore.Tensor(numpy.zeros((1, 3, 64, 64), numpy.float32))\n"
        (self.where / VALUES).write_text(code)


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory):
    """The environment of all blocks."""
    bin_folder = os.path.dirname(sys.executable)
    home = tmp_path_factory.mktemp("home")
    (home / ".curlrc").write_text(CURL)
    return environment(
        PATH=f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        MSTL_HOME=str(home / "mstl"),
        HOME=str(home),
        MSTL_OFFLINE="1",
        MSTL_LANG="en",
        BROWSER="true",
        DISPLAY="",
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory, surroundings):
    """A folder with pets/ and a run on them, with which pages begin that are not about training."""
    where = tmp_path_factory.mktemp("trained")
    Folder(where, None).pets()
    command = [sys.executable, "-m", "mstl", "train", "--data", "pets", "--out", "runs/pets"]
    subprocess.run(command, cwd=where, env=surroundings, check=True, timeout=PATIENCE)
    command = [sys.executable, "-m", "mstl", "export", "runs/pets/best.ckpt"]
    subprocess.run(command, cwd=where, env=surroundings, check=True, timeout=PATIENCE)
    return where


def port_of(code):
    """The port at which a server of a block listens."""
    given = re.search(r"^[^#\n]*--port (\d+)", code, re.M)
    return int(given[1]) if given else 8000


def wait_for(port, process):
    """Wait until a server answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, "the server has ended"
        with contextlib.suppress(OSError), contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as server:
            server.request("GET", "/healthz")
            if server.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"nothing answers at port {port}")


def command_of(block, code, where):
    """The command that runs a block."""
    if block.language == "sh":
        return ["bash", "-c", SHELL.replace("CODE", code)]
    values = where / VALUES
    before = "import mstl\n" + values.read_text(encoding="utf-8") if values.exists() else ""
    return [sys.executable, "-c", before + code]


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_the_blocks_of_a_page_run(page, tmp_path, surroundings, trained):
    options = {"env": {**surroundings, "STATE": str(tmp_path / "state")}, "cwd": tmp_path / "page"}
    folder, servers = Folder(tmp_path / "page", trained), []
    folder.where.mkdir()
    try:
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.not_run:
                continue
            for need in block.needs:
                folder.make(need)
            code = block.code()
            print(f"--- {shown(page)}, line {block.line}\n{code}", flush=True)
            command = command_of(block, code, folder.where)
            if block.background:
                servers.append(subprocess.Popen(command, start_new_session=True, **options))
                wait_for(port_of(code), servers[-1])
            else:
                done = subprocess.run(command, timeout=PATIENCE, **options)
                assert done.returncode == block.exit_code, f"line {block.line}"
    finally:
        for server in servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)


@pytest.mark.skipif(not BUILT.exists(), reason="the documentation is not built: .ci/docs does so")
@pytest.mark.parametrize("language", ASKED)
def test_the_search_of_a_built_documentation_finds(language):
    """From files, without a server, in a browser that asks nobody else."""
    from tests.chromium import CHROMIUM, chromium, watch

    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with chromium() as browser:
        page = watch(browser.new_page())
        for words in (*ASKED[language], "nothingofthekind"):
            page.goto(f"{(BUILT / language / 'search.html').as_uri()}?q={words}")
            page.wait_for_function("document.querySelector('.search-summary')?.textContent")
            found = page.locator("#search-results ul.search li a")
            assert (found.count() > 0) == (words != "nothingofthekind"), words
        assert page.complaints == []
        assert all(url.startswith("file:") for url in page.requests)
