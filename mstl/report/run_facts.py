"""RunFacts: what is recorded of a run besides its figures, and the rows that page and card tell of it."""

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mstl.config import RECORD
from mstl.data.finding import demo, known_datasets
from mstl.data.finding.lists.list_file import LIST_SUFFIXES
from mstl.data.manifest import NAME, Manifest
from mstl.errors import MstlError
from mstl.report.plots.style import share
from mstl.report.quotable import Quotable, TestDetails, read_details
from mstl.runtime.language import plural
from mstl.runtime.language import translated as _

if TYPE_CHECKING:
    from mstl.models.weights_source import WeightsSource
    from mstl.report.run_report import RunReport

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Fact:
    """A row of what is told of a run.

    Attributes:
        name: What it is about.
        value: A text, :data:`UNKNOWN` if nothing is recorded.
        link: An address that belongs to it; "" for none.
    """

    name: str
    value: str
    link: str = ""


@dataclass(frozen=True)
class RunFacts:
    """What is recorded of a run; None, or nothing in it, where it is not known.

    Attributes:
        date: The day on which it was started (UTC).
        mstl: The version that started it.
        directory: The working directory then.
        weights: The pretrained weights.
        manifest: The SHA-256 of its manifest.csv.
        images: Number of images of each class, for each split.
        left_out: Number of files of the data that were not used.
        tested: The figures of its test images, if these were evaluated.
    """

    date: str | None = None
    mstl: str | None = None
    directory: str | None = None
    weights: "WeightsSource | None" = None
    manifest: str | None = None
    images: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    left_out: int | None = None
    tested: TestDetails | None = None


def read_facts(folder: Path, test: Quotable | None) -> RunFacts:
    """What config.json, manifest.csv and test.json in the folder of a run say.

    Args:
        folder: The run's.
        test: The figures of its test images; None if there are none, or they have not been evaluated.

    Raises:
        MstlError: test.json is damaged.
    """
    tested = None if test is None else read_details(folder, test.epoch)
    return dataclasses.replace(read_record(folder), tested=tested)


