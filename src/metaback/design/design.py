"""The fixed part of a model: which coefficients describe the true effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Design:
    """Design matrix X (k, p) and the names of its columns; `X` None stands for the intercept alone."""

    X: NDArray[np.float64] | None
    columns: tuple[str, ...]


def intercept() -> Design:
    """Return the design of a plain pool: one mean."""
    return Design(None, ("overall",))
