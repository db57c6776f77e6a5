"""The builders: ``mstl.resnet50(num_classes=2, pretrained=True)``, and the same for each architecture.

Their arguments are those of MindSpore's tutorial, and further ones with defaults.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mstl.models.contract import Classifier
from mstl.models.factory import build_model
from mstl.models.padding import Padding

Builder = TypeVar("Builder", bound=Callable[..., Classifier])

ARGUMENTS = """

    From (N, 3, H, W) float32 images, normalised as the model's ``preprocessing`` says, to (N, num_classes) logits.

    Args:
        num_classes: Outputs of the head. If the weights have a head of another size, it is left out, and the model's
            stays random.
        pretrained: Whether to load the default weights, if ``weights`` names no others.
        weights: A tag of ``mstl weights list``, or a file; None or ``"none"`` for random weights.
        padding: Padding of the convolutions, ``"symmetric"`` or ``"same"``; by default that of the weights, or
            ``"symmetric"`` without weights.
        pool_padding: Padding of the max-pool; by default that of the weights, or ``padding`` without weights.

    Raises:
        MstlError: The weights cannot be found or do not fit.
    """


def _documented(builder: Builder) -> Builder:
    """Complete a builder's docstring by what is the same for all of them."""
    builder.__doc__ = f"{builder.__doc__}{ARGUMENTS}"
    return builder


def _build(
    name: str,
    num_classes: int,
    pretrained: bool,
    weights: str | Path | None,
    padding: Padding | None,
    pool_padding: Padding | None,
) -> Classifier:
    if pretrained and weights is None:
        weights = "default"
    return build_model(name, num_classes, weights, padding, pool_padding)


@_documented
def resnet18(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """ResNet-18 (He et al., 2015), 11.7 million parameters."""
    return _build("resnet18", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def resnet34(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """ResNet-34 (He et al., 2015), 21.8 million parameters."""
    return _build("resnet34", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def resnet50(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """ResNet-50 (He et al., 2015), 25.6 million parameters."""
    return _build("resnet50", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def resnet101(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """ResNet-101 (He et al., 2015), 44.5 million parameters."""
    return _build("resnet101", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def resnet152(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """ResNet-152 (He et al., 2015), 60.2 million parameters."""
    return _build("resnet152", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def resnext50_32x4d(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """ResNeXt-50 with 32 groups of 4 channels (Xie et al., 2016), 25.0 million parameters."""
    return _build("resnext50_32x4d", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def resnext101_32x8d(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """ResNeXt-101 with 32 groups of 8 channels (Xie et al., 2016), 88.8 million parameters."""
    return _build("resnext101_32x8d", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def resnext101_64x4d(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """ResNeXt-101 with 64 groups of 4 channels (Xie et al., 2016), 83.5 million parameters."""
    return _build("resnext101_64x4d", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def wide_resnet50_2(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """Wide ResNet-50-2 (Zagoruyko and Komodakis, 2016), 68.9 million parameters."""
    return _build("wide_resnet50_2", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def wide_resnet101_2(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """Wide ResNet-101-2 (Zagoruyko and Komodakis, 2016), 126.9 million parameters."""
    return _build("wide_resnet101_2", num_classes, pretrained, weights, padding, pool_padding)


@_documented
def efficientnet_lite0(
    num_classes: int = 1000,
    pretrained: bool = False,
    weights: str | Path | None = None,
    padding: Padding | None = None,
    pool_padding: Padding | None = None,
) -> Classifier:
    """EfficientNet-Lite0 (Tan and Le, 2019), 4.7 million parameters; its padding is always "same"."""
    return _build("efficientnet_lite0", num_classes, pretrained, weights, padding, pool_padding)
