"""What an engineer writes in thirty lines: features by ONNX Runtime, a classifier on them by scikit-learn.

``python -m benchmarks.thirty_lines MODEL.onnx FOLDER`` prints the accuracy on FOLDER/val as JSON, and the seconds that
the classifier took. MODEL gives features of normalised images.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image
from sklearn.linear_model import LogisticRegression


def pixels(path):
    """A photo as EfficientNet-Lite0 expects it."""
    image = Image.open(path).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    image = image.crop((left, top, left + 224, top + 224))
    return ((np.asarray(image, np.float32) - 127) / 128).transpose(2, 0, 1)


def features(session, folder):
    """(N, F) features and N labels of the photos in class folders."""
    paths = sorted(Path(folder).glob("*/*"))
    rows = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), 32):
            batch = np.stack(list(pool.map(pixels, paths[start : start + 32])))
            rows.append(session.run(None, {session.get_inputs()[0].name: batch})[0])
    return np.concatenate(rows).reshape(len(paths), -1), [path.parent.name for path in paths]


if __name__ == "__main__":
    session = onnxruntime.InferenceSession(sys.argv[1])
    train, val = (features(session, Path(sys.argv[2], part)) for part in ("train", "val"))
    started = time.perf_counter()
    classifier = LogisticRegression(max_iter=1000).fit(*train)
    print(json.dumps({"head_seconds": time.perf_counter() - started, "accuracy": classifier.score(*val)}))
