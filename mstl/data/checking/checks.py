"""check_dataset: read every file of a dataset and find what is wrong with it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mstl.data.checking.findings import SEVERITIES, Finding, class_problems, divided_groups, repeated_images
from mstl.data.checking.near_duplicates import near_duplicates
from mstl.data.checking.odd_images import image_findings
from mstl.data.checking.scan_cache import ScanCache
from mstl.data.checking.subfolders import subfolder_findings
from mstl.data.finding.found import FoundDataset
from mstl.data.samples import Sample, ScanResult


@dataclass(frozen=True)
class CheckedDataset:
    """A dataset whose files have all been read.

    Attributes:
        found: The dataset as it was found, with all samples.
        usable: The samples of each split ("train", "val", "test") that can be used, each with its scan.
        faults: The scans of the files that cannot be used, by path.
        findings: What is wrong or unusual, by severity.
        groups: A number for each usable file, by path, that versions of one picture share, and images that a list puts
            into one group.
    """

    found: FoundDataset
    usable: dict[str, tuple[Sample, ...]]
    faults: dict[str, ScanResult]
    findings: list[Finding]
    groups: dict[str, int]

    @property
    def errors(self) -> list[Finding]:
        """The findings that must be fixed."""
        return [finding for finding in self.findings if finding.severity == "error"]


def check_dataset(found: FoundDataset) -> CheckedDataset:
    """Read all files of a dataset, or recall what the last scan has shown, and look for problems."""
    cache = ScanCache(found.key)
    scans = cache.scan(sample.path for split in found.splits.values() for sample in split.samples)
    faults = {path: scan for path, scan in scans.items() if scan.problem}
    images = {path: scan for path, scan in scans.items() if not scan.problem}
    kept = {path: dataclasses.replace(scan, thumb=b"") for path, scan in images.items()}  # all that is needed later
    usable = {
        name: tuple(
            dataclasses.replace(sample, scan=kept[sample.path]) for sample in split.samples if sample.path in kept
        )
        for name, split in found.splits.items()
    }
    first: dict[str, str] = {}  # of each content, one file
    for path, scan in images.items():
        first.setdefault(scan.digest, path)
    digests = list(first)

    def search() -> list[tuple[str, str]]:
        paths = list(first.values())
        thumbs = [images[path].thumb for path in paths]
        return [(digests[i], digests[j]) for i, j in near_duplicates(paths, thumbs)]

    pairs = [pair for pair in cache.near_pairs(digests, search) if pair[0] in first and pair[1] in first]
    findings = [Finding(path, scan.problem, scan.detail) for path, scan in faults.items()]
    findings += image_findings(images)
    findings += [Finding(*oddity) for split in found.splits.values() for oddity in split.oddities]
    findings += repeated_images(usable, pairs)
    findings += class_problems(usable)
    findings += divided_groups(usable)
    findings += subfolder_findings(found.train)
    findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.problem))
    group = groups(digests, [*pairs, *listed_together(usable)])
    return CheckedDataset(found, usable, faults, findings, {path: group[scan.digest] for path, scan in images.items()})


def listed_together(usable: Mapping[str, Sequence[Sample]]) -> Iterator[tuple[str, str]]:
    """Pairs of digests of images that a list puts into one group: each with the first one of the group."""
    first: dict[str, str] = {}
    for sample in (sample for samples in usable.values() for sample in samples if sample.group):
        yield first.setdefault(sample.group, sample.digest), sample.digest


def groups(digests: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """A number for each digest, the same for all versions of one picture.

    Args:
        digests: All different.
        pairs: Those that belong together.
    """
    above = {digest: digest for digest in digests}  # another version of the same picture, or itself

    def top(digest: str) -> str:
        while above[digest] != digest:
            above[digest] = digest = above[above[digest]]
        return digest

    for first, second in pairs:
        above[top(first)] = top(second)
    numbers: dict[str, int] = {}
    return {digest: numbers.setdefault(top(digest), len(numbers)) for digest in digests}
