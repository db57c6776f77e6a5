"""FinalTest: the callback that evaluates the best epoch on the test images, once, at the end of a run."""

import logging

from mstl.errors import MstlError
from mstl.predictor import Predictor
from mstl.report.quotable import Quotable, write_test
from mstl.training.state import TrainState

logger = logging.getLogger("mstl")


class FinalTest:
    """Evaluates best.ckpt on the test images, prints the accuracy, and writes test.json.

    Nothing is chosen by these images, so that their accuracy is that of new images. It comes after the callback that
    writes best.ckpt, and before the one that writes the page.
    """

    def on_end(self, state: TrainState) -> None:
        """Evaluate, unless the run was interrupted and may go on."""
        if state.test_set is None or state.best is None or state.interrupted:
            return
        path, epoch, config = state.folder / "best.ckpt", state.best["epoch"], state.config
        try:
            with state.ledger.part("evaluation"):
                predictor = Predictor(path, config.device, config.engine, config.precision)
                evaluation = predictor.evaluate(state.test_set, workers=config.workers)
        except MstlError as error:  # an image has vanished since: the run is finished nevertheless
            logger.warning(
                "the test images were not evaluated (%s); later: `mstl evaluate %s --split test`", error, path
            )
            return
        state.test_evaluation = evaluation
        write_test(state.folder, evaluation, epoch)
        print(Quotable.of(evaluation, epoch).line(), flush=True)
