"""What is wrong with a data set: files that cannot be used, photos in two places, classes that do not match."""

import csv
import dataclasses
import os
import shutil
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mstl.data.checking.near_duplicates import look_alikes
from mstl.data.checking.scan_cache import Kept
from mstl.data.finding.source import lies_in
from mstl.errors import MstlError
from mstl.files import atomic_path, make_folder

FEW = 5  # training photos of a class, with fewer of which little can be learned
IMBALANCE = 10  # times as many photos of one class as of another
SEVERITIES = ("error", "warning", "note")  # must be mended; should be looked at; harmless
ERRORS = (
    *("empty", "truncated", "unreadable", "too_large"),
    *("leak", "near_leak", "two_labels", "near_two_labels"),
    *("case", "unknown_class"),
)
VERBS = {"train": "train on", "val": "validate on"}
WARNINGS = ("not_an_image", "duplicate", "loose", "loop", "few", "imbalance", "not_validated")


@dataclass(frozen=True)
class Finding:
    """One thing that a user should know of.

    Attributes:
        path: The file; "" where it is about a class.
        problem: In a word.
        detail: For people.
    """

    path: str
    problem: str
    detail: str

    @property
    def severity(self):
        """One of :data:`SEVERITIES`."""
        return SEVERITIES[0 if self.problem in ERRORS else 1 if self.problem in WARNINGS else 2]


@dataclass(frozen=True)
class Inspection:
    """What a look at a whole data set has shown.

    Attributes:
        usable: A dict from part ("train", "val") to the entries that can be used.
        faults: A dict from path to :class:`mstl.data.checking.scan.ScanResult` of the files that cannot.
        photos: The same of those that can.
        findings: A list of :class:`Finding`, by severity.
        group: A dict from path to a number that versions of one picture share.
    """

    usable: dict
    faults: dict
    photos: dict
    findings: list
    group: dict

    @property
    def errors(self):
        """The findings that must be mended."""
        return [finding for finding in self.findings if finding.severity == "error"]


def inspect(source):
    """Look at all files of a :class:`mstl.data.finding.source.Source`, or remember what the last look has shown."""
    kept = Kept(source.key)
    parts = source.parts
    every_photo = kept.photos([entry.path for part in parts.values() for entry in part.entries])
    faults = {path: photo for path, photo in every_photo.items() if photo.problem}
    photos = {path: photo for path, photo in every_photo.items() if not photo.problem}
    usable = {
        name: [dataclasses.replace(entry, scan=photos[entry.path]) for entry in part.entries if entry.path in photos]
        for name, part in parts.items()
    }
    pairs = similar(photos, kept)
    findings = [Finding(path, photo.problem, photo.detail) for path, photo in faults.items()]
    findings += [Finding(path, word, detail) for path, photo in photos.items() for word, detail in photo.notes]
    findings += [Finding(*oddity) for part in parts.values() for oddity in part.oddities]
    findings += repeated(usable, photos, pairs)
    findings += about_classes(usable)
    findings.sort(key=lambda finding: (SEVERITIES.index(finding.severity), finding.problem))
    return Inspection(usable, faults, photos, findings, groups(photos, pairs))


def similar(photos, kept):
    """Pairs of digests whose photos look alike."""
    first = {}  # of each content, one file
    for path, photo in photos.items():
        first.setdefault(photo.digest, path)
    digests = list(first)

    def search():
        thumbs = [photos[path].thumb for path in first.values()]
        return [(digests[i], digests[j]) for i, j in look_alikes(list(first.values()), thumbs)]

    return [pair for pair in kept.near_pairs(digests, search) if pair[0] in first and pair[1] in first]


def groups(photos, pairs):
    """A number for each path, the same for all versions of one picture."""
    parent = {photo.digest: photo.digest for photo in photos.values()}

    def root(digest):
        while parent[digest] != digest:
            parent[digest] = parent[parent[digest]]
            digest = parent[digest]
        return digest

    for first, second in pairs:
        parent[root(second)] = root(first)
    numbers = {digest: number for number, digest in enumerate(parent)}
    return {path: numbers[root(photo.digest)] for path, photo in photos.items()}


def repeated(usable, photos, pairs):
    """Findings about the same picture in training and validation, under two labels, or twice."""
    near = {}
    for first, second in pairs:
        near.setdefault(first, []).append(second)
        near.setdefault(second, []).append(first)
    entries = [(part, entry) for part, of_part in usable.items() for entry in of_part]  # training comes first
    seen = {}  # digest: a dict from (part, class) to the first entry
    for part, entry in entries:
        digest = photos[entry.path].digest
        said = set()
        for prefix, digests in (("", [digest]), ("near_", near.get(digest, []))):
            for other_digest in digests:
                for (other_part, other_name), other in seen.get(other_digest, {}).items():
                    for problem in relations(part, entry, other_part, other_name):
                        if problem not in said:
                            said.add(problem)
                            yield Finding(entry.path, prefix + problem, tell(prefix, problem, entry, other))
        seen.setdefault(digest, {}).setdefault((part, entry.label), entry)


