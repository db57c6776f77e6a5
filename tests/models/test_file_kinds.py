"""File kinds: a file that is no weights is named as what it is, with what to do."""

import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

from mstl import MstlError, build_model
from mstl.models.file_kinds import kind_of
from tests.conftest import write_photo
from tests.torch_writer import write_zip


def zip_of(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def tar_of(name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


OTHERS = {
    "empty.pth": (b"", "is empty; get the file again"),
    "page.pth": (b"<!DOCTYPE html><html>not found</html>", "is a web page .HTML.; download the file itself"),
    "blank.ckpt": (b"\n\n <HTML lang='en'>", "is a web page"),
    "pointer.safetensors": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n",
        "is a git-lfs pointer",
    ),
    "denied.pth": (
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "is XML, such as",
    ),
    "net.xml": (b"<?xml version='1.0'?>\n<net name='x' version='11'>\n<layers>", "is a model of OpenVINO's"),
    "error.bin": (b'{"error": "not found"}', "is JSON, no weights"),
    "model.safetensors.index.json": (
        b'{"metadata": {}, "weight_map": {"a": "b"}}',
        "is an index of weights",
    ),
    "missing.pth": (b"404: Not Found", "is text that begins with '404: Not Found'"),
    "classes.pth": ("猫\n狗\n".encode(), "is text that begins with"),
    "weights.h5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file, such as Keras"),
    "model.keras": (zip_of("metadata.json", "config.json", "model.weights.h5"), "is a Keras model"),
    "cut.keras": (b"PK\x03\x04", "is a Keras model"),
    "model.onnx": (b"\x08\x07\x12\x07pytorch" + bytes(100), "is an ONNX model"),
    "saved_model.pb": (b"\x08\x01\x12\xc8\x95\x01\x0a\x80", "is a SavedModel of TensorFlow's"),
    "frozen.pb": (b"\n\x3c\n\x05input\x12\x0bPlaceholder*", "is a graph of TensorFlow's"),
    "model.tflite": (b"\x1c\0\0\0TFL3" + bytes(50), "is a TensorFlow Lite model"),
    "model.ckpt.index": (b"\0\0\2\x08" * 20 + bytes.fromhex("57fb808b247547db"), "is a checkpoint of TensorFlow's"),
    "model.ckpt.data-00000-of-00001": (b"\x9a\xe2\x81" * 20, "is a checkpoint of TensorFlow's"),
    "net.mindir": (b"\n\x031.1\x12\tMindSpore*\x062.10.0" + bytes(20), "is a MindIR model"),
    "net.gguf": (b"GGUF\x03\0\0\0", "is a GGUF file"),
    "array.npy": (npy(), "is a NumPy array"),
    "arrays.npz": (zip_of("resnet/kernel.npy", "b.npy"), "is an archive of NumPy arrays"),
    "flax.msgpack": (b"\x82\xa6params\x81\xa5conv1", "is a msgpack file, such as Flax's"),
    "script.pt": (zip_of("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"), "is a TorchScript model"),
    "mobile.ptl": (zip_of("m/data.pkl", "m/bytecode.pkl"), "is a TorchScript model"),
    "exported.pt2": (zip_of("m/archive_format", "m/models/model.json"), "is a program of torch.export's"),
    "bundle.zip": (zip_of("mstl-weights.json", "a.ckpt"), "is a bundle of mstl's; run `mstl weights install`"),
    "weights.zip": (
        zip_of("resnet18.pth", "read.me", "a", "b"),
        "is a zip archive of resnet18.pth, read.me ...",
    ),
    "weights.tar": (tar_of("resnet18.pth"), "is a tar archive; unpack"),
    "weights.pth.gz": (b"\x1f\x8b\x08\0" + bytes(30), "is a compressed file; unpack"),
    "arrays.pkl": (pickle.dumps({"conv1": np.ones(3)}), "is a pickle, but none of torch.save's"),
    "encrypted.ckpt": (bytes.fromhex("d85e3a7fb945160a") + bytes(40), "is an encrypted checkpoint of MindSpore's"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_it_is_and_what_to_do(tmp_path, name):
    data, message = OTHERS[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(MstlError, match=message) as caught:
        build_model("resnet18", 2, str(path))
    assert str(path) in str(caught.value) and "; " in str(caught.value)
    assert "\n" not in str(caught.value) and "damaged" not in str(caught.value)
    path.rename(tmp_path / "named.bin")  # the content decides, but for what has no sign of what it is
    if name not in ("cut.keras", "model.ckpt.data-00000-of-00001"):
        with pytest.raises(MstlError, match=message):
            kind_of(tmp_path / "named.bin")


def test_an_image(tmp_path):
    with pytest.raises(MstlError, match="is an image; give weights to --weights, and images to --data"):
        kind_of(write_photo(tmp_path / "a.jpg", (200, 0, 0)))


def test_a_zip_that_is_cut_short(tmp_path):
    write_zip(tmp_path / "x.pth", {"a.weight": np.ones(1000, np.float32)})
    (tmp_path / "x.pth").write_bytes((tmp_path / "x.pth").read_bytes()[:-30])
    with pytest.raises(MstlError, match="x.pth is cut short or damaged"):
        kind_of(tmp_path / "x.pth")


def test_folders_and_files_that_are_not_there(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.safetensors").write_bytes(b"")
    for weights, message in (
        (str(tmp_path / "folder"), r"is a folder: give the weights file in it \(model.safetensors"),
        (str(tmp_path / "nothing"), "no weights file at"),
        ("nothing.PTH", "no weights file at nothing.PTH"),
        ("x" * 300, "no weights"),
    ):
        with pytest.raises(MstlError, match=message):
            build_model("resnet18", 2, weights)
