"""What the page about a run tells of odd images: those that the scan has noted, and those far from their own class."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mstl.data.checking.odd_images import ODD, image_findings
from mstl.evaluation.class_outliers import class_outliers
from mstl.evaluation.feature_sample import featured_part
from mstl.evaluation.metrics import Evaluation
from mstl.files import encodable
from mstl.runtime.language import translated as _

if TYPE_CHECKING:
    from mstl.data.dataset import ImageSet

NAMED = 3  # images of each kind
FARTHEST = 20  # images far from their class that are named


def noted_images(image_sets: "Iterable[ImageSet]") -> list[list[Any]]:
    """What is odd about images, as plain values: for each kind a word, how many images, and the paths of some."""
    scans = {sample.path: sample.scan for images in image_sets for sample in images.samples if sample.scan is not None}
    paths: dict[str, list[str]] = {word: [] for word in ODD}
    for finding in image_findings(scans):
        if finding.problem in paths:
            paths[finding.problem].append(encodable(finding.path))
    return [[word, len(found), found[:NAMED]] for word, found in paths.items() if found]


def far_images(evaluation: Evaluation) -> list[list[Any]]:
    """The images of an evaluation that are far from their own class, as plain values: path, class and distances."""
    part = featured_part(evaluation)
    if part.features is None:
        return []
    return [
        [encodable(part.paths[each.index]), part.classes[part.labels[each.index]], each.distance, each.usual]
        for each in class_outliers(part.features, part.labels)
    ]


def odd_section(noted: Sequence[Sequence[Any]], far: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The same as a page shows it: each kind in words, with names of files instead of paths."""
    return {
        "noted": [(_(ODD[word]), count, [Path(path).name for path in paths]) for word, count, paths in noted],
        "far": [(Path(path).name, name, distance, usual) for path, name, distance, usual in far[:FARTHEST]],
        "far_count": len(far),
    }
