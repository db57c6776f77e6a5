"""Checkpoints that describe themselves: parameters and, beside them in the same file, what they are."""

import json
from pathlib import Path

import numpy as np

from mstl.errors import MstlError
from mstl.files import atomic_path

METADATA_KEY = "mstl"  # the entry of a .ckpt, or of a .safetensors header, that holds the record as JSON


def save_checkpoint(path, parameters, metadata):
    """Write parameters and their record to ``path``, whole or not at all.

    Args:
        path: A name that ends in .ckpt or .safetensors.
        parameters: A dict from name to NumPy array.
        metadata: Plain values, such as architecture, padding, classes and preprocessing.

    Raises:
        MstlError: Another suffix, or the file cannot be written.
    """
    path = Path(path)
    record = json.dumps(metadata, ensure_ascii=False)
    try:
        with atomic_path(path) as temporary:
            if path.suffix == ".ckpt":
                import mindspore as ms

                entries = [{"name": name, "data": shared_tensor(value)} for name, value in parameters.items()]
                temporary.unlink()  # MindSpore refuses to write over what it cannot chmod; give it a free name
                ms.save_checkpoint(entries, str(temporary), append_dict={METADATA_KEY: record})
            elif path.suffix == ".safetensors":
                from safetensors.numpy import save_file

                arrays = {name: np.ascontiguousarray(value) for name, value in parameters.items()}
                save_file(arrays, temporary, metadata={METADATA_KEY: record})
            else:
                raise MstlError(f"cannot write {path}: the name must end in .ckpt or .safetensors")
    except OSError as error:
        raise MstlError(f"cannot write {path}: {error.strerror or error}") from error


def shared_tensor(array):
    """A Tensor on an array's own memory: a copy of all parameters would double what a run takes while it writes."""
    import mindspore as ms

    return ms.Tensor.from_numpy(np.require(array, requirements=["C", "W"]))


def read_checkpoint(path):
    """Read a .ckpt or .safetensors file.

    Args:
        path: The file, by mstl or by anyone else.

    Returns:
        A dict from name to NumPy array, and the record as a dict (None where the file has none).

    Raises:
        MstlError: There is no such file, or it is damaged or no checkpoint.
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
    except Exception as error:  # whatever a damaged file makes of the readers
        raise MstlError(f"{path} is no checkpoint, or is damaged; get it again, or train again") from error
    if not parameters:
        raise MstlError(f"{path} holds no parameters; get it again, or train again")
    return parameters, metadata


def read_mindspore(path):
    """Parameters and raw record of a .ckpt."""
    import mindspore as ms

    with open(path, "rb"):  # says plainly where reading is not permitted; MindSpore would not
        pass
    loaded = ms.load_checkpoint(str(path))
    record = loaded.pop(METADATA_KEY, None)
    parameters = {name: value.asnumpy() for name, value in loaded.items() if hasattr(value, "asnumpy")}
    return parameters, record


def read_safetensors(path):
    """Parameters and raw record of a .safetensors."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get(METADATA_KEY)  # noqa: SIM118
