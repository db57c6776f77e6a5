"""int8_model: a model in 8-bit integers, calibrated on training images, accepted if it is hardly less accurate."""

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mstl.data.dataset import ImageSet, subset
from mstl.data.image_files import printable
from mstl.data.loading.pixels import center_pixels
from mstl.data.loading.streaming import batches
from mstl.engines.export_graph import ModelParts, backbone_model, completed, onnx_export
from mstl.engines.export_record import ExportRecord, Int8Record
from mstl.engines.onnx_graph import OnnxGraph
from mstl.engines.proof import Reference, prove
from mstl.engines.quantising import quantised
from mstl.errors import MstlError
from mstl.evaluation.feature_sample import featured_part
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.paired_loss import PairedLoss, enough_images
from mstl.evaluation.rejection import balanced_subset, fit_rejector
from mstl.prediction.exported_predictor import ExportedPredictor
from mstl.prediction.references import reference_from, settled_limits, spread
from mstl.preprocessing import Preprocessing
from mstl.runtime import mindspore_thread
from mstl.runtime.progress import Progress

if TYPE_CHECKING:  # an optional dependency
    import onnx

logger = logging.getLogger("mstl")
CALIBRATION_IMAGES = 256
BATCH_SIZE = 4  # of these; all activations of a batch are in memory
ALLOWED_LOSS = 0.01  # of accuracy
LARGEST_BANK = 400  # known images: their features stay float16, and 1,000 would be as large as half of the weights


class Int8Model(NamedTuple):
    """A quantised model that has not been written, the answers that it gives, what it says of itself, fp32's bytes."""

    onnx: "onnx.ModelProto"
    reference: Reference
    record: ExportRecord
    fp32_size: int


def int8_model(
    parts: ModelParts,
    record: ExportRecord,
    reference: Reference,
    train: ImageSet | None,
    images: ImageSet,
    force: bool = False,
) -> Int8Model:
    """Quantise a model's backbone, and compare it with what it was.

    Temperature and rejection are fitted again, on the answers of the quantised model to the validation images.

    Args:
        parts, record: The model.
        reference: MindSpore's answers, by which the fp32 graph is proved before it is quantised.
        train: Images to calibrate on.
        images: To validate on.
        force: Keep it although a larger loss is possible.

    Raises:
        MstlError: There are no training images, one cannot be read, the fp32 graph is wrong, or a loss of accuracy
            above 1 % is possible.
    """
    if train is None or not len(train):
        raise MstlError("--int8 is calibrated on training images, and this data has none: give the data of the run")
    calibration = subset(train, balanced_subset(train.labels, CALIBRATION_IMAGES))
    with tempfile.TemporaryDirectory(prefix="mstl-int8-") as folder:
        original = mindspore_thread.run(onnx_export, parts, record.to_properties())
        fp32 = saved(original, Path(folder, "fp32.onnx"))
        try:
            prove(fp32.model, reference)
        except MstlError as error:
            raise MstlError(f"the fp32 model that was to be quantised is wrong: {error}") from error
        before = fp32.evaluate_images(images)
        backbone = mindspore_thread.run(backbone_model, parts)
        backbone = quantised(backbone, calibration_pixels(calibration, parts.preprocessing))
        plain, unlimited = replace(parts, temperature=1.0, bank=None), replace(record, temperature=1.0, rejection=None)
        bare = mindspore_thread.run(completed, OnnxGraph(backbone), plain, unlimited.to_properties())
        after = saved(bare, Path(folder, "int8.onnx")).evaluate_images(images)
    loss = PairedLoss.of(before.predictions == before.labels, after.predictions == after.labels)
    refuse_loss(loss, force)
    rejector = None if parts.bank is None else fit_rejector(after, LARGEST_BANK)
    if rejector is not None:
        temperature, bank, neighbours = rejector.temperature, rejector.bank, rejector.neighbours
        parts = replace(parts, temperature=temperature, bank=bank, neighbours=neighbours)
        after = after.calibrated(temperature)
    asked = featured_part(after)
    reference = reference_from(asked.part(spread(asked.total)), rejector, "the quantised model before it was written")
    record = replace(
        record,
        temperature=parts.temperature,
        rejection=settled_limits(rejector, reference),
        int8=int8_record(len(calibration), loss, before, after),
    )
    written = mindspore_thread.run(completed, OnnxGraph(backbone), parts, record.to_properties())
    return Int8Model(written, reference, record, original.ByteSize())


def saved(model: "onnx.ModelProto", path: Path) -> ExportedPredictor:
    """A model, read back from a file."""
    path.write_bytes(model.SerializeToString())
    return ExportedPredictor(path)


def calibration_pixels(images: ImageSet, preprocessing: Preprocessing) -> Iterator[NDArray[np.uint8]]:
    """Batches of pixels.

    Raises:
        MstlError: An image cannot be read.
    """
    start = 0
    with Progress("calibrating", len(images)) as progress:
        for part, faults, pixels in batches(images.paths, preprocessing, BATCH_SIZE, center_pixels):
            for path, fault in zip(images.paths[start : start + len(part)], faults, strict=True):
                if fault is not None:
                    raise MstlError(f"cannot read {printable(path)}: {fault}; did files change meanwhile?")
            start += len(part)
            yield pixels
            progress.advance(len(part))


def refuse_loss(loss: PairedLoss, force: bool) -> None:
    """Refuse a model that may have lost too much accuracy, unless it is to be kept by force, which is logged then.

    Raises:
        MstlError: The loss is not excluded.
    """
    if loss.most <= ALLOWED_LOSS:
        return
    found = (
        f"of {loss.images:,} validation images it gets {loss.after:,} right, and in fp32 {loss.before:,} "
        f"({loss.lost} lost, {loss.gained} gained): a loss of accuracy of up to {loss.most:.1%} is possible, and "
        f"{ALLOWED_LOSS:.0%} is allowed"
    )
    if force:
        logger.warning("int8: %s; it is kept all the same", found)
        return
    enough = enough_images(ALLOWED_LOSS)
    least = f", {enough} or more" if loss.images < enough else ""
    raise MstlError(
        f"the int8 model is not written: {found}; validate it on more images (--data{least}), or keep it by --force"
    )


def int8_record(calibration: int, loss: PairedLoss, before: Evaluation, after: Evaluation) -> Int8Record:
    """What the model's file says of how it was quantised."""
    return Int8Record(
        calibration,
        loss.images,
        loss.before,
        loss.after,
        loss.lost,
        loss.gained,
        loss.most,
        ALLOWED_LOSS,
        loss.most > ALLOWED_LOSS,
        float(np.abs(after.probabilities - before.probabilities).max()),
    )
