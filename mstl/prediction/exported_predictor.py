"""ExportedPredictor: an .onnx file of mstl export, ready to predict without MindSpore."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mstl.config import RECORD
from mstl.data.loading.pixels import center_pixels
from mstl.data.loading.streaming import Faults, ImageInput, batches, path_of
from mstl.engines.exported_model import OnnxModel, Outputs
from mstl.errors import MstlError
from mstl.prediction.image_predictor import BATCH_SIZE, Answers, ImagePredictor
from mstl.runtime.progress import Progress

if TYPE_CHECKING:  # a command that predicts one image loads nothing of datasets
    from mstl.data.dataset import ImageSet
    from mstl.data.evaluation_data import RunData
    from mstl.evaluation.metrics import Evaluation

Pixels = NDArray[np.uint8]


class ExportedPredictor(ImagePredictor):
    """Predicts images with an exported model; any number of threads may ask it.

    Args:
        path: An .onnx file that ``mstl export`` wrote.

    Attributes:
        model: The model.

    Raises:
        MstlError: The file does not exist, or mstl did not write it; or ONNX Runtime is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.model = OnnxModel(path)
        self.record = self.model.record
        self.classes = self.record.classes
        self.preprocessing = self.record.preprocessing
        self.metadata = {"model": self.record.architecture, "classes": list(self.classes)}

    @cached_property
    def run_data(self) -> "RunData":
        """What the run's config.json and manifest.csv record of its data, if the model lies beside them."""
        from mstl.data.evaluation_data import RunData, settings_beside
        from mstl.data.finding.lists.list_options import FOUND

        settings = settings_beside(self.path, {"manifest": self.record.manifest})
        if settings is not None and self.record.manifest is not None:
            return RunData.read(self.path, {**self.metadata, "config": settings, RECORD: settings[RECORD]})
        unknown = f"{self.path} does not lie in the folder of its run"
        return RunData(self.classes, "", None, FOUND, None, None, unknown)

    @property
    def temperature(self) -> float:
        """By which the model divides its logits."""
        return self.record.temperature

    @property
    def can_reject(self) -> bool:
        """Whether the model knows images that it can compare others with."""
        return self.record.rejection is not None

    def prepared(
        self, images: Iterable[ImageInput], batch_size: int
    ) -> Iterator[tuple[Sequence[ImageInput], Faults, Pixels]]:
        """Batches of pixels, (n, size, size, 3)."""
        return batches(images, self.preprocessing, batch_size, center_pixels)

    def predict_batch(self, inputs: Pixels) -> Answers:
        """Predict (n, size, size, 3) pixels of n images."""
        outputs = self.answers(inputs)
        return Answers(outputs.probabilities, outputs.probabilities, outputs.rejected(self.record.rejection))

    def answers(self, pixels: Pixels) -> Outputs:
        """Run the model on (n, size, size, 3) pixels.

        Raises:
            MstlError: What it answers is not finite.
        """
        outputs = self.model.answer(pixels)
        if not np.isfinite(outputs.probabilities).all():
            raise MstlError(f"the outputs of {self.path} are not finite: export it again")
        return outputs

    def evaluate_images(
        self, images: "ImageSet", batch_size: int = BATCH_SIZE, workers: int | None = None
    ) -> "Evaluation":
        """The model's answers to a whole dataset.

        Its logits are those up to a constant for each image: the model only gives probabilities. Where one is 0, its
        logit is a bound. ``workers`` plays no part.

        Raises:
            MstlError: An image cannot be read any more.
        """
        from mstl.evaluation.feature_sample import KEEP_FEATURES, sample_rows
        from mstl.evaluation.metrics import Evaluation

        featured = sample_rows(images.labels, KEEP_FEATURES)
        parts: list[Outputs] = []
        start = 0
        with Progress("evaluating", len(images)) as progress:
            for part, faults, pixels in self.prepared(images.paths, batch_size):
                for image, fault in zip(part, faults, strict=True):
                    if fault is not None:
                        raise MstlError(f"cannot read {path_of(image)}: {fault}; did files change meanwhile?")
                outputs = self.answers(pixels)
                kept = featured[(featured >= start) & (featured < start + len(part))] - start
                parts.append(outputs._replace(features=outputs.features[kept]))
                start += len(part)
                progress.advance(len(part))
        probabilities = np.concatenate([outputs.probabilities for outputs in parts])
        logits = self.temperature * np.log(np.maximum(probabilities, np.finfo(np.float32).smallest_subnormal))
        rejections = [outputs.rejected(self.record.rejection) for outputs in parts]
        return Evaluation(
            logits.astype(np.float32),
            images.labels,
            images.classes,
            images.paths,
            np.concatenate([outputs.features for outputs in parts]),
            self.temperature,
            None if len(featured) == len(images) else featured,
            np.concatenate([each for each in rejections if each is not None]) if self.can_reject else None,
        )

    def rejections(self, evaluation: "Evaluation") -> list[bool | None]:
        """Whether each image of an evaluation by this predictor is rejected; None if the model cannot tell."""
        return [None] * evaluation.total if evaluation.rejected is None else evaluation.rejected.tolist()
