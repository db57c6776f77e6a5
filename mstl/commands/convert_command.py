"""``mstl convert``: write any weights file that mstl reads as .ckpt or .safetensors, with mstl's parameter names."""

import logging
from pathlib import Path

import click

from mstl.commands import shared

logger = logging.getLogger("mstl")


@shared.command
@click.argument("source", type=click.Path(path_type=Path), metavar="IN")
@click.argument("target", type=click.Path(path_type=Path), metavar="OUT")
@click.option("--half/--full", default=False, help="Precision: float16 (half the size) or float32.  [default: full]")
def main(source: Path, target: Path, half: bool) -> None:
    """Convert the weights file IN to OUT (.ckpt or .safetensors).

    IN is a .ckpt, .safetensors or .pth file of mstl, MindSpore's tutorial, mindcv, torchvision, timm or Hugging Face,
    or a training checkpoint that holds such weights, under whatever name. OUT has mstl's parameter names, and a record
    of the architecture, padding and preprocessing.
    """
    import numpy as np

    import mstl
    from mstl.checkpoint import first_not_finite, save_checkpoint
    from mstl.errors import MstlError
    from mstl.evaluation.rejection import BANK
    from mstl.files import check_output_file, make_folder
    from mstl.models.factory import refuse_incomplete
    from mstl.models.loading import read_weights

    check_output_file(target)
    weights = read_weights(source)
    odd_head = refuse_incomplete(weights) if weights.architecture else []
    if odd_head and weights.num_classes:
        logger.info("%s has a head that does not fit its body: it is left out", source.name)
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
    with np.errstate(over="ignore"):
        parameters = {n: value.astype(dtype) for n, value in weights.parameters.items() if n not in odd_head}
    if half and (large := first_not_finite(parameters)):
        raise MstlError(f"{source}: {large} has values that are too large for float16; leave out --half")
    kept = {name: value for name, value in weights.extras.items() if name == BANK}
    make_folder(target.parent)
    save_checkpoint(target, parameters | kept, metadata)
    print(
        f"{source}: {weights.layout} layout, {weights.architecture or 'an architecture that mstl does not build'}, "
        f"{len(parameters)} parameters, written to {target}"
    )
