"""Compute the golden logits of EfficientNet-Lite0 by its PyTorch implementation.

Run by hand, from the folder above ``tests``:

    pip install torch==2.13.0 efficientnet-lite-pytorch==0.1.0 numpy
    python -m tests.golden.make_lite0
"""

from efficientnet_lite_pytorch import EfficientNet

from tests.golden import foreign
from tests.reference import torch_resnet


def main():
    # It settles its padding for 224 px; wherever a layer strides over an even size, other sizes pad no differently.
    net = EfficientNet.from_name("efficientnet-lite0", num_classes=foreign.CLASSES)
    shapes = torch_resnet.shapes(net)
    batches = foreign.image_batches()
    logits = torch_resnet.compute(net, foreign.draw_all(shapes), batches.values())
    foreign.save("lite0-efficientnet_lite0", shapes, dict(zip(batches, logits, strict=True)))
    print(f"efficientnet_lite0: largest logit {abs(logits[0]).max():.3g}")


if __name__ == "__main__":
    main()
