"""Subgroups and predicted effects of pools of dependent rows against metafor 3.8-1 and clubSandwich 0.5.8."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.postestimation.study_blups import StudyBlups
from metaback.result import Result

PATH = Path(__file__).parent / "dependent" / "questions.json"
CASES: dict[str, Any] = {case["name"]: case for case in json.loads(PATH.read_text(encoding="utf-8"))["cases"]}
CLIMBED = 1e-6  # relative: R's search ends so far from the maximum
ALONE = "assink2016 deltype"  # one of its subgroups is of one study
OF_MEANS = [("point", "mean"), ("se", "se"), ("df", "df"), ("p_value", "p"), ("lower", "low"), ("upper", "high")]
OF_PAIRS = [("point", "pair"), ("se", "pair_se"), ("df", "pair_df")]
SMALL = 1e-7  # absolute, of predicted effects near 0


@cache
def pooled(name: str) -> Result:
    """Return the pool of a case, its rows of one study of the same people with correlation 0.6."""
    case = CASES[name]
    columns = {word: case[word] for word in ("study", "yi", "vi", "group")}
    return mb.pool(pd.DataFrame(columns), measure="GEN", by="group", rho=0.6)


@pytest.mark.parametrize("name", sorted(set(CASES) - {ALONE}))
def test_subgroups_are_those_of_clubsandwich(name: str) -> None:
    found, theirs = pooled(name).compare_subgroups(adjust="none"), CASES[name]["groups"]
    means, pairs = ([part.estimate for part in parts] for parts in (found.means, found.pairs))
    assert [mean.level for mean in found.means] == theirs["levels"]
    for word, column in OF_MEANS:
        np.testing.assert_allclose([getattr(mean, word) for mean in means], theirs[column], rtol=CLIMBED)
    for word, column in OF_PAIRS:
        np.testing.assert_allclose([getattr(p, word) for p in pairs], np.atleast_1d(theirs[column]), rtol=CLIMBED)
    np.testing.assert_allclose([mean.tau2 for mean in found.means], theirs["tau2"], rtol=CLIMBED)
    test = (found.test.statistic, found.test.df, found.test.df_residual, found.test.p_value)
    assert test == pytest.approx([theirs[word] for word in ("F", "F_df", "F_df2", "F_p")], rel=CLIMBED)


def test_a_subgroup_that_one_study_has_is_not_tested() -> None:
    """Its rows leave no residual between studies: clubSandwich gives it a standard error, too small without a sign."""
    found, theirs = pooled(ALONE).compare_subgroups(adjust="none"), CASES[ALONE]["groups"]
    means, pairs = ([part.estimate for part in parts] for parts in (found.means, found.pairs))
    for word, column in OF_MEANS:
        np.testing.assert_allclose([getattr(mean, word) for mean in means[:2]], theirs[column][:2], rtol=CLIMBED)
    for word, column in OF_PAIRS:
        assert getattr(pairs[0], word) == pytest.approx(theirs[column][0], rel=CLIMBED)
    assert means[2].point == pytest.approx(theirs["mean"][2], rel=CLIMBED)
    assert np.isnan([means[2].se, pairs[1].se, pairs[2].p_value, found.test.p_value]).all()
    assert found.notes[0].startswith("covert: rows of one study alone decide this")
    assert "All equal: no test" in repr(found)
    assert "difference: no test" in repr(pooled(ALONE))


@pytest.mark.parametrize("name", CASES)
def test_random_effects_are_those_of_ranef(name: str) -> None:
    found, theirs = pooled(name).blup(), CASES[name]
    assert isinstance(found, StudyBlups)
    between, within = found.components
    place = {label: i for i, label in enumerate(between.labels)}
    order = [place[label] for label in theirs["study_label"]]
    np.testing.assert_allclose(between.estimate[order], theirs["study_effect"], rtol=CLIMBED, atol=SMALL)
    np.testing.assert_allclose(between.se[order], theirs["study_se"], rtol=CLIMBED)
    np.testing.assert_allclose(within.estimate, theirs["row_effect"], rtol=CLIMBED, atol=SMALL)
    np.testing.assert_allclose(within.se, theirs["row_se"], rtol=CLIMBED)
    study = np.array([place[label] for label in theirs["study"]])
    np.testing.assert_allclose(found.studies.estimate, found.mean.point + between.estimate, rtol=CLIMBED)
    both = found.mean.point + between.estimate[study] + within.estimate
    np.testing.assert_allclose(found.estimate, both, rtol=CLIMBED, atol=SMALL)
