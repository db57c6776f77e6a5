"""A small part of ``.ci/serve_load``: good and bad clients at once for a few seconds, then SIGTERM."""

import os

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnx")
from tests import serve_load

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the server is ended by a signal")


def test_under_load(color_file, tmp_path):
    """Whatever comes, good images are answered as ``mstl predict`` does; what is accepted is answered at the end."""
    weights = {kind: weight for kind, weight in serve_load.WEIGHTS.items() if kind != "stuck_head"}  # takes 10 s
    small = {"seconds": 3, "clients": 8, "good": 10, "most": 4_000_000, "pause": 0.5, "options": ["--timeout=2s"]}
    small["patience"] = serve_load.HEALTH_BESIDE
    figures, tally = serve_load.run(color_file, tmp_path, seed=3, weights=weights, **small)
    assert tally.wrong == []
    assert tally.counts["good", "200"] > 20 and tally.counts["at the end", "200"] > 8
    assert {kind for kind, _ in tally.counts} >= {"damaged", "form", "hang_up"}
    assert len(figures["health"]) > 20
