"""Training again from the page of a review: started once, looked at while it runs, and compared at its end."""

import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from fastapi import APIRouter
from starlette.responses import Response

from mstl.errors import MstlError
from mstl.serving.library_calls import answer_of, in_library
from mstl.serving.problems import Problem
from mstl.serving.review_desk import Desk

State = Literal["none", "running", "done", "failed"]


class Work(Protocol):
    """What trains, such as :class:`mstl.serving.training_process.TrainingProcess`."""

    def __call__(self, said: Callable[[str], None]) -> dict[str, Any]:
        """Train and compare; see there."""
        ...

    def stop(self) -> None:
        """Stop it."""
        ...


class ReviewTraining:
    """A run trained again on the data of a review, in the background; the data stays as it is meanwhile.

    Args:
        desk: The decisions.
        work: Trains; None where data without a run is reviewed.
    """

    def __init__(self, desk: Desk, work: Work | None) -> None:
        self.desk, self.work = desk, work
        self.state: State = "none"
        self.told = ""  # the last line of the log, or what went wrong
        self.began = self.seconds = 0.0
        self.result: dict[str, Any] | None = None

    @property
    def record(self) -> dict[str, Any]:
        """How it stands, for the page."""
        seconds = time.monotonic() - self.began if self.state == "running" else self.seconds
        return {
            "possible": self.work is not None,
            "state": self.state,
            "told": self.told,
            "seconds": round(seconds),
            "result": self.result,
        }

    def start(self) -> dict[str, Any]:
        """Start it.

        Raises:
            Problem: It runs already, there is no run, or decisions are not applied.
        """
        with self.desk.lock:
            if self.work is None:
                raise Problem(404, "there is no run that could be trained again", "review a run")
            if self.state == "running":
                raise Problem(409, "it is being trained again already", "wait for its end")
            if self.desk.state["plan"]:
                raise Problem(409, "some decisions are not applied", "apply them first, so that they count")
            self.desk.is_trained_on = True
            self.state, self.told, self.result, self.began = "running", "", None, time.monotonic()
            threading.Thread(target=self._run, args=(self.work,), name="mstl-train-again", daemon=True).start()
        return self.record

    def _run(self, work: Work) -> None:
        state: State = "failed"
        try:
            self.result = work(self._note)
            state, self.told = "done", ""
        except (MstlError, OSError) as error:  # or there is no room for another process
            self.told = str(error)
        finally:
            self.seconds = time.monotonic() - self.began
            self.state = state
            self.desk.is_trained_on = False

    def _note(self, line: str) -> None:
        self.told = line

    def close(self) -> None:
        """Stop it, if it runs."""
        if self.work is not None:
            self.work.stop()


def training_routes(training: ReviewTraining) -> APIRouter:
    """What the page asks for about it."""
    router = APIRouter()

    @router.get("/training")
    async def look() -> Response:
        return answer_of(training.record)

    @router.post("/training")
    async def start() -> Response:
        return answer_of(await in_library(training.start))

    return router
