"""Pairs, ranks of times and the nearest correlation matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.stats.blocks import blocks_of, from_pairs, gathered, on_diagonal, whole, within
from metaback.stats.working_covariance import (
    NEAREST_EIGENVALUE,
    correlations,
    joined_by,
    mended,
    nearest_correlation,
    pairs_within,
    ranks_of_time,
    unsound,
)

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=20).map(np.array)


@given(LABELS)
def test_pairs_and_blocks_build_the_matrix(labels: np.ndarray) -> None:
    """Every pair of rows of one label once; a matrix made of pairs is the one they came from."""
    i, j = pairs_within(labels)
    equal = np.triu(labels[:, None] == labels, 1)
    assert sorted(zip(i.tolist(), j.tolist(), strict=True)) == list(
        zip(*(a.tolist() for a in np.nonzero(equal)), strict=True)
    )
    values = np.arange(1.0, i.size + 1)
    built = whole(from_pairs(blocks_of(labels), np.full(labels.size, 9.0), i, j, values))
    assert built[i, j].tolist() == values.tolist()
    assert (built == built.T).all()
    assert (np.diagonal(built) == 9).all()
    np.testing.assert_array_equal(
        joined_by(labels.size, i, j)[:, None] == joined_by(labels.size, i, j),
        equal | equal.T | np.eye(labels.size, dtype=bool),
    )


def test_pairs_across_blocks_are_refused() -> None:
    """A covariance that no block can hold would be lost in silence."""
    with pytest.raises(ValueError, match="do not stand in one block"):
        from_pairs(blocks_of(np.array([0, 1])), np.ones(2), np.array([0]), np.array([1]), np.array([0.5]))
    with pytest.raises(ValueError, match="does not lie within one block"):
        within(gathered(blocks_of(np.array([0, 1])), np.eye(2)), blocks_of(np.array([0, 0])))


@given(LABELS, st.integers(0, 99))
def test_ranks_of_times_are_those_of_each_study(labels: np.ndarray, seed: int) -> None:
    """Dense ranks from 0 within each study, blank where the time is."""
    time = np.random.default_rng(seed).choice([1.0, 4.0, 12.0, np.nan], labels.size)
    found = ranks_of_time(labels, time)
    for study in set(labels.tolist()):
        own = np.flatnonzero((labels == study) & np.isfinite(time))
        assert found[own].tolist() == np.unique(time[own], return_inverse=True)[1].tolist()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(time))


def test_the_example_of_higham() -> None:
    """The three-by-three example of Higham: the nearest correlation matrix, and its distance of 0.5278."""
    bad = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    found = nearest_correlation(bad, 0.0)
    assert found[0, 1:] == pytest.approx([0.7607, 0.1573], abs=5.001e-5)
    assert np.linalg.norm(found - bad) == pytest.approx(0.5278, abs=5.001e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 6), st.integers(0, 10_000))
def test_the_nearest_matrix_is_one_and_no_mixture_is_nearer(m: int, seed: int) -> None:
    """Its eigenvalues are positive, its diagonal is 1; steps towards other correlation matrices lead away."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(-1, 1, (m, m))
    bad = np.where(np.eye(m, dtype=bool), 1.0, (a + a.T) / 2)
    found = nearest_correlation(bad)
    assert np.linalg.eigvalsh(found)[0] >= NEAREST_EIGENVALUE * (1 - 1e-6)
    assert (np.diagonal(found) == 1).all()
    away = np.linalg.norm(found - bad)
    for _ in range(10):
        root = rng.normal(size=(m, m + 2))
        other = correlations(root @ root.T)
        step = found + 1e-3 * (other - found)
        assert np.linalg.norm(step - bad) >= away - 1e-7


def test_mending_touches_impossible_blocks_only() -> None:
    """The variances stay, the good block is the same to the bit, whatever the unit."""
    labels = np.array([0, 0, 1, 1, 1])
    good, bad = [[1.0, 0.3], [0.3, 2.0]], np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    for unit in (1e-9, 1.0, 1e9):
        dense = np.zeros((5, 5))
        dense[:2, :2], dense[2:, 2:] = good, bad * unit
        matrix = gathered(blocks_of(labels), dense)
        (found,) = unsound(matrix)
        assert (found.number, found.rows.tolist()) == (1, [2, 3, 4])
        assert found.lowest == pytest.approx(-0.8, rel=1e-12)
        better = mended(matrix)
        assert not unsound(better)
        np.testing.assert_array_equal(on_diagonal(better), on_diagonal(matrix))
        np.testing.assert_array_equal(whole(better)[:2, :2], good)
