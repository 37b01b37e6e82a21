"""Three ways to the same sums: blocks, sums over rows, and terms taken out; and their derivatives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal, gathered
from metaback.stats.mixed import STRUCTURES, Term, clusters_of, fit_mixed
from metaback.stats.mixed.crossed import crossed_sums, taken_out
from metaback.stats.mixed.likelihood import Sums, slope
from metaback.stats.mixed.nested import RUN, nest_of, nested_sums
from metaback.stats.mixed.problem import (
    blockwise_kernel,
    crossing_of,
    frame_of,
    groups_of,
    parts_of,
    problem_of,
    slope_at,
    to_blocks,
)
from metaback.stats.mixed.starts import grid_of

SAME = 1e-11  # relative to the largest number of an array: other sums in another order
SLOPE = 1e-6  # of central differences with steps of 1e-5
FIELDS = ("log_det", "K", "trace", "first", "cross", "second")


def _assert_same(one: Sums, two: Sums) -> None:
    for name in FIELDS:
        a, b = getattr(one, name), getattr(two, name)
        if name == "second":  # only what is the same after exchanging parameters and columns is ever used
            a, b = (0.25 * (x + x.swapaxes(1, 2) + x.swapaxes(3, 4) + x.swapaxes(1, 2).swapaxes(3, 4)) for x in (a, b))
        np.testing.assert_allclose(a, b, atol=SAME * np.abs(b).max(), rtol=0, err_msg=name)


def _assert_same_level(one: Sums, two: Sums) -> None:
    for name in ("log_det", "K"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=SAME, err_msg=name)


def _blockwise(y: np.ndarray, X: np.ndarray, V: BlockMatrix, terms: list[Term]) -> Any:
    blocks = blocks_of(clusters_of(V, terms))
    return blockwise_kernel(groups_of(frame_of(y, X, V), [V], terms, parts_of(terms), blocks), blocks)


@pytest.mark.parametrize("weighted", [False, True])
def test_nested_sums_are_those_of_blocks(weighted: bool) -> None:
    rng = np.random.default_rng(3)
    study = np.repeat(np.arange(7), [1, 2, 5, 3, 1, 4, 6])
    n = study.size
    y, X, v = rng.normal(size=n), np.column_stack([np.ones(n), rng.normal(size=n)]), rng.uniform(0.5, 2, n)
    V = diagonal(blocks_of(np.arange(n)), v)
    some = np.where(rng.random(n) > 0.5, np.arange(n), -1)
    terms = [Term("ID0", some), Term("ID0", study), Term("ID0", rng.permutation(n))]
    frame = frame_of(y, X, V)
    nest = nest_of(frame.Y, V, terms, clusters_of(V, terms))
    assert nest is not None
    u = rng.uniform(0.1, 2, (3, 3))
    counts = rng.integers(0, 3, (3, 7)).astype(float) if weighted else None
    _assert_same(nested_sums(nest, u, counts, 2), _blockwise(y, X, V, terms)(u, counts, 2))


@pytest.mark.parametrize("weighted", [False, True])
def test_long_clusters_are_added_in_pieces(weighted: bool) -> None:
    """A cluster of several runs of rows, one of a whole number of runs, and short ones; one order of terms each way."""
    rng = np.random.default_rng(5)
    study = np.repeat(np.arange(4), [3, 2 * RUN, RUN + 7, 1])
    n = study.size
    y, X, V = rng.normal(size=n), np.ones((n, 1)), diagonal(blocks_of(np.arange(n)), rng.uniform(0.5, 2, n))
    counts = np.array([[1.0, 0, 2, 1], [0, 1, 1, 3]]) if weighted else None
    u = rng.uniform(0.1, 2, (2, 2))
    frame = frame_of(y, X, V)
    for terms in ([Term("ID0", study), Term("ID0", np.arange(n))], [Term("ID0", np.arange(n)), Term("ID0", study)]):
        nest = nest_of(frame.Y, V, terms, clusters_of(V, terms))
        assert nest is not None
        assert len(nest.gather) == 2
        _assert_same(nested_sums(nest, u, counts, 2), _blockwise(y, X, V, terms)(u, counts, 2))
        _assert_same_level(nested_sums(nest, u, counts, 0), nested_sums(nest, u, counts, 2))


def test_the_slope_of_one_coefficient_is_that_of_several() -> None:
    """The path without linear algebra against the general one, which curves of zero lead to."""
    rng = np.random.default_rng(6)
    n = 60
    terms = [Term("ID0", np.repeat(np.arange(12), 5)), Term("ID0", np.arange(n))]
    V = diagonal(blocks_of(np.arange(n)), rng.uniform(0.5, 2, n))
    sums = problem_of(rng.normal(size=n), np.ones((n, 1)), V, terms).kernel(rng.uniform(0.1, 2, (3, 2)), None, 2)
    straight = replace(sums, bend=np.zeros((3, 2, 2, 2, 2)), bend_trace=np.zeros((3, 2, 2)))
    for reml in (True, False):
        for one, other in zip(slope(sums, reml=reml).arrays, slope(straight, reml=reml).arrays, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11 * np.abs(other).max())


@pytest.mark.parametrize("model", ["intercepts", "UN and known", "CS and slopes"])
def test_terms_taken_out_give_the_sums_of_whole_blocks(model: str) -> None:
    rng = np.random.default_rng(3)
    n = 40
    a, b, level = rng.integers(0, 6, n), rng.integers(0, 5, n), rng.integers(0, 2, n)
    small = 2 * a + level
    V = gathered(blocks_of(small), 0.01 * (small[:, None] == small) + np.diag(rng.uniform(0.02, 0.2, n)))
    y, X = rng.normal(size=n), np.column_stack([np.ones(n), rng.normal(size=n)])
    known = 0.5 * np.eye(5) + 0.5
    terms, out = {
        "intercepts": ([Term("ID0", a), Term("ID0", b), Term("ID0", np.arange(n))], (1,)),
        "UN and known": ([Term("UN", a, level, 2), Term("ID0", b, known=known), Term("ID0", np.arange(n))], (0, 1)),
        "CS and slopes": ([Term("CS", a, level, 2), Term("GEN", b, Z=X)], (1,)),
    }[model]
    parts = parts_of(terms)
    crossing = crossing_of(frame_of(y, X, V), V, terms, parts, out)
    u = to_blocks(parts, rng.uniform(0.5, 1, (2, parts.q)))[0]
    _assert_same(crossed_sums(crossing, u, None, 2), _blockwise(y, X, V, terms)(u, None, 2))


def test_large_crossed_tables_take_a_term_out_and_fit_the_same() -> None:
    rng = np.random.default_rng(9)
    n = 240
    a, b = rng.integers(0, 60, n), rng.integers(0, 5, n)
    v = rng.uniform(0.02, 0.2, n)
    y = rng.normal(0, 0.3, 60)[a] + rng.normal(0, 0.4, 5)[b] + rng.normal(0, np.sqrt(v + 0.05))
    V, X = diagonal(blocks_of(np.arange(n)), v), np.ones((n, 1))
    terms = [Term("ID0", a), Term("ID0", b), Term("ID0", np.arange(n))]
    charts = parts_of(terms).charts
    assert taken_out(terms, charts, lambda chosen: clusters_of(V, chosen)) == (1,)
    fit = fit_mixed(y, X, V, terms)
    whole = fit_mixed(y, X, V, terms, counts=np.ones((1, 1)))  # counts keep the blocks whole
    np.testing.assert_allclose(fit.theta, whole.theta[0], rtol=1e-8)
    np.testing.assert_allclose(fit.loglik, whole.loglik[0], rtol=1e-12)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("studies", [6, 30])  # few blocks lie first, many lie last
@pytest.mark.parametrize("key", list(STRUCTURES))
def test_slopes_and_curvatures_are_those_of_differences(make_case: Any, key: str, studies: int, reml: bool) -> None:
    case = make_case(studies=studies)
    problem = problem_of(case.y, case.X, case.V, [case.term(key), case.row])
    x = grid_of(problem)[0]
    x = x[len(x) // 2 : len(x) // 2 + 1] + 0.013
    at = slope_at(problem, x, None, reml=reml)
    step = 1e-5
    for j in range(x.shape[1]):
        up, down = x.copy(), x.copy()
        up[0, j] += step
        down[0, j] -= step
        above, below = (slope_at(problem, where, None, reml=reml) for where in (up, down))
        size = max(1.0, np.abs(at.hessian).max())
        np.testing.assert_allclose(at.gradient[0, j], (above.value[0] - below.value[0]) / (2 * step), atol=SLOPE * size)
        bend = (above.gradient[0] - below.gradient[0]) / (2 * step)
        np.testing.assert_allclose(at.hessian[0, j], bend, atol=SLOPE * size)
