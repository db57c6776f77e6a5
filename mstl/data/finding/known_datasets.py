"""Known datasets: published archives that are downloaded by name, once."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from mstl.data.finding.archives.archive import unpack
from mstl.download.fetch import fetch
from mstl.errors import MstlError
from mstl.files import lock, make_folder
from mstl.runtime.environment import home


@dataclass(frozen=True)
class KnownDataset:
    """A published dataset.

    Attributes:
        url: Of its archive.
        inner: The folder in the archive that has train/ and val/, or the class folders.
        what: One line for users.
        sha256: Of the archive; None if nobody has published one.
        names: Class names by the names of their folders, where these are codes.
    """

    url: str
    inner: str
    what: str
    sha256: str | None = None
    names: dict[str, str] = field(default_factory=dict)


KNOWN: dict[str, KnownDataset] = {
    "Canidae": KnownDataset(
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/intermediate/Canidae_data.zip",
        "data/Canidae",
        "dogs and wolves from ImageNet, about 300 images, of MindSpore's tutorial (12 MB)",
    ),
    "hymenoptera": KnownDataset(
        "https://download.pytorch.org/tutorial/hymenoptera_data.zip",
        "hymenoptera_data",
        "ants and bees, about 400 images, of PyTorch's tutorial (47 MB)",
        "fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209",
    ),
    "cats_and_dogs": KnownDataset(
        "https://storage.googleapis.com/mledu-datasets/cats_and_dogs_filtered.zip",
        "cats_and_dogs_filtered",
        "3,000 images of cats and dogs from Kaggle, of TensorFlow's tutorials (69 MB)",
    ),
    "flower_photos": KnownDataset(
        "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
        "flower_photos",
        "3,670 images of 5 flowers, CC BY 2.0, of TensorFlow's tutorials; not split (229 MB)",
        "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    ),
    "imagenette": KnownDataset(
        "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-160.tgz",
        "imagenette2-160",
        "10 easy classes of ImageNet at 160 px, about 13,000 images, of fast.ai (about 99 MB)",
        None,  # the file has been replaced more than once
        {
            "n01440764": "tench",
            "n02102040": "English springer",
            "n02979186": "cassette player",
            "n03000684": "chain saw",
            "n03028079": "church",
            "n03394916": "French horn",
            "n03417042": "garbage truck",
            "n03425413": "gas pump",
            "n03445777": "golf ball",
            "n03888257": "parachute",
        },
    ),
}


def folder_of(name: str) -> Path:
    """Where a known dataset is, or will be."""
    return home() / "data" / name / KNOWN[name].inner


def get(name: str) -> Path:
    """The folder of a known dataset, downloaded and unpacked into ``$MSTL_HOME`` if it is not there yet.

    An archive that the user has put there is unpacked instead, and never deleted; a downloaded one is deleted.

    Raises:
        MstlError: It cannot be downloaded, or the archive is not what it should be.
    """
    known = KNOWN[name]
    folder = home() / "data" / name
    if (folder / known.inner).is_dir():
        return folder / known.inner
    make_folder(folder.parent)
    with lock(folder):
        if not (folder / known.inner).is_dir():  # else another process was faster
            if os.path.lexists(folder):
                raise MstlError(f"{folder} is in the way: it has no folder {known.inner}; move it elsewhere")
            archive = folder.parent / known.url.rsplit("/", 1)[-1]
            theirs = archive.is_file()
            hint = f"copy the archive to {archive} by hand, or use --data demo, which needs no network"
            fetch(known.url, archive, known.sha256, hint=hint)
            try:
                unpack(archive, folder, known.inner, known.names)
            except MstlError as error:
                advice = "replace or delete it" if theirs else "it was deleted; try again, or " + hint
                raise MstlError(f"{error}: {advice}") from error
            finally:
                if not theirs:
                    archive.unlink(missing_ok=True)
    return folder / known.inner
