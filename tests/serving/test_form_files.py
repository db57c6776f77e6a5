"""Forms with anything in them: their files, or a problem, and not a word in the server's log."""

import logging

import numpy as np
import pytest

pytest.importorskip("python_multipart")
from mstl.serving.form_files import FormFile, form_files
from mstl.serving.problems import Problem
from tests.damage import KINDS, damaged

TYPE = "multipart/form-data; boundary=line"
HEAD = b'--line\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\nContent-Type: image/png\r\n\r\n'


def test_damaged_forms(caplog):
    """Bytes that are others, missing or too many, at any place: found or refused, and quickly."""
    caplog.set_level(logging.WARNING)
    contents = [b"\r\n--lin" * 5, b"", bytes(range(256))]
    names = [b"a.jpg", b"%22.png", "红.webp".encode()]
    form = (
        b"".join(HEAD % name + content + b"\r\n" for name, content in zip(names, contents, strict=True))
        + b"--line--\r\n"
    )
    assert form_files(form, TYPE, 3) == [
        FormFile(name.decode(), content) for name, content in zip(names, contents, strict=True)
    ]
    outcomes = {"found": 0, "refused": 0}
    for seed in range(3000):
        rng = np.random.default_rng([31, seed])
        body = damaged(form, KINDS[seed % len(KINDS)], rng)
        try:
            files = form_files(body, TYPE, 3)
        except Problem as problem:
            assert problem.status in (400, 413, 422) and "\n" not in problem.detail
            outcomes["refused"] += 1
        else:
            assert 1 <= len(files) <= 3
            assert all(file.name is None or not {"/", "\\", "\n"} & set(file.name) for file in files)
            outcomes["found"] += 1
    assert min(outcomes.values()) > 300, outcomes
    assert caplog.records == []
