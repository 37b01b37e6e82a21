"""How many digits of a computed number are right."""

from __future__ import annotations

import math

MOST = 15.0  # a double holds between 15 and 16 digits


def right_digits(found: float, exact: float, scale: float = 1.0) -> float:
    """Return the log relative error LRE = -log10(|found - exact| / |exact|) of a number, held in 0 to 15.

    scale: takes the place of |exact| where that is 0, in the unit of the number. A number that is not finite has no
    right digit. Source: McCullough 1998 [@mccullough1998].

    >>> round(right_digits(3.1416, 3.141592653589793), 1), right_digits(1e-20, 0.0), right_digits(math.nan, 1.0)
    (5.6, 15.0, 0.0)
    """
    if not math.isfinite(found):
        return 0.0
    error = abs(found - exact) / (abs(exact) if exact != 0 else scale)
    return MOST if error == 0 else min(MOST, max(0.0, -math.log10(error)))
