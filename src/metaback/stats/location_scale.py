"""Location-scale models: the mean of true effects and the logarithm of their variance both depend on moderators."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Floats = NDArray[np.float64]
LOG_2PI = math.log(2 * math.pi)
FLAT = 1e-8  # largest slope of the log-likelihood per unit of a standardised scale coefficient at a maximum
POLISH = 5  # steps of Newton at the end
KNOWN = 1e-4  # information below this (a standard error of 100 on log tau2) is a likelihood that levels out, no peak


@dataclass(frozen=True, slots=True)
class LocationScaleFit:
    """Maximum of the likelihood of a location-scale model.

    beta (p,), cov (p, p): location; alpha (q,), alpha_cov (q, q): scale, from the observed information; tau2: (k,).
    loglik: restricted or full; converged: whether the slope there is 0 and the curvature negative.
    """

    beta: Floats
    cov: Floats
    alpha: Floats
    alpha_cov: Floats
    tau2: Floats
    loglik: float
    converged: bool


@dataclass(frozen=True, slots=True)
class _Point:
    """Log-likelihood at one alpha with its slope (q,) and curvature (q, q), and the location there."""

    value: float
    slope: Floats
    curvature: Floats
    beta: Floats
    cov: Floats


def location_scale(y: Floats, v: Floats, X: Floats, Z: Floats, *, restricted: bool = True) -> LocationScaleFit:
    """Fit y_i = x_i'beta + u_i + e_i with u_i ~ N(0, tau2_i), log tau2_i = z_i'alpha, e_i ~ N(0, v_i).

    The log-likelihood -1/2 [sum log(v + tau2) + y'Py + log|X'WX| - log|X'X| + (k - p) log 2pi] (without the two
    determinants and with k for the full one) is climbed with its exact slope and curvature,
    dl/dtau2_i = ((Py)_i^2 - P_ii) / 2, from several starts, and the highest end is taken.

    y, v: (k,); X: (k, p), Z: (k, q) of full rank, best with columns of similar size. Edges: where the likelihood
    rises without end as a variance goes to 0, `converged` is False. Source: Viechtbauer & Lopez-Lopez 2022. Same as
    `metafor::rma(scale=)`.

    >>> y, v = np.array([0.1, -1.5, 0.2, 1.4, 0.15, -0.9]), np.full(6, 0.01)
    >>> z = np.array([0.0, 1, 0, 1, 0, 1])
    >>> fit = location_scale(y, v, np.ones((6, 1)), np.column_stack((np.ones(6), z)))
    >>> fit.alpha.shape, bool(fit.tau2[1] > fit.tau2[0])
    ((2,), True)
    """

    def down(alpha: Floats) -> tuple[float, Floats]:
        at = _evaluate(y, v, X, Z, alpha, restricted=restricted)
        return -at.value, -at.slope

    def bend(alpha: Floats) -> Floats:
        return -_evaluate(y, v, X, Z, alpha, restricted=restricted).curvature

    minimize: Any = optimize.minimize  # pyright: ignore[reportUnknownVariableType]
    ends: list[Floats] = []
    for start in _starts(y, v, X, Z):
        found: Any = minimize(down, start, jac=True, hess=bend, method="trust-exact", options={"gtol": 1e-10})
        ends.append(np.array(found.x, dtype=np.float64))
    points = [_evaluate(y, v, X, Z, end, restricted=restricted) for end in ends]
    best = max(range(len(ends)), key=lambda i: points[i].value)
    alpha, at = _polished(y, v, X, Z, ends[best], restricted=restricted)
    information = -at.curvature
    peak = bool(np.all(np.linalg.eigvalsh(information) > KNOWN) and np.abs(at.slope).max() < FLAT)
    alpha_cov = np.asarray(np.linalg.inv(information), dtype=np.float64) if peak else np.full_like(information, np.nan)
    return LocationScaleFit(at.beta, at.cov, alpha, alpha_cov, np.exp(Z @ alpha), at.value, peak)


def _polished(y: Floats, v: Floats, X: Floats, Z: Floats, alpha: Floats, *, restricted: bool) -> tuple[Floats, _Point]:
    """Take Newton's steps while the slope falls: a search stops where differences of the likelihood are rounding."""
    at = _evaluate(y, v, X, Z, alpha, restricted=restricted)
    for _ in range(POLISH):
        if not np.all(np.linalg.eigvalsh(-at.curvature) > KNOWN):
            break
        step = np.asarray(np.linalg.solve(-at.curvature, at.slope), dtype=np.float64)
        near = _evaluate(y, v, X, Z, alpha + step, restricted=restricted)
        if np.abs(near.slope).max() >= np.abs(at.slope).max():
            break
        alpha, at = alpha + step, near
    return alpha, at


def _starts(y: Floats, v: Floats, X: Floats, Z: Floats) -> list[Floats]:
    """Return starts: constant variances from small to large, and the trend of the squared residuals."""
    residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    size = float(np.log(max((residual**2).mean(), 1e-300)))
    flat = [np.linalg.lstsq(Z, np.full(y.size, size + step), rcond=None)[0] for step in (0.0, -2.0, -5.0, 2.0)]
    floor = 0.05 * max(float((residual**2).mean()), 1e-300)
    trend = np.linalg.lstsq(Z, np.log(np.maximum(residual**2 - v, floor)), rcond=None)[0]
    return [np.asarray(start, dtype=float) for start in (*flat, trend)]


def _evaluate(y: Floats, v: Floats, X: Floats, Z: Floats, alpha: Floats, *, restricted: bool) -> _Point:
    """Evaluate the log-likelihood, its slope and its curvature at alpha without any k x k matrix: P = W - BB'."""
    tau2 = np.exp(np.clip(Z @ alpha, -700.0, 500.0))
    w = 1 / (v + tau2)
    root = np.sqrt(w)
    q, r = np.linalg.qr(root[:, None] * X)
    inverse = np.linalg.inv(r)
    beta = inverse @ (q.T @ (root * y))
    B = root[:, None] * q
    e = w * (y - X @ beta)
    k, p = X.shape
    logs = float(np.log(w).sum())
    value = 0.5 * (logs - float(e @ (y - X @ beta)))
    P = w - (B * B).sum(axis=1) if restricted else w
    if restricted:
        ratio = np.linalg.slogdet(r)[1] - np.linalg.slogdet(np.linalg.qr(X, mode="r"))[1]
        value -= ratio + 0.5 * (k - p) * LOG_2PI
    else:
        value -= 0.5 * k * LOG_2PI
    g = 0.5 * (e * e - P)
    S = tau2[:, None] * Z
    inner = np.einsum("ia,ip,iq->apq", S, B, B).reshape(S.shape[1], -1)
    square = S.T @ ((w * w)[:, None] * S)
    if restricted:
        square = square - 2 * S.T @ ((w * (B * B).sum(axis=1))[:, None] * S) + inner @ inner.T
    Se = S * e[:, None]
    BSe = B.T @ Se
    curvature = 0.5 * square - (Se.T @ (w[:, None] * Se) - BSe.T @ BSe) + Z.T @ ((tau2 * g)[:, None] * Z)
    return _Point(value, S.T @ g, curvature, beta, inverse @ inverse.T)
