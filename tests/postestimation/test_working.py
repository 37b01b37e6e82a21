"""A table whose rows depend on each other is pooled by a working model, with the naive pool beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.errors import OptionError
from metaback.models.dependent_means import dependent_means
from metaback.postestimation.working_levels import component_profile
from metaback.report.dependence import dependence_blocks
from metaback.report.records import analysis_record
from metaback.stats.blocks import blocks_of, gathered

EXACT = 1e-10
CLIMBED = 1e-6  # two searches that end within the tolerance of the climb
RHO = 0.6


def table(seed: int = 1, studies: int = 8, outcomes: int = 2, **more: Any) -> pd.DataFrame:
    """Return trials with several outcomes of the same people, and one trial with one."""
    rng = np.random.default_rng(seed)
    study = np.append(np.repeat(np.arange(studies), outcomes), studies)
    v = rng.uniform(0.02, 0.08, study.size)
    y = 0.3 + rng.normal(0, 0.2, studies + 1)[study] + rng.normal(0, np.sqrt(v))
    return pd.DataFrame(
        {
            "study": [f"Study {i}" for i in study],
            "instrument": [f"scale {i % outcomes}" for i in range(study.size)],
            "year": 2000 + study,
            "yi": y,
            "vi": v,
            **more,
        }
    )


def test_the_default_is_the_working_model() -> None:
    """Mean, interval and components are those of the kernel over the covariance that rho makes."""
    frame = table()
    res = mb.pool(frame)
    study = np.unique(frame["study"], return_inverse=True)[1]
    v = frame["vi"].to_numpy()
    dense = np.where(study[:, None] == study, RHO * np.sqrt(np.outer(v, v)), 0.0)
    np.fill_diagonal(dense, v)
    wanted = dependent_means(frame["yi"].to_numpy(), gathered(blocks_of(study), dense), study)
    assert res.estimate.point == pytest.approx(wanted.mean[0], rel=EXACT)
    assert res.estimate.se == pytest.approx(wanted.se[0], rel=EXACT)
    assert res.estimate.df == pytest.approx(wanted.df[0], rel=EXACT)
    assert res.tau2 == pytest.approx(wanted.between[0] + wanted.within[0], rel=EXACT)
    assert res.spec.ci == "CR2"
    assert res.pi is not None
    half = res.pi[1] - res.estimate.point
    assert half > res.estimate.upper - res.estimate.point


def test_the_naive_result_stands_beside_it() -> None:
    """The note gives both, the record has both, and independent=True turns them round, on record."""
    res, naive = mb.pool(table()), mb.pool(table(), independent=True)
    working = res.analysis.working
    assert working is not None
    assert working.naive.mean == naive.estimate
    assert res.notes[0].startswith("8 of 9 studies have several rows: three-level model with robust variance (CR2).")
    assert f"{naive.estimate.point:.2f}".replace("-", "−") in res.notes[0]
    beside = naive.analysis.working
    assert beside is not None
    assert not beside.primary
    assert beside.pool.mean == res.estimate
    assert "as the request says" in naive.notes[0]
    assert naive.to_dict()["model"]["independent"] is True
    assert res.to_dict()["dependence"]["answer"] == "working model"
    assert not any("pooled as if they were independent" in note for note in res.notes)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"preset": "revman5"}, "as the preset 'revman5' does"),
        ({"preset": "metafor"}, "as the preset 'metafor' does"),
        ({"tau2": "DL"}, "tau2='DL'"),
        ({"ci": "Wald"}, "ci='Wald'"),
        ({"model": "equal"}, "model='equal'"),
        ({"pi": "HK"}, "pi='HK'"),
    ],
)
def test_what_takes_rows_as_independent_says_so(choices: dict[str, Any], said: str) -> None:
    """A request that the working model cannot answer is carried out as it was made, with the model beside it."""
    res = mb.pool(table(), **choices)
    assert res.analysis.working is not None
    assert not res.analysis.dependent
    assert said in res.notes[0]
    assert res.estimate == mb.pool(table(), **choices, independent=True).estimate


def test_a_preset_can_be_told_to_model_it() -> None:
    """independent=False under the preset of another program still needs that program's interval to go."""
    res = mb.pool(table(), preset="metafor", independent=False, ci="CR2")
    assert res.analysis.dependent


def test_one_row_in_every_study_is_pooled_as_ever() -> None:
    """No working model, no other number."""
    frame = table(outcomes=1)
    assert mb.pool(frame).analysis.working is None
    assert mb.pool(frame).estimate == mb.pool(frame, independent=True).estimate


