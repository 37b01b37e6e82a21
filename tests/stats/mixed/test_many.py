"""Fits under several sampling covariances in one climb are those of each alone."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal, gathered, regrouped, whole
from metaback.stats.mixed import MixedFit, Term, fit_mixed, fit_mixed_many
from metaback.stats.mixed import fit as verbs
from metaback.status import Status

SAME = 1e-9  # relative: the last Newton step of two climbs from other company
RHO = (0.0, 0.2, 0.5, 0.8, -0.1)


def _grid(case: Any, rho: tuple[float, ...] = RHO) -> list[BlockMatrix]:
    """Return constant correlations within studies."""
    V = whole(case.V)
    root = np.sqrt(np.diag(V))
    alike = case.study[:, None] == case.study
    return [
        gathered(case.V.blocks, np.where(alike, r + (1 - r) * np.eye(root.size), 0.0) * root[:, None] * root)
        for r in rho
    ]


def _assert_same(one: MixedFit, two: MixedFit) -> None:
    for part in fields(MixedFit):
        a, b = getattr(one, part.name), getattr(two, part.name)
        if part.name in {"names", "status", "at_bound", "identifiable"}:
            assert np.array_equal(a, b), part.name
        elif part.name != "n_iter":
            scale = np.abs(b).max(initial=0) if np.size(b) else 1.0
            size = SAME * max(float(np.nan_to_num(scale)), 1e-300)
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=10 * size, err_msg=part.name)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("model", ["levels", "UN", "HAR", "SPEXP", "singletons"])
def test_many_are_the_loop(make_case: Any, model: str, method: str) -> None:
    case = make_case(studies=14)
    terms = {
        "levels": [case.term("ID0"), case.row],
        "UN": [case.term("UN")],
        "HAR": [case.term("HAR")],
        "SPEXP": [case.term("SPEXP"), case.row],
        "singletons": [case.row],
    }[model]
    Vs = _grid(case)
    found = fit_mixed_many(case.y, case.X, Vs, terms, method)
    for one, V in zip(found, Vs, strict=True):
        _assert_same(one, fit_mixed(case.y, case.X, V, terms, method))


def test_each_has_its_own_rivals(make_case: Any) -> None:
    case = make_case(studies=6, seed=11, missing=0.3)
    terms = [case.term("SPLIN")]
    Vs = _grid(case)
    alone = [fit_mixed(case.y, case.X[:, :1] * 0 + 1, V, terms) for V in Vs]
    assert len({len(fit.gaps) for fit in alone}) > 1, "the case must have peaks that differ"
    for one, other in zip(fit_mixed_many(case.y, case.X[:, :1] * 0 + 1, Vs, terms), alone, strict=True):
        _assert_same(one, other)


def test_other_variances_other_blocks_and_a_matrix_that_is_none(make_case: Any) -> None:
    case = make_case(studies=8)
    usual, bad = _grid(case, (0.4, 1.5))
    wide = BlockMatrix(usual.blocks, tuple(9.0 * part for part in usual.parts))
    plain = diagonal(blocks_of(np.arange(case.y.size)), np.diag(whole(usual)).copy())
    apart = regrouped(plain, usual.blocks)
    terms = [case.term("ID0"), case.row]
    Vs = [usual, bad, wide, plain, apart]
    found = fit_mixed_many(case.y, case.X, Vs, terms)
    assert found[1].status == Status.IMPOSSIBLE_NUMBERS
    assert np.isnan(found[1].beta).all()
    for one, V in zip(found, Vs, strict=True):
        _assert_same(one, fit_mixed(case.y, case.X, V, terms))
    assert fit_mixed_many(case.y, case.X, [], terms) == ()


def test_pieces_of_many_are_the_whole(make_case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case(studies=8)
    terms = [case.term("CS")]
    found = fit_mixed_many(case.y, case.X, _grid(case), terms)
    monkeypatch.setattr(verbs, "HELD", 300)
    for one, other in zip(fit_mixed_many(case.y, case.X, _grid(case), terms), found, strict=True):
        _assert_same(one, other)


def test_large_crossed_clusters_are_fitted_one_by_one() -> None:
    rng = np.random.default_rng(2)
    n = 400
    a, b = rng.integers(0, 25, n), rng.integers(0, 20, n)
    y, X, v = rng.normal(size=n), np.ones((n, 1)), rng.uniform(0.5, 1, n)
    Vs = [diagonal(blocks_of(np.arange(n)), v)] * 2
    terms = [Term("ID0", a), Term("ID0", b)]
    for one in fit_mixed_many(y, X, Vs, terms):
        _assert_same(one, fit_mixed(y, X, Vs[0], terms))
