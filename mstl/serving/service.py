"""Service: what an app's routes work with, from its start to its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request

from mstl.data.opening import UnreadableImage
from mstl.prediction.image_predictor import Prediction
from mstl.prediction.prediction_record import record_of
from mstl.serving.batcher import Batcher
from mstl.serving.collecting import folder_name, keep
from mstl.serving.counters import Counters
from mstl.serving.explainer import Explainer
from mstl.serving.form_files import FormFile, form_files
from mstl.serving.problems import Problem, unexpected, unreadable
from mstl.serving.request_bodies import Room, body_of
from mstl.serving.serve_settings import ServeSettings
from mstl.serving.served_model import ServedModel
from mstl.serving.waiting import results_of

FORM = "multipart/form-data"
END_SECONDS = 5.0  # for threads that still decode what nobody waits for


class Service:
    """What an app's routes work with.

    Args:
        model: The model.
        settings: Limits.

    Attributes:
        counters: Counts, also of what the routes never see.
    """

    def __init__(self, model: ServedModel, settings: ServeSettings) -> None:
        self.model, self.settings = model, settings
        self.counters = Counters()
        self.room = Room(settings.room)
        self.explainer = Explainer(model)
        self.batcher: Batcher | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """In this block, the model answers."""
        self.batcher = Batcher(self.model, self.settings, self.counters)
        self.batcher.start()
        try:
            yield
        finally:
            self.explainer.close()
            await asyncio.to_thread(self.batcher.close, END_SECONDS)

    @property
    def is_ready(self) -> bool:
        """Whether the model has been warmed up."""
        return self.batcher is not None and self.batcher.is_ready

    @property
    def images_waiting(self) -> int:
        """Images that wait for their answers."""
        return 0 if self.batcher is None else self.batcher.waiting

    async def predict(self, request: Request, top: int, reject: bool) -> list[dict[str, Any]]:
        """The records of the images in a request's body, a Problem in the place of one that cannot be read.

        Raises:
            Problem: None can be read, or another.
        """
        if reject and not self.model.card["can_reject"]:
            hint = "leave reject out, or train the model again"
            raise Problem(422, "the model has no data to reject by", hint)
        content_type = request.headers.get("content-type", "")
        async with body_of(request, self.settings, self.room) as body:
            if content_type.lower().startswith(FORM):
                files = await asyncio.to_thread(form_files, body, content_type, self.settings.max_files)
            else:
                files = [FormFile(None, body)]
            del body  # as soon as an image is decoded, nothing holds its file any more
            answers = await self.answers(request, files, top)
        problems = [answer for _, answer in answers if isinstance(answer, Problem)]
        if len(problems) == len(answers):
            raise problems[0]
        return [
            {"path": name, "problem": answer.record}
            if isinstance(answer, Problem)
            else {**record_of(answer, reject), "path": name}
            for name, answer in answers
        ]

    async def answers(
        self, request: Request, files: list[FormFile], top: int
    ) -> list[tuple[str | None, Prediction | Problem]]:
        """The name of each file, which the list then lacks, and what the model says of it or why it does not."""
        assert self.batcher is not None, "the app has not been started"
        names = [file.name for file in files]
        futures = self.batcher.submit([file.content for file in files], top)
        files.clear()
        results = await results_of(request, futures, self.settings.answer_seconds)
        return [(name, answer_of(result, name)) for name, result in zip(names, results, strict=True)]

    async def explain(self, request: Request, label: str | None) -> bytes:
        """A PNG that shows where in the image of a request's body the model sees a class.

        Raises:
            Problem: There is none.
        """
        async with body_of(request, self.settings, self.room) as body:
            drawing = asyncio.ensure_future(self.explainer.explain(body, label))
            (drawn,) = await results_of(request, [drawing], self.settings.answer_seconds)
        if isinstance(drawn, BaseException):
            raise drawn
        return drawn

    async def collect(self, request: Request, label: str) -> str:
        """Keep the image of a request's body as one of a class.

        Returns:
            The name of its file, below the folder that collects.

        Raises:
            Problem: It is not kept.
        """
        root = self.settings.collect
        if root is None:
            raise Problem(404, "no images are collected here", "start mstl serve with --collect FOLDER")
        folder = folder_name(label, self.model.classes)
        async with body_of(request, self.settings, self.room) as body:
            ((_, answer),) = await self.answers(request, [FormFile(None, body)], 1)
            if isinstance(answer, Problem):
                raise answer
            return await asyncio.to_thread(keep, root, folder, body)


def answer_of(result: Prediction | BaseException, name: str | None) -> Prediction | Problem:
    """A prediction, or the problem of a file with a name that has none."""
    if isinstance(result, UnreadableImage):
        return unreadable(name, result.detail)
    if isinstance(result, BaseException):
        return result if isinstance(result, Problem) else unexpected(result)
    return result
