"""``mstl convert``: write any weights file that mstl reads as .ckpt or .safetensors, with mstl's parameter names."""

from pathlib import Path

import click

from mstl.commands import shared


@shared.command
@click.argument("source", type=click.Path(path_type=Path), metavar="IN")
@click.argument("target", type=click.Path(path_type=Path), metavar="OUT")
@click.option("--half/--full", default=False, help="Precision: float16 (half the size) or float32.  [default: full]")
def main(source: Path, target: Path, half: bool) -> None:
    """Convert the weights file IN to OUT (.ckpt or .safetensors).

    IN is a .ckpt, .safetensors or .pth file of mstl, MindSpore's tutorial, mindcv, torchvision or timm. OUT has mstl's
    parameter names, and a record of the architecture, padding and preprocessing.
    """
    import numpy as np

    import mstl
    from mstl.checkpoint import save_checkpoint
    from mstl.evaluation.rejection import BANK
    from mstl.files import check_output_file, make_folder
    from mstl.models.loading import read_weights

    check_output_file(target)
    weights = read_weights(source)
    metadata = {
        **(weights.metadata or {}),
        "mstl_version": mstl.__version__,
        "model": weights.architecture,
        "padding": weights.padding,
        "pool_padding": weights.pool_padding,
        "preprocessing": weights.preprocessing.to_dict(),
        "converted_from": source.name,
    }
    dtype = np.float16 if half else np.float32
    parameters = {name: value.astype(dtype) for name, value in weights.parameters.items()}
    kept = {name: value for name, value in weights.extras.items() if name == BANK}
    make_folder(target.parent)
    save_checkpoint(target, parameters | kept, metadata)
    print(
        f"{source}: {weights.layout} layout, {weights.architecture or 'an architecture that mstl does not build'}, "
        f"{len(parameters)} parameters, written to {target}"
    )
