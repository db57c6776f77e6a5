"""The card of a run, MODEL_CARD.md: what whoever gets its model should know of it, and what nobody knows."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mstl.evaluation.feature_sample import KEEP_FEATURES
from mstl.evaluation.metrics import wilson
from mstl.evaluation.rejection import KEPT
from mstl.files import write_text
from mstl.report import verdict
from mstl.report.class_tables import ClassRow, class_table
from mstl.report.markdown import escaped, front_matter, table
from mstl.report.plots.style import share
from mstl.report.quotable import what_to_quote
from mstl.report.rendering import decimal
from mstl.report.run_facts import UNKNOWN, Fact, about, data_name
from mstl.report.run_page import cost, is_solved
from mstl.report.run_report import RunReport
from mstl.runtime.language import in_english

NAME = "MODEL_CARD.md"
NAMED = 12  # classes in the first sentence
CONFUSIONS = 5
FEW = 30  # held-out images of a class, with fewer of which its figures say little
HUB = "https://huggingface.co/"
USE = """```sh
mstl predict best.ckpt image.jpg --reject
```

```python
import mstl

predictor = mstl.Predictor("best.ckpt")
print(predictor(["image.jpg"]))
```"""


def write_card(path: str | os.PathLike[str], run: RunReport) -> None:
    """Write the card of a run in Markdown, with the YAML of Hugging Face's model cards in front, atomically.

    It is in English, in any language: programs read it, and people all over the world.
    """
    with in_english():
        write_text(path, "\n\n".join(parts_of(run)) + "\n")


def parts_of(run: RunReport) -> list[str]:
    """The parts of the card."""
    parts = [front_matter(metadata(run)), f"# {escaped(run.name)}", introduction(run)]
    sections = {
        "What it is": "\n".join(row_of(fact) for fact in about(run)),
        "Use": f"{intended(run)}\n\n{USE}",
        "Accuracy": accuracy(run),
        "How far to trust its probabilities": calibration(run),
        "Images of none of the classes": rejection(run),
        "Limits": "\n".join(f"- {limit}" for limit in limits(run)),
        "What it cost to make": escaped(cost(run)["spent"] or UNKNOWN),
    }
    return parts + [f"## {title}\n\n{text}" for title, text in sections.items()]


def metadata(run: RunReport) -> dict[str, Any]:
    """What programs read of the card. The licence of the model is its owner's to state."""
    figures = [("test", run.test.accuracy)] if run.test is not None else []
    figures += [] if run.folds is None else [("all, out of fold", run.folds.evaluation.accuracy)]
    figures.append(("validation", run.evaluation.accuracy))
    results = [
        {
            "task": {"type": "image-classification", "name": "Image classification"},
            "dataset": {"name": data_name(run), "type": "imagefolder", "split": split},
            "metrics": [{"type": "accuracy", "value": round(value, 4), "name": "Accuracy"}],
        }
        for split, value in figures
    ]
    links = [fact.link for fact in about(run) if fact.link.startswith(HUB)]
    base = {"base_model": "/".join(links[0].removeprefix(HUB).split("/")[:2])} if links else {}
    return {
        "license": UNKNOWN,
        "library_name": "mstl",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "mindspore", "mstl"],
        **base,
        "metrics": ["accuracy"],
        "model-index": [{"name": run.name, "results": results}],
    }


def introduction(run: RunReport) -> str:
    """What the model tells apart, and how good it is at that."""
    classes = run.evaluation.classes
    names = ", ".join(escaped(name) for name in classes[:NAMED])
    names += f" and {len(classes) - NAMED:,} more" if len(classes) > NAMED else ""
    told = f"A classifier of images, of {len(classes):,} classes: {names}. It was fine-tuned by mstl."
    return f"{told} What the record of its training does not say is called {UNKNOWN} here.\n\n**{quote(run)}**"


def quote(run: RunReport) -> str:
    """The figure to quote, or the accuracy on the validation images and how far that can be relied upon."""
    said = what_to_quote(run.test, run.test_images, run.validated_on, is_solved(run), run.folds)
    if run.test is not None or run.folds is not None:
        return said
    return f"{escaped(verdict.verdict(run.evaluation))} {said}"


def row_of(fact: Fact) -> str:
    """A fact as an item of a list."""
    return f"- **{fact.name}:** {escaped(fact.value)}" + (f", <{fact.link}>" if fact.link else "")


def intended(run: RunReport) -> str:
    """What the model is for, as far as that follows from what it is."""
    answer = "or, with `--reject`, that it is none of these" if run.rejector is not None else "whatever it shows"
    return (
        f"Of any image, it says which of its {len(run.evaluation.classes):,} classes it shows, {answer}. What it is "
        f"meant for, and what it must not be used for: {UNKNOWN}, as nobody has told mstl."
    )