def test_the_assumed_correlation_is_swept() -> None:
    """The grid has the pool under other correlations, that which was asked for among them, each as pooled with it."""
    res = mb.pool(table(), rho=0.5)
    assert res.analysis.working is not None
    grid = {part.rho: part.mean for part in res.analysis.working.grid}
    assert list(grid) == [0.2, 0.4, 0.5, 0.6, 0.8]
    assert grid[0.5] == res.estimate
    assert grid[0.8] == mb.pool(table(), rho=0.8).estimate


def test_leave_one_out_leaves_out_studies() -> None:
    """Each as the pool of the others."""
    frame = table()
    found = mb.pool(frame).leave_one_out()
    assert found.by == "study"
    for i, label in enumerate(found.labels):
        alone = mb.pool(frame[frame["study"] != label])
        assert found.pools.estimate[i] == pytest.approx(alone.estimate.point, rel=1e-7)
        assert found.pools.ci_low[i] == pytest.approx(alone.estimate.lower, rel=1e-6)


@pytest.mark.parametrize("by", ["row", "instrument"])
def test_leave_one_out_can_leave_a_part_of_a_study(by: str) -> None:
    """What remains of a study stays with its covariance: each as the pool of the table without these rows."""
    frame = table(outcomes=3)
    found = mb.pool(frame).leave_one_out(by=by)
    cells = np.arange(len(frame)) if by == "row" else frame[by].to_numpy()
    for i, value in enumerate(dict.fromkeys(cells.tolist())):
        alone = mb.pool(frame[pd.Series(cells != value)])
        assert found.pools.k[i] == alone.k
        assert found.pools.estimate[i] == pytest.approx(alone.estimate.point, rel=CLIMBED)
        assert found.pools.se[i] == pytest.approx(alone.estimate.se, rel=CLIMBED)
        assert found.pools.tau2[i] == pytest.approx(alone.tau2, rel=CLIMBED, abs=1e-9)


def test_a_double_arcsine_comes_back_with_the_size_of_each_set() -> None:
    """Sets of dependent rows are carried back by the harmonic mean of their own sizes, as the pool of each is."""
    rng = np.random.default_rng(3)
    n = rng.integers(20, 90, 12)
    frame = pd.DataFrame(
        {
            "study": [f"S{i // 2}" for i in range(12)],
            "outcome": ["a", "b"] * 6,
            "n": n,
            "events": rng.binomial(n, 0.3),
        }
    )
    found = mb.pool(frame, measure="PFT").leave_one_out()
    shown = found.to_frame(transform="natural")
    for i, label in enumerate(found.labels):
        alone = mb.pool(frame[frame["study"] != label], measure="PFT")
        assert shown["estimate"][i] == pytest.approx(alone.estimate.natural()[0], rel=CLIMBED)


def test_people_count_once_however_rows_are_taken() -> None:
    """Two outcomes of the same people: a pool of independent rows has as many people as that of the working model."""
    arms = {
        "n_1": 30,
        "mean_1": [1.0, 2.0, 1.4, 2.2],
        "sd_1": 1.0,
        "n_2": 32,
        "mean_2": [2.0, 2.1, 2.2, 2.5],
        "sd_2": 1.0,
    }
    frame = pd.DataFrame({"study": ["A", "A", "B", "B"], "instrument": ["x", "y"] * 2, **arms})
    for independent in (False, True):
        res = mb.pool(frame, measure="SMD", independent=independent)
        assert res.analysis.overall.n == 2 * 62


def test_studies_enter_whole() -> None:
    """The cumulative pool takes all rows of a study with its first; the last step is the pool."""
    res = mb.pool(table())
    found = res.cumulative(order="year")
    assert len(found.labels) == 9
    assert found.pools.k.tolist()[:2] == [2, 4]
    assert found.pools.estimate[-1] == pytest.approx(res.estimate.point, rel=1e-8)


def test_subgroups_within_studies() -> None:
    """Each subgroup is pooled by the model; their difference is tested in one model of all, by HTZ."""
    frame = table()
    res = mb.pool(frame, by="instrument")
    groups = res.subgroups
    assert groups is not None
    for level, pool in zip(groups.levels, groups.pools, strict=True):
        alone = mb.pool(frame[frame["instrument"] == level], ci="CR2")
        assert pool.mean.point == pytest.approx(alone.estimate.point, rel=1e-6)
        assert pool.mean.se == pytest.approx(alone.estimate.se, rel=1e-6)
    assert groups.test is not None
    assert np.isfinite(groups.test.df2)
    assert 0 < groups.test.p_value < 1


def test_a_figure_that_takes_rows_as_independent_is_refused() -> None:
    """With the way to ask for it."""
    res = mb.pool(table())
    with pytest.raises(OptionError, match=r"update\(independent=True\)"):
        res.figure("profile")
    assert res.update(independent=True).figure("profile") is not None


