"""What a pool of dependent rows becomes without each study: as `metafor` has it, as a loop of pools has it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.errors import OptionError
from metaback.postestimation.baujat import baujat
from metaback.postestimation.influence import influence
from metaback.postestimation.study_influence import StudyInfluence, influence_of, study_influence
from metaback.stats.blocks import blocks_of, gathered

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "reference" / "dependent" / "influence.json").read_text(encoding="utf-8")
)["cases"]
CLIMBED = 2e-6  # metafor's optimiser ends where its criterion no longer falls in double precision
SAME = 1e-9  # the same arithmetic in another order


def pooled(case: dict[str, Any]) -> mb.Result:
    """Pool the rows of a reference case over its covariance."""
    V = np.array(case["V"])
    frame = pd.DataFrame({"study": case["study"], "yi": case["yi"], "vi": np.diag(V)})
    es = mb.effect_sizes(frame)
    labels = np.unique(np.array(case["study"]), return_inverse=True)[1]
    return mb.pool(replace(es, cov=gathered(blocks_of(labels), V)), tau2=case["method"])


def table(seed: int = 4, studies: int = 7) -> pd.DataFrame:
    """Return effects of studies with one to four rows."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), 1 + np.arange(studies) % 4)
    v = rng.uniform(0.02, 0.08, study.size)
    y = 0.3 + rng.normal(0, 0.3, studies)[study] + rng.normal(0, np.sqrt(v))
    names = [f"Study {i}" for i in study]
    return pd.DataFrame({"study": names, "outcome": [f"o{i}" for i in range(study.size)], "yi": y, "vi": v})


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_as_metafor(case: dict[str, Any]) -> None:
    """Cook's distance, DFBETAS, hat, chi-square of the deleted residuals and the fits without each study."""
    assert len(CASES) >= 3
    res = pooled(case)
    found = res.influence()
    assert isinstance(found, StudyInfluence)
    order = [found.labels.index(label) for label in case["labels"]]
    assert found.rows[order].tolist() == case["rows"]
    wanted = {
        "hat": case["hat"],
        "chi2": case["chi2"],
        "q_deleted": case["q_without"],
        "tau2_deleted": np.array(case["sigma2_without"]).sum(axis=1),
        "cov_ratio": np.array(case["variance_without"]) / case["variance"],
    }
    for name, values in wanted.items():
        np.testing.assert_allclose(getattr(found, name)[order], values, rtol=CLIMBED, err_msg=name)
    # differences of means near 0 keep the absolute error of the means, not the relative one
    np.testing.assert_allclose(found.dfbetas[order, 0], case["dfbetas"], atol=CLIMBED)
    np.testing.assert_allclose(found.cook[order], case["cook"], atol=CLIMBED)
    change = res.estimate.point - np.array(case["mean_without"])
    np.testing.assert_allclose(found.shift[order], change**2 / np.array(case["variance_without"]), atol=CLIMBED)


def test_batch_is_the_loop() -> None:
    """Components, Q and mean without a study are those of the pool of the other studies."""
    frame = table()
    res = mb.pool(frame)
    found = study_influence(res.analysis)
    for i, label in enumerate(found.labels):
        alone = mb.pool(frame[frame["study"] != label])
        assert alone.analysis.working is not None
        between, within = (part.tau2 for part in alone.analysis.working.components)
        assert found.between_deleted[i] == pytest.approx(between, abs=CLIMBED)
        assert found.within_deleted[i] == pytest.approx(within, abs=CLIMBED)
        assert found.q_deleted[i] == pytest.approx(alone.heterogeneity.q, rel=SAME)
        spread = found.cov_ratio[i] * found.shift[i]  # (b - b(-j))^2 / C
        assert found.cook[i] == pytest.approx(spread, rel=SAME)


def test_the_axes_of_baujat() -> None:
    """The first sums to the generalised Q of the working model, and shares of the mean to 1."""
    res = mb.pool(table())
    found, plot = res.influence(), baujat(res.analysis)
    assert plot.labels == found.labels == tuple(dict.fromkeys(res.effects.labels))
    np.testing.assert_array_equal(plot.heterogeneity, found.pearson)
    np.testing.assert_array_equal(res.baujat().influence, found.shift)
    assert found.hat.sum() == pytest.approx(1, rel=SAME)
    weights = pd.Series(res.analysis.overall.weights).groupby(list(res.effects.labels), sort=False).sum()
    np.testing.assert_allclose(found.weight, weights, rtol=SAME)


def test_rows_that_are_alone_are_as_ever() -> None:
    """A study of one row has the residual and the leverage of a pool of rows with the sum of the components."""
    frame = table()
    frame = frame[~frame["study"].duplicated()]
    one = mb.pool(frame, ci="Wald")
    whole = influence(one.fitted)
    assert influence_of(one.analysis).labels == whole.labels
    double = pd.concat([frame, frame.iloc[:1].assign(outcome="again", vi=1e12)])
    found = mb.pool(
        double, rho=0.0
    ).influence()  # the copy says nothing: all numbers but those that count rows are as before
    for name in ("hat", "rstudent", "cook", "shift", "pearson"):
        np.testing.assert_allclose(getattr(found, name), getattr(whole, name), rtol=1e-3, atol=1e-4, err_msg=name)


def test_the_order_of_rows_does_not_matter() -> None:
    """Rows of a table in another order give the same studies the same numbers."""
    frame = table()
    one = mb.pool(frame).influence().to_frame().set_index("study")
    two = mb.pool(frame.sample(frac=1, random_state=3)).influence().to_frame().set_index("study")
    numbers = ["rstudent", "cook", "hat", "chi2", "tau2_deleted", "dfbetas"]
    np.testing.assert_allclose(two.loc[one.index, numbers], one[numbers], rtol=1e-5, atol=1e-7)


def test_two_studies_and_one() -> None:
    """Of two studies each is left alone, without tau2; rows of one study alone leave nothing."""
    frame = table()
    two = mb.pool(frame[frame["study"].isin(["Study 1", "Study 2"])]).influence()
    assert np.isfinite(two.rstudent).all()
    assert np.isnan(two.tau2_deleted).all()
    one = mb.pool(frame[frame["study"] == "Study 3"]).influence()
    assert np.isnan(one.cook).all()
    assert "no study can be left out" in repr(one)


def test_a_study_that_stands_out_is_told_with_its_rows() -> None:
    """Its sentence has the usual numbers and the test of its rows together."""
    frame = table()
    frame.loc[frame["study"] == "Study 3", "yi"] += 4.0
    found = mb.pool(frame).influence()
    assert found.outlying.sum() == 1
    (said,) = found.sentences
    assert said.startswith("Study 3 is outlying and influential: deleted residual ")
    assert said.endswith("its 4 rows together P < 0.001.")
    assert "Influence of 7 studies" in repr(found)
    frame = found.to_frame()
    assert frame.columns[:2].tolist() == ["study", "rows"]
    assert {"chi2", "chi2_df", "chi2_p", "between_deleted", "within_deleted"} <= set(frame.columns)


def test_independent_rows_are_asked_elsewhere() -> None:
    """The function of studies refuses a pool of independent rows, whose rows `influence` has."""
    res = mb.pool(table(), independent=True)
    with pytest.raises(OptionError, match=r"see influence\(\)"):
        study_influence(res.analysis)
    assert len(res.influence().labels) == len(res.effects.labels)
