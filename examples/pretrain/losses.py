"""What the student is asked to match: the teacher's logits, pooled features and maps."""

import functools

import torch
import torch.nn.functional as F
from student import ResNet18
from teacher import CHANNELS, Teacher
from torch import nn

STRIDES = {"s8": 8, "s16": 16, "s32": 32}
WEIGHTS = {"kl": 1.0, "pooled": 2.0, "s32": 1.0, "s16": 1.0, "s8": 0.5}


class Heads(nn.Module):
    """Projections of the student's features onto the teacher's, and the teacher's mean and deviation of each channel.

    Cosines are taken between standardised features: the teacher's are behind a ReLU, and their common mean would
    otherwise make any two of them look alike.
    """

    def __init__(self):
        super().__init__()
        self.project = nn.ModuleDict({k: nn.Conv2d(ResNet18.channels[k], c, 1) for k, c in CHANNELS.items()})
        self.project["pooled"] = nn.Linear(ResNet18.channels["s32"], CHANNELS["s32"])
        for key in self.project:
            width = CHANNELS.get(key, CHANNELS["s32"])
            self.register_buffer(f"mean_{key}", torch.zeros(width))
            self.register_buffer(f"std_{key}", torch.ones(width))

    @torch.no_grad()
    def measure(self, outputs: list[dict[str, torch.Tensor]]):
        """Take the statistics of a list of the teacher's outputs."""
        for key in self.project:
            rows = torch.cat([o[key].movedim(1, -1).flatten(0, -2).float() for o in outputs])
            getattr(self, f"mean_{key}").copy_(rows.mean(0))
            getattr(self, f"std_{key}").copy_(rows.std(0) + 1e-3)

    def standardise(self, key: str, x: torch.Tensor) -> torch.Tensor:
        """Return the teacher's features with mean 0 and deviation 1; channels are the second axis."""
        shape = (1, -1) + (1,) * (x.ndim - 2)
        return (x - getattr(self, f"mean_{key}").view(shape)) / getattr(self, f"std_{key}").view(shape)


def alignment(stride: int, size: int, teacher_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where the student's map positions lie in the teacher's map, along one axis.

    The student's position i looks at pixel stride * i, the teacher's at stride * (j + 1) - 1: TensorFlow pads at the
    end. Positions with no counterpart are left out.

    Args:
        stride: Stride of both maps.
        size: Side of the student's image.
        teacher_size: Side of the teacher's image of the same crop.

    Returns:
        Indices of the student's positions, and weights (student's positions, teacher's positions) that interpolate.
    """
    own = torch.arange(size // stride)
    place = ((own * stride + 0.5) / size * teacher_size - (stride - 0.5)) / stride
    last = teacher_size // stride - 1
    inside = (place > -0.5) & (place < last + 0.5)
    place = place[inside].clamp(0, last)
    weights = (1 - (place[:, None] - torch.arange(last + 1)[None]).abs()).clamp_min(0)
    return own[inside], weights


@functools.lru_cache(maxsize=2)
def alignments(size: int, teacher_size: int, device: torch.device) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return the `alignment` of each map."""
    return {
        key: tuple(each.to(device) for each in alignment(stride, size, teacher_size)) for key, stride in STRIDES.items()
    }


def losses(student, heads, x: torch.Tensor, size: int, target: dict, places: dict) -> dict[str, torch.Tensor]:
    """Return the parts of the loss of one batch.

    Args:
        student: The student.
        heads: Its projections.
        x: The images, 0..255, at the teacher's size.
        size: The student's size.
        target: The teacher's outputs for x, with `pooled`.
        places: What `alignments` returns.
    """
    if size != x.shape[-1]:
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    # The cache of cast weights is shared by all threads, and would be cleared under one by another.
    with torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False):
        maps = student.maps(student.normalise(x).contiguous(memory_format=torch.channels_last))
        pooled = maps["s32"].mean((2, 3))
        logits = student.fc(pooled)
        mine = {key: heads.project[key](value) for key, value in maps.items()}
        mine["pooled"] = heads.project["pooled"](pooled)
    parts = {
        "kl": F.kl_div(
            F.log_softmax(logits.float(), 1), F.log_softmax(target["logits"], 1), reduction="batchmean", log_target=True
        ),
        "pooled": 1 - F.cosine_similarity(mine["pooled"].float(), heads.standardise("pooled", target["pooled"])).mean(),
    }
    for key, (own, weights) in places.items():
        theirs = weights @ heads.standardise(key, target[key]) @ weights.T
        parts[key] = 1 - F.cosine_similarity(mine[key][:, :, own][:, :, :, own].float(), theirs).mean()
    return parts


@torch.no_grad()
def teach(teacher: Teacher, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the teacher's outputs as float32; on a CPU computed in chunks small enough for the processor's cache."""
    outputs = []
    for part in x.split(8) if x.device.type == "cpu" else [x]:
        part = teacher.normalise(part).bfloat16().contiguous(memory_format=torch.channels_last)
        out = {key: value.float() for key, value in teacher(part).items()}
        outputs.append(out | {"pooled": out["s32"].mean((2, 3))})
    return {key: torch.cat([o[key] for o in outputs]) for key in outputs[0]}
