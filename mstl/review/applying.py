"""Applying: the decisions of a review are carried out, or the last such Apply is taken back; both all or nothing."""

import contextlib
import dataclasses
import errno
import os
from dataclasses import dataclass
from pathlib import Path

from mstl.data.finding.folders.folder import lies_in
from mstl.data.image_files import printable
from mstl.download.failures import DISK_ERRORS
from mstl.errors import MstlError
from mstl.review.decision_log import DecisionLog, cannot_write
from mstl.review.decisions import Decision
from mstl.review.journal import Journal, latest, next_path
from mstl.review.moves_plan import MovesPlan, plan_moves
from mstl.review.moving import advance, folders_of, retreat
from mstl.review.review_data import ReviewData, ReviewSource
from mstl.runtime.environment import home

AGAIN = "`mstl review --undo` takes back what was begun"


@dataclass(frozen=True)
class Applied:
    """What has come of an Apply, or of taking it back.

    Attributes:
        done: The decisions that were carried out; empty when they were taken back.
        moved: Number of files that were moved.
        lists: The new lists that were written, or removed.
        problems: What was not done and why, a line each.
        finished: "apply" or "undo" if one that had been interrupted was finished first; else "".
        written: Lists that were not written, as they are there already.
    """

    done: tuple[Decision, ...] = ()
    moved: int = 0
    lists: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()
    finished: str = ""
    written: tuple[Path, ...] = ()


def apply(source: ReviewSource) -> Applied:
    """Carry out all decisions that are not carried out yet; an Apply or undo that was interrupted is finished first.

    Returns:
        What was done.

    Raises:
        MstlError: The data cannot be found or changed; it is as it was before, unless the message says otherwise.
    """
    refuse_kept(source)
    log = DecisionLog(source.folder)
    with log.locked():
        finished, problems = finish(log)
        review = ReviewData(source)
        plan = plan_moves(review, log.read())
        problems += plan.problems
        lists = tuple(plan.folder / path for path in plan.lists)
        if plan.moves or plan.lists:
            problems += carry_out(log, plan)
    return Applied(tuple(plan.done), len(plan.moves), lists, tuple(problems), finished, tuple(plan.written))


def carry_out(log: DecisionLog, plan: MovesPlan) -> list[str]:
    """Do what was planned; if that fails, take it back.

    Returns:
        What could not be done, a line each.

    Raises:
        MstlError: It failed.
    """
    planned = Journal(next_path(plan.folder), "applying", tuple(plan.moves), tuple(plan.folders), plan.lists)
    touched = [folder for folder in folders_of(planned) if folder.is_dir() and folder != plan.folder]
    touched.append(plan.folder / log.path.name)
    times = {os.path.relpath(one, plan.folder): (mtime(one), 0) for one in touched}
    try:
        journal = dataclasses.replace(planned, times=times).write("applying")
    except OSError as error:
        raise cannot_write(planned.path, error) from error
    try:
        return forward(log, journal)
    except (OSError, MstlError) as error:
        try:
            back(log, journal)
        except (OSError, MstlError) as second:
            raise MstlError(f"{why(error)}; and to take it back failed too: {why(second)}; {AGAIN}") from error
        raise MstlError(f"{why(error)}; nothing was changed: {remedy(error)}, and apply again") from error


def undo(source: ReviewSource) -> Applied:
    """Take back the last Apply, or what there is of it if it was interrupted; finish an undo that was interrupted.

    Returns:
        What was done.

    Raises:
        MstlError: There is nothing to take back, or something is in the way.
    """
    log = DecisionLog(source.folder)
    with log.locked():
        journal = latest(Path(os.path.realpath(log.folder)))
        if journal is None:
            raise MstlError(f"nothing to undo: no decision about {source.data} was applied, or all are undone")
        finished = "undo" if journal.state == "undoing" else ""
        try:
            problems = back(log, journal)
        except OSError as error:
            raise MstlError(f"{why(error)}; {remedy(error)}, and undo again") from error
    return Applied((), len(journal.moves), tuple(map(journal.at, journal.lists)), tuple(problems), finished)


