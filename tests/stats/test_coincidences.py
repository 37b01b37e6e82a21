"""Chance coincidences: their expected number against simulation, and which of many are told."""

from __future__ import annotations

from collections import Counter
from math import comb

import numpy as np
import pytest

from metaback.stats.coincidences import beyond_chance, expected_shared_pairs

SEED = 20261122
TABLES = 20
NEAR = 0.25  # relative: sampling error of 20 tables, and rounded SDs that are not quite continuous


def test_the_expected_number_of_shared_pairs_is_that_of_simulated_trials() -> None:
    rng = np.random.default_rng(SEED)
    several, seen = (2, 3), Counter[int]()
    for _ in range(TABLES):
        sd_1 = 20 * np.exp(rng.normal(0, 0.2, 3000))
        sd_2 = np.round(sd_1 * np.exp(rng.normal(0, 0.15, 3000)), 1)
        sd_1 = np.round(sd_1, 1)
        for count in Counter(zip(sd_1.tolist(), sd_2.tolist(), strict=True)).values():
            seen.update({m: comb(count, m) for m in several})
    expected = expected_shared_pairs(sd_1, sd_2, np.array([0.1, 0.1]), np.array(several, dtype=float))
    assert [seen[m] / TABLES for m in several] == pytest.approx(expected.tolist(), rel=NEAR)


def test_copies_in_a_small_table_do_not_hide_themselves() -> None:
    sd = np.array([12.4, 12.4, 12.4, 15.1, 18.9])
    expected = expected_shared_pairs(sd, sd + 0.7, np.array([0.1, 0.1]), np.array([3.0]))
    assert 0 < expected[0] < 1e-4


def test_fewer_trials_than_a_set_has_give_none() -> None:
    sd = np.array([12.4, 13.1])
    assert expected_shared_pairs(sd, sd, np.array([0.1, 0.1]), np.array([3.0])).tolist() == [0.0]


def test_a_coincidence_is_told_where_chance_gives_few_and_not_where_it_gives_as_many() -> None:
    assert beyond_chance(np.array([0.02]), np.array([1.0])).tolist() == [True]
    assert beyond_chance(np.array([2.2] * 5), np.array([2.0] * 5)).tolist() == [False] * 5
    assert beyond_chance(np.array([2.2, 0.02, 2.0]), np.array([2.0, 1.0, 3.0])).tolist() == [False, True, False]


def test_many_small_chances_add_up() -> None:
    few, many = np.full(200, 0.02), np.zeros(200)
    many[3] = 1.0
    assert not beyond_chance(few, many).any()
    assert beyond_chance(few[:10], many[:10]).sum() == 1


def test_nothing_found_is_nothing_told() -> None:
    assert not beyond_chance(np.array([0.1, 3.0]), np.zeros(2)).any()
    assert beyond_chance(np.array([]), np.array([])).size == 0
