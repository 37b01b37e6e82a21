"""The verb `multilevel`: edges, questions, words; numbers are vouched for in tests/reference and tests/published."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.models.multilevel import model_covariance
from metaback.stats.blocks import whole

SAME = 1e-9  # another order of the same sums, after a search to 1e-12
DATA = Path(__file__).parent / "reference" / "dependent" / "data.json"


def table(studies: int = 12, rows: int = 3, seed: int = 1) -> pd.DataFrame:
    """Return effects in studies, with a lab of every two studies, an outcome and a moderator."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), rows)
    v = rng.uniform(0.01, 0.06, study.size)
    x = rng.normal(size=study.size)
    u = rng.normal(size=studies) * 0.3
    y = 0.2 + 0.1 * x + u[study] + rng.normal(size=study.size) * 0.2 + rng.normal(size=study.size) * np.sqrt(v)
    outcome = np.array(["pain", "load", "sleep"])[np.arange(study.size) % rows % 3]
    return pd.DataFrame(
        {"study": [f"S{s}" for s in study], "lab": [f"L{s // 2}" for s in study], "outcome": outcome, "x": x,
         "yi": y, "vi": v}
    )  # fmt: skip


@pytest.fixture(name="fit", scope="module")
def three_levels() -> mb.Multilevel:
    """Return a three-level model with a moderator."""
    return mb.multilevel(table(), "~ 1 | study/effect", formula="~ x")


# ---------------------------------------------------------------- edges


def test_one_effect_per_study_is_the_pool_with_one_variance() -> None:
    frame = table(rows=1)
    fit, pool = mb.multilevel(frame, "~ 1 | study/effect"), mb.pool(frame, ci="Wald-t", independent=True)
    assert fit.components["component"].tolist() == ["σ² study + study/effect"]
    assert fit.components["estimate"][0] == pytest.approx(pool.tau2, rel=SAME)
    assert fit.estimate.lower == pytest.approx(pool.ci[0], rel=SAME)
    assert "only their sum is estimated" in fit.notes[0]


def test_one_cluster_has_no_variance_between_clusters_and_says_so() -> None:
    fit = mb.multilevel(table(studies=1, rows=5), "~ 1 | study/effect")
    assert [part.key for part in fit.fitted.random.terms] == ["study/effect"]
    assert any("all rows belong to one study" in note for note in fit.notes)
    with pytest.raises(mb.EstimationError, match="robust='CR2' by study"):
        mb.multilevel(table(studies=1, rows=5), "~ 1 | study/effect", robust="CR2")


def test_one_row_is_refused() -> None:
    with pytest.raises(mb.DataError, match="needs at least 2"):
        mb.multilevel(table(studies=1, rows=1), "~ 1 | study/effect")


def test_a_level_in_one_study_has_no_robust_interval() -> None:
    frame = table()
    frame["kind"] = ["odd" if study == "S3" else "usual" for study in frame["study"]]
    fit = mb.multilevel(frame, "~ 1 | study/effect", formula="~ kind", robust="CR2")
    assert math.isnan(fit.coefficients["Intercept"].se)
    assert any("a single study decides" in note for note in fit.notes)
    assert "cannot be tested together" in repr(fit)


def test_a_coefficient_at_a_level_without_degrees_of_freedom_has_no_interval() -> None:
    frame = table(studies=3, rows=5)
    frame["z"] = frame["x"] ** 2
    fit = mb.multilevel(frame, "~ 1 | study/effect", formula="~ x + z")
    assert math.isnan(fit.coefficients["Intercept"].lower)
    assert fit.coefficients["x"].df == 12
    assert any(note.startswith("No interval of Intercept") for note in fit.notes)


def test_coefficients_that_use_up_the_studies_rest_on_a_variance_that_nobody_knows() -> None:
    frame = table(studies=2, rows=4)
    frame["arm"] = ["a" if study == "S0" else "b" for study in frame["study"]]
    fit = mb.multilevel(frame, "~ 1 | study/effect", formula="~ arm")
    assert not fit.components["identifiable"][0]
    assert all(math.isnan(part.se) for part in fit.coefficients.values())
    assert any("cannot be judged" in note for note in fit.notes)