def read_record(folder: Path) -> RunFacts:
    """The facts in config.json and manifest.csv; a manifest that is not that of the run says nothing."""
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))[RECORD]
        kept = {name: record.get(name) for name in ("date", "mstl", "directory", "manifest")}
        weights = read_weights(record.get("weights"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return RunFacts()
    try:
        manifest = Manifest.read(folder / NAME)
    except MstlError:
        return RunFacts(**kept, weights=weights)
    if manifest.digest != kept["manifest"]:
        return RunFacts(**kept, weights=weights)
    images: dict[str, Counter[str]] = {}
    for row in manifest.used:
        images.setdefault(row.split, Counter())[row.label] += 1
    return RunFacts(**kept, weights=weights, images=images, left_out=len(manifest.rows) - len(manifest.used))


def read_weights(values: Mapping[str, Any] | None) -> "WeightsSource | None":
    """The pretrained weights that a record names; None if it names none."""
    from mstl.models.weights_source import WeightsSource  # loads MindSpore

    return None if values is None else WeightsSource.from_dict(values)


def about(run: "RunReport") -> list[Fact]:
    """What the model of a run is and of what it was made, row by row."""
    facts, size = run.facts, run.image_size or run.config.get("image_size")
    return [
        Fact(_("Architecture"), run.model or _(UNKNOWN)),
        Fact(
            _("Its input"),
            _("images in colour, {side} x {side} pixels", side=size) if size else _("images in colour, size unknown"),
        ),
        Fact(_("Trained"), trained(run)),
        Fact(_("Started on"), _(UNKNOWN) if facts.date is None else f"{facts.date} (UTC)"),
        Fact(_("Version of mstl"), facts.mstl or _(UNKNOWN)),
        data_of(run),
        Fact(_("Images"), counted(run)),
        Fact(_("Left out"), left_out(facts.left_out)),
        Fact(_("Split"), split_of(run)),
        Fact(_("SHA-256 of {file}", file=NAME), facts.manifest or _(UNKNOWN)),
        Fact(_("Licence of the images"), _(UNKNOWN)),
        *about_weights(run),
        Fact(_("Licence of this model"), _(UNKNOWN)),
    ]


def left_out(count: int | None) -> str:
    """How many files of the data were not used."""
    if count is None:
        return _(UNKNOWN)
    return _("{count:,} of the files, as they could not be used", count=count) if count else _("none of the files")


def trained(run: "RunReport") -> str:
    """Which layers were trained, and how."""
    config, epochs = run.config, len(run.history)
    freeze, later = config.get("freeze"), config.get("unfreeze_at")
    if freeze is None:
        return _(UNKNOWN)
    whole = {"backbone": _("the head alone"), "none": _("all layers"), "BN": _("all layers but the BatchNorms")}
    layers = whole[freeze] if freeze in whole else _("what comes after {layer}", layer=freeze)
    if later and later <= epochs:
        layers += _(", from epoch {epoch} on all layers", epoch=later)
    effort = (
        _("solved for") if config.get("optimizer") == "lbfgs" else plural("{count} epoch", "{count} epochs", epochs)
    )
    recipe = config.get("recipe") or _(UNKNOWN)
    return _("{layers}, {effort}; recipe {recipe}", layers=layers, effort=effort, recipe=recipe)


def data_of(run: "RunReport") -> Fact:
    """What the data is called, without the folders of the machine on which it was; where it is from, if that is known.

    A relative path is that of the run: ``.`` is called as the folder in which it was started.
    """
    data = run.config.get("data")
    if data == "demo":
        return Fact(_("Data"), f"demo: {_(demo.WHAT)}")
    if data in known_datasets.KNOWN:
        known = known_datasets.KNOWN[data]
        return Fact(_("Data"), f"{data}: {_(known.what)}", known.url)
    return Fact(_("Data"), _("{name}; source unknown", name=data_name(run)))


def data_name(run: "RunReport") -> str:
    """The last part of the path of a run's data, after that of its folder if it is a list."""
    if not run.config.get("data"):
        return _(UNKNOWN)
    path = Path(os.path.normpath(os.path.join(run.facts.directory or "", run.config["data"])))
    name = os.path.join(path.parent.name, path.name) if path.suffix.lower() in LIST_SUFFIXES else path.name
    return name if name not in ("", "..") else _(UNKNOWN)


def counted(run: "RunReport") -> str:
    """How many images each part of the data has."""
    return _(
        "{train} to train, {val:,} to validate and {test} to test on, of {classes:,} classes",
        train=_(UNKNOWN) if run.train_count is None else f"{run.train_count:,}",
        val=run.evaluation.total,
        test=_(UNKNOWN) if run.test_images is None else f"{run.test_images:,}",
        classes=len(run.evaluation.classes),
    )


def split_of(run: "RunReport") -> str:
    """How the validation images were chosen."""
    if run.validated_on == "split":
        part, seed = run.config.get("val_split"), run.config.get("seed")
        return _(
            "validation images: {share} of each class, drawn by seed {seed}; copies of a picture, exact or near, are "
            "on one side",
            share=_(UNKNOWN) if part is None else share(part),
            seed=seed,
        )
    if run.validated_on == "test":
        return _("validation images: the test part that the data came with, as it has no other")
    if run.validated_on == "val":
        val = run.config.get("val")
        if val:
            return _("validation images: {name}", name=os.path.basename(val))
        return _("validation images: those that the data came with")
    return _(UNKNOWN)


def about_weights(run: "RunReport") -> list[Fact]:
    """The pretrained weights: which, whose, and by which licence."""
    weights = run.facts.weights
    if weights is None:
        rows = [Fact(_("Pretrained weights"), run.weights or _(UNKNOWN))]
        return [*rows, Fact(_("Licence of the weights"), _(UNKNOWN))]
    rows = [Fact(_("Pretrained weights"), str(weights))]
    if not weights.file:
        return rows
    from mstl.models.pretrained import TABLE  # loads MindSpore

    entry = next((entry for entry in TABLE if entry.name == weights.tag), None)
    if entry is None:
        return [*rows, Fact(_("Source of the weights"), _(UNKNOWN)), Fact(_("Licence of the weights"), _(UNKNOWN))]
    licence = entry.licence or _("unknown: none is stated where they are published")
    source = Fact(_("Source of the weights"), entry.source, entry.url)
    return [*rows, source, Fact(_("Licence of the weights"), licence)]
