"""From a checkpoint to predictions, with the preprocessing and class names that the checkpoint remembers."""

from pathlib import Path

from mstl.config import Preprocessing
from mstl.data.datasets import load_data
from mstl.data.loader import Loader
from mstl.data.transforms import eval_transforms
from mstl.errors import MstlError
from mstl.models.builders import build_model
from mstl.models.folding import FoldedNet
from mstl.models.loading import read_weights
from mstl.runtime import use_device
from mstl.training.evaluate import evaluate


class Predictor:
    """A trained classifier, ready to be asked.

    Args:
        checkpoint: A file that :func:`mstl.fit` wrote, such as best.ckpt.
        device: ``"auto"``, ``"Ascend"``, ``"GPU"`` or ``"CPU"``.

    Attributes:
        net: The net, in evaluation mode.
        classes: Names, in the order of the net's outputs.
        preprocessing: How a photo becomes the net's input.
        metadata: All that the checkpoint says about itself.

    Raises:
        MstlError: No such file, or not one that mstl wrote.
    """

    def __init__(self, checkpoint, device="auto"):
        use_device(device)
        weights = read_weights(checkpoint)
        self.metadata = weights.metadata
        if self.metadata is None or "classes" not in self.metadata:
            raise MstlError(
                f"{checkpoint} does not say what its classes are: mstl's training did not write it; give a best.ckpt"
            )
        self.path = Path(checkpoint)
        self.classes = tuple(self.metadata["classes"])
        self.preprocessing = Preprocessing.from_dict(self.metadata["preprocessing"])
        self.net = build_model(self.metadata["model"], len(self.classes), checkpoint)
        self.net.set_train(False)
        self.answers = FoldedNet(self.net).answers()

    def evaluate(self, data=None, batch_size=32, workers=None):
        """Predict the validation photos of a data set.

        Args:
            data: What ``--data`` takes; the data that it was trained on if not given.
            batch_size: Photos at a time.
            workers: Threads that read photos.

        Returns:
            An :class:`mstl.metrics.Evaluation`.

        Raises:
            MstlError: The data is not there, or has other classes.
        """
        kept = self.metadata["config"]
        if data is None:
            data = kept["data"]
            train_set, val_set = load_data(data, kept["val"], kept["val_split"], kept["seed"])
        else:
            train_set, val_set = load_data(data)
        if train_set.classes != self.classes:
            raise MstlError(
                f"{data} has the classes {', '.join(train_set.classes)}, but {self.path} was trained on "
                f"{', '.join(self.classes)}"
            )
        transforms = eval_transforms(self.preprocessing, kept["augment"])
        return evaluate(self.answers, Loader(val_set, transforms, batch_size, workers=workers))
