"""What the page about a run tells of how sure a model is, and how often it is right then."""

from typing import Any

from mstl.evaluation.feature_sample import KEEP_FEATURES
from mstl.evaluation.metrics import Evaluation
from mstl.report import inline_images, verdict
from mstl.report.plots import charts
from mstl.runtime.language import translated as _


def calibration(after: Evaluation, prefix: str = "") -> dict[str, Any]:
    """How sure the model is, and how often it is right then; before and after the temperature was fitted.

    Args:
        after: With the temperature.
        prefix: Of the charts' names, which are different on a page.
    """
    before = after.calibrated(1.0)
    drawn = [(after, "after", _("Reliability: expected calibration error {error:.3f}", error=after.ece()))]
    if after.temperature != 1:
        told = _("Reliability before: expected calibration error {error:.3f}", error=before.ece())
        drawn.insert(0, (before, "before", told))
    return {
        "confidence": verdict.about_calibration(after),
        "temperature": after.temperature,
        "fitted_on": min(after.total, KEEP_FEATURES),
        "ece_before": before.ece(),
        "ece": after.ece(),
        "reliability": [inline_images.chart(charts.reliability(each), prefix + key, told) for each, key, told in drawn],
    }
