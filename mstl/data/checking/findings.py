"""Findings: what is wrong with a dataset as a whole, such as duplicates, leaks and classes that do not match."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mstl.data.samples import Sample

USED = {"train": "trained on", "val": "validated on", "test": "tested on"}
HELD_OUT = {"val": "validation", "test": "test"}
FEW = 5  # training images of a class, with fewer of which little can be learned
IMBALANCE = 10  # times as many images of one class as of another
SEVERITIES = ("error", "warning", "note")  # must be fixed; should be looked at; harmless
ERRORS = (
    *("empty", "truncated", "unreadable", "too_large", "too_long"),
    *("leak", "near_leak", "two_labels", "near_two_labels"),
    *("case", "unknown_class", "refused"),
)
WARNINGS = (
    *("not_an_image", "duplicate", "loose", "loop", "few", "imbalance", "divided_group", "not_validated", "not_tested"),
    *("same_folders", "hidden", "dark", "blank", "graphic", "tiny", "narrow"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that a user should know about.

    Attributes:
        path: The file; "" for a class.
        problem: In a word.
        detail: A sentence for users.
    """

    path: str
    problem: str
    detail: str

    @property
    def severity(self) -> str:
        """One of :data:`SEVERITIES`."""
        return SEVERITIES[0 if self.problem in ERRORS else 1 if self.problem in WARNINGS else 2]


def repeated_images(usable: Mapping[str, Sequence[Sample]], near_pairs: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """Findings about one picture in two splits, under two labels, or twice in a class.

    Args:
        usable: Samples of each split: training, validation, test.
        near_pairs: Pairs of digests of near duplicates.
    """
    near: dict[str, list[str]] = {}
    for first, second in near_pairs:
        near.setdefault(first, []).append(second)
        near.setdefault(second, []).append(first)
    seen: dict[str, dict[tuple[str, str], Sample]] = {}  # digest: the first sample of each split and class
    for sample in (sample for samples in usable.values() for sample in samples):
        said = set()
        for prefix, digests in (("", [sample.digest]), ("near_", near.get(sample.digest, []))):
            for other in (other for digest in digests for other in seen.get(digest, {}).values()):
                for problem in relations(sample, other):
                    if problem not in said:
                        said.add(problem)
                        yield Finding(sample.path, prefix + problem, describe_pair(prefix, problem, sample, other))
        seen.setdefault(sample.digest, {}).setdefault((sample.split, sample.label), sample)


def relations(sample: Sample, other: Sample) -> list[str]:
    """What is wrong if two samples show the same picture."""
    if (sample.split, sample.label) == (other.split, other.label):
        return ["duplicate"]
    return ["leak"] * (sample.split != other.split) + ["two_labels"] * (sample.label != other.label)


def describe_pair(prefix: str, problem: str, sample: Sample, other: Sample) -> str:
    """The detail of a finding about two samples."""
    same = "looks like" if prefix else "is the same picture as"
    return {
        "leak": f"{same} {other.path}, which is {USED[other.split]}",
        "two_labels": f"labelled {sample.label}, but {same} {other.path}, labelled {other.label}",
        "duplicate": f"{same} {other.path}",
    }[problem]


def class_problems(usable: Mapping[str, Sequence[Sample]]) -> Iterator[Finding]:
    """Findings about the classes: names, sizes, and whether all splits have them."""
    train = Counter(sample.label for sample in usable["train"])
    held_out = {split: Counter(x.label for x in usable[split]) for split in HELD_OUT if split in usable}
    by_key: dict[str, list[str]] = {}
    for name in sorted(set(train).union(*held_out.values())):
        by_key.setdefault(case_key(name), []).append(name)
    for names in by_key.values():
        if len(names) > 1:
            yield Finding("", "case", f"classes that differ only in how they are written: {', '.join(names)}")
    for name, count in sorted(train.items()):
        if count < FEW:
            yield Finding("", "few", f"class {name} has {count} training image{'s' * (count > 1)}")
    if train and max(train.values()) >= IMBALANCE * min(train.values()):
        (most, many), *_, (least, few) = train.most_common()
        yield Finding("", "imbalance", f"{many} training images of {most}, {few} of {least}")
    for split, counts in held_out.items():
        word = HELD_OUT[split]
        for name in sorted(counts.keys() - train.keys()):
            yield Finding("", "unknown_class", f"class {name} has {counts[name]} {word} images but none to train on")
        for name in sorted(train.keys() - counts.keys()):
            yield Finding("", "not_validated" if split == "val" else "not_tested", f"class {name} has no {word} image")


def divided_groups(usable: Mapping[str, Sequence[Sample]]) -> Iterator[Finding]:
    """A finding for each group of a list, such as a patient, whose images are not all in one split."""
    splits: dict[str, dict[str, int]] = {}
    for sample in (sample for samples in usable.values() for sample in samples if sample.group):
        counts = splits.setdefault(sample.group, {})
        counts[sample.split] = counts.get(sample.split, 0) + 1
    for group, counts in splits.items():
        if len(counts) > 1:
            told = " and ".join(f"{number} {USED[split]}" for split, number in counts.items())
            yield Finding("", "divided_group", f"of the images of the group {group}, {told}")


def case_key(name: str) -> str:
    """What two class names share that a reader would take for one name."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
