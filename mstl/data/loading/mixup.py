"""Mixup and CutMix: the images of a batch mixed in pairs, with the soft targets that the loss then needs."""

from typing import TypeAlias

import mindspore as ms
import numpy as np
from numpy.typing import NDArray

Images: TypeAlias = NDArray[np.float32]


class Mixer:
    """Mixup (Zhang et al. 2018), CutMix (Yun et al. 2019) and label smoothing, on batches.

    It works in NumPy, which on a CPU takes a fifth of the time of MindSpore's operations. (MindSpore's ``MixUpBatch``
    does not draw its mixing ratio from a Beta distribution.)

    Args:
        num_classes: The number of classes.
        mixup: Alpha of mixup's Beta(alpha, alpha), such as 0.2; 0 disables mixup.
        cutmix: Alpha of CutMix's, such as 1; 0 disables CutMix. With both above 0, each batch gets one of the two at
            random.
        smoothing: Label smoothing: the share of each target that is spread over all classes, from 0 up to (not
            including) 1.
        seed: Random seed.

    Raises:
        ValueError: A value is out of its range.
    """

    def __init__(
        self, num_classes: int, mixup: float = 0.0, cutmix: float = 0.0, smoothing: float = 0.0, seed: int = 0
    ) -> None:
        if mixup < 0 or cutmix < 0 or not 0 <= smoothing < 1:
            raise ValueError(
                f"mixup {mixup} and cutmix {cutmix} must be 0 or more, smoothing {smoothing} from 0 below 1"
            )
        self.num_classes, self.smoothing, self.seed = num_classes, smoothing, seed
        self.alphas = {mix: alpha for mix, alpha in ((mix_up, mixup), (cut_mix, cutmix)) if alpha > 0}

    def __call__(
        self, images: ms.Tensor | Images, labels: ms.Tensor | NDArray[np.int32], epoch: int, batch: int
    ) -> tuple[ms.Tensor, ms.Tensor]:
        """Mix a batch; what is drawn depends on seed, epoch and batch alone.

        Args:
            images: (n, 3, h, w) float32; not changed.
            labels: (n,) class indices.
            epoch: Index of the epoch.
            batch: Index of the batch in the epoch.

        Returns:
            Images of the same shape, and (n, num_classes) float32 targets whose rows sum to 1.
        """
        targets = self.soft_targets(np.asarray(labels))
        if not self.alphas:
            return images if isinstance(images, ms.Tensor) else ms.Tensor(images), ms.Tensor.from_numpy(targets)
        rng = np.random.default_rng([self.seed, epoch, batch])
        mix = list(self.alphas)[rng.integers(len(self.alphas))]
        ratio = rng.beta(self.alphas[mix], self.alphas[mix])
        partner = rng.permutation(len(targets))
        mixed, ratio = mix(np.asarray(images), partner, ratio, rng)
        targets = np.float32(ratio) * targets + np.float32(1 - ratio) * targets[partner]
        return ms.Tensor.from_numpy(mixed), ms.Tensor.from_numpy(targets)

    def soft_targets(self, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """(n, num_classes) one-hot targets, smoothed."""
        rest = np.float32(self.smoothing / self.num_classes)
        targets = np.full((len(labels), self.num_classes), rest)
        targets[np.arange(len(labels)), labels] += np.float32(1 - self.smoothing)
        return targets


def mix_up(images: Images, partner: NDArray[np.int64], ratio: float, rng: np.random.Generator) -> tuple[Images, float]:
    """Each image as a weighted mean of itself (``ratio``) and its partner; also returns the ratio."""
    result = images[partner]
    result -= images  # in place: a batch is large
    result *= np.float32(1 - ratio)
    result += images
    return result, ratio


def cut_mix(images: Images, partner: NDArray[np.int64], ratio: float, rng: np.random.Generator) -> tuple[Images, float]:
    """Each image with a box of its partner pasted in; also returns the share that is left of its own area."""
    height, width = images.shape[-2:]
    rows, columns = box(height, width, ratio, rng)
    result = images.copy()
    result[..., rows, columns] = images[partner][..., rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return result, 1 - area / (height * width)


def box(height: int, width: int, ratio: float, rng: np.random.Generator) -> list[slice]:
    """The rows and columns of a box of 1 - ``ratio`` of an image's area, centred anywhere and clipped to the image."""
    sides = []
    for length in (height, width):
        half = int(length * np.sqrt(1 - ratio)) // 2
        centre = int(rng.integers(length))
        sides.append(slice(max(0, centre - half), min(length, centre + half)))
    return sides
