"""Checkpoints that describe themselves: parameters, and a record of what they are, in one file."""

import binascii
import itertools
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mstl.errors import MstlError
from mstl.files import atomic_path, encodable

if TYPE_CHECKING:
    import mindspore as ms

METADATA_KEY = "mstl"  # the record, as JSON, is the parameter of this name in a .ckpt, or in a .safetensors header

Arrays = dict[str, NDArray[Any]]

CRC_MARK = b"crc_num"  # MindSpore's, before the checksum at the end of a .ckpt that was saved with one
BFLOAT16 = "bfloat16"
INTEGERS = {"Int8": "i1", "UInt8": "u1", "Int16": "<i2", "UInt16": "<u2", "Int32": "<i4", "UInt32": "<u4"}
INTEGERS |= {"Int64": "<i8", "UInt64": "<u8", "Bool": "?"}
MINDSPORE_TYPES = {**INTEGERS, "Float16": "<f2", "Float32": "<f4", "Float64": "<f8", "BFloat16": BFLOAT16}
SAFETENSORS_TYPES = {"I8": "i1", "U8": "u1", "I16": "<i2", "U16": "<u2", "I32": "<i4", "U32": "<u4", "BOOL": "?"}
SAFETENSORS_TYPES |= {"I64": "<i8", "U64": "<u8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": BFLOAT16}


def save_checkpoint(path: str | Path, parameters: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> None:
    """Write parameters and their record to ``path``, completely or not at all.

    Args:
        path: A file whose name ends in .ckpt or .safetensors.
        parameters: Arrays by parameter name.
        metadata: The record, as JSON-compatible values: architecture, padding, classes, preprocessing and the like.

    Raises:
        MstlError: The name ends otherwise, a value is not finite, or the file cannot be written.
    """
    path = Path(path)
    name = first_not_finite(parameters)
    if name is not None:
        raise MstlError(f"{path} is not written: {name} has values that are not finite (NaN or infinite)")
    record = encodable(json.dumps(metadata, ensure_ascii=False))
    try:
        with atomic_path(path) as temporary:
            if path.suffix == ".ckpt":
                write_mindspore(temporary, parameters, record)
            elif path.suffix == ".safetensors":
                write_safetensors(temporary, parameters, record)
            else:
                raise MstlError(f"cannot write {path}: the name must end in .ckpt or .safetensors")
    except OSError as error:
        reason = error.strerror or error
        raise MstlError(f"cannot write {path}: {reason}; choose another folder, or make room") from error


def write_mindspore(path: Path, parameters: Mapping[str, NDArray[Any]], record: str) -> None:
    """Write a .ckpt file."""
    import mindspore as ms

    entries = [{"name": name, "data": shared_tensor(value)} for name, value in parameters.items()]
    path.unlink()  # MindSpore changes the permissions of an existing file first, which may be refused
    logging.getLogger(f"ME.mindspore.log.{os.getpid()}").addFilter(is_of_interest)
    try:
        ms.save_checkpoint(entries, str(path), append_dict={METADATA_KEY: record})
    finally:
        path.with_suffix(".tmp").unlink(missing_ok=True)  # the name that MindSpore writes to at first


def is_of_interest(record: logging.LogRecord) -> bool:
    """Whether a message of MindSpore's is to be shown: not that it could not save a checkpoint, which is raised too."""
    return not str(record.msg).startswith("Failed to save the checkpoint file")


def write_safetensors(path: Path, parameters: Mapping[str, NDArray[Any]], record: str) -> None:
    """Write a .safetensors file.

    Raises:
        OSError: It cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(value) for name, value in parameters.items()}
    try:
        save_file(arrays, path, metadata={METADATA_KEY: record})
    except SafetensorError as error:
        raise OSError(str(error)) from error


def first_not_finite(arrays: Mapping[str, NDArray[Any]]) -> str | None:
    """The name of the first array that holds NaN or infinite values; None if there is none."""
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all():
            return name
    return None


def shared_tensor(array: NDArray[Any]) -> "ms.Tensor":
    """A Tensor that shares the memory of an array: copies of all parameters would double a run's memory."""
    import mindspore as ms

    return ms.Tensor.from_numpy(np.require(array, requirements=["C", "W"]))


def read_checkpoint(path: str | Path) -> tuple[Arrays, dict[str, Any] | None]:
    """Read a .ckpt or .safetensors file of mstl's or of any other origin; its content decides which it is.

    Returns:
        Arrays by parameter name (bfloat16 becomes float32), and the record; None if the file has no record.

    Raises:
        MstlError: The file does not exist, is damaged, or is not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise MstlError(f"no checkpoint at {path}: give the path of a .ckpt or .safetensors file")
    try:
        parameters, record = read_safetensors(path) if is_safetensors(path) else read_mindspore(path)
        metadata = None if record is None else json.loads(record)
    except OSError as error:
        raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a damaged file can make the readers raise anything
        raise MstlError(f"{path} is not a checkpoint, or is damaged; get it again, or train again") from error
    if not parameters:
        raise MstlError(f"{path} holds no parameters; get it again, or train again")
    return parameters, metadata


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as a .safetensors file does: with the length of a header, and an object of JSON.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(9)
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size


def read_mindspore(path: Path) -> tuple[Arrays, str | None]:
    """The parameters and the record of a .ckpt file.

    It is parsed as MindSpore does, but no tensors are made of it: whatever is wrong shows before memory is needed.

    Raises:
        ValueError: The content is damaged.
    """
    from mindspore.train.checkpoint_pb2 import Checkpoint

    content = path.read_bytes()
    if content[-17:-10] == CRC_MARK:
        if binascii.crc32(content[:-17]) != int.from_bytes(content[-10:], "big"):
            raise ValueError("the checksum differs")
        content = content[:-17]
    values = Checkpoint.FromString(content).value
    del content
    arrays: Arrays = {}
    record = None
    for tag, group in itertools.groupby(values, key=lambda value: value.tag):
        slices = [value.tensor for value in group]  # a large parameter is cut into several
        data = b"".join(piece.tensor_content for piece in slices)
        kind, shape = slices[0].tensor_type, list(slices[0].dims)
        if kind != "str":
            arrays[tag] = to_array(data, MINDSPORE_TYPES[kind], [] if shape == [0] else shape)
        elif tag == METADATA_KEY:
            record = data.decode("utf-32-le")
    return arrays, record


def read_safetensors(path: Path) -> tuple[Arrays, str | None]:
    """The parameters and the record of a .safetensors file, in the order of their names.

    safetensors gives them in another order in each process; what is first in a file of several models is loaded.
    """
    from safetensors import deserialize, safe_open

    with safe_open(path, framework="numpy") as file:
        record = (file.metadata() or {}).get(METADATA_KEY)
    tensors = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    return {
        name: to_array(value["data"], SAFETENSORS_TYPES[value["dtype"]], value["shape"])
        for name, value in sorted(tensors, key=lambda tensor: tensor[0])
    }, record


def to_array(data: bytes | bytearray, kind: str, shape: Sequence[int]) -> NDArray[Any]:
    """The array of a file's bytes, as a copy.

    Args:
        data: The bytes.
        kind: NumPy's name of the type of the numbers; bfloat16, which it has not, becomes float32.
        shape: The shape.

    Raises:
        ValueError: There are not as many numbers as the shape needs.
    """
    if kind == BFLOAT16:
        numbers = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    else:
        numbers = np.frombuffer(data, kind)
    if min(shape, default=0) < 0 or math.prod(shape) != len(numbers):
        raise ValueError(f"{len(numbers)} numbers for the shape {shape}")
    return numbers.reshape(shape).copy()
