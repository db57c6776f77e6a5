"""Batcher: images of all requests are decoded in a few threads, and go through the model in batches, in one thread.

A batch holds what has been decoded while the model computed the one before: nobody waits for a batch to fill.
"""

import asyncio
import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from mstl.data.opening import UnreadableImage
from mstl.prediction.image_predictor import Prediction
from mstl.runtime.devices import clamp_workers
from mstl.runtime.memory import trim_memory
from mstl.serving.counters import Counters, Outcome
from mstl.serving.problems import busy, unexpected
from mstl.serving.serve_settings import ServeSettings
from mstl.serving.served_model import ServedModel, is_large

IDLE = 1.0  # seconds without work after which freed memory is given back to the system


class Job:
    """An image on its way to its answer.

    Args:
        content: Of its file.
        top: How many classes its answer is to name.
        future: Gets a Prediction or UnreadableImage; whoever does not wait any longer cancels it.
    """

    def __init__(self, content: bytes, top: int, future: "asyncio.Future[Prediction]") -> None:
        self.content, self.top, self.future = content, top, future
        self.inputs: NDArray[Any] | None = None


class Batcher:
    """Answers for images, in threads of its own. All methods belong into the event loop's thread.

    Args:
        model: The model.
        settings: How many images may wait, and go through the model together.
        counters: Count images and batches.

    Attributes:
        waiting: Images that wait for their answers.
        is_ready: Whether the model has been warmed up.
    """

    def __init__(self, model: ServedModel, settings: ServeSettings, counters: Counters) -> None:
        self.model, self.settings, self.counters = model, settings, counters
        self.waiting, self.is_ready = 0, False
        self.small: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.large: queue.SimpleQueue[Job | None] = queue.SimpleQueue()  # one at a time, so that memory suffices
        self.decoded: queue.Queue[Job | None] = queue.Queue(2 * settings.batch_size)  # the decoders wait if it is full
        self.threads: list[threading.Thread] = []
        self.loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Start the threads."""
        works: list[Callable[[], None]] = [*[self._decode_small] * clamp_workers(), self._decode_large, self._compute]
        self.threads = [threading.Thread(target=work, name="mstl-serve", daemon=True) for work in works]
        for thread in self.threads:
            thread.start()

    def close(self, seconds: float) -> None:
        """End the threads, and wait for that at most so long."""
        for _ in range(clamp_workers()):
            self.small.put(None)
        self.large.put(None)
        end = time.monotonic() + seconds
        for thread in self.threads[:-1]:
            thread.join(max(0.0, end - time.monotonic()))
        with contextlib.suppress(queue.Full):  # a model that does not come to its end is left to itself
            self.decoded.put(None, timeout=max(0.0, end - time.monotonic()))
            self.threads[-1].join(max(0.0, end - time.monotonic()))

    def submit(self, contents: Sequence[bytes], top: int) -> "list[asyncio.Future[Prediction]]":
        """Queue the images of a request.

        Returns:
            Futures of their predictions, or of an UnreadableImage or Problem. One that is cancelled is not computed.

        Raises:
            Problem: Too many are waiting.
        """
        if self.waiting + len(contents) > self.settings.queue:
            raise busy(f"{self.waiting} images are waiting for the model")
        jobs = [Job(content, top, self.loop.create_future()) for content in contents]
        self.waiting += len(jobs)
        for job in jobs:
            job.future.add_done_callback(functools.partial(self._leave, job))
            self.small.put(job)
        return [job.future for job in jobs]

    def _leave(self, job: Job, _future: "asyncio.Future[Prediction]") -> None:
        """An image waits no more: it has its answer, or nobody wants it."""
        self.waiting -= 1
        job.content, job.inputs = b"", None
        if job.future.cancelled():
            outcome: Outcome = "cancelled"
        elif (error := job.future.exception()) is not None:
            outcome = "unreadable" if isinstance(error, UnreadableImage) else "failed"
        else:
            outcome = "answered"
        self.counters.images[outcome] += 1

    def _decode_small(self) -> None:
        """Thread: decode images, but for large ones, which are passed on."""
        while (job := self.small.get()) is not None:
            self._decode(job, True)

    def _decode_large(self) -> None:
        """Thread: decode large images."""
        while (job := self.large.get()) is not None:
            self._decode(job, False)

    def _decode(self, job: Job, is_first: bool) -> None:
        """Decode an image, or pass it on to where large ones are decoded."""
        content = job.content
        if job.future.done():
            return
        try:
            if is_first and is_large(content):
                self.large.put(job)
                return
            job.inputs = self.model.prepare(content)
        except UnreadableImage as error:  # whose traceback holds the content
            self._tell(self._fail, [job], UnreadableImage(error.problem, error.detail))
        except Exception as error:
            self._tell(self._fail, [job], unexpected(error))
        else:
            job.content = b""
            self.decoded.put(job)

    def _compute(self) -> None:
        """Thread: warm the model up, then send what is decoded through it."""
        try:
            self.model.warm_up()
            self._tell(self._be_ready)
        except Exception as error:  # requests will meet it again, and are told so
            unexpected(error)
        is_trimmed = True
        while True:
            try:
                job = self.decoded.get(timeout=None if is_trimmed else IDLE)
            except queue.Empty:
                trim_memory()
                is_trimmed = True
                continue
            if job is None:
                return
            is_trimmed = False
            jobs: list[Job | None] = [job]
            with contextlib.suppress(queue.Empty):
                while len(jobs) < self.settings.batch_size and jobs[-1] is not None:
                    jobs.append(self.decoded.get_nowait())
            self._answer([each for each in jobs if each is not None])
            if jobs[-1] is None:
                return

    def _answer(self, jobs: Sequence[Job]) -> None:
        """Send images through the model; those that nobody waits for are left out."""
        wanted = [(job, inputs) for job in jobs if not job.future.done() and (inputs := job.inputs) is not None]
        if not wanted:
            return
        try:
            found = self.model.answer([inputs for _, inputs in wanted], max(job.top for job, _ in wanted))
        except Exception as error:
            if len(wanted) == 1:
                self._tell(self._fail, jobs, unexpected(error))
            for job, _ in wanted if len(wanted) > 1 else ():  # one may be to blame, and the others are not
                self._answer([job])
            return
        self._tell(self._deliver, [job for job, _ in wanted], found)

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function in the event loop, if there is still one."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *arguments)

    def _be_ready(self) -> None:
        """The model has been warmed up."""
        self.is_ready = True

    def _deliver(self, jobs: Sequence[Job], predictions: Sequence[Prediction]) -> None:
        """Give images their answers."""
        self.counters.batches += 1
        self.counters.batched += len(jobs)
        for job, prediction in zip(jobs, predictions, strict=True):
            if not job.future.done():
                job.future.set_result(prediction)

    def _fail(self, jobs: Sequence[Job], error: Exception) -> None:
        """Tell images' requests why there is no answer."""
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(error)
