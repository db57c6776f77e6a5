"""``mstl report``: the page about a run, written again, or one page about several runs."""

import collections
import dataclasses
from pathlib import Path

import click

from mstl.commands import shared


@shared.command
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The page; by default RUN/report.html, or comparison.html of several.",
)
@click.option("--device", default="auto", show_default=True, help="What computes, where a run must be evaluated first.")
def main(runs, out, device):
    """Write the page about a RUN's folder, or one page that compares several.

    A run that was stopped before it wrote what its page needs is evaluated on its validation photos first.
    """
    from mstl.files import make_folder
    from mstl.report.comparison import write_comparison
    from mstl.report.run_page import write_report

    runs = list(dict.fromkeys(folder.resolve() for folder in runs))
    reports = [report_of(folder, device) for folder in runs]
    out = out or (runs[0] / "report.html" if len(runs) == 1 else Path("comparison.html"))
    make_folder(out.parent)
    if len(reports) == 1:
        write_report(out, reports[0])
    else:
        write_comparison(out, told_apart(runs, reports))
    print(out)


def report_of(folder, device):
    """What a run's page needs: as the run kept it, or made anew where the run went on since, or was stopped.

    Raises:
        MstlError: The folder holds no run.
    """
    import json

    from mstl.errors import MstlError
    from mstl.report.run_report import KEPT, load_run_report, save_run_report

    if not (folder / "best.ckpt").exists() or not (folder / "history.json").exists():
        raise MstlError(f"{folder} holds no run (best.ckpt and history.json): give the folder that `mstl train` made")
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    if (folder / KEPT).exists():
        report = load_run_report(folder)
        if len(report.history) >= len(history):
            return report
    report = evaluated(folder, history, device)
    save_run_report(folder, report)
    return report


def evaluated(folder, history, device):
    """A run's report, by evaluating its best checkpoint on the photos that it was validated on."""
    from mstl.data.dataset import subset
    from mstl.predictor import Predictor
    from mstl.report.gradcam import gradcam_images
    from mstl.report.run_report import WORST, RunReport

    predictor = Predictor(folder / "best.ckpt", device)
    training, validation = predictor.photos()
    evaluation = predictor.evaluate(validation)
    worst = evaluation.worst(WORST)
    photos, heat_maps = gradcam_images(
        predictor.model, subset(validation, worst), predictor.transforms, predictor.preprocessing
    )
    return RunReport(
        name=folder.name,
        evaluation=evaluation,
        config=predictor.metadata["config"],
        history=history,
        model=predictor.metadata["model"],
        checkpoint=predictor.path,
        train_count=len(training),
        warnings=training.warnings,
        rejector=None if predictor.rejector is None else predictor.rejector.to_record(),
        worst=tuple(worst),
        photos=photos,
        heat_maps=heat_maps,
        seconds=sum(row["seconds"] for row in history),
    )


def told_apart(folders, reports):
    """The reports, those that share a name under their whole paths."""
    counts = collections.Counter(report.name for report in reports)
    return [
        report if counts[report.name] == 1 else dataclasses.replace(report, name=str(folder))
        for folder, report in zip(folders, reports, strict=True)
    ]
