"""``mstl export best.ckpt``: a model for ONNX Runtime, MindSpore or OpenVINO, with proof that it answers the same."""

from pathlib import Path

import click

from mstl.commands import shared

FORMATS = ("onnx", "mindir", "openvino")  # of mstl.prediction.exporting, which loads MindSpore


@shared.command
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(FORMATS), default="onnx", show_default=True, help="Format.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Output file; by default beside CHECKPOINT, with its name and .onnx, .mindir or .xml (and .bin).",
)
@click.option("--data", help="Where the images of the training are now; by default where they were.")
@shared.device_option("Device that computes what the export is compared with: auto, Ascend, GPU or CPU.")
def main(checkpoint: Path, kind: str, out: Path | None, data: str | None, device: str) -> None:
    """Export CHECKPOINT's model: a file that answers on its own, as ONNX or OpenVINO without MindSpore.

    It takes the pixels of images, as uint8 (n, size, size, 3), and gives probabilities, features, and the distance to
    the images of the training. What it must know of classes and preprocessing is in it. `mstl predict` and
    `mstl evaluate` take an .onnx file in the place of a checkpoint.

    No file is written without proof: it is read back by its own runtime and asked about validation images of the
    training, from their files on (all of them, or 256). Each label, probability (to 0.001) and rejection must be as
    from CHECKPOINT.
    """
    from mstl.prediction.exporting import export

    exported = export(checkpoint, kind, out, data, device)  # type: ignore[arg-type]  # one of the choices
    size = sum(file.stat().st_size for file in exported.files) / 1e6
    names = " and ".join(map(str, exported.files))
    print(
        f"{names}: {size:.1f} MB; asked about {exported.images:,} validation images, it answers as {checkpoint} does "
        f"(largest change of a probability {exported.difference:.1g})"
    )
