"""How large the matrices of linked rows may become: beyond that a question is refused before memory is taken."""

from __future__ import annotations

from metaback.errors import EstimationError
from metaback.stats.mixed.records import Places

GIGABYTES = 4.0  # that matrices of linked rows may take together
NUMBERS = 1.25e8  # in a gigabyte


def check_room(sizes: Places, copies: int, what: str, way: str) -> None:
    """Refuse clusters of sizes (B,) rows whose square matrices take too much memory, `copies` of each held at a time.

    what: what needs them, as the subject of a sentence; way: what the user can do instead. Raises `EstimationError`.

    >>> import numpy as np
    >>> try:
    ...     check_room(np.array([20_000, 3]), 4, "The covariance", "Ask for less.")
    ... except EstimationError as error:
    ...     print(error)
    The covariance needs matrices of 20,000 linked rows, about 13 GB; at most 4 GB are taken. Ask for less.
    """
    needed = copies * float((sizes.astype(float) ** 2).sum()) / NUMBERS
    if needed > GIGABYTES:
        raise EstimationError(
            f"{what} needs matrices of {int(sizes.max()):,} linked rows, about {needed:,.0f} GB; at most "
            f"{GIGABYTES:.0f} GB are taken. {way}"
        )
