"""The state of a run: nets, optimizers and counts, kept in one file."""

import argparse
import copy
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from losses import WEIGHTS, Heads
from optim import make_optimizers
from student import ResNet18

# On a CPU every thread works on units of its own: no thread waits for another within a step, which costs little where
# other processes take the processors, and a unit's activations fit the processor's cache. BatchNorm sees one unit at a
# time. A GPU gets a batch as a whole.
UNIT = 32


class Run:
    """Everything a run consists of, kept in one file.

    Args:
        folder: Where the state lies.
        name: Name of the state's file.
        args: The command line.
        device: Where to compute.
    """

    def __init__(self, folder: Path, name: str, args: argparse.Namespace, device: torch.device):
        self.device = device
        self.unit = UNIT if device.type == "cpu" else args.batch
        self.pool = ThreadPoolExecutor(args.threads if device.type == "cpu" else 1)
        torch.manual_seed(args.seed)
        self.path = folder / name
        self.student = ResNet18().to(device, memory_format=torch.channels_last)
        self.heads = Heads().to(device)
        self.optimizers = make_optimizers(self.student, self.heads, args.muon_lr, args.adam_lr, self.pool)
        self.ema = copy.deepcopy(self.student)
        self.samples = self.steps = 0
        self.start = 0

    def load(self, path: Path):
        """Take everything from a file, which may be from another kind of device."""
        state = torch.load(path, weights_only=True, mmap=True, map_location=self.device)
        self.student.load_state_dict(state["student"])
        self.ema.load_state_dict(state["ema"])
        self.heads.load_state_dict(state["heads"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            rates = [(g["lr"], g["peak"]) for g in optimizer.param_groups]
            optimizer.load_state_dict(saved)
            # The command line decides the rates, so that they can be changed between runs.
            for group, (lr, peak) in zip(optimizer.param_groups, rates, strict=True):
                group["lr"], group["peak"] = lr, peak
        self.samples, self.steps, self.start = state["samples"], state["steps"], state["start"]

    def save(self):
        """Write everything; the file is whole at any time."""
        state = {
            "student": self.student.state_dict(),
            "ema": self.ema.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "samples": self.samples,
            "steps": self.steps,
            "start": self.start,
        }
        write(self.path, lambda temp: torch.save(state, temp))

    def set_rate(self, factor: float):
        """Set all rates to a share of their peaks."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = factor * group["peak"]

    def step(self, batch: int, work, decay: float) -> dict[str, torch.Tensor]:
        """Learn from one batch and return the parts of its loss, still on the device.

        Args:
            batch: Images in the batch.
            work: First sample -> parts of the loss of the unit that begins there.
            decay: Decay of the weights' moving average.
        """

        def unit(first: int) -> dict[str, torch.Tensor]:
            parts = work(first)
            (sum(WEIGHTS[key] * value for key, value in parts.items()) * (self.unit / batch)).backward()
            return {key: value.detach() for key, value in parts.items()}

        rows = list(self.pool.map(unit, range(self.samples, self.samples + batch, self.unit)))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.samples += batch
        self.steps += 1
        with torch.no_grad():
            decay = min(decay, (1 + self.steps) / (10 + self.steps))
            pairs = zip(self.ema.state_dict().values(), self.student.state_dict().values(), strict=True)
            mine, theirs = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
            torch._foreach_lerp_(mine, theirs, 1 - decay)
        return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}


def write(path: Path, save):
    """Write a file under another name first, so that a crash never leaves half of it."""
    temp = path.with_name(path.name + ".tmp")
    save(temp)
    with open(temp, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temp, path)