def finish(log: DecisionLog) -> tuple[str, list[str]]:
    """Finish an Apply or an undo that was interrupted; the lock must be held.

    Returns:
        "apply" or "undo", if there was one; and what could not be done, a line each.

    Raises:
        MstlError: It cannot be finished.
    """
    journal = latest(Path(os.path.realpath(log.folder)))
    if journal is None or journal.state == "applied":
        return "", []
    try:
        if journal.state == "undoing":
            return "undo", back(log, journal)
        return "apply", forward(log, journal)
    except OSError as error:
        raise MstlError(f"{why(error)}; {remedy(error)}, and try again, or undo what was begun") from error


def forward(log: DecisionLog, journal: Journal) -> list[str]:
    """Do what a journal says, as far as it is not done."""
    gone = advance(journal)
    log.moved({(move.source, move.sha256): move.target for move in journal.moves})
    after = {name: (before, mtime(journal.at(name))) for name, (before, _) in journal.times.items()}
    dataclasses.replace(journal, times=after).write("applied")
    return [f"{path} was not moved: it is not there any more" for path in gone]


def back(log: DecisionLog, journal: Journal) -> list[str]:
    """Take back what a journal says, as far as it is done.

    Raises:
        OSError: Something cannot be moved back.
        MstlError: Something is in the way; nothing was moved.
    """
    refuse_occupied(journal)
    kept = {
        name: before
        for name, (before, after) in journal.times.items()
        if journal.state == "applied" and mtime(journal.at(name)) == after
    }
    if journal.state == "applied":  # of one that was begun, both ends are right, and the disk may be full
        journal = journal.write("undoing")
    left = retreat(journal)
    log.moved({(move.target, move.sha256): move.source for move in journal.moves})
    for name, time in kept.items():
        with contextlib.suppress(OSError):
            os.utime(journal.at(name), ns=(os.stat(journal.at(name)).st_atime_ns, time))
    journal.remove()
    return left


def refuse_occupied(journal: Journal) -> None:
    """Refuse to take something back where other files are in the way.

    Raises:
        MstlError: There are some.
    """
    occupied = [
        move.source
        for move in journal.moves
        if os.path.lexists(journal.at(move.source))
        and os.path.lexists(journal.at(move.target))
        and not os.path.samestat(os.lstat(journal.at(move.source)), os.lstat(journal.at(move.target)))
    ]
    if occupied:
        more = f" and {len(occupied) - 1} more are" if len(occupied) > 1 else " is"
        first = printable(journal.at(occupied[0]))
        raise MstlError(f"cannot undo: {first}{more} there again; move that away, and undo again")


def refuse_kept(source: ReviewSource) -> None:
    """Refuse to change what mstl keeps: the next run would take it for damaged, or for what was downloaded.

    Raises:
        MstlError: The data is such.
    """
    if lies_in(source.folder, home()):
        raise MstlError(
            f"{source.data} is a copy that mstl keeps in {source.folder}: copy or unpack it into a folder of your own, "
            "and review that; decisions follow the images if you copy review.csv, too"
        )


def mtime(path: Path) -> int:
    """When a file or folder was last changed, in nanoseconds; 0 if it is gone."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def why(error: Exception) -> str:
    """What went wrong, as the first part of a sentence."""
    if not isinstance(error, OSError):
        return str(error)
    names = " to ".join(printable(name) for name in (error.filename, error.filename2) if name)
    return f"cannot {'move' if error.filename2 else 'write'} {names or 'beside the data'}: {error.strerror or error}"


def remedy(error: Exception) -> str:
    """What to do about that."""
    number = error.errno if isinstance(error, OSError) else None
    if number in DISK_ERRORS:
        return "make room"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make both folders writable"
    return "move it away" if number == errno.EEXIST else "see to that"
