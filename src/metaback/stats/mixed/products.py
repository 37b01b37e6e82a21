"""Inner products of long rows, in pieces: the same sums whatever the number of threads, and no waiting for them."""

from __future__ import annotations

from metaback.stats.mixed.records import Floats

ALONE = 200_000  # multiplications of one product below which libraries of linear algebra start no threads


def inner(a: Floats, b: Floats) -> Floats:
    """Return a b' for rows a (R, P, N) and b (R, S, N), (R, P, S); R of one of them may be 1.

    >>> import numpy as np
    >>> inner(np.ones((1, 2, 3)), np.ones((1, 1, 3))).tolist()
    [[[3.0], [3.0]]]
    """
    P, N, S = a.shape[1], a.shape[2], b.shape[1]
    piece = max(32, ALONE // max(P * S, 1))
    count = N // piece
    if count <= 1:
        return a @ b.swapaxes(1, 2)
    cut = count * piece
    one = a[:, :, :cut].reshape(a.shape[0], P, count, piece).transpose(0, 2, 1, 3)
    two = b[:, :, :cut].reshape(b.shape[0], S, count, piece).transpose(0, 2, 3, 1)
    total: Floats = (one @ two).sum(axis=1)
    return total + a[:, :, cut:] @ b[:, :, cut:].swapaxes(1, 2) if cut < N else total


def summed(a: Floats, b: Floats) -> Floats:
    """Return a b for long rows a (P, N) and long columns b (N, S), (P, S).

    >>> import numpy as np
    >>> summed(np.ones((2, 3)), np.ones((3, 1))).tolist()
    [[3.0], [3.0]]
    """
    (P, N), S = a.shape, b.shape[1]
    piece = max(32, ALONE // max(P * S, 1))
    count = N // piece
    if count <= 1:
        return a @ b
    cut = count * piece
    total: Floats = (a[:, :cut].reshape(P, count, piece).swapaxes(0, 1) @ b[:cut].reshape(count, piece, S)).sum(axis=0)
    return total + a[:, cut:] @ b[cut:] if cut < N else total
