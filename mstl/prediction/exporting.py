"""export: a checkpoint as a model for another runtime, written only with proof that it answers as MindSpore does."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import mstl
from mstl.config import RECORD
from mstl.data.dataset import ImageSet, subset
from mstl.engines.export_graph import ModelParts, onnx_export
from mstl.engines.export_mindir import MindirModel, write_mindir
from mstl.engines.export_openvino import OpenvinoModel, write_openvino
from mstl.engines.export_record import ExportRecord, Int8Record, provenance
from mstl.engines.exported_model import ExportedModel, OnnxModel
from mstl.engines.proof import Reference, prove
from mstl.errors import MstlError
from mstl.files import atomic_path, check_output_file, make_folder
from mstl.models.fusing import FusedModel
from mstl.prediction.int8_model import int8_model
from mstl.prediction.references import reference_from, settled_limits, spread
from mstl.predictor import Predictor
from mstl.runtime import mindspore_thread

if TYPE_CHECKING:  # an optional dependency
    import onnx

Format = Literal["onnx", "mindir", "openvino"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "mindir": ".mindir", "openvino": ".xml"}
NEEDED: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxruntime"),
    "mindir": (),
    "openvino": ("onnx", "openvino"),
}


class Exported(NamedTuple):
    """What came of an export.

    Attributes:
        files: What was written.
        images: How many images it was proved on.
        difference: The largest change of a probability by writing it: from MindSpore's, or the quantised model's.
        size: Bytes of the files.
        int8: What quantising it cost; None for fp32.
        fp32_size: Bytes that it would have in fp32; None for fp32.
        trained_in: The precision of the features that the model was trained on.
    """

    files: tuple[Path, ...]
    images: int
    difference: float
    size: int
    int8: Int8Record | None = None
    fp32_size: int | None = None
    trained_in: str = "fp32"


def export(
    checkpoint: str | os.PathLike[str],
    kind: Format = "onnx",
    out: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    device: str = "auto",
    int8: bool = False,
    force: bool = False,
) -> Exported:
    """Write a checkpoint's model in another format, and prove that it answers the same.

    The file is read back by its own runtime and asked about the validation images of the run, from their files on: at
    most 256, as evenly from all of them as possible.

    Args:
        checkpoint: A best.ckpt of a run.
        kind: "onnx", "mindir", or "openvino", which is a pair of files.
        out: The file; by default beside the checkpoint, with its name and the format's suffix, and ".int8" before it.
        data: Where the images of the run are now, or others to prove it on; by default where they were.
        device: On which MindSpore computes the answers that are compared with.
        int8: Compute the backbone in 8-bit integers (:func:`mstl.prediction.int8_model.int8_model`); "onnx" only.
        force: Keep an int8 model that may have lost more accuracy than is allowed.

    Raises:
        MstlError: The checkpoint or the images cannot be used, a package is missing, an answer differs, or an int8
            model may be too inaccurate; no file is left then, and one that was there before is as it was.
    """
    refuse_options(kind, int8, force)
    path = output_path(checkpoint, kind, out, int8)
    predictor = Predictor(checkpoint, device, engine="mindspore")
    train, images = predictor.image_sets(data)
    reference = reference_of(predictor, images)
    record, onnx, fp32_size = record_of(predictor, reference), None, None
    if int8:
        parts = mindspore_thread.run(model_parts, predictor)
        onnx, reference, record, fp32_size = int8_model(parts, record, reference, train, images, force)
    make_folder(path.parent)
    with written(path, kind, predictor, record, onnx) as (files, model):
        try:
            difference = prove(model, reference)
        except MstlError as error:
            raise MstlError(f"{path} is not written, as its proof failed: {error}") from error
    size = sum(file.stat().st_size for file in files)
    engine = (predictor.metadata.get(RECORD) or {}).get("engine") or {}
    trained_in = engine.get("precision", "fp32")
    return Exported(files, len(reference.paths), difference, size, record.int8, fp32_size, trained_in)


def refuse_options(kind: Format, int8: bool, force: bool) -> None:
    """Refuse what does not go together, and a format whose packages are not installed.

    Raises:
        MstlError: That is so.
    """
    if int8 and kind != "onnx":
        raise MstlError(f"--int8 is not possible with --format {kind}: only ONNX is quantised; leave one of them out")
    if force and not int8:
        raise MstlError("--force keeps an int8 model that may be less accurate: give --int8, too, or leave it out")
    refuse_without_packages(kind)


def refuse_without_packages(kind: Format) -> None:
    """Refuse a format whose packages are not installed.

    Raises:
        MstlError: One is not.
    """
    missing = [name for name in NEEDED[kind] if importlib.util.find_spec(name) is None]
    if missing:
        extras = "onnx,openvino" if kind == "openvino" else "onnx"
        raise MstlError(f"--format {kind} needs {' and '.join(missing)}: pip install 'mstl[{extras}]'")


def output_path(
    checkpoint: str | os.PathLike[str], kind: Format, out: str | os.PathLike[str] | None, int8: bool = False
) -> Path:
    """The file to write.

    Raises:
        MstlError: Its name has another suffix, or it cannot be written there.
    """
    suffix = SUFFIXES[kind]
    path = Path(checkpoint).with_suffix(f".int8{suffix}" if int8 else suffix) if out is None else Path(out)
    if path.suffix.lower() != suffix:
        raise MstlError(f"cannot write {path}: the name of an {kind} file must end in {suffix}")
    check_output_file(path)
    if kind == "openvino":
        check_output_file(path.with_suffix(".bin"))
    return path


def reference_of(predictor: Predictor, images: ImageSet) -> Reference:
    """MindSpore's answers to the validation images."""
    evaluation = predictor.evaluate(subset(images, spread(len(images))))
    return reference_from(evaluation, predictor.rejector, "MindSpore")


def record_of(predictor: Predictor, reference: Reference) -> ExportRecord:
    """What the exported file says of itself."""
    return ExportRecord(
        predictor.metadata["model"],
        predictor.classes,
        predictor.preprocessing,
        predictor.temperature,
        settled_limits(predictor.rejector, reference),
        mstl_version=mstl.__version__,
        **provenance(predictor.metadata),
    )


@contextlib.contextmanager
def written(
    path: Path, kind: Format, predictor: Predictor, record: ExportRecord, onnx: "onnx.ModelProto | None" = None
) -> Iterator[tuple[tuple[Path, ...], ExportedModel]]:
    """In this block, the model lies under a temporary name, read back from there; it stays if the block succeeds.

    Args:
        path: Of the first file.
        kind: The format.
        predictor: The model.
        record: What its file says.
        onnx: The same as an ONNX model; made from the predictor if None.

    Yields:
        The files that it will be, and the model.
    """
    properties = record.to_properties()
    with contextlib.ExitStack() as stack:
        if kind == "mindir":
            parts = mindspore_thread.run(model_parts, predictor)
            temporary = stack.enter_context(atomic_path(path))
            mindspore_thread.run(write_mindir, temporary, parts, properties)
            yield (path,), MindirModel(temporary)
            return
        if onnx is None:
            onnx = mindspore_thread.run(lambda: onnx_export(model_parts(predictor), properties))
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
