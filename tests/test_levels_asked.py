"""What is asked of `multilevel` and said back: keywords, where V came from, orders, what was given, comparisons."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.postestimation.level_robustness import level_robustness

AS_PRINTED = 1e-7  # R was asked for as many digits


def table(studies: int = 8, seed: int = 3) -> pd.DataFrame:
    """Return three outcomes of every study, measured in weeks that are words."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), 3)
    y = rng.normal(size=studies)[study] * 0.3 + rng.normal(size=study.size) * 0.3
    return pd.DataFrame(
        {
            "study": [f"S{s}" for s in study],
            "outcome": np.tile(["pain", "load", "sleep"], studies),
            "visit": np.tile(["week 4", "week 8", "week 12"], studies),
            "yi": y.round(3),
            "vi": rng.uniform(0.02, 0.1, study.size).round(3),
        }
    )


def effects() -> mb.EffectSizes:
    """Return the effects of the table."""
    return mb.effect_sizes(table(), measure="GEN")


# ---------------------------------------------------------------- keywords


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"mods": "~ outcome"}, "option='mods' is not known (in the words of rma.mv; here it is formula='~ ...')"),
        ({"dfs": "contain"}, "here it is df="),
        ({"formul": "~ outcome"}, "did you mean 'formula'?"),
        ({"measure": "SMD"}, "measure='SMD' is for a table; these are effects already"),
        ({"preset": "revman5"}, "preset='revman5' is for a table"),
        ({"mods": "~ x", "study": "lab"}, "study='lab' is for a table"),
    ],
)
def test_a_keyword_that_nothing_would_read_is_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(mb.OptionError) as caught:
        mb.multilevel(effects(), **words)
    assert said in str(caught.value)


def test_a_table_takes_the_words_of_a_table() -> None:
    assert mb.multilevel(table(), measure="GEN", study="study").k == 24


def test_the_call_of_rma_mv_in_the_docstring_is_one_of_ours() -> None:
    species = pd.DataFrame(np.eye(3), index=["pain", "load", "sleep"], columns=["pain", "load", "sleep"])
    frame = table().assign(species=table()["outcome"], x=np.arange(24.0) / 10)
    es = mb.effect_sizes(frame, measure="GEN")
    fit = mb.multilevel(
        es, ["~ outcome | study", "~ 1 | species"], formula="~ x", struct="CS", R={"species": species},
        V=mb.sampling_covariance(es),
    )  # fmt: skip
    assert [term.struct for term in fit.fitted.random.terms] == ["CS", "ID0"]


# ---------------------------------------------------------------- where V came from


def test_what_was_assumed_for_v_is_told_in_text_notes_methods_and_record() -> None:
    es = effects()
    fit = mb.multilevel(es, V=mb.sampling_covariance(es, rho=0.45))
    for told in (fit, fit.robust("CR2"), fit.update(method="ML")):
        assert "sampling covariances from the table (correlation 0.45 assumed)" in repr(told)
        assert "a correlation of 0.45 was assumed" in told.methods_text()
        assert any("a correlation of 0.45 was assumed" in note for note in told.to_dict()["notes"])
        assert list(told.notes).count(next(note for note in told.notes if "0.45" in note)) == 1


def test_a_matrix_that_was_mended_is_told() -> None:
    es = effects()
    bad = np.diag(es.vi)
    bad[0, 1] = bad[1, 0] = 1.2 * np.sqrt(es.vi[0] * es.vi[1])
    fit = mb.multilevel(es, V=mb.sampling_covariance(es, matrix=bad, nearest=True))
    assert "was replaced by the nearest" in " ".join(fit.notes)
    assert "sampling covariances given" in repr(fit)
    assert "were given" in fit.methods_text()


def test_a_correlation_near_1_is_not_written_as_1() -> None:
    fit = mb.multilevel(table(), "~ outcome | study", struct="CS", V=0.999, fixed={"rho": 0.999})
    text = repr(fit)
    assert "sampling correlation 0.999 assumed" in text
    assert "ρ outcome | study   0.999   given, not estimated" in text


@pytest.mark.parametrize("rho", [1, -1, float("nan")])
def test_a_correlation_of_1_is_refused_with_what_to_do(rho: float) -> None:
    with pytest.raises(mb.OptionError, match="above -1 and below 1"):
        mb.multilevel(table(), V=rho)


# ---------------------------------------------------------------- orders, given components, one level


