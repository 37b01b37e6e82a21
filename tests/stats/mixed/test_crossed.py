"""Crossed effects by whole blocks, by a whole inverse of their levels, and by elimination: the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.errors import EstimationError
from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal, gathered, whole
from metaback.stats.mixed import (
    Term,
    clusters_of,
    crossed,
    crossed_order,
    crossed_predicted,
    fit_mixed,
    leverages,
    marginal,
    profile_loglik,
    random_effects,
    room,
)
from metaback.stats.mixed.crossed import Crossing, crossed_sums, ordered
from metaback.stats.mixed.crossed_order import order_of, rounds_of
from metaback.stats.mixed.crossed_predicted import crossed_inverse
from metaback.stats.mixed.likelihood import Sums, slope
from metaback.stats.mixed.problem import (
    Problem,
    blockwise_kernel,
    crossing_of,
    frame_of,
    groups_of,
    parts_of,
    problem_of,
    slope_at,
)
from metaback.stats.mixed.search import search_of
from metaback.stats.mixed_df import satterthwaite
from metaback.status import Status

SAME = 1e-12  # relative to the largest number of a kind: algebra of other orders on plain doubles
EXACT = 1e-11  # relative, slopes and curvatures against 50 digits
KEYS = ("log_det", "K", "trace", "first", "cross")


@dataclass(frozen=True)
class Table:
    """Rows of studies, labs and teams, with blocks of errors that correlate."""

    y: np.ndarray
    X: np.ndarray
    V: BlockMatrix
    study: np.ndarray
    lab: np.ndarray
    team: np.ndarray
    level: np.ndarray

    def terms(self, model: str) -> list[Term]:
        """Return the random terms of a model; the first two or three are crossed."""
        row, lab = Term("ID0", np.arange(self.y.size)), Term("ID0", self.lab)
        some = np.where(np.arange(self.y.size) % 9 == 0, -1, self.lab)
        known = 0.4 * np.eye(self.lab.max() + 1) + 0.6
        return {
            "two": [Term("ID0", self.study), lab],
            "two and rows": [Term("ID0", self.study), lab, row],
            "three": [Term("ID0", self.study), lab, Term("ID0", self.team)],
            "third level": [Term("ID0", self.study), lab, Term("ID0", 2 * self.study + self.level)],
            "UN": [Term("UN", self.study, self.level, 2), lab, row],
            "slopes": [Term("GEN", self.study, Z=self.X), lab, row],
            "without": [Term("ID0", self.study), Term("ID0", some), row],
            "known": [Term("ID0", self.study), Term("ID0", self.lab, known=known), row],
        }[model]


MODELS = ("two", "two and rows", "three", "third level", "UN", "slopes", "without")


def _table(n: int = 90, studies: int = 30, labs: int = 20, seed: int = 2) -> Table:
    rng = np.random.default_rng(seed)
    study, lab = rng.integers(0, studies, n), rng.integers(0, labs, n)
    group, v = rng.integers(0, n // 2, n), rng.uniform(0.02, 0.2, n)
    V = np.where(group[:, None] == group, 0.4 * np.sqrt(v[:, None] * v), 0.0) + np.diag(0.6 * v)
    y = rng.normal(0, 0.3, studies)[study] + rng.normal(0, 0.3, labs)[lab] + rng.normal(0, np.sqrt(v + 0.05))
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    more = rng.integers(0, 8, n), rng.integers(0, 2, n)
    return Table(y, X, gathered(blocks_of(group), V), study, lab, *more)


def _taken(table: Table, terms: list[Term], out: tuple[int, ...]) -> Crossing:
    return crossing_of(frame_of(table.y, table.X, table.V), table.V, terms, parts_of(terms), out)


def _in_order(table: Table, terms: list[Term], out: tuple[int, ...]) -> Crossing:
    """Return a model whose effects are eliminated one after the other as far as they go."""
    crossing = _taken(table, terms, out)
    charts = parts_of(terms).charts
    wide = [1 if charts[t].patterns is None else np.asarray(charts[t].patterns).shape[1] for t in out]
    widths = [np.repeat(w, np.unique(terms[t].outer[terms[t].outer >= 0]).size) for t, w in zip(out, wide, strict=True)]
    found = ordered(crossing, np.concatenate(widths), np.inf)
    assert found is not None
    return found


def _blockwise(table: Table, terms: list[Term], u: np.ndarray) -> Sums:
    frame, parts = frame_of(table.y, table.X, table.V), parts_of(terms)
    blocks = blocks_of(clusters_of(table.V, terms))
    return blockwise_kernel(groups_of(frame, [table.V], terms, parts, blocks), blocks)(u, None, 2)


def _places(terms: list[Term], zero: bool) -> np.ndarray:
    """Return values of the parameters, those of the first term 0 in the second row if asked."""
    J = parts_of(terms).J
    u = np.random.default_rng(5).uniform(0.4, 1.5, (2, J))
    if terms[0].structure in {"UN", "GEN"}:
        u[:, 2] *= 0.2
    if zero:
        u[1, : J - len(terms) + 1] = 0
    return u


def _assert_same(mine: Sums, theirs: Sums) -> None:
    for key in KEYS:
        one, two = getattr(mine, key), getattr(theirs, key)
        np.testing.assert_allclose(one, two, rtol=0, atol=SAME * np.abs(two).max(), err_msg=key)
    for reml in (True, False):
        one, two = slope(mine, reml=reml), slope(theirs, reml=reml)
        for ours, expected in zip(one.arrays, two.arrays, strict=True):
            np.testing.assert_allclose(ours, expected, rtol=0, atol=SAME * np.abs(expected).max())


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eliminate as much as can be, however small the table."""
    monkeypatch.setattr(crossed_order, "SMALL", 4)
    monkeypatch.setattr(crossed_order, "SHARE", 0.8)


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_elimination_gives_the_sums_of_whole_blocks(eager: None, model: str, zero: bool) -> None:
    table = _table()
    terms = table.terms(model)
    out = tuple(range(3 if model in {"three", "third level"} else 2))
    crossing, u = _in_order(table, terms, out), _places(terms, zero)
    assert crossing.order is not None
    assert len(crossing.order.fronts) > 3
    mine = crossed_sums(crossing, u, None, 2)
    _assert_same(mine, _blockwise(table, terms, u))
    least = crossed_sums(crossing, u, None, 0)
    np.testing.assert_allclose(least.log_det, mine.log_det, rtol=SAME)
    np.testing.assert_allclose(least.K, mine.K, rtol=0, atol=SAME * np.abs(mine.K).max())


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("out", [(0, 1), (0,), (1,)])
@pytest.mark.parametrize("model", [*MODELS, "known"])
def test_a_whole_inverse_gives_the_sums_of_whole_blocks(
    model: str, out: tuple[int, ...], zero: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = _table()
    terms = table.terms(model)
    crossing, u = _taken(table, terms, out), _places(terms, zero)
    mine, expected = crossed_sums(crossing, u, None, 2), _blockwise(table, terms, u)
    _assert_same(mine, expected)
    monkeypatch.setattr(crossed, "HELD", 0)  # as where the inverse is too large for products with it
    monkeypatch.setattr(crossed, "STRIP", 7)
    _assert_same(crossed_sums(crossing, u, None, 2), expected)
    least = crossed_sums(crossing, u, None, 0)
    np.testing.assert_allclose(least.log_det, mine.log_det, rtol=SAME)
    np.testing.assert_allclose(least.K, mine.K, rtol=0, atol=SAME * np.abs(mine.K).max())


def _exact_loglik(table: Table, theta: list[Any], reml: bool) -> Any:
    """Return the log-likelihood of two crossed intercepts and one of rows from its definition."""
    n, p = table.X.shape
    y, X = mpmath.matrix(table.y.tolist()), mpmath.matrix(table.X.tolist())
    M = mpmath.matrix(whole(table.V).tolist())
    for i in range(n):
        M[i, i] += theta[2]
        for j in range(n):
            M[i, j] += theta[0] * (table.study[i] == table.study[j]) + theta[1] * (table.lab[i] == table.lab[j])
    root = mpmath.cholesky(M)
    whitened = [mpmath.lu_solve(root, part) for part in (y, *(X[:, j] for j in range(p)))]
    A = mpmath.matrix(p, p)
    b = mpmath.matrix(p, 1)
    for i in range(p):
        b[i] = (whitened[1 + i].T * whitened[0])[0]
        for j in range(p):
            A[i, j] = (whitened[1 + i].T * whitened[1 + j])[0]
    value = 2 * sum(mpmath.log(root[i, i]) for i in range(n)) + (whitened[0].T * whitened[0])[0]
    value -= (b.T * mpmath.lu_solve(A, b))[0]
    if reml:
        value += mpmath.log(mpmath.det(A)) - mpmath.log(mpmath.det(X.T * X))
    return -(value + (n - p * reml) * mpmath.log(2 * mpmath.pi)) / 2


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("way", ["order", "inverse"])
def test_slope_and_curvature_are_those_of_50_digits(eager: None, way: str, reml: bool) -> None:
    table = _table(n=14, studies=6, labs=5)
    terms = table.terms("two and rows")
    theta = np.array([0.09, 0.16, 0.04])
    problem: Problem = problem_of(table.y, table.X, table.V, terms)
    crossing = (_in_order if way == "order" else _taken)(table, terms, (0, 1))
    problem = replace(problem, kernel=lambda u, counts, order: crossed_sums(crossing, u, counts, order))
    at = slope_at(problem, search_of(problem, theta[None]), None, reml=reml)
    unit = problem.frame.unit**2
    with mpmath.workdps(50):
        h = mpmath.mpf(10) ** -10

        def f(*steps: float) -> Any:
            return _exact_loglik(table, [mpmath.mpf(float(t)) + s * h for t, s in zip(theta, steps, strict=True)], reml)

        here = f(0, 0, 0)
        for j in range(3):
            own = [float(i == j) for i in range(3)]
            up, down = f(*own), f(*(-s for s in own))
            np.testing.assert_allclose(at.gradient[0, j] / unit, float((up - down) / (2 * h)), rtol=EXACT)
            np.testing.assert_allclose(at.hessian[0, j, j] / unit**2, float((up + down - 2 * here) / h**2), rtol=EXACT)
            for k in range(j):
                both = [float(i == j) + float(i == k) for i in range(3)]
                other = [float(i == j) - float(i == k) for i in range(3)]
                minus = [[-s for s in steps] for steps in (both, other)]
                bend = (f(*both) + f(*minus[0]) - f(*other) - f(*minus[1])) / (4 * h**2)
                np.testing.assert_allclose(at.hessian[0, j, k] / unit**2, float(bend), rtol=EXACT)


def test_an_m_that_is_not_positive_definite_is_told(eager: None) -> None:
    table = _table()
    terms = table.terms("two")
    u = np.array([[1.0, 1.0], [-50.0, 1.0]])
    for crossing in (_in_order(table, terms, (0, 1)), _taken(table, terms, (0, 1))):
        for order in (0, 2):
            assert crossed_sums(crossing, u, None, order).bad.tolist() == [False, True]


def _sparse_table(n: int, seed: int = 7) -> tuple[np.ndarray, np.ndarray, BlockMatrix, list[Term]]:
    """Return papers with one or two rows each, in labs that meet their neighbours only."""
    rng = np.random.default_rng(seed)
    paper = np.arange(n) // 2
    lab = np.clip(paper // 4 + rng.integers(0, 3, n), 0, n // 8)
    v = rng.uniform(0.02, 0.2, n)
    y = rng.normal(0, 0.3, n)[paper] + rng.normal(0, 0.3, n)[lab] + rng.normal(0, np.sqrt(v))
    terms = [Term("ID0", paper), Term("ID0", lab)]
    return y, np.ones((n, 1)), diagonal(blocks_of(np.arange(n)), v), terms


def test_what_meets_few_others_is_eliminated_and_stands_at_the_peak_of_whole_blocks() -> None:
    y, X, V, terms = _sparse_table(8_000)
    problem = problem_of(y, X, V, terms)
    crossing = problem.kernel.args[0]  # type: ignore[attr-defined]
    assert crossing.order is not None
    assert crossing.order.size < 30 * crossing.q  # of q^2 numbers
    fit = fit_mixed(y, X, V, terms)
    at = slope_at(problem, search_of(problem, fit.theta[None]), None, reml=True)
    steps = np.abs(np.linalg.solve(-at.hessian[0], at.gradient[0]))
    assert (steps < 1e-8 * fit.theta / problem.frame.unit**2).all()
    dense = crossing_of(problem.frame, V, terms, problem.parts, (1,))
    theirs = slope(crossed_sums(dense, fit.theta[None] / problem.frame.unit**2, None, 2), reml=True)
    np.testing.assert_allclose(at.value, theirs.value, rtol=1e-12)
    np.testing.assert_allclose(at.hessian, theirs.hessian, rtol=1e-10)
    np.testing.assert_allclose(at.fisher, theirs.fisher, rtol=1e-10)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000))