def test_subgroups_are_compared_in_one_model_of_all() -> None:
    """Its joint test is that of the pool; means and differences have robust variance, each with its own df."""
    frame = table(outcomes=3)
    res = mb.pool(frame, by="instrument")
    found = res.compare_subgroups()
    groups = res.subgroups
    assert groups is not None
    assert groups.test is not None
    assert found.dependent
    assert found.test.statistic == pytest.approx(groups.test.f, rel=EXACT)
    assert found.test.p_value == pytest.approx(groups.test.p_value, rel=EXACT)
    one = mb.regress(frame, "~ 0 + instrument").coefficients
    for mean in found.means:
        wanted = one[f"instrument[{mean.level}]"]
        assert (mean.estimate.se, mean.estimate.df) == pytest.approx((wanted.se, wanted.df), rel=CLIMBED)
    pairs = res.subgroup_pairs(adjust="bonferroni")
    assert pairs["term"].tolist()[0] == "scale 1 - scale 0"
    np.testing.assert_allclose(pairs["p_adjusted"], np.minimum(1, 3 * pairs["p_value"]), rtol=EXACT)
    assert found == res.compare_subgroups(tau2="common")
    assert repr(found).startswith("Subgroups by instrument, one three-level model with robust variance (CR2, HTZ)")


