"""GOSH: the pool of every subset of the studies, and which study splits the cloud of results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.fitted import Fitted
from metaback.models.pool import own_weights
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.models.univariate import fit_univariate
from metaback.numbers import fixed
from metaback.postestimation.flips import digits_for, listed, one_line
from metaback.postestimation.subsets import row_labels
from metaback.postestimation.words import plural
from metaback.progress import Progress, silent
from metaback.stats.heterogeneity import i2_from_q, i2_from_tau2, spread_at_zero
from metaback.stats.wls import Bools, Floats, prepare
from metaback.status import Status

EXACT = 20  # studies up to which all subsets are pooled: 1,048,575
DRAWS = 100_000  # subsets that are drawn beyond
MOST = 1_000_000
CHUNK = 400_000  # effects of subsets handled at a time
CLEAN = 2.0  # Ashman's D above which two parts of a cloud are cleanly apart


@dataclass(frozen=True, slots=True, repr=False)
class Gosh:
    """Pools of n subsets of the studies.

    labels: (k,) rows that were pooled, in order; members: (n, ceil(k / 8)) which of them each subset has, as packed
    bits (`includes`). size: (n,) effects of each subset; estimate, tau2, i2, q: (n,), on the analysis scale, i2 in
    percent; tau2 and i2 of one effect, and tau2 of equal effects, are nan. exact: whether these are all subsets; seed:
    of the draws, None if exact. d_estimate, d_i2: (k,) Ashman's D between the subsets with and without each row. unit:
    what is in or out, for one and for several; studies enter with all their rows where these depend on each other.
    """

    labels: tuple[str, ...]
    members: NDArray[np.uint8]
    size: NDArray[np.int64]
    estimate: Floats
    tau2: Floats
    i2: Floats
    q: Floats
    exact: bool
    seed: int | None
    with_row: Floats
    without_row: Floats
    d_estimate: Floats
    d_i2: Floats
    unit: tuple[str, str] = ("effect", "effects")

    def includes(self, row: int | str) -> Bools:
        """Tell which subsets have a row, (n,), named by its label or its place among those that were pooled."""
        place = self.labels.index(row) if row in self.labels else row
        if not isinstance(place, int) or not 0 <= place < len(self.labels):
            raise OptionError.unknown("row", row, self.labels)
        return _has(self.members, place)

    @property
    def splitting(self) -> tuple[str, ...]:
        """Return the rows whose presence splits the cloud cleanly in two, the strongest first."""
        d = np.fmax(self.d_estimate, self.d_i2)
        places: list[int] = np.argsort(-d, kind="stable").tolist()
        return tuple(self.labels[i] for i in places if d[i] > CLEAN)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each row that splits the cloud."""
        words: list[str] = []
        for name in self.splitting:
            i = self.labels.index(name)
            axes = [word for word, d in (("estimate", self.d_estimate), ("I²", self.d_i2)) if d[i] > CLEAN]
            means = f"mean estimate {fixed(self.with_row[i])} with it, {fixed(self.without_row[i])} without"
            words.append(f"{one_line(name)} splits the cloud by {' and '.join(axes)}: {means} (analysis scale).")
        return tuple(words)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per subset."""
        columns = {"k": self.size, "estimate": self.estimate, "tau2": self.tau2, "i2": self.i2, "q": self.q}
        return pd.DataFrame(columns)

    def studies(self) -> pd.DataFrame:
        """Return one row per study: mean estimate of the subsets with and without it, and Ashman's D of both clouds."""
        frame = {"study": self.labels, "with": self.with_row, "without": self.without_row}
        return pd.DataFrame({**frame, "d_estimate": self.d_estimate, "d_i2": self.d_i2})

    def __repr__(self) -> str:
        """Return how many subsets there are and who splits their cloud."""
        kind = "all" if self.exact else f"random (seed {self.seed})"
        lines = list(self.sentences) or ["No single study splits the cloud of results."]
        ends = float(np.nanmin(self.estimate)), float(np.nanmax(self.estimate))
        low, high = (fixed(end, digits_for(*ends)) for end in ends)
        k, subsets = len(self.labels), self.size.size
        head = f"GOSH of {plural(k, *self.unit)}: {plural(subsets, 'subset')}, {kind}"
        return f"{head}\nestimates from {low} to {high} (analysis scale)\n{listed(lines)}"