def relations(part, entry, other_part, other_name):
    """What is wrong if two entries show the same picture."""
    if part == other_part and entry.label == other_name:
        return ["duplicate"]
    return ["leak"] * (part != other_part) + ["two_labels"] * (entry.label != other_name)


def tell(prefix, problem, entry, other):
    """The detail of a finding about two entries."""
    same = "looks like" if prefix else "is the same picture as"
    return {
        "leak": f"{same} {other.path}, which is trained on",
        "two_labels": f"labelled {entry.label}, but {same} {other.path}, labelled {other.label}",
        "duplicate": f"{same} {other.path}",
    }[problem]


def about_classes(usable):
    """Findings about the classes as a whole."""
    train = Counter(entry.label for entry in usable["train"])
    val = Counter(entry.label for entry in usable.get("val", ()))
    by_key = {}
    for name in sorted({**train, **val}):
        by_key.setdefault(case_key(name), []).append(name)
    for names in by_key.values():
        if len(names) > 1:
            yield Finding("", "case", f"classes that differ only in how they are written: {', '.join(names)}")
    for name, count in sorted(train.items()):
        if count < FEW:
            yield Finding("", "few", f"class {name} has {count} training photo{'s' * (count > 1)}")
    if train and max(train.values()) >= IMBALANCE * min(train.values()):
        (most, many), *_, (least, few) = train.most_common()
        yield Finding("", "imbalance", f"{many} training photos of {most}, {few} of {least}")
    if "val" in usable:
        for name in sorted(val.keys() - train.keys()):
            yield Finding("", "unknown_class", f"class {name} has {val[name]} validation photos but none to train on")
        for name in sorted(train.keys() - val.keys()):
            yield Finding("", "not_validated", f"class {name} has no validation photo")


def case_key(name):
    """What two names share that a reader would take for one."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def summary(data, inspection):
    """A table for people: what was found how often, with an example of each."""
    counts = ", ".join(f"{len(entries):,} to {VERBS[part]}" for part, entries in inspection.usable.items())
    classes = len({entry.label for entry in inspection.usable["train"]})
    lines = [f"{data}: {counts}, of {classes} classes; {len(inspection.faults)} files cannot be used"]
    kinds = Counter((finding.severity, finding.problem) for finding in inspection.findings)
    if kinds:
        lines.append(f"{'severity':<10}{'problem':<17}{'number':>6}  such as")
    for (severity, problem), number in kinds.items():  # the findings are in order
        example = next(finding for finding in inspection.findings if finding.problem == problem)
        where = f"{shown(example.path)}: " if example.path else ""
        lines.append(f"{severity:<10}{problem:<17}{number:>6}  {where}{example.detail}")
    return "\n".join(lines)


def shown(path):
    """A path on one line, in characters that can be printed."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return text if text.isprintable() else repr(text)[1:-1]


def write_csv(findings, out):
    """Write findings as a table with the columns path, problem, detail, severity.

    Raises:
        MstlError: It cannot be written.
    """
    try:
        with atomic_path(out) as temporary, open(temporary, "w", encoding="utf-8", errors="replace", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(("path", "problem", "detail", "severity"))
            writer.writerows((x.path, x.problem, x.detail, x.severity) for x in findings)
    except OSError as error:
        raise MstlError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error


def quarantine(source, inspection, folder):
    """Move the files that must be mended because they cannot be used; nothing is overwritten.

    Args:
        source: The data.
        inspection: Of it.
        folder: Where to; each file goes to ``<part>/<class>/`` in it, or ``<class>/`` where there is one part.

    Returns:
        A dict from old path to new path.

    Raises:
        MstlError: The folder lies inside the data, or a file cannot be moved.
    """
    folder = Path(folder)
    for part in source.parts.values():
        if part.folder is not None and lies_in(folder, part.folder):
            raise MstlError(f"{folder} lies inside the data, where it would be a class itself: choose another folder")
    bad = {finding.path for finding in inspection.errors if finding.path in inspection.faults}
    moved = {}
    for name, part in source.parts.items():
        for entry in part.entries:
            if entry.path in bad and os.path.lexists(entry.path):
                place = free_name(folder / (name if source.val else "") / entry.label / entry.relative_path)
                make_folder(place.parent)
                try:
                    shutil.move(entry.path, place)
                except OSError as error:
                    raise MstlError(f"cannot move {entry.path} to {place}: {error.strerror or error}") from error
                moved[entry.path] = str(place)
    return moved


def free_name(path):
    """The path itself, or one with a number where something is there already."""
    number, candidate = 1, path
    while os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
