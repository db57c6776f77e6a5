"""The files for containers: they fit mstl as it is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import environment

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "serve"
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
REQUIRED = [line for line in (FOLDER / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
MODULES = {"pillow": "PIL"}


def names(lines):
    return {re.match(r"[\w-]+", line)[0] for line in lines}


def test_versions_are_those_of_the_project():
    """Each with the same range; together they are all of the extra."""
    assert [line for line in REQUIRED if f'"{line}"' not in PROJECT] == []
    extra = re.search(r"^serve = \[(.*?)\]", PROJECT, re.MULTILINE)[1]
    assert names(re.findall(r'"(.*?)"', extra)) <= names(REQUIRED)


def test_the_packages_are_enough(color_file):
    """An exported model is served where nothing else of what mstl uses can be imported."""
    from tests.serving.requests import image_file

    used = names(re.findall(r'^    "(.*?)"', PROJECT[PROJECT.index("\ndependencies = [") :].partition("\n]")[0], re.M))
    absent = sorted(used - names(REQUIRED)) + ["onnx", "openvino", "httpx", "jinja2"]
    assert "mindspore" in absent and "matplotlib" in absent
    code = f"""
import sys
sys.modules.update(dict.fromkeys({absent!r}))
import asyncio
from mstl.serving.app import create_app
from mstl.serving.serve_settings import ServeSettings
from mstl.serving.served_model import ServedModel
import mstl.commands.serve_command, mstl.serving.web_server

model = ServedModel.load({str(color_file)!r})
model.warm_up()
create_app(model, ServeSettings())
(answer,) = model.answer([model.prepare({image_file((0, 0, 255))!r})], 1)
print(answer.label)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    assert done.stdout == "blue\n", done.stderr


def test_the_dockerfile():
    """What it copies is there; nothing runs as root; its health check asks for an address that there is."""
    sources = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert sources
    for source in " ".join(sources).split():
        assert (ROOT / source).exists(), source
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!0|root)", last, re.MULTILINE)
    assert "/readyz" in last and "HEALTHCHECK" in last and 'ENTRYPOINT ["mstl", "serve"' in last


def test_the_compose_file():
    """It builds that image, refuses to start without a token, and leaves time to end."""
    yaml = pytest.importorskip("yaml")
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    build = services["mstl"]["build"]
    context = (FOLDER / build["context"]).resolve()
    assert context == ROOT and (context / build["dockerfile"]).samefile(FOLDER / "Dockerfile")
    assert ":?" in services["mstl"]["environment"]["MSTL_TOKEN"]
    assert int(services["mstl"]["stop_grace_period"].rstrip("s")) > 30
    for service in services.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert [FOLDER / volume.split(":")[0] for volume in services["proxy"]["volumes"]] == [FOLDER / "./nginx.conf"]
