"""``mstl export best.ckpt``: a model for ONNX Runtime, MindSpore or OpenVINO, with proof that it answers the same."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mstl.commands import completing, shared

if TYPE_CHECKING:
    from mstl.engines.export_record import Int8Record

FORMATS = ("onnx", "mindir", "openvino")  # of mstl.prediction.exporting, which loads MindSpore


@shared.command
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(FORMATS), default="onnx", show_default=True, help="Format.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file; by default beside CHECKPOINT, with its name and .onnx, .int8.onnx, .mindir or .xml (and .bin).",
)
@click.option("--int8", is_flag=True, help="Compute in 8-bit integers: smaller and quicker, a little less exact.")
@click.option("--force", is_flag=True, help="With --int8: keep a model that may be less accurate than is allowed.")
@click.option(
    "--data",
    shell_complete=completing.data,
    help="Where the images of the training are now; by default where they were.",
)
@shared.device_option("Device that computes what the export is compared with: auto, Ascend, GPU or CPU.")
def main(checkpoint: Path, kind: str, out: Path | None, int8: bool, force: bool, data: str | None, device: str) -> None:
    """Export CHECKPOINT's model: a file that answers on its own, as ONNX or OpenVINO without MindSpore.

    It takes the pixels of images, as uint8 (n, size, size, 3), and gives probabilities, features, and the distance to
    the images of the training. What it must know of classes and preprocessing is in it. `mstl predict` and
    `mstl evaluate` take an .onnx file in the place of a checkpoint.

    No file is written without proof: it is read back by its own runtime and asked about validation images of the
    training, from their files on (all of them, or 256). Each label, probability (to 0.001) and rejection must be as
    from CHECKPOINT.

    --int8 quantises the convolutions of an ONNX model, measures on up to 256 training images which numbers they must
    hold, and fits the temperature and the limits of rejection again. It is written only if the validation images, all
    of them, exclude that its accuracy is more than 1 % lower than in fp32 (one-sided, 95 %), which takes 299 images or
    more; --force writes it in any case, which its metadata say.
    """
    from mstl.prediction.exporting import export

    exported = export(checkpoint, kind, out, data, device, int8, force)  # type: ignore[arg-type]  # one of the choices
    names, size = " and ".join(map(str, exported.files)), f"{exported.size / 1e6:.1f} MB"
    source, cost = str(checkpoint), exported.int8
    if cost is not None:
        size += f", {exported.size / exported.fp32_size:.0%} of fp32" if exported.fp32_size else ""
        source = "the quantised model"
    print(
        f"{names}: {size}; asked about {exported.images:,} validation images, it answers as {source} does "
        f"(largest change of a probability {exported.difference:.1g})"
    )
    if cost is not None:
        print(quantised(cost))
    if exported.trained_in == "bf16":
        numbers = "fp32" if cost is None else "int8, from fp32"
        print(f"the model was trained on features in bf16; it is exported in {numbers}, and proved against fp32")


def quantised(cost: "Int8Record") -> str:
    """What quantising a model cost, as a line."""
    loss = f"a loss of accuracy above {cost.most_loss:.1%} is excluded"
    if cost.forced:
        loss = f"a loss of up to {cost.most_loss:.1%} is possible, {cost.allowed_loss:.0%} is allowed: kept by --force"
    return (
        f"int8, calibrated on {cost.calibration_images:,} training images: {cost.int8_correct:,} of "
        f"{cost.validation_images:,} validation images right, in fp32 {cost.fp32_correct:,} ({cost.lost} lost, "
        f"{cost.gained} gained; {loss}); probabilities change by up to {cost.largest_change:.2g}"
    )
