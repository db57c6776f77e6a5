"""Several runs on one page: which is best, whether surely, and what was set differently."""

from mstl.files import write_text
from mstl.report import markup, verdict
from mstl.report.markup import name, section_list, table, text
from mstl.report.plots import charts
from mstl.report.plots.style import share
from mstl.report.run_page import duration, footer, number, plain

NAN = float("nan")  # sorted last
SURE = 0.05  # a difference that chance makes less often than this counts as one


def write_comparison(path, runs):
    """Write a page about several runs, the best first, atomically.

    Args:
        path: Where to.
        runs: :class:`mstl.report.run_report.RunReport` of at least two runs, with different names.
    """
    runs = sorted(runs, key=lambda run: -run.evaluation.accuracy)
    histories = {run.name: run.history for run in runs if run.history}
    told = f"Validation accuracy of {len(histories)} runs over their epochs"
    curves = markup.chart(charts.compare_accuracies(histories), "runs", told) if histories else ""
    body = f'<header>\n<h1>{len(runs)} runs</h1>\n<p class="verdict">{text(sentence(runs))}</p>\n</header>\n'
    body += section_list(
        ("accuracy", "Accuracy", accuracies(runs)),
        ("curves", "Training", curves),
        ("settings", "Settings that differ", differences(runs)),
        ("data", "Data warnings", data_warnings(runs)),
    )
    write_text(path, markup.page(f"Comparison of {len(runs)} runs", body + footer()))


def sentence(runs):
    """Which run is best, and how sure that is."""
    best, *others = runs
    low, high = best.evaluation.interval
    text = f"“{best.name}” is best with {share(best.evaluation.accuracy)} (95% interval {share(low)} to {share(high)})"
    if not all(comparable(best, other) for other in others):
        return f"{text}; but not all were validated on the same photos, so that this does not say which is better."
    worse = sum(against(best, other)[2] < SURE for other in others)
    if worse == len(others):
        return f"{text}, and surely better than the other{'s' if worse > 1 else ''}."
    if worse == 0:
        return f"{text}, but not surely better than {'any' if len(others) > 1 else 'the'} other."
    return f"{text}; {worse} of the {len(others)} others {'is' if worse == 1 else 'are'} surely worse."


def accuracies(runs):
    """A row for each run."""
    bounds = [bound for run in runs for bound in run.evaluation.interval]
    start, end = min(bounds), max(bounds)
    rows = []
    for run in runs:
        evaluation = run.evaluation
        low, high = evaluation.interval
        drawn = markup.interval(evaluation.accuracy, low, high, start, end if end > start else start + 1)
        interval = f"<small>{share(low)} to {share(high)}</small>"
        rows.append(
            [
                name(run.name),
                text(run.model),
                (share(evaluation.accuracy) + drawn + interval, evaluation.accuracy),
                (number(evaluation.macro_f1), evaluation.macro_f1),
                (number(evaluation.ece()), evaluation.ece()),
                (len(run.history), len(run.history)),
                ("", NAN) if run.seconds is None else (duration(run.seconds), run.seconds),
                difference(runs[0], run),
            ]
        )
    columns = [
        *(("Run", "text"), ("Net", "text"), ("Accuracy", "number"), ("Macro F1", "number")),
        *(("ECE", "number"), ("Epochs", "number"), ("Time", "number"), ("Against best", "number")),
    ]
    note = (
        "Accuracy: with its 95% interval. Against best: how many photos only this run got right, to how many only the "
        "best one did, and how often chance alone would make such a difference (p, McNemar’s exact test). That sees "
        "more than intervals, which may well overlap."
    )
    return f'<p class="note">{note}</p>\n{table(columns, rows, "Accuracy of the runs", sortable=True)}'


def difference(best, run):
    """A run beside the best one: a few words, and the p value to sort by."""
    if run is best:
        return "", NAN
    if not comparable(best, run):
        return "other photos", NAN
    only_best, only_run, p = against(best, run)
    return f"{only_run:,} to {only_best:,}<small>p = {p:.3f}</small>", p


def against(best, run):
    """McNemar's test of two runs on the same photos."""
    first, second = (each.evaluation.predictions == each.evaluation.labels for each in (best, run))
    return verdict.mcnemar(first, second)


def comparable(first, second):
    """Whether two runs were validated on the same photos with the same labels."""
    one, other = first.evaluation, second.evaluation
    return one.classes == other.classes and known(one) == known(other)


def known(evaluation):
    """Names of files with their labels; not whole paths, as a run may come from another machine."""
    names = [str(path).replace("\\", "/").rsplit("/", 1)[-1] for path in evaluation.paths]
    return list(zip(names, evaluation.labels.tolist(), strict=True))


def differences(runs):
    """The settings that are not the same in all runs."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    rows = []
    for key in keys:
        values = [run.config.get(key) for run in runs]
        if any(value != values[0] for value in values):
            rows.append([text(key), *map(plain, values)])
    if not rows:
        return "<p>The runs have the same settings.</p>"
    columns = [("Setting", "text"), *((run.name, "text") for run in runs)]
    return table(columns, rows, "Settings that differ")


def data_warnings(runs):
    """The data warnings, with the runs that each was said of."""
    by_text = {}
    for run in runs:
        for warning in run.warnings:
            by_text.setdefault(warning, []).append(run.name)
    items = "".join(f"<li>{text(warning)} ({text(', '.join(names))})</li>" for warning, names in by_text.items())
    return f'<ul class="doubt">{items}</ul>' if items else ""
