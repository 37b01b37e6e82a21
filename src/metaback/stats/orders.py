"""Orders of k things, all of them or a random part, for permutation tests."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]


def count_orders(labels: Index) -> int:
    """Return in how many distinct ways labels (k,) can be arranged: k! / prod(m_j!).

    >>> count_orders(np.array([0, 0, 1, 1]))
    6
    """
    total = math.factorial(labels.size)
    for many in np.bincount(labels):
        total //= math.factorial(int(many))
    return total


def all_orders(labels: Index) -> Index:
    """Return one order (n, k) for every distinct arrangement of the labels, the arrangement as it is among them.

    Row i says which thing stands at each place; things of one label are not told apart, so n = `count_orders`.

    >>> all_orders(np.array([0, 1, 0])).tolist()
    [[0, 2, 1], [0, 1, 2], [1, 0, 2]]
    """
    n, k = count_orders(labels), labels.size
    arrangements = np.empty((n, k), dtype=np.intp)
    current = np.sort(labels)
    for i in range(n):
        arrangements[i] = current
        falls = np.flatnonzero(current[:-1] < current[1:])
        if falls.size:
            at = int(falls[-1])
            swap = at + 1 + int(np.flatnonzero(current[at + 1 :] > current[at])[-1])
            current[at], current[swap] = current[swap], current[at]
            current[at + 1 :] = current[at + 1 :][::-1].copy()
    places = np.argsort(labels, kind="stable")
    orders = np.empty((n, k), dtype=np.intp)
    orders[:, places] = np.argsort(arrangements, axis=1, kind="stable")
    return orders


def random_orders(k: int, n: int, rng: np.random.Generator) -> Index:
    """Return n random orders (n, k).

    >>> random_orders(3, 2, np.random.default_rng(1)).shape
    (2, 3)
    """
    return np.argsort(rng.random((n, k)), axis=1).astype(np.intp)
