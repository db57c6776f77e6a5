"""Explainer: Grad-CAM on demand, one after the other, apart from the answers."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from mstl.data.opening import UnreadableImage
from mstl.serving.problems import Problem, busy, unreadable
from mstl.serving.served_model import ServedModel

MOST = 4  # that wait


class Explainer:
    """Explains answers, in a thread of its own.

    Args:
        model: The model.
    """

    def __init__(self, model: ServedModel) -> None:
        self.model, self.waiting = model, 0
        self.pool = ThreadPoolExecutor(1, "mstl-explain")

    async def explain(self, content: bytes, label: str | None) -> bytes:
        """A PNG that shows where in an image the model sees a class.

        Raises:
            Problem: The model cannot explain, there is no such class, the image cannot be read, or too many wait.
        """
        if self.model.explaining is None:
            hint = "serve the checkpoint (best.ckpt) from which it was exported"
            raise Problem(501, "an exported model cannot explain its answers", hint)
        if label is not None and label not in self.model.classes:
            raise Problem(422, "the model has no such class", "give one of the classes of GET /model")
        if self.waiting >= MOST:
            raise busy("too many explanations are being made", 2)
        self.waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self.pool, self.model.explain, content, label)
        except UnreadableImage as error:
            raise unreadable(None, error.detail) from error
        finally:
            self.waiting -= 1

    def close(self) -> None:
        """Let go of the thread; what waits is not made any more."""
        self.pool.shutdown(wait=False, cancel_futures=True)