def accuracy(run: RunReport) -> str:
    """The accuracy in all and of each class, and the most frequent confusions."""
    evaluation = run.evaluation
    whole = [("validation", evaluation.correct, evaluation.total)]
    if run.test is not None:
        whole.insert(0, ("test", run.test.correct, run.test.total))
    overall = [
        (name, f"{total:,}", f"{correct:,}", share(correct / total), interval(correct, total))
        for name, correct, total in whole
    ]
    if run.folds is not None:
        all_images, (low, high) = run.folds.evaluation, run.folds.interval
        numbers = f"{all_images.total:,}", f"{all_images.correct:,}", share(all_images.accuracy)
        overall.insert(0, ("all, out of fold", *numbers, f"{share(low)} to {share(high)}"))
    means = (
        f"On the validation images, the balanced accuracy (each class counts alike) is "
        f"{share(evaluation.balanced_accuracy)}, and the macro F1 {decimal(evaluation.macro_f1)}. "
        f"{escaped(verdict.against_guessing(evaluation))}"
    )
    parts = [table(["Images", "Number", "Right", "Accuracy", "95% interval"], overall, 4), means]
    parts.append(classes_of(run, class_table(evaluation)["classes"]))
    confusions = [
        (escaped(each.own), escaped(each.predicted), f"{each.count:,} of {each.total:,}")
        for each in verdict.most_confused(evaluation, CONFUSIONS)
    ]
    if confusions:
        parts += [
            "The most frequent confusions of validation images:",
            table(["Is", "Called", "Images"], confusions, 1),
        ]
    return "\n\n".join(parts)


def classes_of(run: RunReport, rows: Sequence[ClassRow]) -> str:
    """A table of the classes: their images, and how many of them are recognised."""
    trained_on = run.facts.images.get("train", {})
    columns = ["Class", "Training images", "Validation images", "Recall", "95% interval", "Precision"]
    cells = []
    for row in rows:
        right = round(row.recall * row.support) if row.support else 0
        known = f"{trained_on.get(row.name, 0):,}" if trained_on else UNKNOWN
        recall = (share(row.recall), interval(right, row.support)) if row.support else (UNKNOWN, UNKNOWN)
        cells.append([escaped(row.name), known, f"{row.support:,}", *recall, share(row.precision)])
    for title, counts in others(run):
        columns += [f"{title} images", f"{title} recall", "Its 95% interval"]
        for row, line in zip(rows, cells, strict=True):
            right, total = counts.get(row.name, (0, 0))
            line += [f"{total:,}", *((share(right / total), interval(right, total)) if total else (UNKNOWN, UNKNOWN))]
    return table(columns, cells, len(columns) - 1)


def others(run: RunReport) -> Iterator[tuple[str, Mapping[str, tuple[int, int]]]]:
    """Of the cross-validation and the test images, if there are: how many of each class are recognised, of how many."""
    if run.folds is not None:
        evaluation = run.folds.evaluation
        right = evaluation.confusion.diagonal().tolist()
        yield (
            "Out-of-fold",
            dict(zip(evaluation.classes, zip(right, evaluation.support.tolist(), strict=True), strict=True)),
        )
    if run.facts.tested is not None:
        yield "Test", run.facts.tested.classes


def interval(correct: int, total: int) -> str:
    """The 95 % interval of a share."""
    low, high = wilson(correct, total)
    return f"{share(low)} to {share(high)}"


def calibration(run: RunReport) -> str:
    """How sure the model is, beside how often it is right."""
    evaluation, after = run.evaluation, decimal(run.evaluation.ece())
    about = verdict.about_calibration(evaluation)
    told = [f"On the validation images: {about[0].lower()}{about[1:]}"]
    if evaluation.temperature == 1:
        told.append(f"The expected calibration error (ECE) is {after}.")
    else:
        fitted_on = "these same images"
        if evaluation.total > KEEP_FEATURES:
            fitted_on = f"a random sample of {KEEP_FEATURES:,} of them"
        before = decimal(evaluation.calibrated(1.0).ece())
        told.append(
            f"A temperature of {evaluation.temperature:.2f}, fitted on {fitted_on}, takes the expected calibration "
            f"error (ECE) from {before} to {after}; on others it may be larger."
        )
    if run.facts.tested is not None and run.facts.tested.ece is not None:
        told.append(f"On the test images, by which nothing was fitted, the ECE is {decimal(run.facts.tested.ece)}.")
    return " ".join(told)


def rejection(run: RunReport) -> str:
    """When an image is none of the classes."""
    if run.rejector is None:
        return "It cannot tell: each image gets one of the classes, whatever it shows."
    limits = run.rejector
    return (
        f"With `--reject`, an image is none of the classes where its answer has a probability below "
        f"{share(limits['probability_limit'])}, or where its features lie farther than "
        f"{decimal(limits['distance_limit'])} from those of the {limits['neighbours']} most similar known images (0 is "
        f"the same, 2 the farthest). Fitted on validation images, these limits keep {KEPT:.0%} of them. How many "
        f"images of other things they let through: {UNKNOWN}."
    )


def limits(run: RunReport) -> Iterator[str]:
    """What is to be known before the figures are relied upon."""
    evaluation, train = run.evaluation, run.facts.images.get("train")
    yield (
        "All figures are of images that belong to the same data as the training images. How accurate it is on those of "
        f"other cameras, places and times: {UNKNOWN}."
    )
    yield f"Whether it serves all people alike, and what its mistakes cost: {UNKNOWN}."
    few = int((evaluation.support < FEW).sum())
    if few:
        rough = f"have fewer than {FEW} validation images, so that their figures are rough: see their intervals"
        yield f"{few:,} of the {len(evaluation.classes):,} classes {rough}."
    if train:
        most, least = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
        yield f"Most training images: {escaped(most)}, {train[most]:,}; fewest: {escaped(least)}, {train[least]:,}."
    if run.missing:
        yield f"{len(run.missing):,} validation images could not be read any more when the figures were written."
    for warning in run.warnings:
        yield f"Data warning: {escaped(without_paths(warning))}."
    if not run.warnings:
        yield "The check of the data found nothing to warn of."


def without_paths(warning: str) -> str:
    """A warning about the data without the file that it names as an example."""
    return warning.split("\n")[0].split(", such as ")[0].rstrip(":.")