def test_a_correlation_that_no_block_can_have_names_the_study_and_the_cure() -> None:
    with pytest.raises(mb.DataError, match=r"the sampling covariance of S0 is not positive definite.*smaller"):
        mb.multilevel(table(), "~ 1 | study/effect", rho=-0.9)


def test_variances_at_zero_are_told() -> None:
    frame = table()
    frame["yi"] = 0.1 + 0.001 * np.arange(len(frame)) % 3
    fit = mb.multilevel(frame, "~ 1 | study/effect")
    assert fit.components["estimate"].tolist() == [0, 0]
    assert any("estimated as 0" in note for note in fit.notes)


def test_crossed_effects_have_no_clusters_for_a_robust_variance() -> None:
    frame = table()
    with pytest.raises(mb.OptionError, match="rows of different clusters are correlated"):
        mb.multilevel(frame, ["~ 1 | study", "~ 1 | outcome"], robust="CR2")
    assert mb.multilevel(frame, ["~ 1 | study", "~ 1 | lab"], robust="CR2").spec.cluster == "lab"


def test_rows_without_a_moderator_are_left_out_by_name() -> None:
    frame = table()
    frame.loc[4, "x"] = np.nan
    fit = mb.multilevel(frame, "~ 1 | study/effect", formula="~ x")
    assert fit.k == len(frame) - 1
    assert fit.left_out == (("S1", "index 4", "no value of x"),)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"random": "~ 1 | studdy"}, "did you mean 'study'"),
        ({"V": 0.5, "rho": 0.4}, "give one of the two"),
        ({"V": np.eye(3)}, "V is a ndarray"),
        ({"cluster": "labb", "robust": "CR2"}, "did you mean 'lab'"),
        ({"fixed": {"sigma2 lab": 0.1}}, "fixed='sigma2 lab' is not known"),
        ({"fixed": {"sigma2 study": -1.0}}, "out of its range"),
        ({"R": {"lab": pd.DataFrame([[1.0]], ["L0"], ["L0"])}}, "R='lab' is not known"),
    ],
)
def test_what_cannot_be_meant_is_refused(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(mb.OptionError) as caught:
        mb.multilevel(table(), **choices)
    assert said in str(caught.value)


# ---------------------------------------------------------------- invariances


def test_the_order_of_rows_does_not_matter(fit: mb.Multilevel) -> None:
    frame = table()
    turned = mb.multilevel(frame.iloc[::-1].reset_index(drop=True), "~ 1 | study/effect", formula="~ x")
    assert turned.loglik == pytest.approx(fit.loglik, abs=SAME)
    for name, part in fit.coefficients.items():
        assert turned.coefficients[name].point == pytest.approx(part.point, rel=1e-8)
        assert turned.coefficients[name].df == part.df


def test_a_change_of_unit_changes_nothing_but_the_unit(fit: mb.Multilevel) -> None:
    frame = table()
    scaled = mb.multilevel(
        frame.assign(yi=frame["yi"] * 50, vi=frame["vi"] * 2500), "~ 1 | study/effect", formula="~ x"
    )
    for name, part in fit.coefficients.items():
        assert scaled.coefficients[name].point == pytest.approx(50 * part.point, rel=1e-8)
        assert scaled.coefficients[name].p_value == pytest.approx(part.p_value, rel=1e-7)
    assert np.allclose(scaled.components["estimate"], 2500 * fit.components["estimate"], rtol=1e-8)


def test_rho_is_the_covariance_that_sampling_covariance_builds() -> None:
    frame = table()
    effects = mb.effect_sizes(frame, measure="GEN")
    given = mb.sampling_covariance(effects, rho=0.5)
    one, two = mb.multilevel(effects, V=0.5), mb.multilevel(effects, rho=0.5)
    assert one.loglik == two.loglik
    three = mb.multilevel(effects, V=given)
    assert three.loglik == pytest.approx(two.loglik, abs=SAME)
    carried = mb.multilevel(given.with_effects())
    assert carried.loglik == pytest.approx(two.loglik, abs=SAME)


# ---------------------------------------------------------------- questions


def test_predictions_of_known_and_new_levels_agree_with_dense_algebra(fit: mb.Multilevel) -> None:
    frame = pd.DataFrame({"x": [0.5], "study": ["S4"]})
    M = whole(model_covariance(fit.fitted))
    X, y, beta = fit.fitted.design.X, fit.fitted.y, fit.fitted.fit.beta
    s_study, s_effect = fit.fitted.fit.theta
    c = s_study * (fit.fitted.random.terms[0].grouping.codes == 4)
    x = np.array([1.0, 0.5])
    point = x @ beta + c @ np.linalg.solve(M, y - X @ beta)
    d = x - X.T @ np.linalg.solve(M, c)
    mse = s_study - c @ np.linalg.solve(M, c) + d @ fit.fitted.fit.cov @ d
    known = fit.predict(frame, known="study")
    assert known["estimate"][0] == pytest.approx(point, rel=SAME)
    assert known["se"][0] ** 2 == pytest.approx(mse, rel=SAME)
    wide = (known["pi_high"][0] - known["estimate"][0]) / (known["ci_high"][0] - known["estimate"][0])
    assert wide**2 == pytest.approx((mse + s_effect) / mse, rel=SAME)
    new = fit.predict(frame)
    ratio = (new["pi_high"][0] - new["estimate"][0]) / (new["ci_high"][0] - new["estimate"][0])
    variance = x @ fit.fitted.fit.cov @ x
    assert ratio**2 == pytest.approx((variance + s_study + s_effect) / variance, rel=SAME)
    mean = fit.predict(frame, of="study")
    assert new["pi_high"][0] > mean["pi_high"][0] > mean["ci_high"][0]


def test_a_new_level_of_a_factor_takes_its_own_variance() -> None:
    fit = mb.multilevel(table(studies=20), "~ outcome | study", struct="DIAG", formula="~ outcome - 1")
    tau2 = dict(zip([part.inner[0] for part in fit.analysis.components], fit.components["estimate"], strict=True))
    found = fit.predict(pd.DataFrame({"outcome": ["pain", "sleep"]}))
    for i, name in enumerate(["pain", "sleep"]):
        half = (found["ci_high"][i] - found["estimate"][i]) / found["se"][i]
        spread = (found["pi_high"][i] - found["estimate"][i]) / half
        assert spread**2 == pytest.approx(found["se"][i] ** 2 + tau2[name], rel=SAME)
    with pytest.raises(mb.DataError, match="is not a level of the fit"):
        fit.predict(pd.DataFrame({"outcome": ["pian"]}))


def test_leaving_clusters_out_is_a_batch_of_fits_without_them(fit: mb.Multilevel) -> None:
    found = fit.leave_one_out()
    assert found.clusters[2] == "S2"
    alone = mb.multilevel(table().query("study != 'S2'"), "~ 1 | study/effect", formula="~ x")
    assert found.estimate[2] == pytest.approx([part.point for part in alone.coefficients.values()], rel=1e-7)
    assert found.theta[2] == pytest.approx(alone.components["estimate"].tolist(), rel=1e-6)
    assert len(found.to_frame()) == 24


def test_comparisons_refuse_what_cannot_be_compared(fit: mb.Multilevel) -> None:
    null = mb.multilevel(table(), "~ 1 | study/effect")
    with pytest.raises(mb.OptionError, match="use method='ML' for both"):
        fit.compare(null)
    assert fit.update(method="ML").compare(null.update(method="ML")).df == 1
    other = mb.multilevel(table(seed=2), "~ 1 | study/effect", formula="~ x")
    with pytest.raises(mb.OptionError, match="their effects or sampling covariances differ"):
        fit.compare(other)


def test_a_sweep_holds_the_fit_of_each_rho() -> None:
    fit = mb.multilevel(table(), "CHE")
    frame = fit.sweep([0.0, 0.6, 0.9]).to_frame()
    assert frame["rho"].tolist() == [0, 0.6, 0.9]
    assert frame["estimate"][1] == pytest.approx(fit.estimate.point, rel=SAME)
    effects = mb.effect_sizes(table(), measure="GEN")
    by_grid = mb.multilevel(effects, V=mb.sampling_covariance(effects, rho=0.6, grid=[0, 0.9])).sweep()
    assert set(by_grid.rho) >= {0.0, 0.9}


def test_profiles_peak_at_the_estimate_and_intervals_end_where_they_fall_by_chi_square() -> None:
    fit = mb.multilevel(table(), "~ 1 | study/effect")
    row = fit.components_ci().iloc[0]
    profile = fit.profile("study", [row["ci_low"], row["estimate"], row["ci_high"]])
    assert profile.logliks[1] == pytest.approx(fit.loglik, abs=1e-8)
    assert fit.loglik - profile.logliks[[0, 2]] == pytest.approx([1.920729] * 2, abs=1e-5)


def test_robust_variances_are_reached_from_every_side() -> None:
    fit = mb.multilevel(table(), "~ 1 | study/effect", formula="~ x")
    robust = fit.robust("CR2")
    assert robust.cov == pytest.approx(fit.update(robust="CR2").cov)
    assert robust.robust("none").cov == pytest.approx(fit.cov)
    assert str(robust.joint_test("x")) == str(robust.moderators)
    by_lab = fit.robust("CR2", cluster="lab")
    assert by_lab.spec.cluster == "lab"


def test_working_models_follow_from_their_formulas() -> None:
    frame = table()
    che = mb.multilevel(frame, "CHE", rho=0.5)
    same = mb.multilevel(frame, "~ 1 | study/effect", rho=0.5, robust="CR2")
    assert che.to_frame().equals(same.to_frame())
    sce = mb.multilevel(frame, "SCE(outcome)", formula="~ outcome - 1")
    assert [part.kind for part in sce.analysis.components] == ["variance"] * 3
    assert all(rows.shape[1] == 1 for rows in sce.fitted.V.blocks.rows)  # one row per study and outcome


# ---------------------------------------------------------------- words


def test_text_card_record_and_methods_tell_the_model(fit: mb.Multilevel) -> None:
    text = repr(fit)
    assert "t with containment df" in text
    assert "σ² study/effect" in text
    card = mb.multilevel(table(), "CHE")._repr_html_()
    assert "As if independent" in card
    assert "sampling correlation 0.60 assumed" in card
    record = json.dumps(fit.to_dict(), allow_nan=False)
    assert '"containment"' in record
    methods = mb.multilevel(table(), "CHE").methods_text()
    assert "correlated and hierarchical effects (CHE) working model" in methods
    assert "assumed to correlate by 0.60" in methods
    assert "CR2" in methods


def test_names_from_a_file_are_escaped() -> None:
    frame = table()
    frame["study"] = frame["study"].replace("S1", "<script>alert(1)</script>")
    assert "<script>" not in mb.multilevel(frame, "~ 1 | study/effect")._repr_html_()


def test_logs_become_ratios() -> None:
    frame = table()
    effects = mb.effect_sizes(frame.assign(measure="OR"), measure="OR")
    fit = mb.multilevel(effects, "~ 1 | study/effect")
    natural = fit.to_frame(transform="natural")
    assert natural["estimate"][0] == pytest.approx(math.exp(fit.estimate.point))
    assert natural["scale"][0] == "natural"


# ---------------------------------------------------------------- a column that is named study and holds something else


def namesakes() -> pd.DataFrame:
    """Return effects whose studies stand in a column of another name, beside a column that is named study."""
    frame = table(rows=4).rename(columns={"study": "trial"})
    return frame.assign(study=["x", "y", "x", "z"] * 12, half=["a", "a", "b", "b"] * 12)


@pytest.mark.parametrize("model", ["CHE", "HE", "CE", "SCE(half)", "CMVE(half)", "CORR", "HIER"])
def test_a_working_model_means_the_studies_of_the_table(model: str) -> None:
    """Its clusters, components and numbers are those of the column that holds the studies, whatever its name."""
    frame = namesakes()
    fit = mb.multilevel(mb.read_trials(frame, roles={"study": "trial"}), model)
    same = mb.multilevel(frame.drop(columns="study").rename(columns={"trial": "study"}), model)
    assert fit.fitted.cluster_names == same.fitted.cluster_names
    assert fit.to_frame().equals(same.to_frame())
    assert fit.components.equals(same.components)
    assert fit.notes == same.notes


def test_a_formula_means_the_column_that_it_names_and_says_so() -> None:
    trials = mb.read_trials(namesakes(), roles={"study": "trial"})
    told = [note for note in mb.multilevel(trials, "~ 1 | study/effect").notes if "column of that name" in note]
    assert len(told) == 1
    fit = mb.multilevel(trials, "~ 1 | trial/effect")
    assert not any("column of that name" in note for note in fit.notes)
    assert not any("column of that name" in note for note in mb.multilevel(table(), "~ 1 | study/effect").notes)
