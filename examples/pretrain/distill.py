"""Distil a ResNet-18 from EfficientNet-Lite0 on photos without labels.

`train` runs until it is stopped and goes on where it was; `cooldown` cuts a finished net from its state at any time;
`probe` measures; `export` writes the weights. See README.md.
"""

import argparse
import copy
import json
import signal
import time
from pathlib import Path

import numpy as np
import torch
from crops import Augmentation, Batches
from losses import alignments, losses, teach
from options import read_options
from photos import PhotoCache
from probe import linear_probe, load_probe
from run import Run, write
from student import ResNet18
from teacher import Teacher


def sizes_at(stages: list[tuple[int, int, int]], samples: int) -> tuple[int, int]:
    """Return the student's and the teacher's image size of the last stage that has begun."""
    return [stage for stage in stages if stage[0] <= samples][-1][1:]


def probe_all(net: ResNet18, args: argparse.Namespace) -> dict[str, float]:
    """Return the probe accuracy of a net on every probe set."""
    net = copy.deepcopy(net).cpu().eval()
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
    photos = PhotoCache(args.photos, args.state, run.device)
    how = Augmentation(args.scale, args.angle, args.jitter, args.mixup, args.cutmix)
    batches = Batches(photos, photos.pool(dict(args.repeat)), how, args.seed)
    teacher = Teacher().bfloat16().to(run.device, memory_format=torch.channels_last).eval()
    learn, ask = (torch.compile(each, dynamic=False) if run.device.type == "cuda" else each for each in (losses, teach))
    stop = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.append(True))

    def work(first: int) -> dict[str, torch.Tensor]:
        size, teacher_size = sizes_at(stages, first)
        x = batches(first, run.unit, teacher_size)
        return learn(run.student, run.heads, x, size, ask(teacher, x), alignments(size, teacher_size, run.device))

    if run.samples == 0:
        size = sizes_at(stages, 0)[1]
        run.heads.measure([teach(teacher, batches(first, run.unit, size)) for first in range(0, 1280, run.unit)])
    sums, since, wall, cpu = {}, run.samples, time.monotonic(), time.process_time()
    while run.samples < until and not stop:
        run.set_rate(rate(run.samples))
        before = run.samples
        for key, value in run.step(args.batch, work, decay).items():
            sums[key] = sums.get(key, 0.0) + value * args.batch
        if crossed(before, run.samples, args.log_every):
            count = run.samples - since
            row = {"samples": run.samples, "size": sizes_at(stages, before)[0]}
            row |= {key: round(float(value) / count, 4) for key, value in sums.items()}
            row["images_s"] = round(count / (time.monotonic() - wall), 1)
            if run.device.type == "cpu":  # what it would be if no one else used the processors
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
    run = Run(args.state, "state.pt", args, args.device)
    if run.path.exists():
        run.load(run.path)
    elif args.init is not None:
        weights = torch.load(args.init, weights_only=True, map_location=args.device)
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
    run = Run(args.state, "cooldown.pt", args, args.device)
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
        net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
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
        state = torch.load(args.state / "state.pt", weights_only=True, map_location="cpu")["ema"]
    elif cooled.exists():
        state = torch.load(cooled, weights_only=True, map_location="cpu")
    else:
        raise SystemExit(f"{cooled} is not there: run cooldown first, or give --average")
    # The bytes must be those of torchvision's layout, not of channels_last.
    state = {k: v.float().cpu().contiguous() if v.is_floating_point() else v for k, v in state.items()}
    ResNet18().load_state_dict(state)
    write(args.out.with_suffix(".pth"), lambda temp: torch.save(state, temp))
    np.savez(args.out.with_suffix(".npz"), **{k: v.numpy() for k, v in state.items()})


def main():
    """Read the command line and call the command."""
    calls = {"train": train, "cooldown": cooldown, "probe": probe, "export": export}
    args = read_options(__doc__, calls)
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    args.state.mkdir(parents=True, exist_ok=True)
    args.call(args)


if __name__ == "__main__":
    main()
