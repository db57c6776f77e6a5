"""Sort a heap of photos into folders by what they show; what is none of the classes gets a folder of its own.

``python examples/sort_photos.py CHECKPOINT PHOTOS OUT``

The photos are copied. PHOTOS is a folder, OUT is made, and CHECKPOINT is a best.ckpt.
"""

import shutil
import sys
from collections import Counter
from pathlib import Path

import mstl
from mstl.data.finding.predict_inputs import Unreadable, find_images

UNKNOWN = "none of these"


def main(checkpoint, photos, out):
    """Copy each photo to ``out/<class>/``, and say how many went where."""
    counts = Counter()
    for answer in mstl.Predictor(checkpoint).stream(find_images([photos])):
        if isinstance(answer, Unreadable):
            print(f"left out {answer.path}: {answer.reason}", file=sys.stderr)
            continue
        name = UNKNOWN if answer.rejected else answer.label
        target = Path(out, name, Path(answer.path).relative_to(photos))  # photos of one name may be in two folders
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(answer.path, target)
        counts[name] += 1
    for name, count in counts.most_common():
        print(f"{count:>6}  {name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
