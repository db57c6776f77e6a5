"""A model that is served, for all tests of a module."""

import pytest


@pytest.fixture(scope="session")
def color_file(tmp_path_factory):
    """The .onnx file of :mod:`tests.serving.color_model`."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("fastapi")
    from tests.serving.color_model import write_model

    return write_model(tmp_path_factory.mktemp("served") / "colors.onnx")
