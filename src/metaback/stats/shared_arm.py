"""Sampling covariance of effects of one study that share an arm, or people, and what ignoring it does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
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
    parts = {
        "MD": arm.sd**2 / n,
        "ROM": arm.sd**2 / (n * np.float64(arm.mean) ** 2),
        "OR": 1 / events + 1 / rest,
        "RR": 1 / events - 1 / n,
        "RD": events / n * (1 - events / n) / n,
        "AS": 1 / (4 * n),
        "IRR": 1 / events,
    }
    return float(parts.get(measure, np.nan))


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