@pytest.mark.parametrize("struct", ["AR", "HAR"])
def test_words_with_a_number_stand_in_the_order_of_the_number_and_this_is_told(struct: str) -> None:
    frame = table()
    ordered = frame.assign(visit=pd.Categorical(frame["visit"], ["week 4", "week 8", "week 12"]))
    words, category = (mb.multilevel(data, "~ visit | study", struct=struct) for data in (frame, ordered))
    assert words.fitted.random.terms[0].inner_levels == ("week 4", "week 8", "week 12")
    assert words.loglik == pytest.approx(category.loglik, abs=1e-10)
    assert any(f"{struct} takes the levels of visit in the order week 4, week 8, week 12" in n for n in words.notes)
    assert not any("in the order" in note for note in category.notes)


def test_other_words_stand_as_sorted_and_this_is_told() -> None:
    names = {"week 4": "baseline", "week 8": "2 months", "week 12": "end"}
    fit = mb.multilevel(table().assign(visit=lambda t: t["visit"].map(names)), "~ visit | study", struct="AR")
    assert any("in the order 2 months, baseline, end" in note for note in fit.notes)


def test_a_given_component_is_told_as_given_and_has_no_interval() -> None:
    fit = mb.multilevel(table(), "~ outcome | study", struct="CS", fixed={"rho": 1.0})
    row = fit.components_ci().iloc[1]
    assert (row["estimate"], row["note"], row["at_bound"]) == (1.0, "given, not estimated", False)
    assert np.isnan([row["se"], row["ci_low"], row["ci_high"]]).all()
    assert not any("end of its range" in note for note in fit.notes)


def test_variances_at_0_are_0() -> None:
    frame = table().assign(yi=lambda t: t["yi"] / 100)
    fit = mb.multilevel(frame, "~ outcome | study", struct="UN", V=0.3)
    bound = fit.components.query("at_bound and component.str.startswith('τ²')")
    assert len(bound) > 0
    assert (bound["estimate"] == 0).all()


@pytest.mark.parametrize("struct", ["UN", "DIAG", "HCS", "HAR"])
def test_variances_that_one_study_cannot_show_are_left_out_and_told(struct: str) -> None:
    alone = table().query("study == 'S0'")
    fit = mb.multilevel(alone, "~ outcome | study", struct=struct)
    assert not fit.fitted.random.terms
    assert "all rows belong to one study, so its variances cannot be estimated" in fit.notes[0]


def test_a_known_covariance_is_brought_to_correlations_and_this_is_told() -> None:
    names = [f"S{i}" for i in range(8)]
    one, two = (pd.DataFrame(scale * np.eye(8), index=names, columns=names) for scale in (1.0, 2.0))
    fits = [mb.multilevel(table(), "~ 1 | study", R={"study": known}) for known in (one, two)]
    assert fits[0].loglik == fits[1].loglik
    assert [any("R of study holds covariances" in note for note in fit.notes) for fit in fits] == [False, True]


# ---------------------------------------------------------------- questions


DATA = Path(__file__).parent / "reference" / "dependent" / "data.json"


def schools() -> mb.EffectSizes:
    """Return the schools of Konstantopoulos 2011 from the reference files."""
    columns = json.loads(DATA.read_text(encoding="utf-8"))["sets"]["konstantopoulos2011"]["columns"]
    frame = pd.DataFrame({name: columns[name] for name in ("district", "school", "year", "yi", "vi")})
    frame["since"] = frame["year"] - 1990
    return mb.effect_sizes(frame.assign(study=[f"S{i}" for i in range(len(frame))]), measure="GEN")


def test_information_criteria_are_those_of_rma_mv() -> None:
    """By metafor 3.8-1: AIC and BIC of rma.mv(yi, vi, mods = ~ I(year - 1990)), REML, and of ~ 1, ML."""
    reml = mb.multilevel(schools(), "~ 1 | district/school", formula="~ since")
    ml = mb.multilevel(schools(), "~ 1 | district/school", method="ML")
    assert [reml.aic, reml.bic, ml.aic, ml.bic] == pytest.approx(
        [22.4809335536, 30.4368697398, 22.7898711425, 28.8659262147], abs=AS_PRINTED
    )


def test_intervals_of_predicted_effects_are_those_of_ranef() -> None:
    """By metafor 3.8-1: ranef by year, t with dfs = "contain": 9 df for districts, 54 for schools."""
    fit = mb.multilevel(schools(), "~ 1 | district/school", formula="~ since")
    district = fit.blup("district").to_frame().query("level == '11'").iloc[0]
    school = fit.blup("district/school").to_frame().query("level == '11/1'").iloc[0]
    assert [district["ci_low"], district["ci_high"]] == pytest.approx([-0.5836850161, 0.2887775116], abs=AS_PRINTED)
    assert [school["ci_low"], school["ci_high"]] == pytest.approx([-0.3593073301, 0.2991004526], abs=AS_PRINTED)


