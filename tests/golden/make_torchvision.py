"""Compute the golden logits of the ResNet family by the PyTorch reference, under torchvision's names.

Run by hand, from the folder above ``tests``; names choose some of the family, none means all:

    pip install torch==2.13.0 numpy
    python -m tests.golden.make_torchvision [NAME ...]
"""

import sys

from tests.golden import foreign
from tests.reference import torch_resnet


def main(names):
    batches = foreign.image_batches()
    for name in names or torch_resnet.FAMILY:
        net = torch_resnet.ResNet(name, foreign.CLASSES)
        shapes = torch_resnet.shapes(net)
        logits = torch_resnet.compute(net, foreign.draw_all(shapes), batches.values())
        foreign.save(f"torchvision-{name}", shapes, dict(zip(batches, logits, strict=True)))
        print(f"{name}: largest logit {abs(logits[0]).max():.3g}")


if __name__ == "__main__":
    main(sys.argv[1:])
