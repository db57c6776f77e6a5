"""Digests of what features depend on: the content of images, and the parameters of layers."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from mindspore import nn

from mstl.data.dataset import ImageSet, content_digest
from mstl.data.threads import in_threads


def current_digests(images: ImageSet, stamps: Sequence[str | None]) -> list[str]:
    """The digest of each file's content: from the scan, or taken now if the file has changed since then.

    Raises:
        MstlError: A file cannot be read.
    """
    pairs = zip(images.samples, stamps, strict=True)
    changed = [sample.path for sample, now in pairs if sample.scan is None or sample.scan.stamp != now]
    digests = {sample.path: sample.digest for sample in images.samples}
    digests.update(zip(changed, in_threads(content_digest, changed, "reading"), strict=True))
    return [digests[path] for path in images.paths]


def parameter_digest(cells: Iterable[nn.Cell]) -> str:
    """The SHA-256 of the parameters of cells: of their names, dtypes, shapes and values."""
    value = hashlib.sha256()
    for cell in cells:
        for parameter in cell.get_parameters():
            array = np.ascontiguousarray(parameter.asnumpy())
            value.update(f"{parameter.name} {array.dtype} {array.shape}\n".encode())
            value.update(array.data)
    return value.hexdigest()