def test_correlations_of_levels_that_never_meet_are_no_parameters() -> None:
    frame = table()
    apart = frame[(frame["outcome"] != "sleep") | frame["study"].isin(["S6", "S7"])]
    apart = apart[(apart["outcome"] == "sleep") | ~apart["study"].isin(["S6", "S7"])]  # sleep alone in S6 and S7
    fit = mb.multilevel(apart, "~ outcome | study", struct="UN")
    assert fit.fitted.fit.theta.size == 6
    assert fit.aic == pytest.approx(2 * (1 + 4) - 2 * fit.loglik)


def ask(fit: mb.Multilevel, struct: str) -> mb.Multilevel:
    """Return another structure of the same effects."""
    return fit.update(random="~ outcome | study", struct=struct)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (lambda fit: ask(fit, "DIAG").compare(ask(fit, "CS")), "CS of outcome | study is no case of DIAG"),
        (lambda fit: ask(fit, "HAR").compare(ask(fit, "CS")), "CS of outcome | study is no case of HAR"),
        (lambda fit: fit.compare(3), "a model of mb.multilevel is needed, not a int"),
        (lambda fit: fit.compare(fit), "compare .aic"),
        (lambda fit: fit.profile("sigma2 study", [-0.1]), "values has -0.1, but σ² study lies from 0 to inf"),
        (lambda fit: fit.profile("sigma2 study", []), "values is empty"),
        (lambda fit: fit.sweep(rho=[0.2, 1]), "rho=1 is out of range: a correlation above -1 and below 1"),
        (lambda fit: fit.update(V=mb.sampling_covariance(fit.effects, rho=[0.5, 0.2])).sweep(rho=[0.3]),
         "V has no matrix for rho=0.3; its grid is 0.5, 0.2"),
    ],
)  # fmt: skip
def test_questions_without_an_answer_are_refused(question: Callable[[mb.Multilevel], Any], said: str) -> None:
    with pytest.raises(mb.OptionError) as caught:
        question(mb.multilevel(effects()))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("small", "large"), [("ID", "CS"), ("CS", "HCS"), ("AR", "HAR"), ("DIAG", "UN"), ("HAR", "UN")]
)
def test_cases_of_a_structure_are_compared(small: str, large: str) -> None:
    fit = mb.multilevel(effects())
    found = ask(fit, small).compare(ask(fit, large))
    assert found.df > 0
    assert found.statistic >= 0


def test_a_component_is_named_with_the_letters_of_every_keyboard() -> None:
    fit = mb.multilevel(effects())
    names = ("σ² study", "sigma2 study", "study", 0)
    assert {fit.profile(name, [0.1]).logliks.item() for name in names} == {fit.profile(0, [0.1]).logliks.item()}


def test_an_unknown_level_is_named_with_its_row() -> None:
    fit = mb.multilevel(effects())
    with pytest.raises(mb.DataError, match="column 'study', index b: found 'S99'"):
        fit.predict(pd.DataFrame({"study": ["S1", "S99"]}, index=["a", "b"]), known="study")


def test_a_cluster_without_which_there_is_no_fit_is_named() -> None:
    frame = table().assign(site=lambda t: np.where(t["study"] == "S3", "x", "y"))
    found = mb.multilevel(frame, "~ 1 | study/effect", formula="~ site").leave_one_out()
    assert "Without S3 the model cannot be fitted" in repr(found)


def test_a_robust_test_that_does_not_exist_is_no_line_of_dashes() -> None:
    frame = table().assign(site=lambda t: np.where(t["study"] == "S3", "x", "y"))
    fit = mb.multilevel(frame, "~ 1 | study/effect", formula="~ site", robust="CR2")
    assert str(fit.joint_test("site")) == "no test"
    assert "– to –" not in repr(fit)


def test_means_that_rest_on_an_unknown_variance_are_not_judged() -> None:
    """Level c stands in one study: its variance, and so the error of its mean, is anyone's guess."""
    rng = np.random.default_rng(5)
    outcome = np.array(["a", "b"] * 8 + ["a", "c"])
    study = np.repeat([f"S{i}" for i in range(9)], 2)
    frame = pd.DataFrame({"study": study, "outcome": outcome, "yi": rng.normal(size=18).round(2), "vi": 0.05})
    frame.loc[frame["outcome"] == "b", "yi"] = frame.loc[frame["outcome"] == "a", "yi"].to_numpy()[:8] * 1.2
    fit = mb.multilevel(frame, "~ outcome | study", struct="UN", formula="~ 0 + outcome")
    se = {name: part.se for name, part in fit.coefficients.items()}
    assert np.isnan(se["outcome[c]"])
    assert np.isfinite(se["outcome[a]"])


