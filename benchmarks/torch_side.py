"""PyTorch's side: what its users run, eager, NCHW, with its DataLoader; ``python -m benchmarks.torch_side JOB``.

The loop is that of PyTorch's transfer-learning tutorial. Each job prints its figures as JSON in its last line; predict
prints a line for each photo instead.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.machine import call_times, cores
from benchmarks.photos import PARTS, eval_batch, eval_view, listed, train_view
from benchmarks.torch_net import ResNet

BRANCH = 0.3  # the scale of what a bottleneck adds
FITTED_ON = 64  # photos that random weights' BatchNorm statistics are fitted to
LR = 0.001  # of the step that is timed


class Photos(Dataset):
    """Photos as the model sees them, and their labels."""

    def __init__(self, pairs, augmented):
        self.pairs, self.augmented = pairs, augmented

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        """A (3, 224, 224) float32 tensor and a label."""
        path, label = self.pairs[index]
        if self.augmented:
            rng = np.random.default_rng(torch.randint(2**62, ()).item())  # another in each worker and epoch
            return torch.from_numpy(train_view(path, rng)), label
        return torch.from_numpy(eval_view(path)), label


def loader(pairs, batch_size, augmented=False):
    """Batches by as many processes as there are cores, shuffled where augmented."""
    return DataLoader(Photos(pairs, augmented), batch_size, shuffle=augmented, num_workers=cores())


def pretrained(options):
    """The model with the weights that all sides share."""
    net = ResNet(options.model)
    net.load_state_dict(torch.load(options.weights, weights_only=True))
    return net


def make_weights(options):
    """Write random weights whose BatchNorm statistics fit photos, so that features are well scaled.

    What a block adds to its shortcut is made small, as it is in trained models: without that, the rounding of a
    bfloat16 grows from block to block.
    """
    torch.manual_seed(1)
    net = ResNet(options.model)
    for name, module in net.named_modules():
        if name.endswith("bn3"):
            nn.init.constant_(module.weight, BRANCH)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean over the batches that follow
    net.train()
    images = torch.from_numpy(eval_batch(options.data / "train", FITTED_ON))
    with torch.no_grad():
        for batch in images.split(16):
            net(batch)
    torch.save(net.state_dict(), options.out)
    return {"photos": FITTED_ON}


def train(options):
    """Train the head on a frozen backbone, validate after each epoch, keep the best model."""
    torch.manual_seed(1)
    pairs, classes = {}, []
    for part in PARTS:
        pairs[part], classes = listed(options.data / part)
    loaders = {part: loader(pairs[part], options.batch_size, part == "train") for part in PARTS}
    net = pretrained(options)
    for parameter in net.parameters():
        parameter.requires_grad = False
    net.fc = nn.Linear(net.fc.in_features, len(classes))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.fc.parameters(), lr=options.lr, momentum=0.9)
    accuracies = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.epochs):
            for part in PARTS:
                net.train(part == "train")
                loss_sum, correct = 0.0, 0
                for images, labels in loaders[part]:
                    optimizer.zero_grad()
                    with torch.set_grad_enabled(part == "train"):
                        logits = net(images)
                        loss = criterion(logits, labels)
                        if part == "train":
                            loss.backward()
                            optimizer.step()
                    loss_sum += loss.item() * len(images)
                    correct += (logits.argmax(1) == labels).sum().item()
                print(f"{part}: loss {loss_sum / len(pairs[part]):.4f}, accuracy {correct / len(pairs[part]):.4f}")
            accuracies.append(correct / len(pairs["val"]))
            if accuracies[-1] == max(accuracies):
                torch.save(net.state_dict(), Path(folder, "best.pt"))
        net.load_state_dict(torch.load(Path(folder, "best.pt"), weights_only=True))
    return {"accuracy": max(accuracies), "last_accuracy": accuracies[-1]}


def predict(options):
    """Print path, label and probability of every photo in a folder, as a JSON line each."""
    head = np.load(options.head)
    net = pretrained(options)
    net.fc = nn.Linear(net.fc.in_features, len(head["classes"]))
    net.fc.load_state_dict({name: torch.from_numpy(head[name]) for name in ("weight", "bias")})
    net.eval()
    pairs = [(path, 0) for path in sorted(options.data.iterdir())]
    names, done = [str(name) for name in head["classes"]], 0
    with torch.no_grad():
        for images, _ in loader(pairs, options.batch_size):
            for row in net(images).softmax(1):
                best = int(row.argmax())
                line = {"path": str(pairs[done][0]), "label": names[best], "probability": float(row[best])}
                print(json.dumps(line))
                done += 1


def step(options):
    """Time full training steps on one batch in memory."""
    net = pretrained(options).train()
    images = torch.from_numpy(eval_batch(options.data / "train", options.batch_size))
    labels = torch.arange(options.batch_size)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9)
    losses = []

    def one():
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    times = call_times(one, options.warmup, options.steps)
    return {"ms_per_image": sum(times) / len(times) / options.batch_size, "losses": losses}


def forward(options):
    """Time the backbone in evaluation mode on one batch in memory."""
    net = pretrained(options).eval()
    images = torch.from_numpy(eval_batch(options.data / "train", options.batch_size))
    with torch.no_grad():
        times = call_times(lambda: net.features(images), options.warmup, options.steps)
        mean = float(net.features(images).mean())
    return {"ms_of_calls": [each / options.batch_size for each in times], "mean": mean}


JOBS = {"weights": make_weights, "train": train, "predict": predict, "step": step, "forward": forward}


def main():
    """Do one job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--head", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--warmup", type=int)
    options = parser.parse_args()
    answer = JOBS[options.job](options)
    if answer is not None:
        print(json.dumps(answer))


if __name__ == "__main__":
    sys.exit(main())
