"""Compute the golden logits of ResNet-18, ResNet-50 and ResNeXt-50 by mindcv itself.

Run by hand, from the folder above ``tests``:

    pip install mindspore==2.10.0 mindcv==0.3.0 "numpy<2"
    python -m tests.golden.make_mindcv
"""

import mstl  # noqa: F401, I001  before MindSpore is loaded, for the environment that it prepares

from tests.golden import foreign
from tests.reference import mindspore_net

ARCHITECTURES = ("resnet18", "resnet50", "resnext50_32x4d")


def main():
    import mindcv

    batches = foreign.image_batches()
    for name in ARCHITECTURES:
        net = mindcv.create_model(name, num_classes=foreign.CLASSES)
        shapes = mindspore_net.shapes(net)
        logits = mindspore_net.compute(net, foreign.draw_all(shapes), batches.values())
        foreign.save(f"mindcv-{name}", shapes, dict(zip(batches, logits, strict=True)))
        print(f"{name}: largest logit {abs(logits[0]).max():.3g}")


if __name__ == "__main__":
    main()
