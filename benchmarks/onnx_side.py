"""ONNX Runtime by itself, as one opens it: ``python -m benchmarks.onnx_side MODEL.onnx`` times it, and prints JSON."""

import argparse
import json
from pathlib import Path

import numpy as np

from benchmarks.machine import call_times
from benchmarks.photos import eval_batch


def main():
    """Time the model on one batch in memory."""
    import onnxruntime

    parser = argparse.ArgumentParser()
    parser.add_argument("graph")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--warmup", type=int, required=True)
    options = parser.parse_args()
    session = onnxruntime.InferenceSession(options.graph)
    inputs = {session.get_inputs()[0].name: eval_batch(options.data / "train", options.batch_size)}
    times = call_times(lambda: session.run(None, inputs), options.warmup, options.steps)
    mean = float(np.mean(session.run(None, inputs)[0]))
    print(json.dumps({"ms_of_calls": [each / options.batch_size for each in times], "mean": mean}))


if __name__ == "__main__":
    main()
