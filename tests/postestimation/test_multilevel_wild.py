"""The cluster wild bootstrap of `multilevel`: statistics of the fit, weights held or anew, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.models.multilevel import weights_of
from metaback.stats.rve import correlated_effects
from metaback.stats.wild_bootstrap import WildPlan, wild_bootstrap

SAME = 1e-9  # relative, after solving with the covariance of contrasts twice


def table(studies: int = 14, seed: int = 3) -> pd.DataFrame:
    """Return one to four effects in each study, with a moderator of studies and one of effects."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), rng.integers(1, 5, studies))
    v = rng.uniform(0.02, 0.1, study.size)
    y = 0.2 + rng.normal(size=studies)[study] * 0.3 + rng.normal(size=study.size) * np.sqrt(v)
    x, z = study % 3 / 2.0, rng.normal(size=study.size)
    return pd.DataFrame({"study": [f"S{s}" for s in study], "yi": y, "vi": v, "x": x, "z": z})


@pytest.fixture(name="che", scope="module")
def likelihood() -> mb.Multilevel:
    """Return a fit whose weights are blocks."""
    return mb.multilevel(table(), "CHE", formula="~ x + z", measure="GEN")


@pytest.fixture(name="corr", scope="module")
def moments() -> mb.Multilevel:
    """Return a fit whose weights are found by moments."""
    return mb.multilevel(table(), "CORR", formula="~ x + z", measure="GEN")


def test_one_coefficient_has_the_square_of_its_t_and_several_their_wald(
    che: mb.Multilevel, corr: mb.Multilevel
) -> None:
    for fit in (che, corr):
        plain = fit.robust("CR0")
        one, both = fit.wild_bootstrap("x", draws=99), fit.wild_bootstrap(draws=99)
        assert one.statistic == pytest.approx(plain.coefficients["x"].statistic ** 2, rel=SAME)
        assert (both.terms, both.df) == (("x", "z"), 2)
        beta, cov = plain.fitted.fit.beta[1:], plain.cov[1:, 1:]
        assert both.statistic == pytest.approx(beta @ np.linalg.solve(cov, beta) / 2, rel=SAME)


def test_weights_of_a_likelihood_are_held(che: mb.Multilevel) -> None:
    fitted = che.fitted
    direct = wild_bootstrap(
        fitted.y, fitted.design.X, weights_of(fitted), fitted.clusters, np.eye(3)[[1]], WildPlan(draws=199), 5
    )
    found = che.wild_bootstrap("x", draws=199, rng=5)
    assert (found.p_value, found.p_se, found.held) == (direct.p, direct.p_se, True)
    assert "weights held" in repr(found)
    assert "Monte Carlo standard error 0.0" in repr(found)


def test_weights_by_moments_are_found_anew_for_every_data_set(corr: mb.Multilevel) -> None:
    fitted = corr.fitted
    v, study = fitted.effects.vi, fitted.effects.clusters

    def reweigh(y: np.ndarray, X: np.ndarray) -> np.ndarray:
        return correlated_effects(y, v, X, study, 0.8).weights

    direct = wild_bootstrap(
        fitted.y, fitted.design.X, np.ones(v.size), study, np.eye(3)[[1]], WildPlan(draws=199), 5, reweigh
    )
    anew, held = corr.wild_bootstrap("x", draws=199, rng=5), corr.wild_bootstrap("x", draws=199, rng=5, weights="held")
    assert (anew.p_value, anew.held, held.held) == (direct.p, False, True)
    assert held.statistic == pytest.approx(anew.statistic, rel=SAME)
    assert "weights found anew" in repr(anew)


def test_a_mean_is_tested_against_a_null_model_without_columns() -> None:
    fit = mb.multilevel(table(studies=8), "CORR", measure="GEN")
    found = fit.wild_bootstrap(auxiliary="rademacher")
    assert (found.terms, found.exact, found.p_se, found.draws) == (("Intercept",), True, 0.0, 2**7)
    assert found.p_value * 2**7 == round(found.p_value * 2**7)
    assert "all patterns of signs" in repr(found)
    assert fit.wild_bootstrap(draws=99).auxiliary == "webb"
    assert fit.update(random="HIER").wild_bootstrap(draws=99).p_value <= 1


def test_seeds_repeat_and_a_frame_says_all(che: mb.Multilevel) -> None:
    frame = che.wild_bootstrap("z", draws=99, rng=2).to_frame()
    assert frame.equals(che.wild_bootstrap("z", draws=99, rng=2).to_frame())
    assert frame.loc[0, ["terms", "kind", "adjust", "cluster"]].tolist() == ["z", "CR0", "CR0", "study"]
    adjusted = che.wild_bootstrap("z", draws=99, rng=2, kind="CR2", adjust="CR2")
    assert adjusted.statistic == pytest.approx(che.coefficients["z"].statistic ** 2, rel=SAME)


def test_a_level_in_one_study_cannot_be_tested() -> None:
    frame = table().assign(x=lambda rows: (rows["study"] == "S3").astype(float))
    fit = mb.multilevel(frame, "CHE", formula="~ x", measure="GEN")
    found = fit.wild_bootstrap("x", draws=99)
    assert np.isnan(found.p_value)
    assert "no test, because a single study decides" in repr(found)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"draws": 10}, "whole number from 99"),
        ({"kind": "CR9"}, "kind='CR9' is not known"),
        ({"adjust": "CR1"}, "adjust='CR1' is not known"),
        ({"auxiliary": "mammen"}, "auxiliary='mammen' is not known"),
        ({"weights": "new"}, "weights='new' is not known"),
        ({"weights": "anew"}, "random='CORR'"),
    ],
)
def test_what_cannot_be_meant_is_refused(che: mb.Multilevel, choices: dict[str, Any], said: str) -> None:
    with pytest.raises(mb.OptionError) as caught:
        che.wild_bootstrap("x", **choices)
    assert said in str(caught.value)
    with pytest.raises(mb.OptionError, match="term='w'"):
        che.wild_bootstrap("w")


def test_crossed_effects_have_no_clusters_to_turn() -> None:
    frame = table().assign(lab=lambda rows: [f"L{i % 3}" for i in range(len(rows))])
    fit = mb.multilevel(frame, ["~ 1 | study", "~ 1 | lab"], measure="GEN")
    with pytest.raises(mb.OptionError, match="coarser column"):
        fit.wild_bootstrap(draws=99)