def gosh(fitted: Fitted, *, n: int | None = None, rng: int = 1, tell: Progress = silent) -> Gosh:
    """Pool every subset of the effects by the same request, and look for studies that split the cloud of results.

    All 2^k - 1 subsets up to 20 effects; beyond, or where that is more than `n`, random ones: each effect is in with
    probability 1/2, empty subsets are drawn again, from seed `rng`. n: 100 to 1,000,000; None for all, or 100,000
    draws. Rows of the result: single effects first, then pairs and so on; draws as drawn. tell: hears of subsets done.

    A study splits the cloud where the estimates (or I2) of the subsets with and without it are cleanly apart: Ashman's
    D = |m_1 - m_2| / sqrt((s_1^2 + s_2^2) / 2) above 2. 2^15 subsets take a fraction of a second, 2^20 some ten.

    Edges: subsets of one effect have Q = 0 and no tau2. Raises `OptionError` for an n out of range. Source: Olkin,
    Dahabreh & Trikalinos 2012; Ashman, Bird & Zepf 1994. Same as `metafor::gosh`.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> found = gosh(mb.pool(pain, preset="revman5").fitted)
    >>> len(found.size) == 2 ** len(found.labels) - 1
    True
    """
    check_draws(n, rng, MOST)
    effects, spec = fitted.effects, fitted.spec
    rows = np.flatnonzero(effects.estimable)
    k = rows.size
    exact = k <= EXACT and (n is None or 2**k - 1 <= n)
    packed = all_subsets(k) if exact else random_subsets(k, n or DRAWS, rng)
    own = own_weights(effects, spec)
    numbers = _pooled(effects, spec, rows, packed, None if own is None else own[rows], tell)
    names = row_labels(effects)
    return gosh_of_numbers(tuple(names[i] for i in rows.tolist()), packed, numbers, None if exact else rng)


def check_draws(n: int | None, rng: int, most: int) -> None:
    """Raise `OptionError` for a number of subsets out of 100 to `most`, or a seed that is none."""
    if n is not None and not (_is_whole(n) and 100 <= n <= most):
        raise OptionError(f"n={n!r} must be a whole number of subsets from 100 to {most:,}")
    if not (_is_whole(rng) and rng >= 0):
        raise OptionError(f"rng={rng!r} must be a seed: a whole number of at least 0")


def gosh_of_numbers(
    labels: tuple[str, ...], packed: NDArray[np.uint8], numbers: Floats, seed: int | None,
    unit: tuple[str, str] = ("effect", "effects"),
) -> Gosh:  # fmt: skip
    """Return what subsets that are pooled say of each member; numbers: (5, n) size, estimate, tau2, I2 and Q.

    seed: of random subsets, None for all.
    """
    size, estimate, tau2, i2, q = numbers
    places = range(len(labels))
    with_row, without_row, d_estimate = np.transpose([_apart(estimate, _has(packed, i)) for i in places])
    d_i2 = np.array([_apart(i2, _has(packed, i))[2] for i in places])
    return Gosh(
        labels=labels,
        members=packed,
        size=size.astype(np.int64),
        estimate=estimate,
        tau2=tau2,
        i2=i2,
        q=q,
        exact=seed is None,
        seed=seed,
        with_row=with_row,
        without_row=without_row,
        d_estimate=d_estimate,
        d_i2=d_i2,
        unit=unit,
    )


