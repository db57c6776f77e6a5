"""What ``mstl data check`` shows: a summary for the terminal, and a CSV with all findings."""

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mstl.data.checking.checks import CheckedDataset
from mstl.data.checking.findings import Finding
from mstl.data.image_files import printable
from mstl.errors import MstlError
from mstl.files import atomic_path

VERBS = {"train": "train on", "val": "validate on", "test": "test on"}


def summary(data: str, checked: CheckedDataset) -> str:
    """A table of what was found how often, with an example of each."""
    counts = ", ".join(f"{len(samples):,} to {VERBS[split]}" for split, samples in checked.usable.items())
    classes = len({sample.label for sample in checked.usable["train"]})
    lines = [
        f"{data}: {counts}, of {classes} class{'es' * (classes != 1)}; {len(checked.faults)} files cannot be used",
    ]
    kinds = Counter((finding.severity, finding.problem) for finding in checked.findings)
    if kinds:
        lines.append(f"{'severity':<10}{'problem':<20}{'number':>6}  such as")
    for (severity, problem), number in kinds.items():  # in order of severity, as the findings are
        example = next(finding for finding in checked.findings if finding.problem == problem)
        where = f"{printable(example.path)}: " if example.path else ""
        lines.append(f"{severity:<10}{problem:<20}{number:>6}  {where}{example.detail}")
    return "\n".join(lines)


def write_csv(findings: Iterable[Finding], out: Path) -> None:
    """Write findings as a table with the columns path, problem, detail, severity.

    Raises:
        MstlError: It cannot be written.
    """
    try:
        with (
            atomic_path(out) as temporary,
            open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as f,
        ):
            writer = csv.writer(f)
            writer.writerow(("path", "problem", "detail", "severity"))
            writer.writerows((x.path, x.problem, x.detail, x.severity) for x in findings)
    except OSError as error:
        raise MstlError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
