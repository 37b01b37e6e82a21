"""A regression of rows that depend on each other: what is shown, what is refused, and its edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.effects.effect_sizes import CorrelationGrid
from metaback.errors import OptionError
from metaback.plots.bubble_data import bubble_data
from metaback.regression import Regression

EXACT = 1e-10  # the same model by two ways
SAME = 1e-9  # rows in another order


def table(studies: int = 10, outcomes: int = 2, seed: int = 3) -> pd.DataFrame:
    """Return studies with several outcomes of the same people, and one study with one."""
    rng = np.random.default_rng(seed)
    study = np.append(np.repeat(np.arange(studies), outcomes), studies)
    v = rng.uniform(0.02, 0.08, study.size)
    dose = rng.uniform(1, 9, studies + 1)[study]
    y = 0.3 + 0.05 * dose + rng.normal(0, 0.2, studies + 1)[study] + rng.normal(0, np.sqrt(v))
    return pd.DataFrame(
        {
            "study": [f"Study {i}" for i in study],
            "instrument": [f"scale {i % outcomes}" for i in range(study.size)],
            "dose": dose,
            "group": [f"g{i % 3}" for i in study],
            "yi": y,
            "vi": v,
        }
    )


def test_an_intercept_alone_is_the_pool() -> None:
    """Mean, interval, components, Q, I2 and prediction interval are those of `pool` on the same table."""
    pool, fit = mb.pool(table()), mb.regress(table(), "~ 1")
    (mean,) = fit.coefficients.values()
    for name in ("point", "se", "df", "lower", "upper", "p_value"):
        assert getattr(mean, name) == pytest.approx(getattr(pool.estimate, name), rel=EXACT)
    for name in ("tau2", "q", "q_df", "i2_tau2", "h2"):
        assert getattr(fit.heterogeneity, name) == pytest.approx(getattr(pool.heterogeneity, name), rel=EXACT)
    assert [part.tau2 for part in fit.components] == pytest.approx([p.tau2 for p in pool.analysis.working.components])
    assert pool.pi is not None
    predicted = fit.fitted_values().iloc[0]
    assert [predicted["pi_low"], predicted["pi_high"]] == pytest.approx(list(pool.pi), rel=EXACT)
    assert fit.fit_statistics.reml.loglik == pytest.approx(pool.fit_statistics.reml.loglik, rel=EXACT)


def test_it_is_multilevel_with_the_same_covariance() -> None:
    """The general model with V, `~ 1 | study/row` and CR2 gives the same coefficients and tests."""
    frame = table()
    effects = mb.effect_sizes(mb.read_trials(frame), measure="GEN")
    V = mb.sampling_covariance(effects, rho=0.6)
    wanted = mb.multilevel(effects, "~ 1 | study/effect", V=V, formula="~ dose + group", robust="CR2")
    fit = mb.regress(frame, "~ dose + group")
    for name, one in wanted.coefficients.items():
        assert fit.coefficients[name].point == pytest.approx(one.point, rel=1e-6)
        assert fit.coefficients[name].se == pytest.approx(one.se, rel=1e-6)
        assert fit.coefficients[name].df == pytest.approx(one.df, rel=1e-6)
    assert fit.moderators is not None
    assert wanted.moderators is not None
    assert fit.moderators.p_value == pytest.approx(wanted.moderators.p_value, rel=1e-5)
    assert fit.analysis.fitted.fit.theta[0] == pytest.approx(wanted.components["estimate"].sum(), rel=1e-5)


def test_the_naive_numbers_stand_beside_it() -> None:
    """The first note, the record and the page have them; independent=True makes them the answer, on record."""
    fit = mb.regress(table(), "~ dose")
    alone = fit.update(independent=True)
    assert "10 studies with several rows, which depend on each other" in fit.notes[0]
    assert f"dose {alone.coefficients['dose'].se:.4f} (here" in fit.notes[0]
    assert fit.beside["dose"] == alone.coefficients["dose"]
    assert alone.spec.pool.independent
    assert alone.spec.pool.ci == "HKSJ-wider"
    assert alone.beside["dose"] == fit.coefficients["dose"]
    assert "rows are taken as independent, as the request says" in alone.notes[0]
    record = fit.to_dict()["dependence"]
    assert record["answer"] == "working model"
    assert record["rho"] == 0.6
    assert [row["term"] for row in record["other"]] == ["Intercept", "dose"]
    assert alone.to_dict()["dependence"]["answer"] == "rows as independent"
    assert mb.regress(table().drop_duplicates("study"), "~ dose").to_dict()["dependence"] is None


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"ci": "HKSJ"}, "ci='HKSJ'"),
        ({"tau2": "DL"}, "tau2='DL'"),
        ({"model": "equal"}, "model='equal'"),
        ({"preset": "metafor"}, "as the preset 'metafor' does"),
    ],
)
def test_requests_are_honoured_with_a_note(choices: dict[str, Any], said: str) -> None:
    """A choice that a working model does not have takes rows as independent, and the first note says so."""
    fit = mb.regress(table(), "~ dose", **choices)
    assert not fit.analysis.dependent
    assert said in fit.notes[0]
    assert "robust by study: Intercept" in fit.notes[0]
    assert "taken as independent" in fit.methods_text()


def test_a_preset_can_be_told_to_model_it() -> None:
    """What the preset chose gives way where independent=False is said."""
    fit = mb.regress(table(), "~ dose", preset="metafor", independent=False, ci="CR2")
    assert fit.analysis.dependent
    assert fit.to_frame()["se"].tolist() == pytest.approx(mb.regress(table(), "~ dose").to_frame()["se"].tolist())


def test_the_correlation_is_used() -> None:
    """Another assumed correlation gives other coefficients, and stays on update."""
    fit = mb.regress(table(), "~ dose", rho=0.2)
    assert fit.to_dict()["dependence"]["rho"] == 0.2
    assert fit.update("~ dose + group").spec.pool.rho == 0.2
    assert fit.coefficients["dose"].point != mb.regress(table(), "~ dose").coefficients["dose"].point
    with pytest.raises(OptionError, match="rho"):
        mb.regress(table(), "~ dose", rho=1.5)


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: fit.permutation_test(),
        lambda fit: fit.influence(),
        lambda fit: fit.baujat(),
        lambda fit: fit.location_scale("~ dose"),
        lambda fit: fit.figure("baujat"),
    ],
)
def test_what_takes_rows_as_independent_is_refused(ask: Callable[[Regression], object]) -> None:
    """The error names the cure, and the cure works."""
    fit = mb.regress(table(), "~ dose")
    with pytest.raises(OptionError, match=r"this regression models.*update\(independent=True\)"):
        ask(fit)
    assert ask(fit.update(independent=True)) is not None


def test_predictions_and_the_bubble_plot_are_robust() -> None:
    """Limits are x'b -+ t(df) se with the robust covariance; the plot has them and says so."""
    fit = mb.regress(table(), "~ dose")
    at = fit.predict(pd.DataFrame({"dose": [2.0, 5.0]}))
    x = np.array([[1, 2.0], [1, 5.0]])
    assert at["se"].to_numpy() == pytest.approx(np.sqrt(np.einsum("ip,pq,iq->i", x, fit.cov, x)), rel=EXACT)
    assert at["df"].nunique() == 2
    assert (at["pi_high"] > at["ci_high"]).all()
    data = bubble_data(fit.analysis)
    assert any("depend on each other" in note for note in data.footnotes)
    middle = fit.predict(pd.DataFrame({"dose": [data.grid[0]]}))
    assert data.low[0] == pytest.approx(middle["ci_low"][0], rel=EXACT)


