"""The search for tau2: the global maximum against dense grids, and what must not change the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy.special import chdtri

from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.stats import solve
from metaback.stats.solve import find_peaks, solve_q
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.tau2_interval import q_profile
from metaback.stats.wls import moments, prepare

POINTS = 400  # of the grid in tau2, logarithmic; a promise of RELIABILITY (2)
BELOW = 1e-9  # log-likelihood units that the answer may lie below the best point of the grid
SURE = 1e-7  # a score smaller than this share of its terms has no sign to rely on
EQUIVARIANT = 1e-9  # a promise of RELIABILITY (3)
BATCH = 1e-12  # other sums in another order, no more
METHODS = ("DL", "PM", "REML")
EVERY = tuple(TAU2_ESTIMATORS)
PEAKED = ("REML", "ML")
MakeBatch = Callable[[int, int], Any]
MakeLikelihood = Callable[[Any], Any]


def grid_of(batch: Any) -> np.ndarray:
    """Return 0 and a logarithmic grid up to the sum of squares, above which no maximum can lie."""
    smallest = np.nanmin(batch.v, axis=1)
    centred = np.where(batch.mask, batch.y - np.nanmean(batch.y, axis=1, keepdims=True), 0.0)
    top = np.maximum((centred**2).sum(axis=1) * 1.01, smallest)
    share = np.linspace(0, 1, POINTS - 1)
    low = 1e-4 * smallest
    return np.concatenate((np.zeros((len(low), 1)), low[:, None] * (top / low)[:, None] ** share), axis=1)


def check_global_maximum(batch: Any, likelihood: MakeLikelihood, method: str) -> int:
    """Compare a batch with its grid; return how many data sets have several peaks."""
    restricted = method == "REML"
    own = likelihood(batch, restricted)
    problems = prepare(batch.y, batch.v, batch.mask)
    found = TAU2_ESTIMATORS[method].function(problems)
    assert found.converged.all()
    assert (found.value >= 0).all()
    grid = grid_of(batch)
    height, score, size = own.at(grid)
    best = own.at(found.value[:, None])[0][:, 0]
    assert (best >= height.max(axis=1) - BELOW).all()

    # refinement: between the neighbours of the best point of the grid, by thirds
    rows, top = np.arange(len(grid)), height.argmax(axis=1)
    low, high = grid[rows, np.maximum(top - 1, 0)], grid[rows, np.minimum(top + 1, POINTS - 1)]
    for _ in range(60):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        (fa, fb) = own.at(np.stack((a, b), axis=1))[0].T
        low, high = np.where(fa < fb, a, low), np.where(fa < fb, high, b)
    assert (best >= own.at(((low + high) / 2)[:, None])[0][:, 0] - BELOW).all()

    # every change of sign of the score from + to - is a peak, and every peak is one
    peaks = find_peaks(problems, restricted=restricted)
    sure = np.abs(score) > SURE * size
    falls = (score[:, :-1] > 0) & (score[:, 1:] < 0) & sure[:, :-1] & sure[:, 1:]
    row, left = np.nonzero(falls)
    inside = np.zeros(row.size, dtype=bool)
    for peak_row, tau2 in zip(peaks.row, peaks.tau2, strict=True):
        inside |= (row == peak_row) & (grid[row, left] <= tau2) & (tau2 <= grid[row, left + 1])
    assert inside.all()
    at_zero = np.flatnonzero((score[:, 0] < 0) & sure[:, 0])
    assert set(at_zero) <= set(peaks.row[peaks.tau2 == 0])
    part = type(batch)(batch.y[peaks.row], batch.v[peaks.row], batch.mask[peaks.row])
    step = 1e-5 * (peaks.tau2 + np.nanmin(part.v, axis=1))
    near = np.stack((np.maximum(peaks.tau2 - step, 0), peaks.tau2, peaks.tau2 + step), axis=1)
    around = likelihood(part, restricted).at(near)[0]
    assert (around[:, 1] >= around[:, 0] - BELOW).all()
    assert (around[:, 1] >= around[:, 2] - BELOW).all()
    counts = np.bincount(peaks.row, minlength=len(grid))
    assert (counts >= 1).all()
    assert np.isnan(found.rival[counts == 1]).all()
    assert (found.gap[counts > 1] >= 0).all()
    return int((counts > 1).sum())


@pytest.mark.parametrize("method", PEAKED)
def test_it_is_the_global_maximum_and_no_peak_is_missed(
    hard_batch: MakeBatch, likelihood: MakeLikelihood, method: str
) -> None:
    several = sum(check_global_maximum(hard_batch(1_000, seed), likelihood, method) for seed in range(3))
    assert several >= 20  # else the test would not test much


@pytest.mark.slow
@pytest.mark.parametrize("method", PEAKED)
def test_it_is_the_global_maximum_of_100_000_data_sets(
    hard_batch: MakeBatch, likelihood: MakeLikelihood, method: str
) -> None:
    assert sum(check_global_maximum(hard_batch(1_000, seed), likelihood, method) for seed in range(100, 200)) >= 700


def test_the_mesh_does_not_decide_which_peaks_are_found(hard_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = hard_batch(300, 7)
    problems = prepare(batch.y, batch.v, batch.mask)
    coarse = find_peaks(problems)
    monkeypatch.setattr(solve, "MESH", 97)
    fine = find_peaks(problems)
    np.testing.assert_array_equal(coarse.row, fine.row)
    np.testing.assert_allclose(coarse.tau2, fine.tau2, rtol=1e-10, atol=1e-14)


def test_the_likelihood_of_the_fit_is_the_likelihood(hard_batch: MakeBatch, likelihood: MakeLikelihood) -> None:
    batch = hard_batch(300, 8)
    for method in EVERY:
        fit = fit_univariate(batch.y, batch.v, batch.mask, PoolSpec(tau2=method, ci="Wald"))
        for name, restricted in (("loglik_ml", False), ("loglik_reml", True), ("loglik", method != "ML")):
            true = likelihood(batch, restricted).at(fit.theta)[0][:, 0]
            np.testing.assert_allclose(getattr(fit, name), true, rtol=BATCH, atol=1e-10)


# ---------------------------------------------------------------- roots


def generalised_q(y: np.ndarray, v: np.ndarray, tau2: float) -> float:
    """Compute Q at tau2 from its definition for one data set."""
    w = 1 / (v + tau2)
    return float((w * (y - (w * y).sum() / w.sum()) ** 2).sum())


def test_paule_mandel_and_the_q_profile_solve_their_equations(hard_batch: MakeBatch) -> None:
    batch = hard_batch(500, 11)
    problems = prepare(batch.y, batch.v, batch.mask)
    m = batch.mask.sum(axis=1) - 1.0
    low, high = q_profile(problems, 0.95)
    wanted = [(TAU2_ESTIMATORS["PM"].function(problems).value, m), (low, chdtri(m, 0.025)), (high, chdtri(m, 0.975))]
    for tau2, target in wanted:
        for i in range(500):
            use = batch.mask[i]
            y, v = batch.y[i, use], batch.v[i, use]
            y = y - y[v.argmin()]
            if np.isnan(tau2[i]):
                assert generalised_q(y, v, 0.0) < target[i]
            elif tau2[i] == 0:
                assert generalised_q(y, v, 0.0) <= target[i] * (1 + 1e-12)
            else:
                assert generalised_q(y, v, tau2[i]) == pytest.approx(target[i], rel=1e-10)
    assert (np.isnan(low) == np.isnan(high)).all()
    assert (low <= high)[~np.isnan(low)].all()


def test_the_interval_grows_with_its_level(hard_batch: MakeBatch) -> None:
    batch = hard_batch(300, 12)
    problems = prepare(batch.y, batch.v, batch.mask)
    narrow, wide = q_profile(problems, 0.9), q_profile(problems, 0.99)
    known = ~np.isnan(narrow[0])
    assert known.sum() > 200
    assert (wide[0][known] <= narrow[0][known]).all()
    assert (wide[1][known] >= narrow[1][known]).all()


def test_a_search_that_runs_out_of_steps_says_so(hard_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = hard_batch(50, 13)
    monkeypatch.setattr(solve, "MAX_STEPS", 1)
    problems = prepare(batch.y, batch.v, batch.mask)
    roots = solve_q(problems, problems.m)
    assert not roots.converged.all()
    fit = fit_univariate(batch.y, batch.v, batch.mask, PoolSpec(tau2="PM", ci="Wald"))
    assert (fit.status == np.where(roots.converged, 0, 4)).all()


# ---------------------------------------------------------------- the data sets of RELIABILITY

TEN = (
    [-0.47, -1.56, 0.18, 0.88, 0.74, 0.89, -0.05, 0.52, 2.08, 0.81],
    [0.663, 0.66, 0.125, 0.068, 0.971, 0.094, 0.509, 0.887, 0.704, 0.556],
)
OTHER_TEN = (
    [1.3, 1.94, 0.7, 0.36, 1.31, 0.46, 1.24, 0.71, 0.35, 0.77],
    [0.64, 0.421, 0.992, 0.058, 0.756, 0.634, 0.79, 0.596, 0.457, 0.935],
)
PRINTED = [  # y, v, estimator, tau2, mean, SE, as printed there (7 digits)
    ([-1, 0.5, -1, 1.5, -0.3], [0.001, 9.538, 0.014, 0.325, 1.903], "REML", 1.239647, -0.2615443, 0.6138536),
    ([-2.1, 0.7, 0.9], [1.322, 0.002, 0.004], "REML", 0.01948903, 0.7715315, 0.1054949),
    (*TEN, "REML", 0.1987812, 0.4918217, 0.234413),
    (*TEN, "PM", 0.3389234, None, None),
    (*OTHER_TEN, "REML", 0.08197311, 0.767366, 0.2264602),
]
SEVEN = 5.1e-7  # half a unit of the seventh digit, relative


@pytest.mark.parametrize("scale", [1.0, 1e-3])
@pytest.mark.parametrize("row", range(len(PRINTED)))
def test_data_sets_that_break_other_programs(row: int, scale: float) -> None:
    y, v, method, tau2, mean, se = PRINTED[row]
    y, v = np.array(y, dtype=float) * scale, np.array(v) * scale**2
    fit = fit_univariate(y, v, np.ones(y.size, dtype=bool), PoolSpec(tau2=method, ci="Wald"))
    assert fit.theta[0] == pytest.approx(tau2 * scale**2, rel=SEVEN)
    if mean is not None:
        assert fit.beta[0] == pytest.approx(mean * scale, rel=SEVEN)
        assert np.sqrt(fit.cov[0, 0]) == pytest.approx(se * scale, rel=SEVEN)


def test_a_factor_of_1e18_between_variances_costs_no_digit() -> None:
    # RELIABILITY, finding 3: Q is 1.60000064 and metafor says 1.60002. By hand with y = 0, 0.4, 100 and these v:
    y, v = np.array([[0.0, 0.4, 100.0]]), np.array([[1e-12, 0.1, 1e6]])
    q = moments(prepare(y, v, np.ones((1, 3), dtype=bool)), np.zeros(1)).q1[0]
    with mpmath.workdps(60):
        w = [1 / mpmath.mpf(x) for x in v[0]]
        mean = sum(a * mpmath.mpf(b) for a, b in zip(w, y[0], strict=True)) / sum(w)
        true = sum(a * (mpmath.mpf(b) - mean) ** 2 for a, b in zip(w, y[0], strict=True))
    assert q == pytest.approx(float(true), rel=1e-14)


# ---------------------------------------------------------------- what must not change the answer


def parts(batch: Any, method: str) -> tuple[np.ndarray, ...]:
    """Return mean, se, tau2 and log-likelihood of a batch."""
    fit = fit_univariate(batch.y, batch.v, batch.mask, PoolSpec(tau2=method, ci="HKSJ"))
    assert (fit.status == 0).all()
    return fit.beta[:, 0], np.sqrt(fit.cov[:, 0, 0]), fit.theta[:, 0], fit.loglik_reml


def close(found: np.ndarray, true: np.ndarray, scale: np.ndarray | float) -> None:
    """Assert equality to EQUIVARIANT, relative to the number or to its scale where it is nearly 0."""
    np.testing.assert_allclose(found / scale, true / scale, rtol=EQUIVARIANT, atol=EQUIVARIANT * 1e-3)


def spread(batch: Any) -> np.ndarray:
    """Return the smallest standard error of each data set, the finest scale of its numbers."""
    return np.sqrt(np.nanmin(batch.v, axis=1))


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("shift", [1.0, -1e4, 1e8])
def test_a_common_shift_moves_the_mean_and_nothing_else(hard_batch: MakeBatch, method: str, shift: float) -> None:
    batch = hard_batch(400, 21)
    moved = type(batch)(batch.y + shift, batch.v, batch.mask)
    assert (moved.y - shift == batch.y)[batch.mask].all()  # the shift loses nothing
    (mean, se, tau2, loglik), other, size = parts(batch, method), parts(moved, method), spread(batch)
    np.testing.assert_allclose(other[0], mean + shift, rtol=EQUIVARIANT, atol=2e-16 * abs(shift))
    close(other[1], se, size)
    close(other[2], tau2, size**2)
    close(other[3], loglik, 1.0)


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("factor", [1e-6, 1e-3, 7.0, 1e3, 1e6])
def test_a_change_of_unit_changes_the_unit_only(hard_batch: MakeBatch, method: str, factor: float) -> None:
    batch = hard_batch(400, 22)
    other = parts(type(batch)(batch.y * factor, batch.v * factor**2, batch.mask), method)
    (mean, se, tau2, loglik), size = parts(batch, method), spread(batch)
    close(other[0] / factor, mean, size)
    close(other[1] / factor, se, size)
    close(other[2] / factor**2, tau2, size**2)
    close(other[3] + (batch.mask.sum(axis=1) - 1) * np.log(factor), loglik, 1.0)


@pytest.mark.parametrize("method", EVERY)
def test_turning_all_effects_turns_the_mean(hard_batch: MakeBatch, method: str) -> None:
    batch = hard_batch(400, 23)
    (mean, *rest), (turned, *same) = parts(batch, method), parts(type(batch)(-batch.y, batch.v, batch.mask), method)
    np.testing.assert_array_equal(turned, -mean)
    for a, b in zip(rest, same, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("method", EVERY)
def test_the_order_of_studies_does_not_matter(hard_batch: MakeBatch, method: str) -> None:
    batch = hard_batch(400, 24)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(12), (400, 1)), axis=1)
    shuffled = type(batch)(*(np.take_along_axis(a, order, axis=1) for a in (batch.y, batch.v, batch.mask)))
    size = spread(batch)
    for a, b, scale in zip(parts(shuffled, method), parts(batch, method), (size, size, size**2, 1.0), strict=True):
        close(a, b, scale)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ci", ["Wald", "Wald-t", "HKSJ", "HKSJ-wider"])
def test_masked_batch_is_a_loop_over_subsets(hard_batch: MakeBatch, method: str, ci: str) -> None:
    batch = hard_batch(300, 25)
    spec = PoolSpec(tau2=method, ci=ci)
    fit = fit_univariate(batch.y, batch.v, batch.mask, spec)
    for i in range(300):
        use = batch.mask[i]
        one = fit_univariate(batch.y[i, use], batch.v[i, use], np.ones(use.sum(), dtype=bool), spec)
        assert one.theta.shape == (1,)
        assert one.status.shape == ()
        smallest = batch.v[i, use].min()
        np.testing.assert_allclose(fit.theta[i], one.theta, rtol=BATCH, atol=BATCH * smallest)
        np.testing.assert_allclose(fit.beta[i], one.beta, rtol=BATCH, atol=BATCH * np.sqrt(smallest))
        np.testing.assert_allclose(fit.cov[i], one.cov, rtol=BATCH)
        np.testing.assert_allclose(fit.loglik[i], one.loglik, rtol=BATCH, atol=BATCH)
        assert (fit.df[i], fit.status[i]) == (one.df, one.status)


def test_what_is_masked_has_no_influence_whatever_stands_there(hard_batch: MakeBatch) -> None:
    batch = hard_batch(200, 26)
    spec = PoolSpec()
    true = fit_univariate(batch.y, batch.v, batch.mask, spec)
    for y, v in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 0.0), (1e300, -1.0), (-np.inf, np.inf)):
        fit = fit_univariate(np.where(batch.mask, batch.y, y), np.where(batch.mask, batch.v, v), batch.mask, spec)
        for name in ("beta", "cov", "theta", "df", "loglik", "status"):
            np.testing.assert_array_equal(getattr(fit, name), getattr(true, name))


def test_batch_axes_come_back_and_chunks_do_not_show(hard_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = hard_batch(60, 27)
    spec = PoolSpec()
    flat = fit_univariate(batch.y, batch.v, batch.mask, spec)
    cube = [a.reshape(3, 4, 5, 12) for a in (batch.y, batch.v, batch.mask)]
    fit = fit_univariate(*cube, spec)
    assert fit.beta.shape == (3, 4, 5, 1)
    assert fit.cov.shape == (3, 4, 5, 1, 1)
    assert fit.status.shape == (3, 4, 5)
    np.testing.assert_array_equal(fit.theta.reshape(60, 1), flat.theta)
    monkeypatch.setattr("metaback.models.univariate.CHUNK", 40)
    chunked = fit_univariate(batch.y, batch.v, batch.mask, spec)
    np.testing.assert_allclose(chunked.theta, flat.theta, rtol=BATCH, atol=1e-15)
    one = fit_univariate(batch.y[0], batch.v[0], batch.mask, spec)  # one data set, many masks
    assert one.theta.shape == (60, 1)


def test_inputs_are_not_changed(hard_batch: MakeBatch) -> None:
    batch = hard_batch(20, 28)
    before = [a.copy() for a in (batch.y, batch.v, batch.mask)]
    fit_univariate(batch.y, batch.v, batch.mask, PoolSpec())
    for a, b in zip((batch.y, batch.v, batch.mask), before, strict=True):
        np.testing.assert_array_equal(a, b)