def test_a_new_effect_is_no_better_known_than_the_mean() -> None:
    """Equal effects: no variance between studies, and a robust variance with fewer df than studies - 1."""
    frame = pd.DataFrame(
        {"study": ["A", "A", "A", "A", "B", "B", "C", "D", "D", "E"], "outcome": list("abcdabaaba"),
         "yi": [-0.54, -0.39, -0.60, -0.45, -0.38, -0.31, -0.64, -0.05, -0.29, -0.9],
         "vi": [0.10, 0.10, 0.10, 0.11, 0.065, 0.065, 0.043, 0.082, 0.083, 0.15]}
    )  # fmt: skip
    pool = mb.pool(mb.effect_sizes(frame, measure="GEN"))
    low, high = pool.pi
    assert pool.tau2 == pytest.approx(0, abs=1e-12)
    assert low <= pool.ci[0] < pool.ci[1] <= high


def counts() -> mb.EffectSizes:
    """Return odds ratios of two treatments against one control, at two times that no role of the table knows."""
    frame = pd.DataFrame(
        {"study": ["A", "A", "A", "B", "C"], "treatment_1": ["x", "y", "x", "x", "x"], "treatment_2": "placebo",
         "ai": [12, 9, 15, 22, 8], "n1i": [50, 48, 50, 110, 41], "ci": [20, 20, 24, 35, 11],
         "n2i": [52, 52, 52, 108, 40], "visit_months": [6, 6, 12, 6, 6]}
    )  # fmt: skip
    return mb.effect_sizes(frame, measure="OR")


def test_the_forest_plot_counts_nobody_twice_and_names_rows_by_no_count() -> None:
    from metaback.plots.multilevel_forest_data import multilevel_forest_data

    es = counts()
    fit = mb.multilevel(es, V=mb.sampling_covariance(es, rho=0.5))
    data = multilevel_forest_data(fit.analysis)
    total = next(row for row in data.rows if row.kind == "total")
    labels = [row.label for row in data.rows]
    assert not any("Ai" in label for label in labels)
    assert any(label.endswith("index 2") for label in labels)
    assert not any(cell.strip() in {"66", "251"} for cell in total.cells)  # events and people of arm 1, added up
    assert "sampling covariance from the table, ρ = 0.5 where it does not tell" in str(data)


def test_no_dependence_is_said_and_true_is_no_correlation() -> None:
    es = mb.effect_sizes(table().iloc[::3], measure="GEN")
    assert repr(mb.dependent(es)) == "No study has several effects: nothing depends on anything."
    with pytest.raises(mb.OptionError, match="rho=True is no correlation"):
        mb.sampling_covariance(es, rho=True)


# ---------------------------------------------------------------- what the sampling errors rest on


def test_independence_that_the_table_shows_is_said_as_such() -> None:
    """Men and women of a study are different people: nobody assumed that."""
    frame = pd.DataFrame(
        {"study": list("AABBCC"), "stratum": ["men", "women"] * 3, "yi": [0.1, 0.3, 0.2, 0.4, 0.5, 0.1], "vi": 0.1}
    )
    es = mb.effect_sizes(mb.read_trials(frame.assign(n_1=20, n_2=20)))
    shown = mb.multilevel(es, "~ 1 | study/effect", V=mb.sampling_covariance(es))
    assert "sampling errors independent: the table shows no two effects of the same people" in str(shown)
    assert "The table shows no two effects of the same people, so that their" in shown.methods_text()
    assumed = mb.multilevel(es, "~ 1 | study/effect")
    assert "independent sampling errors" in str(assumed)
    assert "Sampling errors were taken as independent" in assumed.methods_text()
    given = mb.multilevel(es, "~ 1 | study/effect", V=mb.sampling_covariance(es, matrix=np.diag(es.vi)))
    assert "table shows" not in str(given)


# ---------------------------------------------------------------- what is made when it is asked for


def test_the_naive_result_and_the_notes_are_the_same_whenever_they_are_asked_for() -> None:
    pain = mb.load_dataset("backpain").query("outcome == 'pain'")
    first, second = (mb.multilevel(pain, "~ 1 | study/effect") for _ in range(2))
    assert not {"naive", "notes"} & vars(first.analysis).keys(), "the model itself does not need them"
    naive, notes = first.naive, first.notes
    assert second.notes == notes
    assert second.naive == naive
    assert any("Taken as independent" in note for note in notes)
    assert first.to_dict()["notes"] == list(notes)


def test_no_correlation_is_told_that_no_covariance_rests_on() -> None:
    """Rows that share an arm have its numbers: a rho of 0.6 was told, and three others with one result."""
    rows = mb.load_dataset("backpain").query("outcome == 'pain'")
    fit = mb.multilevel(rows, "~ 1 | study/effect", V="table")
    assert "sampling covariances from the table;" in str(fit)
    assert fit.covariance is not None
    assert fit.covariance.assumed is None
    assert {one.name for one in level_robustness(fit.analysis, (), fit.covariance).standard} == {
        "Rows as independent",
        "Other likelihood",
        "Other variance",
    }
