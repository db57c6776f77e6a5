"""ReportWriter: the callback that writes plots and page at the end of a run."""

from collections.abc import Sequence

from mstl.evaluation.metrics import Evaluation
from mstl.report import plots
from mstl.report.describe_run import describe_run
from mstl.report.notebook import history_html
from mstl.report.quotable import Quotable
from mstl.report.run_page import write_report
from mstl.report.run_report import save_run_report
from mstl.training.best_epoch import best_weights
from mstl.training.state import TrainState


class ReportWriter:
    """Writes curves.png, predictions.png and, unless the settings say otherwise, report.html at the end of a run."""

    def on_start(self, state: TrainState) -> None:
        """Let a notebook show the run as its history so far."""
        state.to_html = lambda state: history_html(
            state.history, state.best_evaluation, state.config.best, *weight_decays(state)
        )

    def on_end(self, state: TrainState) -> None:
        """Write them, if an epoch is finished."""
        if state.best_evaluation is not None:
            with state.ledger.part("page"):
                write(state, state.best_evaluation)


def write(state: TrainState, evaluation: Evaluation) -> None:
    """Write the plots and the page of a run whose best epoch was evaluated so."""
    if state.rejector is not None:
        evaluation = evaluation.calibrated(state.rejector.temperature)
    course = plots.course(state.history, evaluation.total, state.config.best, *weight_decays(state))
    plots.save(course, state.folder / "curves.png")
    plots.save(plots.prediction_grid(evaluation), state.folder / "predictions.png")
    if not state.config.report:
        return
    state.note_cost()
    with best_weights(state):
        run = describe_run(
            state.folder,
            model=state.model,
            preprocessing=state.preprocessing,
            train_set=state.train_set,
            val_set=state.val_set,
            evaluation=evaluation,
            config=state.config.to_dict(),
            history=state.history,
            rejector=state.rejector,
            seconds=state.seconds,
            record=state.record,
            test=tested(state),
        )
    save_run_report(state.folder, run)
    write_report(state.folder / "report.html", run)


def weight_decays(state: TrainState) -> tuple[Sequence[Sequence[float]], float]:
    """The weight decays that were tried for a head solved for, with their losses, and the one that it has."""
    head = state.record.head
    return ((), 0.0) if head is None else (head.trials, state.config.weight_decay)


def tested(state: TrainState) -> Quotable | None:
    """The figures of the test images; None if they were not evaluated."""
    if state.test_evaluation is None or state.best is None:
        return None
    return Quotable.of(state.test_evaluation, state.best["epoch"])
