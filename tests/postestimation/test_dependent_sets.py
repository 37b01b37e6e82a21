"""Many sets of dependent rows become sets of whole studies: a part of a study is a study of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.models.specs import PoolSpec
from metaback.postestimation.dependent_sets import joint_of, sets_of_rows
from metaback.stats.blocks import whole


def effects(sizes: tuple[int, ...]) -> mb.EffectSizes:
    """Return effects of studies with so many rows each, the last without an effect."""
    study = np.repeat(np.arange(len(sizes)), sizes)
    frame = pd.DataFrame(
        {
            "study": [f"S{i}" for i in study],
            "outcome": [f"o{i}" for i in range(study.size)],
            "yi": np.linspace(0, 1, study.size),
            "vi": np.linspace(0.02, 0.05, study.size),
        }
    )
    es = mb.effect_sizes(frame)
    out = np.arange(study.size) == study.size - 1
    return replace(es, estimable=~out)


@pytest.mark.parametrize("sizes", [(3, 1, 4, 2), (70, 2, 1)])
def test_every_set_is_its_rows_with_their_covariance(sizes: tuple[int, ...]) -> None:
    """The rows of the parts that a set holds are those of its mask; so is their covariance, and no part is a copy."""
    es = effects(sizes)
    rng = np.random.default_rng(7)
    masks = rng.random((30, es.yi.size)) < 0.6
    masks[0], masks[1], masks[2] = True, False, masks[3]
    V = joint_of(es, PoolSpec()).V
    rows, present = sets_of_rows(es, V, masks, PoolSpec())
    for mask, here in zip(masks & es.estimable, present, strict=True):
        own = np.flatnonzero(here[rows.study])
        places = rows.places[own]
        assert sorted(places.tolist()) == np.flatnonzero(mask).tolist()
        np.testing.assert_array_equal(whole(rows.V)[np.ix_(own, own)], whole(V)[np.ix_(places, places)])
    parts = {(tuple(rows.places[rows.study == part].tolist())) for part in range(present.shape[1])}
    assert len(parts) == present.shape[1]


def test_whole_studies_stand_once() -> None:
    """Sets of whole studies need no copies, and the covariance stays as it is."""
    es = effects((3, 1, 4, 2))
    masks = es.clusters != np.unique(es.clusters)[:, None]
    rows, present = sets_of_rows(es, joint_of(es, PoolSpec()).V, masks, PoolSpec())
    assert rows.places.tolist() == np.flatnonzero(es.estimable).tolist()
    assert present.tolist() == (~np.eye(4, dtype=bool)).tolist()


def test_without_a_covariance_each_part_has_that_of_its_own_rows() -> None:
    """Parts are described by the table as if the study had no other rows: the same numbers where nothing is unclear."""
    es = effects((3, 1, 4, 2))
    masks = np.random.default_rng(2).random((10, es.yi.size)) < 0.5
    spec = PoolSpec(rho=0.3)
    one, two = (sets_of_rows(es, V, masks, spec)[0] for V in (joint_of(es, spec).V, None))
    np.testing.assert_array_equal(one.study, two.study)
    np.testing.assert_array_equal(whole(one.V), whole(two.V))


def test_no_set_and_no_row() -> None:
    """Sets without a row have no study."""
    es = effects((2, 2))
    rows, present = sets_of_rows(es, joint_of(es, PoolSpec()).V, np.zeros((3, 4), dtype=bool), PoolSpec())
    assert rows.places.size == 0
    assert present.shape == (3, 0)
