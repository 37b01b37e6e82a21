"""GOSH: every subset is the pool of its rows, the draws, and who splits the cloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.gosh import all_subsets, gosh, random_subsets

Make = Callable[..., EffectSizes]

SAME = 1e-12  # the same kernel, in a batch and alone


@pytest.mark.parametrize("k", [1, 2, 7, 8, 9, 13])
def test_all_subsets_are_all_and_different(k: int) -> None:
    members = np.unpackbits(all_subsets(k), axis=1, count=k)
    assert members.shape == (2**k - 1, k)
    assert len(np.unique(members, axis=0)) == 2**k - 1
    assert members.any(axis=1).all()
    assert (np.diff(members.sum(axis=1).astype(int)) >= 0).all()


@pytest.mark.parametrize("k", [1, 3, 8, 21])
def test_random_subsets_take_each_row_with_probability_one_half(k: int) -> None:
    members = np.unpackbits(random_subsets(k, 20_000, 5), axis=1)
    assert not members[:, k:].any()
    assert members.any(axis=1).all()
    share = 0.5 / (1 - 0.5**k)  # given that it is not empty
    error = np.sqrt(share * (1 - share) / 20_000)
    assert (np.abs(members[:, :k].mean(axis=0) - share) <= 4.5 * error).all()
    assert (random_subsets(k, 50, 5) == random_subsets(k, 50, 5)).all()


def test_each_subset_is_the_pool_of_its_rows(make: Make) -> None:
    yi, vi = [0.1, 0.5, np.nan, 0.9, -0.2], [0.02, 0.03, np.nan, 0.05, 0.04]
    spec = resolve_spec("cochrane")
    found = gosh(analyse(make(yi, vi), spec).fitted)
    assert found.exact
    assert found.labels == ("study 0", "study 1", "study 3", "study 4")
    rows = np.array([0, 1, 3, 4])
    has = np.array([found.includes(i) for i in range(4)]).T
    for i in range(15):
        chosen = rows[has[i]]
        alone = analyse(make([yi[j] for j in chosen], [vi[j] for j in chosen]), spec).overall
        spread = alone.heterogeneity
        expected = [alone.mean.point, spread.q, spread.tau2, spread.i2_tau2]
        mine = [found.estimate[i], found.q[i], found.tau2[i], found.i2[i]]
        np.testing.assert_allclose(mine, np.array(expected, dtype=float), rtol=SAME, atol=1e-14)


def test_a_study_that_splits_the_cloud_is_named(make: Make) -> None:
    yi = [0.0, 0.05, -0.05, 0.02, -0.02, 0.01, 3.0]
    found = gosh(analyse(make(yi, [0.01] * 7), resolve_spec("metafor", model="equal")).fitted)
    assert found.splitting == ("study 6",)
    assert "study 6 splits the cloud by estimate" in repr(found)
    assert found.with_row[6] > found.without_row[6]
    assert np.allclose(found.without_row[6], 0.0016667, atol=1e-2)
    calm = gosh(analyse(make([0.0, 0.1, 0.2, 0.3, 0.1, 0.2], [0.05] * 6), resolve_spec("metafor")).fitted)
    assert "No single study splits" in repr(calm)


def test_draws_follow_their_seed_and_their_number(make: Make) -> None:
    rng = np.random.default_rng(1)
    fitted = analyse(
        make(rng.normal(0, 0.3, 22).tolist(), rng.uniform(0.01, 0.1, 22).tolist()), resolve_spec("revman5")
    ).fitted
    one, two, three = (gosh(fitted, n=500, rng=seed) for seed in (1, 1, 2))
    assert not one.exact
    assert one.seed == 1
    assert (one.estimate == two.estimate).all()
    assert (one.estimate != three.estimate).any()
    assert len(one.to_frame()) == 500


def test_edges_and_bad_words(make: Make) -> None:
    one = gosh(analyse(make([0.3], [0.04]), resolve_spec("cochrane")).fitted)
    assert one.estimate.tolist() == [0.3]
    assert "1 subset" in repr(one)
    with pytest.raises(OptionError, match="from 100 to"):
        gosh(analyse(make([0.3], [0.04]), resolve_spec("cochrane")).fitted, n=5)
    with pytest.raises(OptionError, match="study 0"):
        one.includes("study 9")


@pytest.mark.parametrize("words", [{"n": "many"}, {"n": 150.5}, {"rng": -1}, {"rng": 2.5}, {"rng": "a"}])
def test_numbers_of_draws_and_seeds_are_whole(make: Make, words: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="whole number"):
        gosh(analyse(make([0.1, 0.4, 0.2], [0.1] * 3), resolve_spec("cochrane")).fitted, **words)


def test_one_effect_is_told_in_the_singular(make: Make) -> None:
    assert repr(gosh(analyse(make([0.1], [0.1]), resolve_spec("cochrane")).fitted)).startswith(
        "GOSH of 1 effect: 1 subset, all"
    )