def test_joint_tests_are_htz() -> None:
    """One contrast: F is its t squared on the same df; several: between 0 and 1 and of the terms."""
    fit = mb.regress(table(), "~ dose + group")
    one, joint = fit.contrast("dose = 0"), fit.joint_test("dose = 0")
    assert joint is not None
    assert joint.statistic == pytest.approx(one["statistic"][0] ** 2, rel=EXACT)
    assert joint.df_residual == pytest.approx(one["df"][0], rel=EXACT)
    assert joint.p_value == pytest.approx(one["p_value"][0], rel=1e-8)
    group = fit.joint_test("group[T.g1] = 0", "group[T.g2] = 0")
    assert group is not None
    assert group.p_value == pytest.approx(next(t.test.p_value for t in fit.analysis.terms if t.name == "group"))
    assert fit.joint_test("dose = 0", "2 * dose = 0") is None


def test_rows_without_repeats_take_cr2_by_row() -> None:
    """With one row in every study nothing is said of dependence, and CR2 has each row as a cluster."""
    frame = table().drop_duplicates("study").reset_index(drop=True)
    fit, pool = mb.regress(frame, "~ 1", ci="CR2"), mb.pool(frame, ci="CR2")
    (mean,) = fit.coefficients.values()
    for name in ("point", "se", "df", "lower", "p_value"):
        assert getattr(mean, name) == pytest.approx(getattr(pool.estimate, name), rel=1e-8)
    assert not fit.beside
    usual = mb.regress(frame, "~ dose")
    assert usual.spec.pool.ci == "HKSJ-wider"
    robust = usual.update(ci="CR2")
    assert robust.to_frame()["se"].tolist() == pytest.approx(usual.robust("CR2")["se"].tolist(), rel=EXACT)


def test_other_kinds_and_clusters() -> None:
    """The kind of the answer gives the answer; a column that cuts studies is refused by name."""
    frame = table().assign(lab=lambda d: ["one" if s in ("Study 0", "Study 1") else s for s in d["study"]])
    fit = mb.regress(frame, "~ dose")
    assert fit.robust()["se"].tolist() == pytest.approx(fit.to_frame()["se"].tolist(), rel=EXACT)
    assert fit.robust("CR0")["se"].max() < fit.robust("CR3")["se"].max()
    assert set(fit.robust(cluster="lab")["clusters"]) == {10}
    with pytest.raises(OptionError, match="rows of Study 0 lie in several clusters"):
        fit.robust(cluster="instrument")
    with pytest.raises(OptionError, match="CR2"):
        fit.robust("cr2")
    with pytest.raises(OptionError, match="labb"):
        fit.robust(cluster="labb")


