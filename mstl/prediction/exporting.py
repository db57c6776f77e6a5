"""export: a checkpoint as a model for another runtime, written only with proof that it answers as MindSpore does."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np

import mstl
from mstl.data.dataset import subset
from mstl.engines.export_graph import ModelParts, onnx_export
from mstl.engines.export_mindir import MindirModel, write_mindir
from mstl.engines.export_openvino import OpenvinoModel, write_openvino
from mstl.engines.export_record import ExportRecord, RejectionLimits, provenance
from mstl.engines.exported_model import ExportedModel, OnnxModel
from mstl.engines.proof import Reference, prove
from mstl.errors import MstlError
from mstl.files import atomic_path, check_output_file, make_folder
from mstl.models.fusing import FusedModel
from mstl.predictor import Predictor
from mstl.runtime import mindspore_thread

Format = Literal["onnx", "mindir", "openvino"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "mindir": ".mindir", "openvino": ".xml"}
NEEDED: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime"),
    "mindir": (),
    "openvino": ("onnx", "openvino"),
}
MOST_IMAGES = 256  # that an exported model is asked about


class Exported(NamedTuple):
    """What came of an export: the files, the images that they were proved on, the largest change of a probability."""

    files: tuple[Path, ...]
    images: int
    difference: float


def export(
    checkpoint: str | os.PathLike[str],
    kind: Format = "onnx",
    out: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    device: str = "auto",
) -> Exported:
    """Write a checkpoint's model in another format, and prove that it answers the same.

    The file is read back by its own runtime and asked about the validation images of the run, from their files on: at
    most 256, as evenly from all of them as possible.

    Args:
        checkpoint: A best.ckpt of a run.
        kind: "onnx", "mindir", or "openvino", which is a pair of files.
        out: The file; by default beside the checkpoint, with its name and the format's suffix.
        data: Where the images of the run are now, or others to prove it on; by default where they were.
        device: On which MindSpore computes the answers that are compared with.

    Raises:
        MstlError: The checkpoint or the images cannot be used, a package is missing, or an answer differs; no file is
            left then, and one that was there before is as it was.
    """
    refuse_without_packages(kind)
    path = output_path(checkpoint, kind, out)
    predictor = Predictor(checkpoint, device, engine="mindspore")
    reference = reference_of(predictor, data)
    record = record_of(predictor, reference)
    make_folder(path.parent)
    with written(path, kind, predictor, record) as (files, model):
        try:
            difference = prove(model, reference)
        except MstlError as error:
            raise MstlError(f"{path} is not written, as its proof failed: {error}") from error
    return Exported(files, len(reference.paths), difference)


def refuse_without_packages(kind: Format) -> None:
    """Refuse a format whose packages are not installed.

    Raises:
        MstlError: One is not.
    """
    missing = [name for name in NEEDED[kind] if importlib.util.find_spec(name) is None]
    if missing:
        extras = "onnx,openvino" if kind == "openvino" else "onnx"
        raise MstlError(f"--format {kind} needs {' and '.join(missing)}: pip install 'mstl[{extras}]'")


def output_path(checkpoint: str | os.PathLike[str], kind: Format, out: str | os.PathLike[str] | None) -> Path:
    """The file to write.

    Raises:
        MstlError: Its name has another suffix, or it cannot be written there.
    """
    suffix = SUFFIXES[kind]
    path = Path(checkpoint).with_suffix(suffix) if out is None else Path(out)
    if path.suffix.lower() != suffix:
        raise MstlError(f"cannot write {path}: the name of an {kind} file must end in {suffix}")
    check_output_file(path)
    if kind == "openvino":
        check_output_file(path.with_suffix(".bin"))
    return path


def reference_of(predictor: Predictor, data: str | os.PathLike[str] | None) -> Reference:
    """MindSpore's answers to the validation images of a run."""
    _, images = predictor.image_sets(data)
    if len(images) > MOST_IMAGES:
        images = subset(images, np.linspace(0, len(images) - 1, MOST_IMAGES).astype(np.int64))
    evaluation = predictor.evaluate(images)
    rejector, features = predictor.rejector, evaluation.features
    if features is None or not np.isfinite(evaluation.logits).all():
        raise MstlError(f"the outputs of {predictor.path} are not finite: its training diverged; train again")
    return Reference(
        images.paths,
        predictor.classes,
        evaluation.probabilities,
        features,
        None if rejector is None else rejector.distances(features),
        None if rejector is None else rejector.rejected(evaluation.logits, features),
    )


def record_of(predictor: Predictor, reference: Reference) -> ExportRecord:
    """What the exported file says of itself."""
    rejector, limits = predictor.rejector, None
    if rejector is not None:
        fitted = RejectionLimits(rejector.distance_limit, rejector.probability_limit, rejector.neighbours)
        limits = reference.settled(fitted)
    return ExportRecord(
        predictor.metadata["model"],
        predictor.classes,
        predictor.preprocessing,
        predictor.temperature,
        limits,
        mstl_version=mstl.__version__,
        **provenance(predictor.metadata),
    )


@contextlib.contextmanager
def written(
    path: Path, kind: Format, predictor: Predictor, record: ExportRecord
) -> Iterator[tuple[tuple[Path, ...], ExportedModel]]:
    """In this block, the model lies under a temporary name, read back from there; it stays if the block succeeds.

    Yields:
        The files that it will be, and the model.
    """
    properties = record.to_properties()
    parts = mindspore_thread.run(model_parts, predictor)
    with contextlib.ExitStack() as stack:
        if kind == "mindir":
            temporary = stack.enter_context(atomic_path(path))
            mindspore_thread.run(write_mindir, temporary, parts, properties)
            yield (path,), MindirModel(temporary)
            return
        onnx = mindspore_thread.run(onnx_export, parts, properties)
        temporary = stack.enter_context(atomic_path(path))
        if kind == "onnx":
            temporary.write_bytes(onnx.SerializeToString())
            yield (path,), OnnxModel(temporary)
            return
        weights = stack.enter_context(atomic_path(path.with_suffix(".bin")))
        write_openvino(temporary, weights, onnx, properties)
        yield (path, path.with_suffix(".bin")), OpenvinoModel(temporary, weights)


def model_parts(predictor: Predictor) -> ModelParts:
    """What an exported model computes with."""
    rejector = predictor.rejector
    return ModelParts(
        FusedModel(predictor.model),
        predictor.preprocessing,
        predictor.temperature,
        None if rejector is None else rejector.bank,
        1 if rejector is None else rejector.neighbours,
    )
