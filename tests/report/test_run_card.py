"""The card of a run: its facts, from a folder that is written by hand, and what is unknown."""

import dataclasses
import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from mstl.commands import card_command
from mstl.config import RECORD
from mstl.data.manifest import Manifest, ManifestRow
from mstl.evaluation.fold_evaluation import FoldEvaluation
from mstl.report.describe_run import describe_folder
from mstl.report.quotable import Quotable, read_details, write_test
from mstl.report.run_card import write_card
from mstl.report.run_facts import about
from mstl.report.run_page import write_report
from mstl.report.run_report import save_run_report
from tests.report.test_markdown import MARKDOWN
from tests.report.test_run_page import HOSTILE, TRUST, evaluation_of, history_of, read, run_of

DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
WEIGHTS = {"tag": "resnet50.timm", "file": "/home/me/w.safetensors", "sha256": DIGEST}
SETTINGS = {
    "data": "/home/me/pets", "val": None, "val_split": 0.25, "seed": 3, "freeze": "layer3", "optimizer": "adamw",
    "recipe": "finetune", "unfreeze_at": 0, "image_size": 160,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A finished run: ants and bees, 145 of 153 validation images right, and 9 of 10 test images; 4 files left out."""
    folder = tmp_path / "a-run"
    folder.mkdir()
    (folder / "best.ckpt").touch()
    (folder / "history.json").write_text(json.dumps(history_of(3)))
    labels = [0] * 70 + [1] * 83
    validated = evaluation_of(labels, [0] * 65 + [1] * 5 + [1] * 80 + [0] * 3, ("ants", "bees"), temperature=1.5)
    tested = evaluation_of([0] * 4 + [1] * 6, [0] * 3 + [1] * 7, ("ants", "bees"))
    write_test(folder, tested, 3)
    counts = {"train": (124, 121), "val": (70, 83), "test": (4, 6)}
    rows = [
        ManifestRow(f"{part}/{name}/{n}.jpg", name, part, f"{n:064x}")
        for part, numbers in counts.items()
        for name, number in zip(("ants", "bees"), numbers, strict=True)
        for n in range(number)
    ]
    rows += [ManifestRow(f"{n}.jpg", "ants", "", "", "cut off") for n in range(4)]
    manifest = Manifest(tuple(rows))
    manifest.write(folder / "manifest.csv")
    record = {"manifest": manifest.digest, "directory": "/d", "weights": WEIGHTS, "date": "2026-11-25", "mstl": "0.1.0"}
    (folder / "config.json").write_text(json.dumps({**SETTINGS, RECORD: record}))
    warning = "2 images have two labels, such as /home/me/pets/a.jpg: labelled b (`mstl data check` lists them)"
    run = run_of(
        validated, config=SETTINGS, checkpoint=folder / "best.ckpt", train_count=245, validated_on="split",
        test_images=10, test=Quotable.of(tested, 3), rejector=TRUST, warnings=(warning,), model="resnet50",
    )  # fmt: skip
    save_run_report(folder, run)
    return folder


def card(path):
    """The metadata of a card, and its text."""
    empty, matter, text = path.read_text(encoding="utf-8").split("---\n", 2)
    assert empty == ""
    return yaml.safe_load(matter), text


def tables(text):
    found = []
    for token in MARKDOWN.parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and token.level > 3:  # in a cell
            found[-1][-1].append("".join(each.content for each in token.children))
    return found


def test_a_card_by_hand(folder):
    """Wilson's intervals by hand: 9 of 10 is 59.6 to 98.2 %, 145 of 153 is 90.0 to 97.3 %, 65 of 70 is 84.3 to 96.9 %,
    80 of 83 is 89.9 to 98.8 %, 3 of 4 is 30.1 to 95.4 % and 6 of 6 is 61.0 to 100 %."""
    done = CliRunner().invoke(card_command.main, [str(folder)])
    assert (done.exit_code, done.stdout) == (0, f"{folder / 'MODEL_CARD.md'}\n"), done.output
    matter, text = card(folder / "MODEL_CARD.md")
    assert matter == {
        "license": "unknown", "library_name": "mstl", "pipeline_tag": "image-classification",
        "tags": ["image-classification", "mindspore", "mstl"], "base_model": "timm/resnet50.a1_in1k",
        "metrics": ["accuracy"],
        "model-index": [{"name": "a-run", "results": [
            {
                "task": {"type": "image-classification", "name": "Image classification"},
                "dataset": {"name": "pets", "type": "imagefolder", "split": split},
                "metrics": [{"type": "accuracy", "value": value, "name": "Accuracy"}],
            } for split, value in (("test", 0.9), ("validation", 0.9477))
        ]}],
    }  # fmt: skip
    overall, classes, confusions = tables(text)
    assert overall[1:] == [
        ["test", "10", "9", "90.0%", "59.6% to 98.2%"], ["validation", "153", "145", "94.8%", "90.0% to 97.3%"],
    ]  # fmt: skip
    assert classes[1:] == [  # precision: 65 of 68 and 80 of 85
        ["ants", "124", "70", "92.9%", "84.3% to 96.9%", "95.6%", "4", "75.0%", "30.1% to 95.4%"],
        ["bees", "121", "83", "96.4%", "89.9% to 98.8%", "94.1%", "6", "100%", "61.0% to 100%"],
    ]
    assert confusions[1:] == [["ants", "bees", "5 of 70"], ["bees", "ants", "3 of 83"]]
    for line in (
        "- **Trained:** what comes after layer3, 3 epochs; recipe finetune",
        "- **Its input:** images in colour, 160 x 160 pixels",
        "- **Started on:** 2026-11-25 (UTC)",
        "- **Version of mstl:** 0.1.0",
        "- **Data:** pets; source unknown",
        "- **Images:** 245 to train, 153 to validate and 10 to test on, of 2 classes",
        "- **Left out:** 4 of the files, as they could not be used",
        "- **Split:** validation images: 25.0% of each class, drawn by seed 3; copies of a picture, exact or near",
        f"- **Pretrained weights:** resnet50.timm (w.safetensors, SHA-256 {DIGEST})",
        ", <https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/model.safetensors>\n",
        "- **Licence of the weights:** Apache-2.0",
        "- **Licence of this model:** unknown",
        "- Data warning: 2 images have two labels.",
        "- Most training images: ants, 124; fewest: bees, 121.",
        "a probability below 23.4%, or where its features lie farther than 0.812 from those of the 3 most similar",
        "**Right on 9 of 10 test images, by which nothing was chosen: 90.0% (95% interval 59.6% to 98.2%) is ",
    ):
        assert line in text, line
    assert "/home/me" not in text and "fewer than" not in text


def test_a_cross_validation_by_class(folder):
    """Out of fold 9 of 10 ants and all 10 bees are right: 59.6 to 98.2 % and 72.2 to 100 %."""
    answers = evaluation_of([0] * 10 + [1] * 10, [0] * 9 + [1] * 11, ("ants", "bees"))
    numbers = np.arange(20)
    folds = FoldEvaluation(answers, numbers % 2, numbers, (0.1, 0.1), ("train",) * 20)
    write_card(folder / "card.md", dataclasses.replace(describe_folder(folder), folds=folds))
    matter, text = card(folder / "card.md")
    results = matter["model-index"][0]["results"]
    assert [(each["dataset"]["split"], each["metrics"][0]["value"]) for each in results] == [
        ("test", 0.9), ("all, out of fold", 0.95), ("validation", 0.9477),
    ]  # fmt: skip
    _, classes, _ = tables(text)
    assert classes[0][6:] == [
        "Out-of-fold images", "Out-of-fold recall", "Its 95% interval",
        "Test images", "Test recall", "Its 95% interval",
    ]  # fmt: skip
    assert [row[6:9] for row in classes[1:]] == [["10", "90.0%", "59.6% to 98.2%"], ["10", "100%", "72.2% to 100%"]]


def test_calibration_by_hand(folder):
    """Logits of 3 and 0: 95.26 % at T = 1 and 88.08 % at T = 1.5, where 94.77 % are right; 90 % of the test images."""
    write_card(folder / "card.md", describe_folder(folder))
    _, text = card(folder / "card.md")
    assert "its answers have a probability of 88.1% on average, and 94.8% are right" in text
    assert "A temperature of 1.50, fitted on these same images, takes the expected calibration error (ECE) " in text
    assert "(ECE) from 0.005 to 0.067; on others" in text and "nothing was fitted, the ECE is 0.053." in text


def test_what_is_not_recorded_is_unknown(folder):
    """A run of an earlier version: no record, no manifest; no test images, no rejector, and a class with few images."""
    for name in ("config.json", "manifest.csv", "test.json"):
        (folder / name).unlink()
    run = run_of(evaluation_of([0, 0, 1], [0, 1, 1], "abc"), config={}, train_count=None, model="")
    write_card(folder / "card.md", run)
    matter, text = card(folder / "card.md")
    assert "base_model" not in matter
    values = {fact.name: fact.value for fact in about(run)}
    assert values == {
        "Architecture": "unknown", "Its input": "images in colour, size unknown", "Trained": "unknown",
        "Started on": "unknown", "Version of mstl": "unknown", "Data": "unknown; source unknown",
        "Images": "unknown to train, 3 to validate and unknown to test on, of 3 classes", "Left out": "unknown",
        "Split": "unknown", "SHA-256 of manifest.csv": "unknown", "Licence of the images": "unknown",
        "Pretrained weights": "unknown", "Licence of the weights": "unknown", "Licence of this model": "unknown",
    }  # fmt: skip
    assert all(f"- **{name}:** {value}" in text for name, value in values.items())
    assert "whatever it shows" in text and "It cannot tell" in text
    assert "3 of the 3 classes have fewer than 30 validation images" in text
    (table,) = [table for table in tables(text) if table[0][0] == "Class"]
    assert table[3] == ["c", "unknown", "0", "unknown", "unknown", "0%"]


def test_a_manifest_of_another_run_says_nothing(folder):
    with open(folder / "manifest.csv", "a") as file:
        file.write("more.jpg,ants,train,00,\n")
    facts = describe_folder(folder).facts
    assert (facts.date, facts.images, facts.left_out) == ("2026-11-25", {}, None)


@pytest.mark.parametrize(
    ("weights", "licence"),
    [
        ({"tag": "resnet50.tutorial", "file": "/f", "sha256": "0"}, "unknown: none is stated where they are published"),
        ({"tag": "", "file": "/home/me/own.pth", "sha256": "0"}, "unknown"),
        ({"tag": "resnet18.later", "file": "/f", "sha256": "0"}, "unknown"),
        ({"tag": "none", "file": "", "sha256": ""}, None),
    ],
)
def test_the_licence_of_the_weights(folder, weights, licence):
    settings = json.loads((folder / "config.json").read_text())
    settings[RECORD]["weights"] = weights
    (folder / "config.json").write_text(json.dumps(settings))
    facts = {fact.name: fact.value for fact in about(describe_folder(folder))}
    assert facts.get("Licence of the weights") == licence
    assert facts["Pretrained weights"] != "unknown"


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        ({"data": "demo"}, "Data", "demo: 5 kinds of drawn objects, 300 images, drawn on this machine"),
        ({"data": "hymenoptera"}, "Data", "hymenoptera: ants and bees, about 400 images, of PyTorch's"),
        ({"data": "lists/pets.csv"}, "Data", "lists/pets.csv; source unknown"),
        ({"data": "."}, "Data", "d; source unknown"),
        ({"data": "../.."}, "Data", "unknown; source unknown"),
        ({"freeze": "backbone", "optimizer": "lbfgs", "recipe": "auto"}, "Trained", "the head alone, solved for; "),
        ({"freeze": "none"}, "Trained", "all layers, 3 epochs; recipe finetune"),
        ({"freeze": "BN"}, "Trained", "all layers but the BatchNorms, 3 epochs; recipe finetune"),
        ({"freeze": "backbone", "unfreeze_at": 2}, "Trained", "the head alone, from epoch 2 on all layers, 3 "),
        ({"freeze": "backbone", "unfreeze_at": 9}, "Trained", "the head alone, 3 epochs; recipe finetune"),
    ],
)  # fmt: skip
def test_facts_of_settings(folder, settings, name, value):
    run = describe_folder(folder)
    run.config.update(settings)
    (found,) = [fact.value for fact in about(run) if fact.name == name]
    assert found.startswith(value)


def test_the_page_begins_with_the_same_facts(folder):
    run = describe_folder(folder)
    write_report(folder / "report.html", run)
    page = read(folder / "report.html")
    sections = [attributes["id"] for tag, attributes in page.elements if tag == "section"]
    assert sections[0] == "about"
    assert all(fact.value in page.text("dd") and fact.link in page.text("dd") for fact in about(run))


def test_names_that_are_meant_to_break_a_page(folder):
    labels = np.arange(12) % 6
    run = run_of(
        evaluation_of(labels, np.roll(labels, 1), HOSTILE), "<b>`run`</b>|\n", test_images=0, validated_on="val"
    )
    write_card(folder / "card.md", run)
    matter, text = card(folder / "card.md")
    assert matter["model-index"][0]["name"] == "<b>`run`</b>|\n"
    (table,) = [table for table in tables(text) if table[0][0] == "Class"]
    shown = [row[0] for row in table[1:]]
    assert shown == [*HOSTILE[:4], "\\u202enul\\x00", HOSTILE[5]]
    kinds = {each.type for token in MARKDOWN.parse(text) for each in token.children or ()}
    assert kinds <= {"text", "text_special", "softbreak", "code_inline", "strong_open", "strong_close"}
    assert not any(token.type == "html_block" for token in MARKDOWN.parse(text))


def test_where_there_is_no_run_or_no_place(folder, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for arguments, said in (
        ([str(tmp_path)], "holds no run"),
        ([str(folder), "--out", str(folder)], "is a folder: give the name of a file"),
        ([str(folder), "--out", str(folder / "best.ckpt" / "card.md")], "is not a folder"),
    ):
        done = CliRunner().invoke(card_command.main, arguments)
        assert done.exit_code == 1 and said in done.output and done.output.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
    (folder / "test.json").write_text("{}")
    done = CliRunner().invoke(card_command.main, [str(folder)])
    assert done.exit_code == 1 and "test.json is damaged" in done.output
    assert not (folder / "MODEL_CARD.md").exists()


def test_details_of_the_test_images(folder):
    details = read_details(folder, 3)
    assert details.classes == {"ants": (3, 4), "bees": (6, 6)}
    assert details.ece == pytest.approx(0.9526 - 0.9, abs=1e-4)
    assert read_details(folder, 2) is None
