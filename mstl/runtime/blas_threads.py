"""Threads of NumPy's and SciPy's matrix products."""

import contextlib
from collections.abc import Iterator

WORTH_IT = 3e8  # multiplications in a product, from which all cores take part


@contextlib.contextmanager
def suited_to(multiplications: float) -> Iterator[None]:
    """In this block, products take all cores if they are large, else one.

    The threads of OpenBLAS meet in a busy loop at the end of each product. Where other threads keep the cores busy, a
    small product, which takes a millisecond on one core, then takes twenty.

    Args:
        multiplications: In a typical product.
    """
    if multiplications >= WORTH_IT:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
