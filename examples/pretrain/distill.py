"""Distil a ResNet-18 from EfficientNet-Lite0 on photos without labels.

`train` runs until it is stopped and goes on where it was; `cooldown` cuts a finished net from its state at any time;
`probe` measures; `export` writes the weights. See README.md.
"""

import argparse
import copy
import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from losses import losses, teach
from photos import PhotoCache, make_batch
from probe import linear_probe, load_probe
from run import UNIT, Run, write
from student import ResNet18
from teacher import Teacher


def sizes_at(stages: list[tuple[int, int, int]], samples: int) -> tuple[int, int]:
    """Return the student's and the teacher's image size of the last stage that has begun."""
    return [stage for stage in stages if stage[0] <= samples][-1][1:]


def probe_all(net: ResNet18, args: argparse.Namespace) -> dict[str, float]:
    """Return the probe accuracy of a net on every probe set."""
    net = copy.deepcopy(net).eval()
    return {
        folder.name: round(
            linear_probe(load_probe(folder, args.state), lambda x: net.maps(net.normalise(x))["s32"].mean((2, 3))), 4
        )
        for folder in args.probes
    }


def loop(run: Run, args: argparse.Namespace, stages, rate, until: float, decay: float, log: Path):
    """Train until `until` samples or a signal.

    Args:
        run: The run.
        args: The command line.
        stages: (first sample, student's size, teacher's size), in order.
        rate: Samples seen -> share of the peak rate.
        until: Where to end.
        decay: Decay of the weights' moving average.
        log: File that gets a line of JSON now and then.
    """
    photos = PhotoCache(args.photos, args.state)
    pool = photos.pool(dict(args.repeat))
    teacher = Teacher().bfloat16().to(memory_format=torch.channels_last).eval()
    stop = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.append(True))

    def images(first: int) -> torch.Tensor:
        return make_batch(
            photos, pool, first, UNIT, sizes_at(stages, first)[1], args.scale, args.mixup, args.cutmix, args.seed
        )

    def work(first: int) -> dict[str, torch.Tensor]:
        x = images(first)
        return losses(run.student, run.heads, x, sizes_at(stages, first)[0], teach(teacher, x))

    if run.samples == 0:
        run.heads.measure([teach(teacher, images(first)) for first in range(0, 1280, UNIT)])
    sums, since, wall, cpu = {}, run.samples, time.monotonic(), time.process_time()
    while run.samples < until and not stop:
        run.set_rate(rate(run.samples))
        before = run.samples
        for key, value in run.step(args.batch, work, decay).items():
            sums[key] = sums.get(key, 0.0) + value * args.batch
        if crossed(before, run.samples, args.log_every):
            count = run.samples - since
            row = {"samples": run.samples, "size": sizes_at(stages, before)[0]}
            row |= {key: round(value / count, 4) for key, value in sums.items()}
            row["images_s"] = round(count / (time.monotonic() - wall), 1)
            # What it would be if no one else used the processors and nobody stopped the process.
            row["images_s_alone"] = round(count * args.threads / (time.process_time() - cpu), 1)
            append(log, row)
            sums, since, wall, cpu = {}, run.samples, time.monotonic(), time.process_time()
        if crossed(before, run.samples, args.save_every):
            run.save()
        if crossed(before, run.samples, args.probe_every):
            append(log, {"samples": run.samples, "probe": probe_all(run.ema, args)})
            wall, cpu = time.monotonic(), time.process_time()
            sums, since = {}, run.samples
    run.save()


def crossed(before: int, now: int, every: int) -> bool:
    """Say whether a multiple of `every` lies between two counts."""
    return before // every != now // every


def append(log: Path, row: dict):
    """Write a line to the log and to the terminal."""
    line = json.dumps(row)
    print(line, flush=True)
    with open(log, "a") as file:
        file.write(line + "\n")


def train(args: argparse.Namespace):
    """Train, from the saved state if there is one, until stopped."""
    run = Run(args.state, "state.pt", args, ThreadPoolExecutor(args.threads))
    if run.path.exists():
        run.load(run.path)
    elif args.init is not None:
        weights = torch.load(args.init, weights_only=True)
        run.student.load_state_dict(weights)
        run.ema.load_state_dict(weights)
    stages = [tuple(int(n) for n in stage.split(":")) for stage in args.stages.split(",")]
    loop(
        run,
        args,
        stages,
        lambda n: min(1.0, (n + args.batch) / args.warmup),
        args.until,
        args.decay,
        args.state / "log.jsonl",
    )


