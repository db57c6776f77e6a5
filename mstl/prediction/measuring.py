"""Measuring: the size of a model, the time that it takes for an image, and how well it answers, from files on."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet
from mstl.data.image_files import printable
from mstl.data.loading.pixels import center_pixels
from mstl.data.loading.streaming import Prepare, batches
from mstl.engines.exported_model import ExportedModel, Outputs
from mstl.errors import MstlError
from mstl.preprocessing import Preprocessing
from mstl.runtime.progress import Progress

FEW, MANY = 1, 16  # images in a call that is timed
SECONDS, LEAST_CALLS = 0.5, 3  # of timing, whichever takes longer
BATCH_SIZE = 32  # from files on, as predictors have it


class Verdicts(NamedTuple):
    """What a model makes of n images: its outputs, and (n,) whether each is rejected, None where it cannot tell."""

    outputs: Outputs
    rejected: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Contender:
    """A model in a format, ready to answer by an engine.

    Attributes:
        preprocessing: How an image becomes its input.
        prepare: Makes that input.
        answer: From (n, ...) inputs to what the model makes of them.
        files: In which it lies.
    """

    preprocessing: Preprocessing
    prepare: Prepare
    answer: Callable[[NDArray[Any]], Verdicts]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Figures:
    """What was measured of a model.

    Attributes:
        megabytes: Size of its files, in 10^6 bytes.
        ms_batch_1, ms_batch_16: Milliseconds an image, of calls with so many images in memory; the median.
        images_per_second: The whole way: read, decode, resize, answer.
        accuracy: Share of the images that get their label.
        change: The largest difference of a probability from MindSpore's; None if these are unknown.
    """

    megabytes: float
    ms_batch_1: float
    ms_batch_16: float
    images_per_second: float
    accuracy: float
    change: float | None


def exported_contender(model: ExportedModel, files: tuple[Path, ...]) -> Contender:
    """An exported model, read back from its files."""
    record = model.record

    def answer(pixels: NDArray[Any]) -> Verdicts:
        outputs = model.answer(pixels)
        return Verdicts(outputs, outputs.rejected(record.rejection))

    return Contender(record.preprocessing, center_pixels, answer, files)


def measure(
    contender: Contender, images: ImageSet, reference: NDArray[np.float32] | None = None
) -> tuple[Figures, Verdicts]:
    """Time a model, and ask it about images.

    Args:
        contender: The model.
        images: At least one, whose labels are in the order of the model's outputs.
        reference: (N, classes) probabilities that MindSpore gives them, if that is known.

    Raises:
        MstlError: An image cannot be read, or an answer is not finite.
    """
    sample = [images.paths[index % len(images)] for index in range(MANY)]
    inputs = read(sample, contender)
    times = [1000 * median_time(contender.answer, inputs[:count]) / count for count in (MANY, FEW)]
    started = time.perf_counter()
    verdicts = ask(contender, images.paths)
    rate = len(images) / (time.perf_counter() - started)
    probabilities = verdicts.outputs.probabilities
    if not np.isfinite(probabilities).all():
        raise MstlError(f"the outputs of {contender.files[0].name} are not finite: train again")
    figures = Figures(
        sum(file.stat().st_size for file in contender.files) / 1e6,
        times[1],
        times[0],
        rate,
        float((probabilities.argmax(axis=1) == images.labels).mean()),
        None if reference is None else float(np.abs(probabilities - reference).max()),
    )
    return figures, verdicts


def median_time(answer: Callable[[NDArray[Any]], Verdicts], inputs: NDArray[Any]) -> float:
    """Seconds of a call, the median of several after one that does not count."""
    answer(inputs)
    times: list[float] = []
    while len(times) < LEAST_CALLS or sum(times) < SECONDS:
        started = time.perf_counter()
        answer(inputs)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def read(paths: list[str], contender: Contender) -> NDArray[Any]:
    """(n, ...) inputs of a model, of n files.

    Raises:
        MstlError: One cannot be read.
    """
    ((_, faults, inputs),) = batches(paths, contender.preprocessing, len(paths), contender.prepare)
    refuse_faults(paths, faults)
    return inputs


def ask(contender: Contender, paths: tuple[str, ...]) -> Verdicts:
    """What a model makes of files.

    Raises:
        MstlError: One cannot be read.
    """
    parts: list[Verdicts] = []
    with Progress("measuring", len(paths)) as progress:
        for part, faults, inputs in batches(paths, contender.preprocessing, BATCH_SIZE, contender.prepare):
            refuse_faults(part, faults)
            parts.append(contender.answer(inputs))
            progress.advance(len(part))
    outputs, rejected = zip(*parts, strict=True)
    return Verdicts(Outputs(*map(joined, zip(*outputs, strict=True))), joined(rejected))


def joined(arrays: Any) -> Any:
    """The arrays of all batches as one; None where a batch has none."""
    return None if arrays[0] is None else np.concatenate(arrays)


def refuse_faults(images: Any, faults: list[str | None]) -> None:
    """Refuse an image that cannot be read.

    Raises:
        MstlError: There is one.
    """
    for image, fault in zip(images, faults, strict=True):
        if fault is not None:
            raise MstlError(f"cannot read {printable(image)}: {fault}; did files change meanwhile?")