def _is_whole(value: object) -> bool:
    """Tell whether a value is a whole number."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def all_subsets(k: int) -> NDArray[np.uint8]:
    """Return all non-empty subsets of k as packed bits: by size, then in the order of their members.

    >>> np.unpackbits(all_subsets(3), axis=1, count=3).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]]
    """
    codes = np.arange(1, 2**k, dtype=np.uint32)
    order = np.lexsort((-codes.astype(np.int64), np.bitwise_count(codes)))
    shifted = codes[order] << np.uint32(32 - k)
    return shifted.astype(">u4").view(np.uint8).reshape(-1, 4)[:, : (k + 7) // 8]


def random_subsets(k: int, n: int, seed: int) -> NDArray[np.uint8]:
    """Return n random non-empty subsets of k as packed bits."""
    rng = np.random.default_rng(seed)
    packed = _draw(rng, n, k)
    while (empty := ~packed.any(axis=1)).any():
        packed[empty] = _draw(rng, int(empty.sum()), k)
    return packed


def _draw(rng: np.random.Generator, n: int, k: int) -> NDArray[np.uint8]:
    """Return n random subsets of k, which may be empty, as packed bits."""
    return np.packbits(rng.integers(0, 2, (n, k), dtype=np.uint8), axis=1)


def _has(packed: NDArray[np.uint8], place: int) -> Bools:
    """Tell which packed subsets have one member, (n,)."""
    return (packed[:, place // 8] >> np.uint8(7 - place % 8) & np.uint8(1)).astype(bool)


def _pooled(
    effects: EffectSizes, spec: PoolSpec, rows: NDArray[np.intp], packed: NDArray[np.uint8], own: Floats | None,
    tell: Progress,
) -> Floats:  # fmt: skip
    """Return size, estimate, tau2, I2 and Q of each subset, (5, n), in chunks of bounded memory."""
    y, v, k = effects.yi[rows], effects.vi[rows], rows.size
    step = max(1, CHUNK // k)
    found = np.empty((5, len(packed)))
    for start in range(0, len(packed), step):
        mask = np.unpackbits(packed[start : start + step], axis=1, count=k).astype(bool)
        found[:, start : start + step] = _chunk(y, v, own, mask, spec)
        tell(min(start + step, len(packed)), len(packed))
    return found


def _chunk(y: Floats, v: Floats, own: Floats | None, mask: Bools, spec: PoolSpec) -> Floats:
    """Return size, estimate, tau2, I2 and Q of one chunk of subsets, nan where a subset cannot be pooled."""
    fit = fit_univariate(y, v, mask, spec, weights=own)
    problems = prepare(np.broadcast_to(y, mask.shape), np.broadcast_to(v, mask.shape), mask)
    q, _, typical = spread_at_zero(problems)
    several = (problems.m > 0) & (fit.status == Status.CONVERGED)
    random = estimates_tau2(spec)
    tau2 = np.where(several & random, fit.theta[:, 0], np.nan)
    from_q = np.where(several, i2_from_q(q, problems.m), np.nan)
    i2 = i2_from_tau2(tau2, typical) if random and spec.i2 != "Q" else from_q
    return np.stack([problems.m + 1, fit.beta[:, 0], tau2, i2, q])


def _apart(values: Floats, has: Bools) -> tuple[float, float, float]:
    """Return the mean of values with and without a study, and Ashman's D between the two; nan where one is empty.

    Where neither part varies D is infinite for different means, 0 for equal ones.
    """
    known = np.isfinite(values)
    one, two = values[has & known], values[~has & known]
    if not one.size or not two.size:
        return (float(one.mean()) if one.size else np.nan, float(two.mean()) if two.size else np.nan, np.nan)
    gap, spread = abs(float(one.mean() - two.mean())), float(np.sqrt((one.var() + two.var()) / 2))
    if spread == 0:
        return float(one.mean()), float(two.mean()), 0.0 if gap == 0 else np.inf
    return float(one.mean()), float(two.mean()), gap / spread
