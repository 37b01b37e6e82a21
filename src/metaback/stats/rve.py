"""Working models of robust variance estimation: correlated effects, hierarchical effects, and weights of the user.

The weights of these models are diagonal, 1 / (k_j (vbar_j + tau2)) or 1 / (v_ij + tau2 + omega2), with components by
the method of moments, so that a fit takes no search; robust variances make up for what the model leaves out
(`metaback.stats.robust`). Moments are taken of the fit with the weights at tau2 = omega2 = 0:

- correlated: cov(T_j) = tau2 J + rho vbar_j J + (1 - rho) vbar_j I, one equation, E(Q_E);
- hierarchical: cov(T_j) = diag(v_ij) + tau2 J + omega2 I, two equations, E(Q_E) and E(Q_1), Q_1 = sum_j (1'e_j)^2.

Working models that keep both kinds of dependence have weights that are blocks, and components by maximum likelihood;
with V_j of elements rho sqrt(v_ij v_kj), i != k, they are, for the rows of one study,

- correlated and hierarchical effects (CHE): M_j = V_j + tau2 J + omega2 I;
- subgroup correlated effects (SCE): V_j with zeros between subgroups, M_j = V_j + sum_g tau2_g (J on the rows of g),
  which falls apart into one block for each study and subgroup, while clusters stay whole studies.

Then W = M^-1 goes to `cluster_robust` with the studies as clusters. Source: Pustejovsky & Tipton 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.stats.regression import in_basis, orthonormal
from metaback.stats.robust import Robust, cluster_robust

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]
CONFOUNDED = 1e-10  # share of a determinant that is rounding: the two components cannot be told apart
RHO = 0.8  # assumed correlation of a study's effects where nobody says otherwise, as the literature has it


@dataclass(frozen=True, slots=True)
class RveFit:
    """A fit with diagonal weights; leading axes are assumed correlations or replicates of y.

    beta (..., p); residuals, weights (..., n); tau2 between and omega2 within studies (...), nan where the model has
    none; i2 (...) in percent, nan but for correlated effects; q (...) weighted residual sum of squares with the weights
    at tau2 = 0; working: (n,) variances under which CR2 is unbiased, None for 1 / weights.
    """

    beta: Floats
    residuals: Floats
    weights: Floats
    tau2: Floats
    omega2: Floats
    i2: Floats
    q: Floats
    working: Floats | None = None


def correlated_effects(y: Floats, v: Floats, X: Floats, study: Labels, rho: Floats | float = RHO) -> RveFit:
    """Fit the correlated effects model, weights 1 / (k_j (vbar_j + tau2)) with vbar_j the mean variance of study j.

    With w_j = 1 / (k_j vbar_j), V = (sum_j w_j X_j'X_j)^-1 and Q the weighted residual sum of squares
    E(Q) = m - tr(V sum (w_j/k_j) X_j'X_j) - rho tr(V sum (w_j/k_j) (X_j'JX_j - X_j'X_j)) + c tau2,
    c = sum k_j w_j - tr(V sum w_j^2 X_j'JX_j); tau2 is where E(Q) = Q, at least 0. I2 = 100 (Q - E_0) / Q, at least 0,
    E_0 being E(Q) without tau2.

    y: (..., n); v: (n,) above 0; X: (n, p) of full rank; study: (n,) labels; rho: (...) in [0, 1], whose axes come
    before those of y: a grid of assumed correlations is one call. Edge: c = 0 (as many columns as studies) gives tau2 =
    nan.

    Source: Hedges, Tipton & Johnson 2010, section 3.2. Same as `robumeta::robu(modelweights = "CORR")`.

    >>> y, v, study = np.array([0.1, 0.3, 0.9, 0.5]), np.full(4, 0.1), np.array([1, 1, 2, 3])
    >>> correlated_effects(y, v, np.ones((4, 1)), study, np.array([0.0, 0.8])).tau2.round(6)
    array([0.02    , 0.026667])
    """
    _, place, k = np.unique(study, return_inverse=True, return_counts=True)
    mean_v = np.bincount(place, v) / k
    start = (1 / (k * mean_v))[place]
    basis = orthonormal(X, _constant(X))
    x = basis.Q
    V = np.asarray(np.linalg.inv(x.T @ (start[:, None] * x)), dtype=np.float64)
    _, e = _solved(y, x, start)
    q = (start * e * e).sum(axis=-1)
    inner = np.trace(V @ (x.T @ ((start / k[place])[:, None] * x)))
    sums = _sums(x, place, k.size)
    w = start[np.unique(place, return_index=True)[1]]
    outer = np.trace(V @ (sums.T @ ((w / k)[:, None] * sums)))
    c = start.sum() - np.trace(V @ (sums.T @ ((w * w)[:, None] * sums)))
    rho = np.asarray(rho, dtype=float).reshape(np.shape(rho) + (1,) * (y.ndim - 1))
    expected = k.size - inner - rho * (outer - inner)
    tau2: Floats = np.maximum((q - expected) / (c if c > CONFOUNDED * start.sum() else np.nan), 0.0)
    weights = 1 / (k[place] * (mean_v[place] + tau2[..., None]))
    gamma, residuals = _solved(y, x, weights)
    beta = gamma @ in_basis(basis, np.eye(X.shape[1])).T
    i2 = 100 * np.maximum(1 - expected / np.where(q > 0, q, np.nan), 0.0)
    return RveFit(beta, residuals, weights, tau2, np.full(tau2.shape, np.nan), i2, np.broadcast_to(q, tau2.shape))


def hierarchical_effects(y: Floats, v: Floats, X: Floats, study: Labels) -> RveFit:
    """Fit the hierarchical effects model, weights 1 / (v_ij + tau2 + omega2).

    Of the fit with weights 1 / v, Q_E = sum e^2 / v and Q_1 = sum_j (sum_i e_ij)^2 are set equal to their expectations,
    which are linear in tau2 and omega2. Where omega2 comes out below 0 it is 0 and tau2 is solved from Q_E alone, at
    least 0; where tau2 does, it is 0 and omega2 stays.

    y: (..., n); v: (n,) above 0; X: (n, p) of full rank; study: (n,) labels. Edge: with one effect per study the two
    are one component, and both are nan.

    Source: Hedges, Tipton & Johnson 2010, section 3.3. Same as `robumeta::robu(modelweights = "HIER")`.

    >>> y, v = np.array([0.1, 0.3, 0.9, 0.4, 0.5]), np.full(5, 0.02)
    >>> fit = hierarchical_effects(y, v, np.ones((5, 1)), np.array([1, 1, 2, 2, 3]))
    >>> float(fit.tau2.round(6)), float(fit.omega2.round(6))
    (0.044722, 0.032222)
    """
    _, place, k = np.unique(study, return_inverse=True, return_counts=True)
    basis = orthonormal(X, _constant(X))
    x = basis.Q
    _, e = _solved(y, x, 1 / v)
    q = (e * e / v).sum(axis=-1)
    q1 = (_sums(e.reshape(-1, v.size).T, place, k.size) ** 2).sum(axis=0).reshape(q.shape)
    tau2, omega2 = _components(q, q1, _expectations(v, x, place, k))
    weights = 1 / (v + (tau2 + omega2)[..., None])
    gamma, residuals = _solved(y, x, weights)
    beta = gamma @ in_basis(basis, np.eye(X.shape[1])).T
    return RveFit(beta, residuals, weights, tau2, omega2, np.full_like(tau2, np.nan), q)


def given_weights(y: Floats, v: Floats, X: Floats, study: Labels, weights: Floats) -> RveFit:
    """Fit with weights of the user; CR2 is then unbiased if every effect of study j has its mean variance vbar_j.

    y: (..., n); v, weights: (n,) above 0; X: (n, p); study: (n,) labels. Source: Tipton 2015. Same standard errors as
    `robumeta::robu(userweights = )`; its df are computed with equal variances in place of vbar_j, ours as those of
    `clubSandwich::coef_test`, with the variances of the standard error.

    >>> y, v, study = np.array([0.0, 1.0]), np.ones(2), np.arange(2)
    >>> given_weights(y, v, np.ones((2, 1)), study, np.array([3.0, 1.0])).beta
    array([0.25])
    """
    _, place, k = np.unique(study, return_inverse=True, return_counts=True)
    basis = orthonormal(X, _constant(X))
    gamma, residuals = _solved(y, basis.Q, weights)
    nothing = np.full(y.shape[:-1], np.nan)
    beta = gamma @ in_basis(basis, np.eye(X.shape[1])).T
    q = (weights * residuals * residuals).sum(axis=-1)
    full = np.broadcast_to(weights, residuals.shape)
    return RveFit(beta, residuals, full, nothing, nothing, nothing, q, (np.bincount(place, v) / k)[place])


def robust_of(fit: RveFit, X: Floats, study: Labels, *, small: bool = True) -> Robust:
    """Return the robust covariance of a fit: CR2 for df by Satterthwaite (small), or CR1p for C - p df.

    Leading axes of the fit are kept.

    X: (n, p); study: (n,) labels. Source: Tipton 2015; Hedges, Tipton & Johnson 2010 without correction.

    >>> y, v, study = np.array([0.1, 0.3, 0.9, 0.5]), np.full(4, 0.1), np.array([1, 1, 2, 3])
    >>> fit = correlated_effects(y, v, np.ones((4, 1)), study, np.array([0.0, 0.8]))
    >>> robust_of(fit, np.ones((4, 1)), study).cov.shape
    (2, 1, 1)
    """
    kind = "CR2" if small else "CR1p"
    return cluster_robust(X, fit.residuals, fit.weights, study, kind=kind, working=fit.working)


def _constant(X: Floats) -> int | None:
    return next((j for j in range(X.shape[1]) if (X[:, j] == 1).all()), None)


def _sums(x: Floats, place: Labels, studies: int) -> Floats:
    """Return sums over the rows of each study, (studies, p); without columns (a mean of 0 is known) there are none."""
    if not x.shape[1]:
        return np.zeros((studies, 0))
    return np.stack([np.bincount(place, column, studies).astype(np.float64) for column in x.T], axis=-1)


def _solved(y: Floats, x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return weighted least squares coefficients (..., p) and residuals (..., n)."""
    root = np.sqrt(weights)
    Q, R = np.linalg.qr(root[..., None] * x)
    turned = np.einsum("...np,...n->...p", Q, root * y)
    gamma = np.asarray(np.linalg.solve(R, turned[..., None]), dtype=np.float64)[..., 0]
    return gamma, y - gamma @ x.T


def _expectations(v: Floats, x: Floats, place: Labels, k: NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Return what 1, tau2 and omega2 are multiplied by in E(Q_E) and in E(Q_1), two of (3,)."""
    w = 1 / v
    V = np.asarray(np.linalg.inv(x.T @ (w[:, None] * x)), dtype=np.float64)
    weighted, plain = _sums(w[:, None] * x, place, k.size), _sums(x, place, k.size)
    S, U = weighted.T @ weighted, x.T @ ((w * w)[:, None] * x)
    turned = plain @ V
    cross = np.einsum("jp,jp->j", turned, weighted)
    of_e = [v.size - x.shape[1], w.sum() - np.trace(V @ S), w.sum() - np.trace(V @ U)]
    of_1 = [
        v.sum() - np.einsum("jp,jp->", turned, plain),
        (k * k - 2 * k * cross).sum() + np.einsum("jp,pq,jq->", turned, S, turned),
        (k - 2 * cross).sum() + np.einsum("jp,pq,jq->", turned, U, turned),
    ]
    return np.array(of_e, dtype=float), np.array(of_1, dtype=float)


def _components(q: Floats, q1: Floats, expected: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Solve for tau2 and omega2, (...), and bring them to 0 or above."""
    e0, e1, e2 = (float(x) for x in expected[0])
    f0, f1, f2 = (float(x) for x in expected[1])
    determinant = e1 * f2 - e2 * f1
    if abs(determinant) <= CONFOUNDED * max(abs(e1 * f2), abs(e2 * f1)):
        return np.full(q.shape, np.nan), np.full(q.shape, np.nan)
    a, b = q - e0, q1 - f0
    tau2 = (a * f2 - b * e2) / determinant
    omega2 = (b * e1 - a * f1) / determinant
    return np.maximum(np.where(omega2 < 0, a / e1, tau2), 0.0), np.maximum(omega2, 0.0)
