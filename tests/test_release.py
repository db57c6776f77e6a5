"""What a release says of itself is the same everywhere, and all that its archive promises is there."""

from pathlib import Path

import pytest

import mstl

ROOT = Path(__file__).parents[1]
PROMISED = (
    "docs",
    "README.md",
    "README.zh-CN.md",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
)


def test_the_version_is_the_same_everywhere():
    assert f"\nversion: {mstl.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    newest = next(line for line in changes if line.startswith("## [") and "Unreleased" not in line)
    assert newest.startswith(f"## [{mstl.__version__}] - 20")


@pytest.mark.parametrize("name", PROMISED)
def test_the_archive_has_what_people_look_for(name):
    assert (ROOT / name).exists()
    if name != "LICENSE":  # which hatchling takes by itself
        settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        (included,) = [line for line in settings.splitlines() if line.startswith("include = [")]
        assert f'"{name}"' in included


@pytest.mark.parametrize(
    "what", ["weights", "images", "archives", "lists", "datasets", "addresses", "pages", "servers"]
)
def test_the_security_policy_names_each_way_in(what):
    rows = [line for line in (ROOT / "SECURITY.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert any(what in row.split("|")[1] for row in rows)
