"""Review items: which images of a dataset are to be looked at, why, in which order, and what is shown beside each."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mstl.data.checking.checks import CheckedDataset
from mstl.data.checking.odd_images import ODD
from mstl.review.standing import Image
from mstl.serving.review_features import FeaturedImages

ORDER = (  # of the reasons: what costs most accuracy, or flatters it, comes first
    *("suspect", "two_labels", "near_two_labels", "leak", "near_leak"),
    *("duplicate", "near_duplicate", "outlier", "odd", "unsure"),
)
REPEATED = ORDER[1:7]  # findings about an image and a version of it
VERSIONS = 6  # versions of the same picture that are shown
UNSURE = 0.2  # margin between the two most probable classes, below which an answer says little


@dataclass(frozen=True)
class Reason:
    """Why an image is to be looked at: a word of ``ORDER``, and of an odd one what is odd about it, or ""."""

    kind: str
    detail: str = ""

    @property
    def weight(self) -> int:
        """Its place among all; 0 is the weightiest."""
        return ORDER.index(self.kind)


@dataclass(frozen=True)
class ReviewItem:
    """An image to be looked at.

    Attributes:
        image: The image.
        reasons: Why, the weightiest first.
        answer: The most probable classes with their probabilities, by a head that has not seen the image.
        versions: Other images that show the same picture.
        of_label, of_answer: The nearest images of its class, and of the class that it is taken for if that is another.
    """

    image: Image
    reasons: tuple[Reason, ...]
    answer: tuple[tuple[str, float], ...] = ()
    versions: tuple[Image, ...] = ()
    of_label: tuple[Image, ...] = ()
    of_answer: tuple[Image, ...] = ()


def review_items(
    images: Sequence[Image], checked: CheckedDataset, featured: FeaturedImages | None = None
) -> list[ReviewItem]:
    """The images of a dataset to be looked at, in the order in which that pays most.

    Args:
        images: All images.
        checked: What is odd about them.
        featured: What a model makes of them; None where there is none.
    """
    by_path = {image.path: image for image in images if image.path in checked.groups}
    groups = checked.groups
    members: dict[int, list[str]] = defaultdict(list)
    for path in by_path:
        members[groups[path]].append(path)
    rows = {} if featured is None else {path: row for row, path in enumerate(featured.paths)}
    ranks = {} if featured is None else {each.path: rank for rank, each in enumerate(featured.suspects)}
    reasons = all_reasons(by_path, members, checked, featured)

    def order(path: str) -> tuple[float, ...]:
        margin = featured.margin(rows[path]) if featured is not None and path in rows else 0.0
        return (reasons[path][0].weight, ranks.get(path, 0), groups[path], margin)

    paths = sorted(reasons, key=order)
    known = [path for path in paths if path in rows]
    nearest: dict[str, tuple[list[int], list[int]]] = {}
    if featured is not None:
        nearest = dict(zip(known, featured.nearest([rows[path] for path in known]), strict=True))

    def item(path: str) -> ReviewItem:
        versions = tuple(by_path[other] for other in members[groups[path]] if other != path)[:VERSIONS]
        if featured is None or path not in rows:
            return ReviewItem(by_path[path], reasons[path], versions=versions)
        of_label, of_answer = (
            tuple(by_path[featured.paths[near]] for near in found if featured.paths[near] in by_path)
            for found in nearest[path]
        )
        return ReviewItem(by_path[path], reasons[path], featured.answer(rows[path]), versions, of_label, of_answer)

    return [item(path) for path in paths]


def all_reasons(
    by_path: Mapping[str, Image],
    members: Mapping[int, Sequence[str]],
    checked: CheckedDataset,
    featured: FeaturedImages | None,
) -> dict[str, tuple[Reason, ...]]:
    """The reasons to look at each image, the weightiest first, by its path; images without one are left out."""
    found: dict[str, dict[str, Reason]] = defaultdict(dict)
    for path, reason in reasons_of(by_path, members, checked):
        found[path].setdefault(reason.kind, reason)
    if featured is not None:
        for suspect in featured.suspects:
            found[suspect.path]["suspect"] = Reason("suspect")
        for row in featured.outliers:
            found[featured.paths[row]]["outlier"] = Reason("outlier")
        for row, path in enumerate(featured.paths):
            if path not in found and featured.margin(row) < UNSURE:
                found[path]["unsure"] = Reason("unsure")
    return {
        path: tuple(sorted(reasons.values(), key=lambda reason: reason.weight))
        for path, reasons in found.items()
        if path in by_path
    }


def reasons_of(
    by_path: Mapping[str, Image], members: Mapping[int, Sequence[str]], checked: CheckedDataset
) -> Iterator[tuple[str, Reason]]:
    """What the check of the data has found about images that can be used, each with the path of an image.

    The check names the later one of two images with different labels; either label may be the wrong one.
    """
    for finding in checked.findings:
        kind = finding.problem
        if finding.path not in by_path:
            continue
        if kind in ODD:
            yield finding.path, Reason("odd", finding.detail)
        if kind in REPEATED:  # by what, is shown beside it
            yield finding.path, Reason(kind)
        if kind.endswith("two_labels"):
            for other in members[checked.groups[finding.path]]:
                if by_path[other].label != by_path[finding.path].label:
                    yield other, Reason(kind)
