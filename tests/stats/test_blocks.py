"""Block-diagonal matrices agree with whole ones, whatever the sizes and the order of the rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.stats.blocks import (
    BlockMatrix,
    blocks_of,
    diagonal,
    gathered,
    indefinite,
    linked,
    on_diagonal,
    regrouped,
    selected,
    whole,
)

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=25).map(np.array)


def random_matrix(labels: np.ndarray, seed: int = 1) -> tuple[BlockMatrix, np.ndarray]:
    """Return a positive definite matrix in blocks, and whole."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(labels.size, labels.size))
    dense = np.where(labels[:, None] == labels, root @ root.T + labels.size * np.eye(labels.size), 0.0)
    return gathered(blocks_of(labels), dense), dense


@given(LABELS)
def test_every_row_stands_in_one_block_in_its_order(labels: np.ndarray) -> None:
    """Rows of one label, and only they, share a block; the numbers of blocks are the labels."""
    blocks = blocks_of(labels)
    seen: list[int] = []
    for rows, number in zip(blocks.rows, blocks.number, strict=True):
        assert (labels[rows] == number[:, None]).all()
        assert (np.diff(rows, axis=1) > 0).all()
        seen += rows.ravel().tolist()
    assert sorted(seen) == list(range(labels.size))
    assert blocks.count == np.unique(labels).size


@given(LABELS)
def test_blocks_and_whole_agree(labels: np.ndarray) -> None:
    """Going to blocks and back loses nothing; the diagonal is that of the whole matrix."""
    matrix, dense = random_matrix(labels)
    np.testing.assert_array_equal(whole(matrix), dense)
    np.testing.assert_array_equal(on_diagonal(matrix), np.diagonal(dense))
    np.testing.assert_array_equal(whole(diagonal(matrix.blocks, np.diagonal(dense))), np.diag(np.diagonal(dense)))
    assert not indefinite(matrix).size


@settings(max_examples=60)
@given(LABELS, st.integers(0, 1000))
def test_larger_blocks_hold_the_same_matrix(labels: np.ndarray, seed: int) -> None:
    """Blocks that are joined hold the smaller ones and zeros between them."""
    matrix, dense = random_matrix(labels)
    joined = np.random.default_rng(seed).integers(0, 3, 7)[labels]
    np.testing.assert_array_equal(whole(regrouped(matrix, blocks_of(joined))), dense)


@settings(max_examples=60)
@given(LABELS, st.integers(0, 1000))
def test_a_selection_is_that_of_the_whole_matrix(labels: np.ndarray, seed: int) -> None:
    """Rows and columns in a new order, some of them left out."""
    matrix, dense = random_matrix(labels)
    rng = np.random.default_rng(seed)
    places = rng.permutation(labels.size)[: rng.integers(1, labels.size + 1)]
    np.testing.assert_array_equal(whole(selected(matrix, places)), dense[np.ix_(places, places)])


def test_a_block_that_would_be_cut_is_refused() -> None:
    """Rows of one block in two of the larger ones would lose their covariance in silence."""
    matrix, _ = random_matrix(np.array([0, 0, 1]))
    with pytest.raises(ValueError, match="does not lie within one"):
        regrouped(matrix, blocks_of(np.array([0, 1, 1])))


def test_rows_that_share_any_label_are_linked() -> None:
    """Row 0 and 3 share nothing, but row 2 links them; a negative label links nothing."""
    study, lab = np.array([0, 1, 0, 2, -1, -1]), np.array([5, 6, 7, 7, -1, -1])
    assert linked(6, [study, lab]).tolist() == [0, 1, 0, 0, 2, 3]
    assert linked(2, []).tolist() == [0, 1]


@pytest.mark.parametrize("bad", [[[1.0, 1.0], [1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 1.0]]])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_block_that_is_not_positive_definite_is_named(bad: list[list[float]], scale: float) -> None:
    """Whatever the unit: singular, indefinite, and with a variance of 0."""
    dense = np.zeros((3, 3))
    dense[1:, 1:] = np.array(bad) * scale
    dense[0, 0] = scale
    assert indefinite(gathered(blocks_of(np.array([4, 9, 9])), dense)).tolist() == [9]
    dense[1, 1] = np.nan
    assert indefinite(gathered(blocks_of(np.array([4, 9, 9])), dense)).tolist() == [9]
