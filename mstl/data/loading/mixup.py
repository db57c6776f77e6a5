"""Mixing the photos of a batch in pairs, with the soft targets that the loss then needs."""

import mindspore as ms
import numpy as np


class Mixer:
    """Mixup (Zhang et al. 2018), CutMix (Yun et al. 2019) and label smoothing, on batches.

    It works in NumPy, which on a CPU takes a fifth of the time of MindSpore's operations. (MindSpore's ``MixUpBatch``
    does not draw its share from a Beta distribution.)

    Args:
        num_classes: Classes.
        mixup: Alpha of mixup's Beta(alpha, alpha), such as 0.2; 0 never mixes.
        cutmix: Alpha of CutMix's, such as 1; 0 never cuts. With both above 0, each batch gets one of the two at random.
        smoothing: Share of each target that is spread over all classes.
        seed: Of the draws.
    """

    def __init__(self, num_classes, mixup=0.0, cutmix=0.0, smoothing=0.0, seed=0):
        if mixup < 0 or cutmix < 0 or not 0 <= smoothing < 1:
            raise ValueError(
                f"mixup {mixup} and cutmix {cutmix} must be 0 or more, smoothing {smoothing} from 0 below 1"
            )
        self.num_classes, self.smoothing, self.seed = num_classes, smoothing, seed
        self.alphas = {mix: alpha for mix, alpha in ((mixed, mixup), (cut_and_pasted, cutmix)) if alpha > 0}

    def __call__(self, images, labels, epoch, batch):
        """Mix a batch; what is drawn depends on seed, epoch and batch alone.

        Args:
            images: (n, 3, h, w) float32, a Tensor or an array; it is not changed.
            labels: (n,) integers, a Tensor or an array.
            epoch: Which epoch.
            batch: Which batch of the epoch.

        Returns:
            Images like those given, and (n, num_classes) float32 targets whose rows sum to 1, both as Tensors.
        """
        targets = self.soft_targets(np.asarray(labels))
        if not self.alphas:
            return images if isinstance(images, ms.Tensor) else ms.Tensor(images), ms.Tensor.from_numpy(targets)
        rng = np.random.default_rng([self.seed, epoch, batch])
        mix = list(self.alphas)[rng.integers(len(self.alphas))]
        share = rng.beta(self.alphas[mix], self.alphas[mix])
        partner = rng.permutation(len(targets))
        images, share = mix(np.asarray(images), partner, share, rng)
        targets = np.float32(share) * targets + np.float32(1 - share) * targets[partner]
        return ms.Tensor.from_numpy(images), ms.Tensor.from_numpy(targets)

    def soft_targets(self, labels):
        """(n, num_classes) float32: one-hot rows, smoothed."""
        one_hot = np.eye(self.num_classes, dtype=np.float32)[labels]
        return one_hot * np.float32(1 - self.smoothing) + np.float32(self.smoothing / self.num_classes)


def mixed(images, partner, share, rng):
    """Each image as a weighted mean of itself (``share``) and its partner; also gives the share."""
    result = images[partner]
    result -= images  # in place: a batch is large
    result *= np.float32(1 - share)
    result += images
    return result, share


def cut_and_pasted(images, partner, share, rng):
    """Each image with a box of its partner; also gives the share that is left of its own after the box was clipped."""
    height, width = images.shape[-2:]
    rows, columns = box(height, width, share, rng)
    result = images.copy()
    result[..., rows, columns] = images[partner][..., rows, columns]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    return result, 1 - area / (height * width)


def box(height, width, share, rng):
    """The rows and columns (slices) of a box of 1 - ``share`` of an image's area, its centre anywhere, clipped."""
    sides = []
    for length in (height, width):
        half = int(length * np.sqrt(1 - share)) // 2
        centre = int(rng.integers(length))
        sides.append(slice(max(0, centre - half), min(length, centre + half)))
    return sides