def test_names_and_the_order_of_rows_change_nothing(seed: int) -> None:
    y, X, V, terms = _sparse_table(6_000)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(y.size)
    new = [replace(term, outer=rng.permutation(term.outer.max() + 1)[term.outer][rows]) for term in terms]
    v = np.concatenate([part.ravel() for part in V.parts])
    turned = diagonal(blocks_of(np.arange(y.size)), v[rows])
    problems = problem_of(y, X, V, terms), problem_of(y[rows], X[rows], turned, new)
    one, two = (slope_at(problem, np.array([[0.8, 1.1]]), None, reml=True) for problem in problems)
    np.testing.assert_allclose(one.value, two.value, rtol=1e-12)
    np.testing.assert_allclose(one.gradient, two.gradient, rtol=1e-9)
    np.testing.assert_allclose(one.hessian, two.hessian, rtol=1e-9)


def test_every_effect_is_eliminated_once() -> None:
    rng = np.random.default_rng(1)
    i, j = rng.integers(0, 400, 700), rng.integers(0, 400, 700)
    graph = np.zeros((400, 400))
    graph[i, j] = graph[j, i] = 1
    found = rounds_of(graph, np.ones(400, dtype=np.intp))
    order = order_of(found, np.ones(400, dtype=np.intp), 2)
    gone = np.concatenate([front.pivots.ravel() for front in order.fronts])
    assert sorted([*gone.tolist(), *order.core.tolist()]) == list(range(402))
    assert order.core[-2:].tolist() == [400, 401]
    for front in order.fronts:  # what one round eliminates does not meet
        assert not np.isin(front.meets[:, :-2], front.pivots).any()


