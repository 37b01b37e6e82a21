"""HCS where a variance is 0: the correlation of the other levels may be lower, and the peak may stand there."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import minimize

from metaback.stats.blocks import BlockMatrix, blocks_of, gathered, on_diagonal
from metaback.stats.mixed import MixedFit, Term, fit_mixed, marginal, profile_loglik
from metaback.stats.mixed.fit import fit_mixed_many

EXACT = 1e-8  # of a log-likelihood: rma.mv stops where its optimiser is content
CLOSE = 2e-4  # relative, of a variance of rma.mv at such a stop
ALONE = 1e-9  # of a log-likelihood that is reached in a batch and alone
FOUND = 1e-6  # of a log-likelihood: a general optimiser stops so near a peak


@dataclass(frozen=True)
class Table:
    """Rows of a simulated table and what rma.mv says of them."""

    study: str
    level: str
    x: list[float]
    y: list[float]
    v: list[float]
    rho: float
    loglik: float
    tau2: list[float]
    beta: list[float]
    se: list[float]


# metafor 3.8-1: rma.mv(yi, V, mods = ~ x, random = ~ lev | study, struct = "HCS", method = "ML", sparse = FALSE), V of
# constant correlation within a study; the best of optimizer = "nlminb" (rel.tol 1e-14: no convergence), "optim" with
# BFGS (reltol 1e-15) and "bobyqa" (rhoend 1e-8). rho = -1 beside tau2[1] = 0 both times.
TABLES = (
    Table(
        "000011111222",
        "201010210120",
        [1.219, 0.232, 0.786, 0.662, -1.139, -0.446, 1.093, -1.106, 0.817, 0.578, -1.402, -0.865],
        [-0.319, 0.087, 0.006, 0.174, -0.318, -0.21, -0.145, -0.08, -0.262, -0.256, -0.08, -0.082],
        [0.045, 0.0524, 0.0349, 0.0439, 0.1074, 0.0564, 0.1049, 0.0728, 0.0692, 0.0921, 0.0636, 0.0194],
        0.3,
        4.05678413338943,
        [0.00392099232753783, 0, 0.0108611694816231],
        [-0.0892777241462765, -0.0266586601808035],
        [0.0874503755153696, 0.0726984923755727],
    ),
    Table(
        "00000111122333444445555566",
        "11020012021021201101012012",
        [
            0.561,
            -0.317,
            1.039,
            -1.462,
            1.163,
            -0.97,
            1.207,
            -0.161,
            1.036,
            -1.126,
            -0.415,
            0.111,
            0.331,
            -0.778,
            -1.241,
            0.587,
            0.78,
            0.916,
            1.817,
            0.281,
            -1.989,
            0.814,
            -0.153,
            0.652,
            0.564,
            1.496,
        ],
        [
            0.287,
            -0.055,
            -0.265,
            0.322,
            -0.306,
            -0.022,
            -0.69,
            -0.872,
            -0.347,
            0.189,
            0.499,
            0.319,
            0.443,
            0.288,
            0.141,
            0.535,
            0.81,
            -0.119,
            0.373,
            0.138,
            0.277,
            0.112,
            0.266,
            0.139,
            -0.472,
            -0.375,
        ],
        [
            0.0575,
            0.0308,
            0.042,
            0.0375,
            0.0729,
            0.0835,
            0.1481,
            0.1878,
            0.0694,
            0.0107,
            0.0772,
            0.1508,
            0.1853,
            0.0329,
            0.0513,
            0.0331,
            0.0823,
            0.0388,
            0.0492,
            0.1046,
            0.1773,
            0.0395,
            0.0348,
            0.0339,
            0.0487,
            0.0482,
        ],
        0.7,
        -7.30072422913018,
        [0.0360959637443169, 0, 0.00782853636546185],
        [0.0391918154615033, -0.0797391555815081],
        [0.0643006985602758, 0.0356926719685386],
    ),
)


def laid_out(table: Table) -> tuple[np.ndarray, np.ndarray, BlockMatrix, Term]:
    """Return y, X, V and the term of a table."""
    study, level = (np.array(list(text), dtype=int) for text in (table.study, table.level))
    v = np.array(table.v)
    V = np.where(study[:, None] == study, table.rho * np.sqrt(v[:, None] * v), 0.0)
    np.fill_diagonal(V, v)
    X = np.column_stack([np.ones(v.size), table.x])
    return np.array(table.y), X, gathered(blocks_of(study), V), Term("HCS", study, level, int(level.max()) + 1)


def covariance(fit: MixedFit) -> np.ndarray:
    """Return G of an HCS term."""
    s = np.sqrt(fit.theta[:-1])
    return np.where(np.eye(s.size) > 0, 1.0, fit.theta[-1]) * s[:, None] * s


@pytest.mark.parametrize("table", TABLES, ids=["12 rows", "26 rows"])
def test_the_peak_beside_a_variance_of_0_is_that_of_rma_mv(table: Table) -> None:
    y, X, V, term = laid_out(table)
    fit = fit_mixed(y, X, V, [term], "ML")
    assert fit.loglik == pytest.approx(table.loglik, abs=EXACT)
    assert fit.theta[:3] == pytest.approx(np.array(table.tau2), rel=CLOSE)
    assert fit.theta[3] == -1
    assert fit.beta == pytest.approx(np.array(table.beta), rel=CLOSE)
    assert np.sqrt(np.diag(fit.cov)) == pytest.approx(np.array(table.se), rel=CLOSE)
    assert fit.at_bound.tolist() == [False, True, False, True]
    assert fit.identifiable.all()
    assert np.linalg.eigvalsh(covariance(fit))[0] > -1e-15


@pytest.mark.parametrize("table", TABLES, ids=["12 rows", "26 rows"])
def test_it_is_the_model_without_that_level_in_the_term(table: Table) -> None:
    """HCS of the two levels that are left, rows of the third without an effect: the same likelihood."""
    y, X, V, term = laid_out(table)
    assert term.inner is not None
    two = Term("HCS", np.where(term.inner == 1, -1, term.outer), term.inner // 2, 2)
    fit, less = fit_mixed(y, X, V, [term], "ML"), fit_mixed(y, X, V, [two], "ML")
    assert fit.loglik == pytest.approx(less.loglik, abs=ALONE)
    assert fit.theta[[0, 2, 3]] == pytest.approx(less.theta, rel=1e-6)


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_replicates_covariances_and_given_zeros_reach_it_too(method: str) -> None:
    y, X, V, term = laid_out(TABLES[1])
    fit = fit_mixed(y, X, V, [term], method)
    counts = np.ones((2, 7))
    counts[1, 3] = 0
    both = fit_mixed(y, X, V, [term], method, counts=counts)
    assert both.loglik[0] == pytest.approx(fit.loglik, abs=ALONE)
    kept = term.outer != 3
    study = np.unique(term.outer[kept], return_inverse=True)[1]
    _, _, whole_V, _ = laid_out(TABLES[1])
    M = np.zeros((y.size, y.size))
    for rows, part in zip(whole_V.blocks.rows, whole_V.parts, strict=True):
        M[rows[:, :, None], rows[:, None, :]] = part
    assert term.inner is not None
    alone = fit_mixed(
        y[kept], X[kept], gathered(blocks_of(study), M[np.ix_(kept, kept)]), [Term("HCS", study, term.inner[kept], 3)],
        method,
    )  # fmt: skip
    assert both.loglik[1] == pytest.approx(alone.loglik, abs=ALONE)
    thin = gathered(V.blocks, np.diag(on_diagonal(V)))
    many = fit_mixed_many(y, X, [V, thin], [term], method)
    assert many[0].loglik == pytest.approx(fit.loglik, abs=ALONE)
    assert many[1].loglik == pytest.approx(fit_mixed(y, X, thin, [term], method).loglik, abs=ALONE)
    given = Term("HCS", term.outer, term.inner, 3, fixed=(None, 0.0, None, None))
    assert fit_mixed(y, X, V, [given], method).theta[3] < -0.5


def test_the_profile_stays_on_the_face() -> None:
    y, X, V, term = laid_out(TABLES[1])
    fit = fit_mixed(y, X, V, [term], "ML")
    at = profile_loglik(y, X, V, [term], "ML", index=3, values=np.array([-1.0, -0.9, -0.5]), start=fit.theta)
    assert at[0] == pytest.approx(fit.loglik, abs=ALONE)
    assert (np.diff(at) < 0).all()
    again = fit_mixed(y, X, V, [term], "ML", start=fit.theta)
    assert again.loglik == pytest.approx(fit.loglik, abs=ALONE)


def test_a_climb_goes_on_over_the_edge_both_ways() -> None:
    """From the end of the range of all levels on to the face, and from a face back inside."""
    y, X, V, term = laid_out(TABLES[1])
    best = fit_mixed(y, X, V, [term], "ML")
    edge = fit_mixed(y, X, V, [term], "ML", start=np.array([0.04, 0.0, 0.006, -0.5]))
    assert edge.loglik == pytest.approx(best.loglik, abs=ALONE)
    rng = np.random.default_rng(3)
    alike = np.repeat(rng.normal(size=12), 3) + rng.normal(scale=0.1, size=36)
    study, level = np.repeat(np.arange(12), 3), np.tile(np.arange(3), 12)
    V = gathered(blocks_of(study), 0.01 * np.eye(36))
    inside = fit_mixed(alike, np.ones((36, 1)), V, [Term("HCS", study, level, 3)])
    begun = fit_mixed(alike, np.ones((36, 1)), V, [Term("HCS", study, level, 3)], start=np.array([1.0, 0.0, 1.0, -0.9]))
    assert begun.loglik == pytest.approx(inside.loglik, abs=ALONE)


def loglik(y: np.ndarray, X: np.ndarray, M: np.ndarray) -> float:
    """Return the log-likelihood of ML of whole matrices."""
    root = np.linalg.cholesky(M)
    A, b = np.linalg.solve(root, X), np.linalg.solve(root, y)
    left = b - A @ np.linalg.lstsq(A, b, rcond=None)[0]
    return float(-0.5 * (y.size * np.log(2 * np.pi) + left @ left) - np.log(np.diag(root)).sum())


@pytest.mark.parametrize(("seed", "L"), [(1, 3), (2, 3), (3, 4), (5, 4)])
def test_no_set_of_levels_without_variance_holds_a_higher_point(seed: int, L: int) -> None:
    """A general optimiser over every face from several starts, on tables whose G stands on one."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(10), L)
    level = np.tile(np.arange(L), 10)
    s = rng.uniform(0.3, 0.6, L)
    s[0] = 0.0
    same, rho = study[:, None] == study, -1 / (L - 2)

    def term_of(s: np.ndarray, rho: float) -> np.ndarray:
        G = np.where(np.eye(L) > 0, 1.0, rho) * s[:, None] * s
        return np.where(same, G[level[:, None], level], 0.0)

    v = rng.uniform(0.02, 0.1, study.size)
    y = rng.multivariate_normal(np.zeros(v.size), term_of(s, rho) + np.diag(v), method="eigh")
    X = np.ones((v.size, 1))
    V = gathered(blocks_of(study), np.diag(v))
    fit = fit_mixed(y, X, V, [Term("HCS", study, level, L)], "ML")
    assert fit.theta[-1] < -1 / (L - 1)
    theirs = -np.inf
    for size in range(L - 1):
        for held in itertools.combinations(range(L), size):
            free = np.setdiff1d(np.arange(L), held)

            def fall(t: np.ndarray, free: np.ndarray = free) -> float:
                s = np.zeros(L)
                s[free] = t[:-1]
                return -loglik(y, X, term_of(s, t[-1]) + np.diag(v))

            low = -1 / (free.size - 1)
            for share in (0.05, 0.5):
                begin = np.append(np.full(free.size, 0.4), low + share)
                found = minimize(fall, begin, method="L-BFGS-B", bounds=[(0, None)] * free.size + [(low, 1)])
                theirs = max(theirs, -float(found.fun))
    assert fit.loglik > theirs - FOUND
    M = np.zeros((v.size, v.size))
    made = marginal(fit.theta, V, [Term("HCS", study, level, L)])
    for rows, part in zip(made.blocks.rows, made.parts, strict=True):
        M[rows[:, :, None], rows[:, None, :]] = part
    assert fit.loglik == pytest.approx(loglik(y, X, M), abs=ALONE)
