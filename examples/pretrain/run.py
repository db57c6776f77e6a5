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

# Every thread works on units of its own: no thread waits for another within a step, which costs little where other
# processes take the processors, and a unit's activations fit the processor's cache. BatchNorm sees one unit at a time.
UNIT = 32


class Run:
    """Everything a run consists of, kept in one file.

    Args:
        folder: Where the state lies.
        name: Name of the state's file.
        args: The command line.
        pool: Threads to work with.
    """

    def __init__(self, folder: Path, name: str, args: argparse.Namespace, pool: ThreadPoolExecutor):
        self.pool = pool
        torch.manual_seed(args.seed)
        self.path = folder / name
        self.student = ResNet18().to(memory_format=torch.channels_last)
        self.heads = Heads()
        self.optimizers = make_optimizers(self.student, self.heads, args.muon_lr, args.adam_lr, pool)
        self.ema = copy.deepcopy(self.student)
        self.samples = self.steps = 0
        self.start = 0

    def load(self, path: Path):
        """Take everything from a file."""
        state = torch.load(path, weights_only=True, mmap=True)
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

    def step(self, batch: int, work, decay: float) -> dict[str, float]:
        """Learn from one batch and return the parts of its loss.

        Args:
            batch: Images in the batch.
            work: First sample -> parts of the loss of the unit that begins there.
            decay: Decay of the weights' moving average.
        """

        def unit(first: int) -> dict[str, float]:
            parts = work(first)
            (sum(WEIGHTS[key] * value for key, value in parts.items()) * (UNIT / batch)).backward()
            return {key: value.item() for key, value in parts.items()}

        rows = list(self.pool.map(unit, range(self.samples, self.samples + batch, UNIT)))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.samples += batch
        self.steps += 1
        with torch.no_grad():
            decay = min(decay, (1 + self.steps) / (10 + self.steps))
            for mine, theirs in zip(self.ema.state_dict().values(), self.student.state_dict().values(), strict=True):
                if mine.is_floating_point():
                    mine.lerp_(theirs, 1 - decay)
        return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}


def write(path: Path, save):
    """Write a file under another name first, so that a crash never leaves half of it."""
    temp = path.with_name(path.name + ".tmp")
    save(temp)
    with open(temp, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temp, path)
