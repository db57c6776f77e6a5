"""File kinds: what a weights file is by its content, whatever its name; others are named as what they are."""

import codecs
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from mstl.checkpoint import is_safetensors
from mstl.errors import MstlError

FileKind = Literal["mindspore", "safetensors", "torch"]

BEGINNING = 4096  # bytes by which a file is known
END = 8
LEGACY_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled magic number
ZIP = b"PK\x03\x04"

GET_AGAIN = "get the file again"
DOWNLOAD = "download the file itself"
UNPACK = "unpack it, and give the weights file in it"
STATE_DICT = "in PyTorch, save torch.save(model.state_dict(), 'weights.pth')"
OTHER_WEIGHTS = "mstl reads weights of PyTorch and MindSpore (`mstl weights list` names some)"

# how other files begin, what they are, and what to do
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (
        rb"version https://git-lfs",
        "a git-lfs pointer, not the file that it stands for",
        f"run `git lfs pull`, or {DOWNLOAD}",
    ),
    (rb"\s*<(!doctype html|html|head|body)", "a web page (HTML)", f"{DOWNLOAD}, after a login if it needs one"),
    (rb"\s*<\?xml.{0,900}<layers>", "a model of OpenVINO's", OTHER_WEIGHTS),
    (rb"\s*<(\?xml|error)", "XML, such as a server's error message", DOWNLOAD),
    (rb"\s*\{.*\"weight_map\"", "an index of weights in several files", "save them as one file"),
    (rb"\s*[{\[]\s*[\"{\[\]}]", "JSON, no weights", DOWNLOAD),
    (rb"\xd8\x5e\x3a\x7f", "an encrypted checkpoint of MindSpore's", "save it without a key"),
    (rb"\x89HDF\r\n\x1a\n", "an HDF5 file, such as Keras's weights (.h5)", OTHER_WEIGHTS),
    (rb"\x08\x01\x12", "a SavedModel of TensorFlow's", OTHER_WEIGHTS),
    (rb"\x08[\x03-\x20][\x12\x1a\x22\x2a\x32\x3a]", "an ONNX model", OTHER_WEIGHTS),
    (rb"\n.\d+(\.\d+)+\x12", "a MindIR model, exported by MindSpore", "give the .ckpt that it was exported from"),
    (rb"\n.{1,4}\n.[\w/]+\x12.(Placeholder|Const|NoOp|Variable)", "a graph of TensorFlow's", OTHER_WEIGHTS),
    (rb".{4}TFL3", "a TensorFlow Lite model", OTHER_WEIGHTS),
    (rb"GGUF", "a GGUF file", OTHER_WEIGHTS),
    (rb"\x93NUMPY", "a NumPy array (.npy)", OTHER_WEIGHTS),
    (rb"\x1f\x8b|BZh\d|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf|Rar!", "a compressed file", UNPACK),
    (rb"\xff\xd8\xff|\x89PNG\r\n|GIF8|RIFF....WEBP", "an image", "give weights to --weights, and images to --data"),
    (rb"[\x81-\x8f\xde\xdf].{0,4}[\xa1-\xbf\xd9]\w", "a msgpack file, such as Flax's weights", OTHER_WEIGHTS),
    (rb"\x80[\x02-\x05]", "a pickle, but none of torch.save's", STATE_DICT),
)
TENSORFLOW_TABLE = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # the end of TensorFlow's checkpoints and their indices
ZIP_SUFFIXES = {".keras": "a Keras model", ".npz": "an archive of NumPy arrays (.npz)"}  # of one that cannot be opened

# what a zip archive is, by the end of a name in it
ZIP_CONTENTS: tuple[tuple[str, str, str], ...] = (
    (r"/constants\.pkl|/bytecode\.pkl", "a TorchScript model", STATE_DICT),
    (r"/archive_format|serialized_exported_program\.json", "a program of torch.export's", STATE_DICT),
    (r"\.weights\.h5", "a Keras model", OTHER_WEIGHTS),
    (r"mstl-weights\.json", "a bundle of mstl's", "run `mstl weights install`, and name its weights by their tag"),
)


def kind_of(path: Path) -> FileKind:
    """The kind of a weights file, by its content.

    Returns:
        ``"mindspore"`` for whatever is not known to be anything else.

    Raises:
        MstlError: It is no file, cannot be read, or is known to be something else, which is named.
    """
    if os.path.isdir(path):
        files = ", ".join(sorted(file.name for file in path.iterdir() if file.is_file())[:3])
        raise MstlError(f"{path} is a folder: give the weights file in it{f' ({files} ...)' if files else ''}")
    if not os.path.isfile(path):
        raise MstlError(f"no weights file at {path}")
    try:
        with open(path, "rb") as file:
            head = file.read(BEGINNING)
            size = file.seek(0, 2)
            file.seek(max(0, size - END))
            tail = file.read()
    except OSError as error:
        raise MstlError(f"cannot read {path}: {error.strerror or error}") from error
    if not head:
        raise refusal(path, "empty", GET_AGAIN)
    if head.startswith(LEGACY_TORCH):
        return "torch"
    if is_safetensors(path):
        return "safetensors"
    if head.startswith(ZIP):
        return kind_of_zip(path)
    if head[257:262] == b"ustar":
        raise refusal(path, "a tar archive", UNPACK)
    refuse_by_content(path, head, tail)
    return "mindspore"


def refuse_by_content(path: Path, head: bytes, tail: bytes) -> None:
    """Refuse a file that is known to be no weights, by how it begins, how it ends, or its name.

    Raises:
        MstlError: It is.
    """
    for pattern, what, advice in SIGNATURES:
        if re.match(pattern, head, re.DOTALL | re.IGNORECASE):
            raise refusal(path, what, advice)
    if tail == TENSORFLOW_TABLE or re.search(r"\.data-\d+-of-\d+$", path.name):
        raise refusal(path, "a checkpoint of TensorFlow's", OTHER_WEIGHTS)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # whose last character may be cut
    except UnicodeDecodeError:
        return
    if "".join(text.split()).isprintable():
        raise refusal(path, f"text that begins with {text.strip()[:40]!r}", DOWNLOAD)


def kind_of_zip(path: Path) -> FileKind:
    """The same of a zip archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:  # a damaged zip can raise anything
        what = ZIP_SUFFIXES.get(path.suffix.lower())
        if what:
            raise refusal(path, what, OTHER_WEIGHTS) from error
        raise MstlError(f"{path} is cut short or damaged ({error}); {GET_AGAIN}") from error
    for pattern, what, advice in ZIP_CONTENTS:
        if any(re.search(rf"({pattern})$", f"/{name}") for name in names):
            raise refusal(path, what, advice)
    if any(f"/{name}".endswith("/data.pkl") for name in names):
        return "torch"
    if names and all(name.endswith(".npy") for name in names):
        raise refusal(path, "an archive of NumPy arrays (.npz)", OTHER_WEIGHTS)
    raise refusal(path, f"a zip archive{inside(names)}", UNPACK)


def inside(names: Sequence[str]) -> str:
    """The first files of an archive, in words."""
    files = [name for name in names if not name.endswith("/")]
    return f" of {', '.join(files[:2])}{' ...' if len(files) > 2 else ''}" if files else " without a file"


def refusal(path: Path, what: str, advice: str) -> MstlError:
    """The error about a file that is no weights."""
    return MstlError(f"{path} is {what}; {advice}")
