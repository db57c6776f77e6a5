"""Sound numbers: parameters that a model can compute with are finite, no integers, and no negative variances."""

from pathlib import Path

import numpy as np

from mstl.checkpoint import Arrays, first_not_finite
from mstl.errors import MstlError


def usable(path: Path, parameters: Arrays) -> Arrays:
    """The parameters in float32, or float16 if they are stored so.

    Raises:
        MstlError: They are integers, not finite in this precision, or the square of no deviation.
    """
    result = {}
    for name, value in parameters.items():
        if value.dtype.kind != "f":
            raise MstlError(
                f"{path} cannot be used: {name} has values of type {value.dtype}, as if the weights were quantised; "
                "use those from before, in floating point"
            )
        with np.errstate(over="ignore"):
            result[name] = value.astype(np.float32) if value.itemsize > 4 else value
    refuse_not_finite(path, result)
    for name, value in result.items():
        if name.endswith("moving_variance") and value.min(initial=0) < 0:
            raise MstlError(f"{path} cannot be used: {name} has negative variances, so it is damaged; get it again")
    return result


def refuse_not_finite(path: Path, arrays: Arrays) -> None:
    """Refuse NaN and infinite values.

    Raises:
        MstlError: There are some.
    """
    broken = first_not_finite(arrays)
    if broken is not None:
        raise MstlError(
            f"{path} cannot be used: {broken} has values that are not finite (NaN or infinite), as if training "
            "diverged; use other weights, or train again with a lower learning rate"
        )