def cooldown(args: argparse.Namespace):
    """Take the rate to zero from the saved state and leave a finished net in cooled.pt; the main run is not touched."""
    run = Run(args.state, "cooldown.pt", args, ThreadPoolExecutor(args.threads))
    if run.path.exists():
        run.load(run.path)
    else:
        run.load(args.state / "state.pt")
        run.start = run.samples
    end = run.start + args.samples
    stages = [(0, args.size, args.teacher_size)]
    log = args.state / "cooldown.jsonl"
    loop(run, args, stages, lambda n: max(0.0, (end - n) / args.samples), end, args.decay, log)
    if run.samples >= end:
        write(args.state / "cooled.pt", lambda temp: torch.save(run.student.state_dict(), temp))
        append(log, {"samples": run.samples, "start": run.start, "cooled": probe_all(run.student, args)})
        run.path.unlink()


def probe(args: argparse.Namespace):
    """Print the probe accuracy of a weights file, of the teacher and of random weights."""
    rows = {}
    for path in args.weights:
        net = ResNet18()
        net.load_state_dict(torch.load(path, weights_only=True))
        rows[str(path)] = probe_all(net, args)
    if args.references:
        torch.manual_seed(args.seed)
        rows["random"] = probe_all(ResNet18(), args)
        teacher = Teacher().eval()
        rows["teacher"] = {
            folder.name: round(
                linear_probe(
                    load_probe(folder, args.state), lambda x: teacher(teacher.normalise(x))["s32"].mean((2, 3))
                ),
                4,
            )
            for folder in args.probes
        }
    for name, row in rows.items():
        print(json.dumps({"net": name} | row))


def export(args: argparse.Namespace):
    """Write the weights as a plain state dict of float32 (.pth) and as arrays (.npz)."""
    cooled = args.state / "cooled.pt"
    if args.average:
        state = torch.load(args.state / "state.pt", weights_only=True)["ema"]
    elif cooled.exists():
        state = torch.load(cooled, weights_only=True)
    else:
        raise SystemExit(f"{cooled} is not there: run cooldown first, or give --average")
    # The bytes must be those of torchvision's layout, not of channels_last.
    state = {k: v.float().contiguous() if v.is_floating_point() else v for k, v in state.items()}
    ResNet18().load_state_dict(state)
    write(args.out.with_suffix(".pth"), lambda temp: torch.save(state, temp))
    np.savez(args.out.with_suffix(".npz"), **{k: v.numpy() for k, v in state.items()})


def scale(text: str) -> tuple[float, float]:
    """Read "0.15,1"."""
    low, high = text.split(",")
    return float(low), float(high)


def repeat(text: str) -> tuple[str, int]:
    """Read "folder=3"."""
    folder, times = text.rsplit("=", 1)
    return folder, int(times)


def main():
    """Read the command line and call the command."""
    parser = argparse.ArgumentParser(description=__doc__)
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
    learn.add_argument("--scale", type=scale, default=(0.15, 1.0), help="smallest and largest crop, shares of the area")
    learn.add_argument("--mixup", type=float, default=0.5, help="share of batches that are mixed")
    learn.add_argument("--cutmix", type=float, default=0.0, help="share of the others with boxes from other photos")
    learn.add_argument("--log-every", type=int, default=5000, help="samples")
    learn.add_argument("--save-every", type=int, default=20000, help="samples")
    learn.add_argument("--probe-every", type=int, default=100000, help="samples")
    command = commands.add_parser("train", parents=[common, learn], help=train.__doc__)
    command.add_argument("--stages", default="0:96:160", help="first sample:student's size:teacher's size, ...")
    command.add_argument("--init", type=Path, help="weights (.pth) to begin with, where there is no state yet")
    command.add_argument("--warmup", type=int, default=20000, help="samples")
    command.add_argument("--until", type=float, default=float("inf"), help="samples")
    command.set_defaults(call=train)
    command = commands.add_parser("cooldown", parents=[common, learn], help=cooldown.__doc__)
    command.add_argument("--samples", type=int, required=True)
    command.add_argument("--size", type=int, default=160)
    command.add_argument("--teacher-size", type=int, default=224)
    command.set_defaults(call=cooldown)
    command = commands.add_parser("probe", parents=[common], help=probe.__doc__)
    command.add_argument("weights", type=Path, nargs="*", help=".pth files")
    command.add_argument("--references", action="store_true", help="also the teacher and random weights")
    command.set_defaults(call=probe)
    command = commands.add_parser("export", parents=[common], help=export.__doc__)
    command.add_argument("out", type=Path, help="name without suffix")
    command.add_argument("--average", action="store_true", help="the running average instead of the cooled net")
    command.set_defaults(call=export)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.state.mkdir(parents=True, exist_ok=True)
    args.call(args)


if __name__ == "__main__":
    main()
