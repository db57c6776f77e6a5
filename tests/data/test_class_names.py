"""Names of new classes: which are taken, which are refused, and which mean a class that there is."""

import pytest

from mstl.data.class_names import known_name, why_no_class


@pytest.mark.parametrize("name", ["wasp", "2024", "蚂蚁", "café au lait", "trains", "x" * 100, "CON"])
def test_a_name_that_can_be_a_class(name):
    assert why_no_class(name, ["ant", "bee"]) == ""


@pytest.mark.parametrize(
    "name",
    [*("", " ", " ant", "ant\t", ".ant", "~ant", "a/b", "a\\b", "c:", "a\nb", "x" * 101, "蚁" * 86)]
    + [*("train", "Test set", "验证", "runs", "@eaDir", "photos-excluded", "Ant", "ant  bee")],
)
def test_a_name_that_cannot(name):
    assert why_no_class(name, ["ant", "ant bee"])


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden"])
def test_a_known_class_that_no_folder_can_be_called_after_is_refused(name):
    """As a model's classes may be called, which were labels of a list."""
    assert why_no_class(name, [name]) == "cannot be the name of a folder"


def test_known_classes_are_called_as_they_are():
    classes = ["Ant", "ant", "train", "caf\u00e9", "cafe\u0301s"]
    assert [why_no_class(name, classes) for name in classes[:4]] == [""] * 4
    assert known_name("cafe\u0301", classes) == "caf\u00e9"
    assert known_name("caf\u00e9s", classes) == "cafe\u0301s" == known_name("cafe\u0301s", classes)
    assert known_name("the\u0301", classes) == "th\u00e9"
