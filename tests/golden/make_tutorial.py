"""Compute the golden logits of the tutorial's ResNet-50, as the tests build it from MindSpore's own layers.

Run by hand, from the folder above ``tests``:

    pip install mindspore==2.10.0 "numpy<2"
    python -m tests.golden.make_tutorial
"""

import mstl  # noqa: F401, I001  before MindSpore is loaded, for the environment that it prepares

from tests.golden import foreign
from tests.reference import mindspore_net, tutorial_resnet


def main():
    batches = foreign.image_batches()
    net = tutorial_resnet.ResNet50(foreign.CLASSES)
    shapes = mindspore_net.shapes(net)
    logits = mindspore_net.compute(net, foreign.draw_all(shapes), batches.values())
    foreign.save("tutorial-resnet50", shapes, dict(zip(batches, logits, strict=True)))
    print(f"resnet50: largest logit {abs(logits[0]).max():.3g}")


if __name__ == "__main__":
    main()
