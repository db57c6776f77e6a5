"""The command line of distill.py."""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch


def device(text: str) -> torch.device:
    """Read "auto", "cpu" or "cuda"."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if text == "auto" else text)


def scale(text: str) -> tuple[float, float]:
    """Read "0.15,1"."""
    low, high = text.split(",")
    return float(low), float(high)


def repeat(text: str) -> tuple[str, int]:
    """Read "folder=3"."""
    folder, times = text.rsplit("=", 1)
    return folder, int(times)


def read_options(description: str, calls: dict[str, Callable[[argparse.Namespace], None]]) -> argparse.Namespace:
    """Read the command line; `call` of what is returned is the command.

    Args:
        description: Of the program.
        calls: Command -> what it does.
    """
    parser = argparse.ArgumentParser(description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state", type=Path, required=True, help="folder for the state, the caches and the log")
    common.add_argument("--probes", type=Path, nargs="*", default=[], help="folders of labelled photos for the probes")
    common.add_argument("--threads", type=int, default=2)
    common.add_argument("--seed", type=int, default=1)
    learn = argparse.ArgumentParser(add_help=False)
    learn.add_argument("--photos", type=Path, required=True, help="folder of photos to learn from")
    learn.add_argument("--repeat", type=repeat, nargs="*", default=[], help="FOLDER=TIMES: draw its photos more often")
    learn.add_argument("--batch", type=int, default=128)
    learn.add_argument("--muon-lr", type=float, default=0.02, help="rate of the convolutions; 0: AdamW for all")
    learn.add_argument("--adam-lr", type=float, default=2e-3)
    learn.add_argument("--decay", type=float, default=0.999, help="decay of the weights' moving average")
    learn.add_argument("--device", type=device, default="auto", help="cpu, cuda, or auto: a GPU if there is one")
    learn.add_argument("--scale", type=scale, default=(0.15, 1.0), help="smallest and largest crop, shares of the area")
    learn.add_argument("--angle", type=float, default=0.0, help="largest rotation, degrees")
    learn.add_argument("--jitter", type=float, default=0.3, help="largest change of colours, as a share")
    learn.add_argument("--mixup", type=float, default=0.25, help="share of images mixed with another")
    learn.add_argument("--cutmix", type=float, default=0.0, help="share of the others with a box from another")
    learn.add_argument("--log-every", type=int, default=5000, help="samples")
    learn.add_argument("--save-every", type=int, default=20000, help="samples")
    learn.add_argument("--probe-every", type=int, default=100000, help="samples")
    command = commands.add_parser("train", parents=[common, learn], help=calls["train"].__doc__)
    command.add_argument("--stages", default="0:96:160", help="first sample:student's size:teacher's size, ...")
    command.add_argument("--init", type=Path, help="weights (.pth) to begin with, where there is no state yet")
    command.add_argument("--warmup", type=int, default=20000, help="samples")
    command.add_argument("--until", type=float, default=float("inf"), help="samples")
    command.set_defaults(call=calls["train"])
    command = commands.add_parser("cooldown", parents=[common, learn], help=calls["cooldown"].__doc__)
    command.add_argument("--samples", type=int, required=True)
    command.add_argument("--size", type=int, default=160)
    command.add_argument("--teacher-size", type=int, default=224)
    command.set_defaults(call=calls["cooldown"])
    command = commands.add_parser("probe", parents=[common], help=calls["probe"].__doc__)
    command.add_argument("weights", type=Path, nargs="*", help=".pth files")
    command.add_argument("--references", action="store_true", help="also the teacher and random weights")
    command.set_defaults(call=calls["probe"])
    command = commands.add_parser("export", parents=[common], help=calls["export"].__doc__)
    command.add_argument("out", type=Path, help="name without suffix")
    command.add_argument("--average", action="store_true", help="the running average instead of the cooled net")
    command.set_defaults(call=calls["export"])
    return parser.parse_args()
