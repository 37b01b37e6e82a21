"""GOSH of studies whose rows depend on each other: the working model of every subset of the studies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.postestimation.gosh import Gosh, all_subsets, check_draws, gosh, gosh_of_numbers, random_subsets
from metaback.postestimation.summary import Analysis, Working
from metaback.postestimation.working import working_subsets
from metaback.progress import Progress, silent
from metaback.stats.wls import Floats
from metaback.status import Status

EXACT = 10  # studies up to which all subsets are pooled: 1,023
DRAWS = 1_000  # subsets that are drawn beyond: each is a search of its own, a few milliseconds
MOST = 50_000
STEP = 250  # subsets pooled at a time


def gosh_of(analysis: Analysis, *, n: int | None = None, rng: int = 1, tell: Progress = silent) -> Gosh:
    """Return the pools of subsets of the rows, or of the studies where rows of a study are modelled together."""
    if analysis.dependent:
        return study_gosh(analysis, n=n, rng=rng, tell=tell)
    return gosh(analysis.fitted, n=n, rng=rng, tell=tell)


def study_gosh(analysis: Analysis, *, n: int | None = None, rng: int = 1, tell: Progress = silent) -> Gosh:
    """Pool every subset of the studies, each with all its rows, by the working model of the pool.

    All 2^k - 1 subsets up to 10 studies; beyond, or where that is more than `n`, random ones: each study is in with
    probability 1/2, from seed `rng`. n: 100 to 50,000; None for all, or 1,000 draws. A thousand subsets take a few
    seconds, because each searches for its own variances. tau2 of a subset is the sum of both, I2 their share in the
    total variance, size its rows; otherwise as `gosh`.

    Edges: a subset of one study has its mean by its covariance, and neither tau2 nor I2; one that has no fit is nan
    throughout. Raises `OptionError` for an n out of range, and for a pool of independent rows. Source: Olkin, Dahabreh
    & Trikalinos 2012; Pustejovsky & Tipton 2022.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and weeks < 9")
    >>> found = study_gosh(mb.pool(pain).analysis, n=100)
    >>> found.size.size, found.unit[1]
    (100, 'studies')
    """
    check_draws(n, rng, MOST)
    if analysis.working is None or not analysis.dependent:
        raise OptionError("study_gosh() is for a pool that models rows of a study together; see gosh()")
    effects = analysis.fitted.effects
    used = np.flatnonzero(effects.estimable)
    _, first, rank = np.unique(effects.clusters[used], return_index=True, return_inverse=True)
    study = np.full(effects.yi.size, -1, dtype=np.intp)
    study[used] = np.argsort(np.argsort(first))[rank]  # numbered as they come in the table
    places: list[int] = used[np.sort(first)].tolist()
    k = len(places)
    exact = k <= EXACT and (n is None or 2**k - 1 <= n)
    packed = all_subsets(k) if exact else random_subsets(k, n or DRAWS, rng)
    numbers = _pooled(analysis, analysis.working, study, packed, k, tell)
    labels = tuple(effects.labels[i] for i in places)
    return gosh_of_numbers(labels, packed, numbers, None if exact else rng, ("study", "studies"))


def _pooled(
    analysis: Analysis, working: Working, study: NDArray[np.intp], packed: NDArray[np.uint8], k: int, tell: Progress
) -> Floats:
    """Return rows, estimate, tau2, I2 and Q of each subset, (5, n)."""
    found = np.full((5, len(packed)), np.nan)
    for start in range(0, len(packed), STEP):
        here = np.unpackbits(packed[start : start + STEP], axis=1, count=k).astype(bool)
        masks = here[:, study] & (study >= 0)
        pools = working_subsets(analysis.fitted.effects, working.spec, masks, working.V)
        failed = pools.status != Status.CONVERGED
        numbers = np.stack([pools.estimate, pools.tau2, pools.i2, pools.q])
        numbers[:, failed] = np.nan
        found[0, start : start + STEP] = masks.sum(axis=1)
        found[1:, start : start + STEP] = numbers
        tell(min(start + STEP, len(packed)), len(packed))
    return found