@pytest.mark.parametrize("model", [*MODELS, "known"])
def test_predicted_effects_and_leverages_are_those_of_whole_blocks(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = _table()
    terms = table.terms(model)
    V, y, X = table.V, table.y, table.X
    fit = fit_mixed(y, X, V, terms)
    monkeypatch.setattr(crossed_predicted, "taken_out", lambda *_: ())
    theirs, pull = random_effects(fit, y, X, V, terms), leverages(fit, X, V, terms)
    for out in ((0, 1), (1,)):
        monkeypatch.setattr(crossed_predicted, "taken_out", lambda *_, out=out: out)
        mine = random_effects(fit, y, X, V, terms)
        np.testing.assert_allclose(leverages(fit, X, V, terms), pull, rtol=1e-9)
        for one, two in zip(mine, theirs, strict=True):
            for name in ("row", "outer", "inner"):
                np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
            np.testing.assert_allclose(one.estimate, two.estimate, rtol=0, atol=1e-11)
            np.testing.assert_allclose(one.se**2, two.se**2, rtol=0, atol=1e-12)


def test_too_many_levels_for_standard_errors_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    y, X, V, terms = _sparse_table(800)
    fit = fit_mixed(y, X, V, terms)
    monkeypatch.setattr(crossed_predicted, "MOST", 50)
    with pytest.raises(EstimationError, match="101 by 101 levels; it is made for at most 50"):
        random_effects(fit, y, X, V, terms)


@pytest.mark.parametrize("model", [*MODELS, "known"])
def test_columns_are_solved_for_as_by_whole_blocks(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = _table()
    terms = table.terms(model)
    fit = fit_mixed(table.y, table.X, table.V, terms)
    columns = np.random.default_rng(3).normal(size=(table.y.size, 4))
    expected = np.linalg.solve(whole(marginal(fit.theta, table.V, terms)), columns)
    for out in ((0, 1), (1,)):
        monkeypatch.setattr(crossed_predicted, "taken_out", lambda *_, out=out: out)
        at = crossed_inverse(fit, table.y, table.X, table.V, terms)
        assert at is not None
        np.testing.assert_allclose(at.solve(columns), expected, rtol=0, atol=SAME * np.abs(expected).max())


def test_what_would_take_all_memory_is_refused_in_words_and_what_needs_little_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y, X, V, terms = _sparse_table(800)
    monkeypatch.setattr(room, "GIGABYTES", 0.01)
    fit = fit_mixed(y, X, V, terms)
    assert fit.status == Status.CONVERGED
    assert len(random_effects(fit, y, X, V, terms)) == 2
    assert np.isfinite(profile_loglik(y, X, V, terms, index=0, values=np.array([0.05]), start=fit.theta)).all()
    assert np.isfinite(satterthwaite(y, X, V, terms, fit.theta, np.eye(1), method="REML")).all()
    with pytest.raises(EstimationError, match=r"whole covariance of the effects needs matrices of 688 linked rows"):
        marginal(fit.theta, V, terms)
    with pytest.raises(EstimationError, match=r"Leaving out or weighting clusters .* Leave rows out of the table"):
        fit_mixed(y, X, V, terms, counts=np.ones((1, int(clusters_of(V, terms).max()) + 1)))
    places = np.arange(800.0)[:, None]
    with pytest.raises(EstimationError, match=r"This model needs matrices of 800 linked rows"):
        fit_mixed(y, X, V, [Term("CAR", np.zeros(800, dtype=np.intp), position=places)])
