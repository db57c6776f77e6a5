"""Compute the golden logits of EfficientNet-Lite0 by its PyTorch implementation.

Run by hand, from the folder above ``tests``:

    pip install torch==2.13.0 efficientnet-lite-pytorch==0.1.0
    python -m tests.golden.make_lite0
"""

import torch
from efficientnet_lite_pytorch import EfficientNet

from tests.golden import foreign


def main():
    net = EfficientNet.from_name("efficientnet-lite0")
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    net.load_state_dict({name: torch.tensor(value) for name, value in foreign.draw_all(shapes).items()})
    net.eval()
    with torch.no_grad():  # the implementation fixes its padding at 224 px
        logits = net(torch.tensor(foreign.image_batch(224, 224))).numpy()
    foreign.save("lite0-efficientnet_lite0", shapes, {"224x224": logits})


if __name__ == "__main__":
    main()
