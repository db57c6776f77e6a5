"""Rows of figures: ours, theirs, the ratio and what it should be."""

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: What was measured, and against whom.
        unit: Of both figures.
        ours, theirs: The figures; ``theirs`` is None where there is nothing to compare with.
        target: What is asked for, in words; "" for nothing.
        met: Whether it is so; None where nothing is asked for.
    """

    what: str
    unit: str
    ours: float
    theirs: float | None = None
    target: str = ""
    met: bool | None = None

    @property
    def ratio(self):
        """Ours over theirs; None where there is nothing to compare with."""
        return None if self.theirs is None else self.ours / self.theirs


def ratio_at_most(limit, what, unit, ours, theirs):
    """A row that asks for a ratio of ``limit`` at most; None asks for nothing."""
    row = Row(what, unit, ours, theirs)
    return row if limit is None else dataclasses.replace(row, target=f"ratio <= {limit:g}", met=row.ratio <= limit)


def at_most(limit, what, unit, ours, theirs=None):
    """A row that asks for ``limit`` at most, whatever theirs is; None asks for nothing."""
    row = Row(what, unit, ours, theirs)
    return row if limit is None else dataclasses.replace(row, target=f"<= {limit:g} {unit}", met=ours <= limit)


def not_lower(what, ours, theirs, by=0.01):
    """A row about accuracies: ours may be lower by so much."""
    return Row(what, "", ours, theirs, f">= theirs - {by:g}", ours >= theirs - by)


def shown(value):
    """Three digits, or all before the point; a dash for None."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(rows):
    """The rows as a Markdown table whose columns line up."""
    cells = [("what", "ours", "theirs", "ratio", "target")]
    for row in rows:
        values = (
            f"{shown(value)} {row.unit}".strip() if value is not None else "-" for value in (row.ours, row.theirs)
        )
        verdict = {None: "", True: " (met)", False: " (MISSED)"}[row.met]
        cells.append((row.what, *values, shown(row.ratio), row.target + verdict))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, tuple("-" * width for width in widths))
    lines = (" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(f"| {line} |" for line in lines)


def write(path, record, rows):
    """Write what a case found as JSON.

    Args:
        path: The file; its folder is made.
        record: What was run, and on what.
        rows: The table.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {**record, "rows": [{**dataclasses.asdict(row), "ratio": row.ratio} for row in rows]}
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
