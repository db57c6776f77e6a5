"""Checkpoints as a training leaves them, made without one: random features, each class's mean of them as its head."""

import mindspore as ms
import numpy as np

import mstl
from mstl.checkpoint import save_checkpoint
from mstl.data.loading.loader import Loader
from mstl.data.loading.transforms import eval_transforms
from mstl.data.manifest import Manifest
from mstl.evaluation.evaluate import evaluate
from mstl.evaluation.metrics import Evaluation
from mstl.evaluation.rejection import fit_rejector
from mstl.models.fusing import FusedModel

SPREAD = 6  # between the largest and the smallest logit of a photo, about


def write_checkpoint(path, data, rejector=True, **options):
    """Write a checkpoint of a ResNet-18 for photos of 32 px, and the manifest of its images beside it.

    Args:
        path: The file.
        data: What it is said to be trained on.
        rejector: Whether it keeps a temperature and what rejection needs.
        options: More settings of the training.

    Returns:
        The Rejector, whether it is kept or not.
    """
    config = mstl.TrainConfig(data=str(data), augment="tutorial", **options)
    sets = mstl.load_data(config.data, config.val, config.val_split, config.seed)
    manifest = Manifest.of(*sets)
    net = mstl.resnet18(num_classes=len(sets[0].classes))
    scatter(net)
    preprocessing, answers = mstl.Preprocessing().at(32), FusedModel(net).compile_classifier()
    train, val = (evaluate(answers, Loader(images, eval_transforms(preprocessing), 8)) for images in sets)
    means = np.stack([train.features[train.labels == label].mean(axis=0) for label in range(len(train.classes))])
    weight, bias = means, -(means**2).sum(axis=1) / 2  # the nearest mean is the answer
    scale = SPREAD / np.ptp(val.features @ weight.T + bias, axis=1).mean()
    values = {parameter.name: parameter.asnumpy() for parameter in net.get_parameters()}
    values["fc.weight"], values["fc.bias"] = scale * weight, scale * bias
    fitted = fit_rejector(
        Evaluation(scale * (val.features @ weight.T + bias), val.labels, val.classes, (), val.features)
    )
    record = {
        "mstl_version": mstl.__version__,
        "model": "resnet18",
        "padding": net.padding,
        "pool_padding": net.pool_padding,
        "classes": list(train.classes),
        "preprocessing": preprocessing.to_dict(),
        "config": config.to_dict(),
        "record": {"manifest": manifest.digest},
        **({"trust": fitted.to_record()} if rejector else {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    manifest.write(path.parent / "manifest.csv")
    save_checkpoint(path, {**values, **(fitted.arrays() if rejector else {})}, record)
    return fitted


def scatter(net, seed=4):
    """Give every parameter values of its own, as training would: BatchNorms that are far from the identity.

    Returns:
        The net, in evaluation mode.
    """
    rng = np.random.default_rng(seed)
    for parameter in net.get_parameters():
        if parameter.name.endswith(("gamma", "moving_variance")):
            value = rng.uniform(0.5, 1.5, parameter.shape)
        elif len(parameter.shape) == 1:
            value = rng.normal(0, 0.1, parameter.shape)
        else:
            value = rng.normal(0, np.prod(parameter.shape[1:]) ** -0.5, parameter.shape)
        parameter.set_data(ms.Tensor(value.astype(np.float32)))
    net.set_train(False)
    return net