def test_rows_of_no_subgroup_are_not_compared() -> None:
    frame = table(outcomes=3)
    frame.loc[frame["instrument"] == "scale 2", "instrument"] = None
    found = mb.pool(frame, by="instrument").compare_subgroups()
    alone = mb.pool(frame.dropna(), by="instrument").compare_subgroups()
    assert [mean.level for mean in found.means] == ["scale 0", "scale 1"]
    assert found.test.p_value == pytest.approx(alone.test.p_value, rel=CLIMBED)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"tau2": "separate"}, r"tau2='separate'.*are compared in one model.*\.subgroups"),
        ({"tau2": "seperate"}, "did you mean 'separate'"),
        ({"adjust": "holmes"}, "did you mean 'holm'"),
    ],
)
def test_comparisons_that_dependent_rows_do_not_have_are_refused(choices: dict[str, str], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        mb.pool(table(), by="instrument").compare_subgroups(**choices)
    with pytest.raises(OptionError, match="name their column with by="):
        mb.pool(table()).compare_subgroups()


def test_subgroups_of_one_study_are_not_tested_and_the_report_says_why(tmp_path: Path) -> None:
    """The report said that only one subgroup could be pooled."""
    frame = table()
    frame["instrument"] = np.where(frame["study"] == "Study 0", "other", frame["instrument"])
    res = mb.pool(frame, by="instrument")
    assert res.subgroups is not None
    assert res.subgroups.test is None
    assert "difference: no test" in repr(res)
    res.report(tmp_path / "r")
    page = (tmp_path / "r" / "report.md").read_text(encoding="utf-8")
    assert "The difference between subgroups by instrument was not tested: the studies are too few" in page
    assert "Only one subgroup" not in page


@pytest.mark.parametrize("tau2", ["REML", "ML"])
def test_components_have_the_limits_of_multilevel(tau2: str) -> None:
    """Profile and limits of both variances are those of the same model asked for by name, in any table."""
    frame = table(effect=1.0)
    res = mb.pool(frame, tau2=tau2)
    es = mb.sampling_covariance(mb.effect_sizes(frame.drop(columns="effect"))).with_effects()
    same = mb.multilevel(es, "CHE", method=tau2)
    assert same.estimate.se == pytest.approx(res.estimate.se, rel=CLIMBED)
    wanted, found = same.components_ci(), res.components_ci()
    assert found["component"].tolist() == ["between studies", "within studies"]
    for name in ("estimate", "ci_low", "ci_high"):
        np.testing.assert_allclose(found[name], wanted[name].astype(float), rtol=CLIMBED, atol=CLIMBED)
    one = component_profile(res.analysis, "within studies", np.array([0.01, 0.05]))
    two = same.profile(1, values=[0.01, 0.05])
    assert repr(res.profile(of="within studies", values=[0.01, 0.05])) == repr(one)
    np.testing.assert_allclose(one.logliks, two.logliks, rtol=CLIMBED)
    with pytest.raises(OptionError, match="between studies"):
        res.profile()


def test_limits_of_components_are_in_the_report_and_need_a_working_model(tmp_path: Path) -> None:
    """The page and the record have them; a pool of independent rows, or of one study, says why it has none."""
    mb.pool(table(seed=3)).report(tmp_path / "r")
    record = json.loads((tmp_path / "r" / "results.json").read_text(encoding="utf-8"))
    parts = record["comparisons"][0]["dependence"]["components"]
    assert all(part["tau2_low"] <= part["tau2"] <= part["tau2_high"] for part in parts)
    assert "profile likelihood CI" in (tmp_path / "r" / "report.md").read_text(encoding="utf-8")
    with pytest.raises(OptionError, match="heterogeneity"):
        mb.pool(table(), independent=True).components_ci()
    with pytest.raises(OptionError, match="one study"):
        mb.pool(table().iloc[:2]).components_ci()


def test_a_multiverse_has_the_working_model_where_it_answers() -> None:
    """Specifications by REML or ML with CR2 are those of the default pool; the others say that rows are independent."""
    frame = table(seed=5)
    frame.loc[frame["study"] == "Study 2", "yi"] += 3
    res = mb.pool(frame)
    found = res.multiverse(exclude=["each study", "outliers", {"no scale 1": "instrument == 'scale 1'"}])
    shown = found.to_frame()
    main = shown[shown["main"]].iloc[0]
    assert (main["ci"], main["exclude"]) == ("CR2", "nothing")
    assert main["estimate"] == pytest.approx(res.estimate.point, rel=CLIMBED)
    keep = {
        "nothing": np.ones(len(frame), dtype=bool),
        "Study 4": (frame["study"] != "Study 4").to_numpy(),
        "outliers": (frame["study"] != "Study 2").to_numpy(),
        "no scale 1": (frame["instrument"] != "scale 1").to_numpy(),
    }
    for tau2, ci, independent in (("REML", "CR2", False), ("ML", "CR2", False), ("REML", "HKSJ", True)):
        for name, rows in keep.items():
            one = shown[(shown["tau2_estimator"] == tau2) & (shown["ci"] == ci) & (shown["exclude"] == name)].iloc[0]
            alone = mb.pool(frame[pd.Series(rows)], tau2=tau2, ci=ci, independent=independent)
            assert [one["estimate"], one["ci_low"]] == pytest.approx([alone.estimate.point, alone.ci[0]], rel=CLIMBED)
    assert found.notes[0].startswith("2 combinations (before exclusions) with ci='CR2' by REML or ML model")


def test_two_rows_of_one_study_alone() -> None:
    """They are taken together by their covariance: narrower than each, wider than if they were two trials."""
    frame = table().iloc[:2]
    res = mb.pool(frame)
    assert res.analysis.dependent
    assert res.tau2 is None
    assert np.isinf(res.estimate.df)
    assert mb.pool(frame, independent=True, model="equal").estimate.se < res.estimate.se < np.sqrt(frame["vi"]).max()


def test_the_report_says_what_was_assumed() -> None:
    """Methods, section and record name model, rho and correction."""
    res = mb.pool(table())
    text = res.methods_text()
    assert "three-level model" in text
    assert "r = 0.6" in text
    assert "CR2" in text
    assert "studies − 1 df" in text
    assert "pooled as if they were independent" not in text
    blocks = dependence_blocks(res.analysis, anchor="one")
    assert len(blocks) == 5
    record = analysis_record(res.analysis)["dependence"]
    assert [part["rho"] for part in record["grid"]] == [0.2, 0.4, 0.6, 0.8]
    assert record["interval_ratio"] > 0


def test_a_shared_control_of_the_example() -> None:
    """Jackson 2011 has one control group in two rows: counted once, the interval includes no effect."""
    pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    res = mb.pool(pain)
    assert [round(value, 2) for value in (res.estimate.point, *res.ci)] == [-0.36, -0.76, 0.04]
    naive = mb.pool(pain, independent=True)
    assert [round(value, 2) for value in (naive.estimate.point, *naive.ci)] == [-0.41, -0.74, -0.09]
    assert any("Jackson 2011 share an arm" in note for note in res.notes)


def test_the_order_of_rows_does_not_matter() -> None:
    """A shuffled table gives the same numbers."""
    frame = table()
    one, two = mb.pool(frame), mb.pool(frame.sample(frac=1, random_state=4))
    assert one.estimate.point == pytest.approx(two.estimate.point, rel=1e-9)
    assert one.estimate.se == pytest.approx(two.estimate.se, rel=1e-9)


def test_the_card_shows_the_naive_interval_whole() -> None:
    """The first note is short enough for two lines of a card, with both limits of the naive pool."""
    res = mb.pool(table())
    low, high = res.update(independent=True).ci
    card = " ".join(str(res).split())
    assert f"(95% CI {low:.2f} to {high:.2f}); the interval shown is".replace("-", "−") in card


def test_people_of_several_rows_are_counted_once() -> None:
    """Two outcomes of the same 20 people of each of nine studies, one of which has a single row."""
    assert mb.pool(table(n_1=10, n_2=10)).analysis.overall.n == 9 * 20
    assert mb.pool(table()).analysis.overall.n is None


@pytest.mark.parametrize(
    ("independent", "said"), [(False, "All 2 rows are of one study."), (True, "All rows are of one")]
)
def test_one_study_is_told_as_one(independent: bool, said: str) -> None:
    frame = table().query("study == 'Study 0'")
    assert mb.pool(frame, independent=independent).notes[0].startswith(said)
