"""Linear probes: how well a net's frozen features tell classes apart that it never saw."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from photos import SUFFIXES, open_photo, resize_short

WEIGHT_DECAY = 1e-3  # chosen once, on the teacher's and a random net's features, and kept


def listed(folder: Path) -> dict[str, list[tuple[Path, int]]]:
    """Return the photos of a probe set as train and test lists of (path, label).

    Args:
        folder: Has either `train.txt` and `test.txt` (path, space, integer label) or `train/CLASS/` and `val/CLASS/`.
    """
    if (folder / "train.txt").exists():
        parts = {}
        for part in ("train", "test"):
            rows = (line.rsplit(" ", 1) for line in (folder / f"{part}.txt").read_text().splitlines() if line.strip())
            parts[part] = [(folder / path, int(label)) for path, label in rows]
        return parts
    names = sorted(p.name for p in (folder / "train").iterdir() if p.is_dir())
    return {
        part: [
            (path, label)
            for label, name in enumerate(names)
            for path in sorted((folder / source / name).iterdir())
            if path.suffix.lower() in SUFFIXES
        ]
        for part, source in (("train", "train"), ("test", "val"))
    }


def load_probe(folder: Path, cache: Path, size: int = 224) -> dict[str, np.ndarray]:
    """Return arrays of a probe set, decoded once (short side to size * 8 / 7, centre crop).

    Args:
        folder: See `listed`.
        cache: Folder for the decoded arrays.
        size: Side of an image.
    """
    files = {
        f"{part}_{kind}": cache / f"{folder.name}-{part}-{kind}.npy" for part in ("train", "test") for kind in "xy"
    }
    if not all(path.exists() for path in files.values()):
        for part, rows in listed(folder).items():
            images, labels = [], []
            for path, label in rows:
                image = open_photo(path)
                if image is None:
                    continue
                image = resize_short(image, size * 8 // 7)
                left, top = (image.width - size) // 2, (image.height - size) // 2
                images.append(np.asarray(image.crop((left, top, left + size, top + size))))
                labels.append(label)
            for kind, array in (("x", np.stack(images)), ("y", np.array(labels))):
                temp = cache / "probe.tmp.npy"
                np.save(temp, array)
                os.replace(temp, files[f"{part}_{kind}"])
    return {key: np.load(path, mmap_mode="r") for key, path in files.items()}


@torch.no_grad()
def features(extract: Callable[[torch.Tensor], torch.Tensor], images: np.ndarray) -> torch.Tensor:
    """Return the features of uint8 images (N, H, W, 3); `extract` takes floats of 0..255 in (N, 3, H, W)."""
    parts = [torch.from_numpy(np.array(images[i : i + 16])) for i in range(0, len(images), 16)]
    return torch.cat([extract(part.permute(0, 3, 1, 2).float()).float() for part in parts])


def linear_probe(data: dict[str, np.ndarray], extract: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """Return the test accuracy of logistic regression, trained to convergence on frozen features.

    Args:
        data: What `load_probe` returns.
        extract: See `features`.
    """
    x, test = features(extract, data["train_x"]), features(extract, data["test_x"])
    y, truth = torch.from_numpy(np.array(data["train_y"])), torch.from_numpy(np.array(data["test_y"]))
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, test = (x - mean) / std, (test - mean) / std
    weight = torch.zeros(x.shape[1], int(y.max()) + 1, requires_grad=True)
    bias = torch.zeros(weight.shape[1], requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=300, history_size=20, line_search_fn="strong_wolfe")

    def closure():
        solver.zero_grad()
        loss = F.cross_entropy(x @ weight + bias, y) + 0.5 * WEIGHT_DECAY * weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    with torch.no_grad():
        return ((test @ weight + bias).argmax(1) == truth).float().mean().item()
