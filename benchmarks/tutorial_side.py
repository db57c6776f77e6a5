"""MindSpore's tutorial's side: a frozen ResNet trained as there; ``python -m benchmarks.tutorial_side`` prints JSON.

The settings are the tutorial's: ImageFolderDataset with its operations, "same" padding, ``value_and_grad`` in PyNative
mode over all photos in each epoch, ``Model.eval`` after it, the best checkpoint kept. Of mstl, it takes only the reader
of the weights file.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import mindspore as ms
import mindspore.dataset as ds
from mindspore import nn, train
from mindspore.common.initializer import Normal
from mindspore.dataset import vision

from benchmarks.machine import cores
from benchmarks.photos import RESIZE, SIZE
from mstl.models.loading import read_weights

BLOCKS = {"resnet18": (False, (2, 2, 2, 2)), "resnet50": (True, (3, 4, 6, 3))}  # bottleneck?, blocks of each layer
MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
STD = [0.229 * 255, 0.224 * 255, 0.225 * 255]


def convolution(inputs, outputs, size, stride=1):
    """A convolution with the tutorial's padding and initial values."""
    return nn.Conv2d(inputs, outputs, size, stride, pad_mode="same", weight_init=Normal(0.02))


class Block(nn.Cell):
    """A residual block: two 3 x 3 convolutions, or 1 x 1, 3 x 3 and 1 x 1."""

    def __init__(self, inputs, channels, stride, bottleneck):
        super().__init__()
        outputs = 4 * channels if bottleneck else channels
        self.bottleneck = bottleneck
        if bottleneck:
            self.conv1 = convolution(inputs, channels, 1)
            self.conv2 = convolution(channels, channels, 3, stride)
            self.conv3 = convolution(channels, outputs, 1)
            self.norm3 = nn.BatchNorm2d(outputs)
        else:
            self.conv1 = convolution(inputs, channels, 3, stride)
            self.conv2 = convolution(channels, channels, 3)
        self.norm1 = nn.BatchNorm2d(channels)
        self.norm2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.down_sample = None
        if stride != 1 or inputs != outputs:
            self.down_sample = nn.SequentialCell([convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)])

    def construct(self, x):
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        if self.bottleneck:
            out = self.norm3(self.conv3(self.relu(out)))
        out += x if self.down_sample is None else self.down_sample(x)
        return self.relu(out)


class ResNet(nn.Cell):
    """The tutorial's model, under its parameter names; each convolution of a basic block has its own BatchNorm."""

    def __init__(self, model, num_classes=1000):
        super().__init__()
        bottleneck, counts = BLOCKS[model]
        self.conv1 = convolution(3, 64, 7, 2)
        self.norm = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.max_pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="same")
        inputs = 64
        for number, count in enumerate(counts, 1):
            channels, blocks = 32 * 2**number, []
            for place in range(count):
                blocks.append(Block(inputs, channels, 2 if number > 1 and place == 0 else 1, bottleneck))
                inputs = 4 * channels if bottleneck else channels
            setattr(self, f"layer{number}", nn.SequentialCell(blocks))
        self.avg_pool = nn.AvgPool2d(kernel_size=7)
        self.flatten = nn.Flatten()
        self.fc = nn.Dense(inputs, num_classes)

    def construct(self, x):
        """(N, 3, 224, 224) -> (N, num_classes) logits."""
        x = self.max_pool(self.relu(self.norm(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.flatten(self.avg_pool(x)))


def pretrained(model, weights):
    """The model with the weights that all sides share, but for the padding that they were fitted with."""
    net = ResNet(model)
    values = read_weights(weights).parameters
    missing, unexpected = ms.load_param_into_net(net, {name: ms.Parameter(value) for name, value in values.items()})
    if missing or unexpected:
        raise SystemExit(f"the weights do not fit: missing {missing}, unexpected {unexpected}")
    return net


def dataset(folder, batch_size, augmented):
    """The tutorial's pipeline."""
    if augmented:
        views = [vision.RandomCropDecodeResize(SIZE, (0.08, 1.0), (0.75, 1.333)), vision.RandomHorizontalFlip(0.5)]
    else:
        views = [vision.Decode(), vision.Resize(RESIZE), vision.CenterCrop(SIZE)]
    images = ds.ImageFolderDataset(str(folder), num_parallel_workers=cores(), shuffle=True)
    operations = [*views, vision.Normalize(MEAN, STD), vision.HWC2CHW()]
    return images.map(operations, input_columns="image", num_parallel_workers=cores()).batch(batch_size)


def fit(options, best):
    """Train the head, with an evaluation after each epoch.

    Returns:
        Best and last accuracy, and seconds that training and evaluation took.
    """
    sets = {part: dataset(options.data / part, options.batch_size, part == "train") for part in ("train", "val")}
    if options.batches:
        sets = {part: images.take(options.batches) for part, images in sets.items()}
    classes = len(list((options.data / "train").iterdir()))
    net = pretrained(options.model, options.weights)
    net.fc = nn.Dense(net.fc.in_channels, classes)
    for parameter in net.get_parameters():
        parameter.requires_grad = parameter.name in ("fc.weight", "fc.bias")
    optimizer = nn.Momentum(net.trainable_params(), options.lr, 0.9)
    criterion = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    gradients_of = ms.value_and_grad(lambda images, labels: criterion(net(images), labels), None, optimizer.parameters)
    model = train.Model(net, criterion, optimizer, metrics={"Accuracy": train.Accuracy()})
    batches = sets["train"].create_tuple_iterator(num_epochs=options.epochs)
    accuracies, spent = [], {"train": 0.0, "val": 0.0}
    for _ in range(options.epochs):
        started = time.perf_counter()
        losses = []
        net.set_train()
        for images, labels in batches:
            loss, gradients = gradients_of(images, labels.astype(ms.int32))
            optimizer(gradients)
            losses.append(loss)
        print(f"loss {float(sum(losses) / len(losses)):.4f}")
        spent["train"] += time.perf_counter() - started
        started = time.perf_counter()
        accuracies.append(float(model.eval(sets["val"])["Accuracy"]))
        spent["val"] += time.perf_counter() - started
        if accuracies[-1] == max(accuracies):
            ms.save_checkpoint(net, str(best))
    return {"accuracy": max(accuracies), "last_accuracy": accuracies[-1], "seconds": spent}


def main():
    """Train and print what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=BLOCKS, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--batches", type=int, default=0, help="of each set in an epoch; 0 for all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(fit(options, Path(folder, "best.ckpt"))))


if __name__ == "__main__":
    main()
