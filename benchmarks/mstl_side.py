"""Parts of mstl that no command shows by themselves; ``python -m benchmarks.mstl_side JOB`` prints figures as JSON."""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import call_times
from benchmarks.photos import SIZE, eval_batch

LR = 0.001  # of the step that is timed
CLASSES = 1000  # the weights' own head stays on
MANY = 100  # batches in an epoch of the run that the step could be of: long enough for graph mode to pay


def training_step(model, images, labels, mode):
    """A function that makes one full training step on a batch and gives its loss, as ``mstl train`` makes it.

    Args:
        model: An mstl model with ``CLASSES`` outputs.
        images: (n, 3, 224, 224) float32.
        labels: (n,) int32.
        mode: What ``mstl train --mode`` takes.
    """
    import mindspore as ms

    from mstl import TrainConfig
    from mstl.data.loading.mixup import Mixer
    from mstl.runtime.processes import ProcessGroup
    from mstl.training import recipes
    from mstl.training.phase import Phase

    config = TrainConfig(
        freeze="none", optimizer="momentum", momentum=0.9, weight_decay=0.0, lr=LR, batch_size=len(images), mode=mode
    )
    config, _ = recipes.resolve(config, MANY * len(images), CLASSES)
    phase = Phase(config, model, 1, None, ProcessGroup(), MANY)
    phase.freeze.set_train()
    batch = Mixer(CLASSES)(ms.Tensor(images), labels, 1, 0)

    def step():
        return phase.train_step(*batch, LR, last=True)

    return step


def frozen_forward(model, engine, precision):
    """The backbone as ``mstl train`` runs it where it is frozen: (n, 3, 224, 224) arrays -> an array of features."""
    from mstl.engines.choice import choices
    from mstl.engines.parts import Engines, FeaturesPart
    from mstl.models.fusing import FusedModel

    return FeaturesPart(FusedModel(model), Engines(choices(engine, precision)), len(model.stages()))


def build(options):
    """The model with the weights that all sides share."""
    from mstl import build_model
    from mstl.runtime.devices import use_device

    use_device("CPU")
    return build_model(options.model, CLASSES, options.weights)


def step(options):
    """Time full training steps on one batch in memory."""
    model = build(options)
    images = eval_batch(options.data / "train", options.batch_size)
    one = training_step(model, images, np.arange(options.batch_size, dtype=np.int32), options.mode)
    parameters = model.trainable_params()
    losses = [one() for _ in range(options.warmup)]
    settle(parameters)
    started = time.perf_counter()
    losses += [one() for _ in range(options.steps)]
    settle(parameters)
    milliseconds = 1000 * (time.perf_counter() - started) / options.steps
    return {"ms_per_image": milliseconds / options.batch_size, "losses": [float(loss.asnumpy()) for loss in losses]}


def settle(parameters):
    """Wait until all steps are done: MindSpore queues its operators."""
    for parameter in parameters:
        parameter.asnumpy()


def forward(options):
    """Time the frozen backbone on one batch in memory."""
    run = frozen_forward(build(options), options.engine, options.precision)
    images = eval_batch(options.data / "train", options.batch_size)
    times = call_times(lambda: run(images), options.warmup, options.steps)
    return {"ms_of_calls": [each / options.batch_size for each in times], "mean": float(np.mean(run(images)))}


def engines(_options):
    """The engines and precisions that are possible here, MindSpore first."""
    from mstl.engines.choice import choices

    return [(choice.engine, choice.precision) for choice in reversed(choices())]


def graph(options):
    """Write the frozen backbone as ONNX, for ONNX Runtime alone: the graph that mstl gives to its engines."""
    from mstl.engines.onnx_model import features_model
    from mstl.models.fusing import FusedModel

    model = build(options)
    exported = features_model(FusedModel(model), len(model.stages()), (3, SIZE, SIZE))
    options.out.write_bytes(exported.SerializeToString())
    return {"bytes": options.out.stat().st_size}


def head(options):
    """Write the head of a best.ckpt, and the names of its classes, for PyTorch's side."""
    from mstl.models.loading import read_weights

    weights = read_weights(options.weights)
    arrays = {name: weights.parameters[f"fc.{name}"] for name in ("weight", "bias")}
    np.savez(options.out, classes=np.array(weights.metadata["classes"]), **arrays)
    return {"classes": weights.num_classes}


JOBS = {"step": step, "forward": forward, "engines": engines, "graph": graph, "head": head}


def main():
    """Do one job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--model")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--warmup", type=int)
    parser.add_argument("--mode")
    parser.add_argument("--engine")
    parser.add_argument("--precision")
    options = parser.parse_args()
    print(json.dumps(JOBS[options.job](options)))


if __name__ == "__main__":
    main()
