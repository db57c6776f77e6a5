"""Checkpoints that describe themselves: parameters, and a record of what they are, in one file."""

import json
import logging
import os
from collections.abc import Mapping
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
    """Read a .ckpt or .safetensors file of mstl's or of any other origin.

    Returns:
        Arrays by parameter name, and the record; None if the file has no record.

    Raises:
        MstlError: The file does not exist, is damaged, or is not a checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise MstlError(f"no checkpoint at {path}: give the path of a .ckpt or .safetensors file")
    reader = read_safetensors if path.suffix == ".safetensors" else read_mindspore
    try:
        parameters, record = reader(path)
        metadata = None if record is None else json.loads(record)
    except PermissionError as error:
        raise MstlError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # a damaged file can make the readers raise anything
        raise MstlError(f"{path} is not a checkpoint, or is damaged; get it again, or train again") from error
    if not parameters:
        raise MstlError(f"{path} holds no parameters; get it again, or train again")
    return parameters, metadata


def read_mindspore(path: Path) -> tuple[Arrays, str | None]:
    """The parameters and the record of a .ckpt file."""
    import mindspore as ms

    with open(path, "rb"):  # raises PermissionError, which MindSpore would hide
        pass
    loaded = ms.load_checkpoint(str(path))
    record = loaded.pop(METADATA_KEY, None)
    parameters = {name: value.asnumpy() for name, value in loaded.items() if hasattr(value, "asnumpy")}
    return parameters, record


def read_safetensors(path: Path) -> tuple[Arrays, str | None]:
    """The parameters and the record of a .safetensors file."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return arrays, (file.metadata() or {}).get(METADATA_KEY)
