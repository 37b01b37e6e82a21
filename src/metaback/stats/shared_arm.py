"""Sampling covariance of effects of one study that share an arm, or people, and what ignoring it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.stats.measures.small_samples import small_sample_factor, unbiased_share

Floats = NDArray[np.float64]
Levels = NDArray[np.intp]
STEMS = ("n", "mean", "sd", "events", "time")
STANDARDISED = frozenset({"SMD", "SMDH", "SMD1", "SMD1H"})
SAME = 1e-6  # of a variance: what rounding of the numbers that it was computed from may change
EXACT, NEAR, ASSUMED = 2, 1, 0
HALF = 0.5  # correlation of two effects with one arm in common and all arms equal: half of each variance is that arm's


@dataclass(frozen=True, slots=True)
class SharedArm:
    """What is known of the arm that several effects share: n people, mean and SD, or events; nan where unknown.

    total: people of all arms of the study, each counted once.
    """

    n: float = np.nan
    mean: float = np.nan
    sd: float = np.nan
    events: float = np.nan
    total: float = np.nan


def shared_arm_covariance(measure: str, y: Floats, arm: SharedArm) -> Floats:
    r"""Return the covariance that a shared arm gives each pair of effects, (m, m), nan where it cannot be computed.

    With n, mean m, SD s and e events of the shared arm, on the analysis scale:
    SMD: 1/n + y_i y_j / (2 N), N people in all arms of the study together; MD: s^2/n; ROM: s^2/(n m^2);
    OR: 1/e + 1/(n - e); RR: 1/e - 1/n; RD: (e/n)(1 - e/n)/n; AS: 1/(4 n); IRR: 1/e.

    measure: key of the measure. y: (m,) effects on the analysis scale. The diagonal holds what the arm contributes to
    each variance and is no variance itself.

    Edges: half a person is added to both cells of an arm without events, or with nothing else (OR, RR); any other
    measure gives nan. Source: Gleser & Olkin 2009; ROM and IRR by the same argument: arms are independent, so the
    covariance is the part of the variance that comes from the shared one.

    >>> shared_arm_covariance("RD", np.array([0.0150, 0.0025]), SharedArm(n=1000, events=40)).round(8).tolist()
    [[3.84e-05, 3.84e-05], [3.84e-05, 3.84e-05]]
    """
    base = 0.0 * np.outer(y, y)
    if measure == "SMD":
        return base + 1 / arm.n + np.outer(y, y) / (2 * arm.total)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = _part(measure, arm)
    return base + (part if np.isfinite(part) else np.nan)


def _part(measure: str, arm: SharedArm) -> float:
    """Return the part of the variance of an effect that comes from one arm."""
    n, events = np.float64(arm.n), np.float64(arm.events)
    rest = n - events
    if measure in {"OR", "RR"} and (events == 0 or rest == 0):
        n, events, rest = n + 1, events + 0.5, rest + 0.5
    return float(arm_part(measure, {"n": n, "events": events, "sd": arm.sd, "mean": arm.mean}))


def arm_part(measure: str, arm: Mapping[str, Floats | float]) -> Floats:
    r"""Return the part of the variance of an effect that comes from the numbers of one arm, nan where it has none.

    With n people, mean m, SD s, e events, time t: MD: s^2/n; ROM: s^2/(n m^2); OR: 1/e + 1/(n - e); RR: 1/e - 1/n;
    RD: (e/n)(1 - e/n)/n; AS: 1/(4 n); IRR: 1/e; IRD: e/t^2; IRSD: 1/(4 t); VR: 1/(2 (n - 1)); CVR: the sum of those of
    VR and ROM. Standardised differences are no sum of arms: see `arm_parts`.

    measure: key. arm: "n", "mean", "sd", "events" and "time", as far as they are known, (k,) each.

    >>> arm_part("MD", {"n": np.array([16.0]), "sd": np.array([2.0])}).tolist()
    [0.25]
    """
    n, mean, sd, e, t = (np.asarray(arm.get(stem, np.nan), dtype=float) for stem in STEMS)
    with np.errstate(divide="ignore", invalid="ignore"):
        ways = {
            "MD": lambda: sd**2 / n,
            "ROM": lambda: sd**2 / (n * mean**2),
            "OR": lambda: 1 / e + 1 / (n - e),
            "RR": lambda: 1 / e - 1 / n,
            "RD": lambda: e / n * (1 - e / n) / n,
            "AS": lambda: 1 / (4 * n),
            "IRR": lambda: 1 / e,
            "IRD": lambda: e / t**2,
            "IRSD": lambda: 1 / (4 * t),
            "VR": lambda: 0.5 / (n - 1),
            "CVR": lambda: 0.5 / (n - 1) + sd**2 / (n * mean**2),
        }
        return np.asarray(ways[measure]() if measure in ways else n * np.nan, dtype=float)


@dataclass(frozen=True, slots=True)
class ArmParts:
    """How the variances of k effects fall apart by arm: v = sum over both arms of mean + scale.

    mean: (2, k) what the arm's own level contributes; scale: (2, k) what it contributes to the SD that a standardised
    difference is divided by, 0 for other measures. level: (k,) EXACT where the formulas of the measure give v, NEAR
    where the parts had to be scaled to v or rest on the sizes of the arms, ASSUMED where each arm was given one half.
    """

    mean: Floats
    scale: Floats
    level: Levels


def arm_parts(
    measure: str, y: Floats, v: Floats, numbers: Mapping[str, Floats], options: Mapping[str, str] | None = None
) -> ArmParts:
    """Return how the variance of each effect falls apart by arm, so that effects with a common arm get a covariance.

    The parts are those of `arm_part`. SMD, with f = 1 ("LS", "RevMan", "UB", "AV") or J ("LS2") or
    J sqrt((N - 2)/(N - 4)) ("H0"): mean part f^2/n of the arm, scale part (n - 1)/(N - 2) of v - f^2 (1/n_1 + 1/n_2);
    SMDH, SMD1 and SMD1H in the same way, with the SDs that they divide by. Counts that give v only after 1/2 (or the
    share of the treatment-arm correction) was added to their cells have it added here.

    y, v: (k,) effects and variances on the analysis scale; numbers: roles "n_1" ... -> (k,), nan where blank; options:
    conventions of the measure ("vtype", "correct", "add"). Edges: nothing known gives one half of v to each arm, which
    is right for equal arms. The parts always add up to v.

    Source: Gleser & Olkin 2009, by the delta method for the pooled SD of the two arms of each difference.

    >>> one = {"n_1": np.array([10.0]), "n_2": np.array([30.0]), "sd_1": np.array([2.0]), "sd_2": np.array([3.0])}
    >>> arm_parts("MD", np.array([1.0]), np.array([0.7]), one).mean.round(12).tolist()
    [[0.4], [0.3]]
    """
    arms = [{stem: numbers.get(f"{stem}_{side}", np.full(v.size, np.nan)) for stem in STEMS} for side in "12"]
    options = options or {}
    if measure in STANDARDISED:
        mean, scale = _standardised(measure, y, v, arms, options)
    else:
        mean = np.array([arm_part(measure, arm) for arm in arms])
        if measure in {"OR", "RR", "RD", "IRR", "IRD"}:
            mean = _as_corrected(measure, v, arms, mean, float(options.get("add", HALF)))
        scale = np.zeros_like(mean)
    return _scaled(v, mean, scale, arms)


def _standardised(
    measure: str, y: Floats, v: Floats, arms: list[dict[str, Floats]], options: Mapping[str, str]
) -> tuple[Floats, Floats]:
    """Return the mean and scale parts of standardised differences before they are compared with v."""
    n, sd = (np.array([arm[stem] for arm in arms]) for stem in ("n", "sd"))
    vtype = options.get("vtype", "LS")
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "SMDH":
            p = 2 * sd**2 / np.sum(sd**2, axis=0)
            return p / (n - 1), y**2 * p**2 / (n - 1) / 8
        if measure == "SMD1H":
            glass = y**2 / (2 * (n[1] - 1))
            return np.array([(sd[0] / sd[1]) ** 2 / (n[0] - 1), 1 / (n[1] - 1)]), np.array([0 * glass, glass])
        size = n[1] if measure == "SMD1" else n[0] + n[1]
        df = size - (1 if measure == "SMD1" else 2)
        share = np.array([0 * df, 1 + 0 * df]) if measure == "SMD1" else (n - 1) / df
        shrunk = small_sample_factor(df) if vtype in {"LS2", "H0"} and options.get("correct") != "no" else 1.0
        mean = (shrunk**2 * (df / (df - 2) if vtype == "H0" else 1.0)) / n
        whole = {
            "RevMan": lambda: y**2 / (2 * (size - 3.94)),
            "UB": lambda: unbiased_share(df) * y**2,
            "H0": lambda: 0.0 * y,
            "AV": lambda: np.maximum(v - mean.sum(axis=0), 0.0),
        }.get(vtype, lambda: y**2 / (2 * size))()
        return mean, share * whole


def _as_corrected(measure: str, v: Floats, arms: list[dict[str, Floats]], mean: Floats, add: float) -> Floats:
    """Return the parts of counts with what was added to their cells, where that gives v and nothing added does not."""
    best = mean
    n = np.array([arm["n"] for arm in arms])
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = (np.full(n.shape, add), 2 * add * n / n.sum(axis=0), np.full(n.shape, -1.0))
        for extra in shares:
            turned = [{**arm, "events": arm["n"] - arm["events"]} for arm in arms]  # of an outcome read the other way
            cells = turned if (extra == -1).all() else arms
            plus = np.maximum(extra, 0.0)
            made = np.array(
                [
                    arm_part(measure, {**arm, "events": arm["events"] + more, "n": arm["n"] + 2 * more})
                    for arm, more in zip(cells, plus, strict=True)
                ]
            )
            better = ~_gives(v, best.sum(axis=0)) & _gives(v, made.sum(axis=0))
            best = np.where(better, made, best)
    return best


def _gives(v: Floats, total: Floats) -> NDArray[np.bool_]:
    """Tell which variances a formula gives."""
    return np.abs(total - v) <= SAME * v


def _scaled(v: Floats, mean: Floats, scale: Floats, arms: list[dict[str, Floats]]) -> ArmParts:
    """Return parts that add up to v, from the sizes of the arms or one half each where the formula is of no use."""
    n = np.array([arm["n"] for arm in arms])
    with np.errstate(divide="ignore", invalid="ignore"):
        total = mean.sum(axis=0) + scale.sum(axis=0)
        usable = np.isfinite(total) & (total > 0)
        exact = usable & _gives(v, total)
        sized = 1 / n / np.sum(1 / n, axis=0)
    known = np.isfinite(sized).all(axis=0)
    factor = np.where(usable, v / np.where(usable, total, 1.0), 0.0)
    other = np.where(known, sized, HALF) * v
    level = np.where(exact, EXACT, np.where(usable | known, NEAR, ASSUMED)).astype(np.intp)
    mean, scale = (np.where(usable, np.nan_to_num(part) * factor, 0.0) for part in (mean, scale))
    return ArmParts(np.where(usable, mean, other), scale, level)


def pair_covariance(
    parts: ArmParts,
    y: Floats,
    rows: tuple[Levels, Levels],
    arms: tuple[int, int],
    r: Floats | float = 1.0,
    *,
    power: int = 2,
) -> Floats:
    r"""Return the covariance that one common arm gives each pair of effects, (p,).

    s r sqrt(m_i m_j) + sign(y_i y_j) r^2 sqrt(k_i k_j), with m and k the mean and scale parts of the arm in both
    effects, and s = -1 where it is the first arm of one and the second of the other.

    parts, y: of k effects; rows: (p,) places of both effects; arms: which arm of each it is, 0 or 1; r: (p,)
    correlation of the two measurements of one person (1 for one outcome at one time). With both arms in common the two
    sums make the formula of Gleser & Olkin 2009 for several endpoints, rho (1/n_1 + 1/n_2) + rho^2 d d'/(2 N). power:
    1 in the place of that 2 takes r for the correlation of the effects themselves, so that they all have it.

    >>> parts = ArmParts(np.array([[0.4, 0.5], [0.3, 0.3]]), np.zeros((2, 2)), np.full(2, EXACT))
    >>> pair_covariance(parts, np.ones(2), (np.array([0]), np.array([1])), (1, 1)).round(12).tolist()
    [0.3]
    """
    (i, j), (a, b) = rows, arms
    sign = 1.0 if a == b else -1.0
    level = sign * r * np.sqrt(parts.mean[a, i] * parts.mean[b, j])
    return level + np.sign(y[i] * y[j]) * r**power * np.sqrt(parts.scale[a, i] * parts.scale[b, j])


def sizes_covariance(v: Floats, n: Floats, shared: float) -> Floats:
    """Return the covariance of effects with a common arm from the sizes of the arms alone, (m, m).

    C_ij = sqrt(v_i v_j) (1/n_c) / sqrt((1/n_i + 1/n_c)(1/n_j + 1/n_c)), C_ii = v_i: exact for differences of means of
    equal spread, near for other measures.

    v: (m,) variances; n: (m,) people in the arms of their own; shared: n_c, people in the common arm. Edges: nan where
    a size is unknown.

    >>> sizes_covariance(np.array([0.2, 0.2]), np.array([15.0, 15.0]), 15.0).round(12).tolist()
    [[0.2, 0.1], [0.1, 0.2]]
    """
    part = 1 / np.sqrt(1 + shared / n)
    return with_variances(np.outer(np.sqrt(v) * part, np.sqrt(v) * part), v)


def with_variances(cov: Floats, v: Floats) -> Floats:
    """Return a covariance matrix with the variances v on its diagonal.

    >>> with_variances(np.full((2, 2), 0.1), np.array([0.2, 0.3])).tolist()
    [[0.2, 0.1], [0.1, 0.3]]
    """
    found = np.array(cov, dtype=float)
    np.fill_diagonal(found, v)
    return found


def assumed_covariance(v: Floats, rho: float = HALF) -> Floats:
    """Return the covariance of effects that are correlated by an assumed rho, (..., m, m).

    C_ij = min(rho sqrt(v_i v_j), v_i, v_j), C_ii = v_i.

    v: (..., m) variances. Without the cap an effect of much larger variance than another of the same people would get a
    negative weight: what two effects have in common cannot be more than the whole of the more precise one.

    >>> assumed_covariance(np.array([0.04, 0.09])).round(12).tolist()
    [[0.04, 0.03], [0.03, 0.09]]
    """
    rows, columns = v[..., :, None], v[..., None, :]
    cov = np.minimum(rho * np.sqrt(rows * columns), np.minimum(rows, columns))
    return np.where(np.eye(v.shape[-1], dtype=bool), rows, cov)


def se_factor(cov: Floats) -> Floats:
    """Return how many times too small the standard error of a mean is that takes dependent effects as independent.

    With w_i = 1/C_ii: sqrt(sum_ij w_i w_j C_ij / sum_i w_i). It is sqrt(1 + (m - 1) rho) for m effects of equal
    variances and correlation rho.

    cov: (..., m, m) sampling covariances; the result is (...). Source: Borenstein et al. 2009, chapter 24.

    >>> round(float(se_factor(assumed_covariance(np.ones(5), 0.8))), 6)
    2.04939
    """
    w = 1 / np.diagonal(cov, axis1=-2, axis2=-1)
    return np.sqrt(np.einsum("...i,...ij,...j", w, cov, w) / w.sum(axis=-1))
