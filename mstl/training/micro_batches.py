"""Micro-batches: where a batch does not fit into memory, several smaller ones make a step, with the same gradient."""

import dataclasses

from mstl.config import TrainConfig
from mstl.runtime.memory import available_memory
from mstl.training.recipes import ResolvedConfig

MEMORY_SHARE = 0.8  # of what is available: a step is measured on a few images
TRAINING_BYTES = 400 * 10**6  # of the graph of a step, the optimizer and batches that are kept ready


def parts_of_batch(batch_size: int, image_bytes: int, free: float) -> int:
    """Into how many equal parts a batch is cut so that each fits into memory.

    Args:
        batch_size: Images.
        image_bytes: Memory that each of them takes in a step.
        free: Bytes that they may take.

    Returns:
        The smallest number that does, which divides the batch; the batch's size if not even two images fit.
    """
    divisors = (parts for parts in range(1, batch_size + 1) if batch_size % parts == 0)
    return next((parts for parts in divisors if batch_size // parts * image_bytes <= free), batch_size)


def micro_batches(
    config: ResolvedConfig, given: TrainConfig, image_bytes: int, processes: int
) -> tuple[ResolvedConfig, str]:
    """The settings with smaller batches, of which more make a step, where memory is short.

    The sum over the parts is the whole batch's gradient (:class:`mstl.training.train_step.TrainStep`), unless layers
    normalise by the statistics of the batch that they see.

    Args:
        config: The settings.
        given: Those of the user: batches whose ``accumulate`` is given stay as they are.
        image_bytes: Memory that an image takes in a step; 0 if that is not known.
        processes: Processes of the run, which are taken to share the memory.

    Returns:
        The settings, and what was changed, for the log.
    """
    if not image_bytes or given.accumulate is not None or config.optimizer == "lbfgs":
        return config, ""
    share = config.batch_size // processes
    parts = parts_of_batch(share, image_bytes, available_memory() * MEMORY_SHARE / processes - TRAINING_BYTES)
    if parts == 1:
        return config, ""
    size = config.batch_size // parts
    note = f"; memory is short: batches of {config.batch_size} are computed in {parts} parts (--accumulate {parts})"
    if config.unfreeze_at or config.freeze not in ("backbone", "BN"):
        note += f", and BatchNorms go by {size // processes} images at a time"
    return dataclasses.replace(config, batch_size=size, accumulate=config.accumulate * parts), note