def test_rows_of_one_study_alone() -> None:
    """A robust variance needs two clusters: the naive regression is shown, and the first note says why."""
    frame = table().query("study == 'Study 0'")
    more = pd.concat([frame, frame.assign(yi=frame["yi"] + 0.3, dose=3.0)], ignore_index=True)
    fit = mb.regress(more.assign(instrument=list("abcd")), "~ dose")
    assert not fit.analysis.dependent
    assert fit.notes[0].startswith("1 study with several rows, but they are taken as independent, because")
    assert "two clusters" in fit.notes[0]
    assert not fit.beside
    assert fit.to_dict()["dependence"]["answer"] == "rows as independent"


def test_more_coefficients_than_studies() -> None:
    """What no second study informs has no robust test; nothing is made up for it."""
    frame = table(studies=3).assign(x=lambda d: np.arange(len(d)) % 2)
    fit = mb.regress(frame, "~ dose + group + x")
    found = fit.to_frame().set_index("term")
    assert found.loc[["Intercept", "dose"], "se"].isna().all()
    assert found.loc["x", "se"] > 0
    assert any("no robust variance" in note for note in fit.notes)
    assert "nan" not in repr(fit)


def test_order_of_rows_does_not_matter() -> None:
    """Rows of a study need not stand together."""
    frame = table()
    one = mb.regress(frame, "~ dose + group").to_frame()
    other = mb.regress(frame.sample(frac=1, random_state=4), "~ dose + group").to_frame()
    for name in ("estimate", "se", "df", "p_value"):
        assert other[name].to_numpy() == pytest.approx(one[name].to_numpy(), rel=1e-6)


def test_the_report_says_what_was_done(tmp_path: Path) -> None:
    """The page has both tables of coefficients, the methods name the model, and the files hold the other numbers."""
    fit = mb.regress(table(), "~ dose")
    folder = fit.report(tmp_path / "out")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "For comparison, not the answer: every row as independent" in page
    assert "cluster-robust variance (CR2)" in page
    text = fit.methods_text()
    assert "three-level model" in text
    assert "r = 0.6" in text
    assert "Hotelling" in text
    assert "Satterthwaite" in text
    other = pd.read_csv(folder / "tables" / "coefficients_beside.csv")
    assert other["se"].tolist() == pytest.approx([one.se for one in fit.beside.values()], rel=1e-9)
    assert math.isfinite(other["p_value"].iloc[1])


def test_many_and_multiverse_say_that_rows_are_independent() -> None:
    """They have no working model: the note says so, and what they cannot do is refused with the way out."""
    frame = table()
    found = mb.multiverse(frame, tau2=("REML", "DL"), ci="HKSJ", exclude=None)
    assert "takes rows of one study as independent" in found.notes[0]
    alone = mb.pool(frame, ci="HKSJ", independent=True)
    assert found.to_frame()["estimate"].iloc[0] == pytest.approx(alone.estimate.point, rel=EXACT)
    with pytest.raises(OptionError, match=r"see pool\(\) for a working model"):
        mb.multiverse(frame, independent=False)
    unique = mb.multiverse(frame.drop_duplicates("study"), tau2="DL", ci="HKSJ", exclude=None)
    assert not any("as independent" in note for note in unique.notes)
    groups = mb.pool_many(frame.assign(gene="a"), by="gene", study="study")
    assert "as if they were independent" in groups["note"][0]
    assert groups["estimate"][0] == pytest.approx(mb.pool(frame, independent=True).estimate.point, rel=1e-8)
    for ask in (
        lambda: mb.pool_many(frame.assign(gene="a"), by="gene", moderators="~ dose", ci="CR2"),
        lambda: mb.pool_arrays(np.ones((2, 4)), np.ones((2, 4)), np.ones((4, 1)), ci="CR2"),
    ):
        with pytest.raises(OptionError, match=r"ci='CR2' needs the clusters.*regress\(\)"):
            ask()


def test_a_covariance_stays_behind_where_effects_change() -> None:
    """Effects under another assumed correlation have other variances, so that the covariance does not go with them."""
    effects = mb.effect_sizes(mb.read_trials(table()), measure="GEN")
    held = mb.sampling_covariance(effects).with_effects()
    assert held.cov is not None
    n = held.yi.size
    grid = CorrelationGrid(
        0.5, np.ones(n, bool), np.array([0.5, 0.7]), np.stack([held.yi] * 2), np.stack([held.vi, 1.5 * held.vi])
    )
    found = mb.pool(replace(held, grid=grid), independent=True).multiverse(exclude=None)
    assert [source.cov is None for source in found.specifications.sources] == [False, True]
