"""Which rows share people, what their covariance is, and what is said when it cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes, select_rows, set_aside
from metaback.errors import DataError, OptionError
from metaback.stats.blocks import on_diagonal, whole

EXACT = 1e-13  # relative, a few operations
PRINTED = 5e-6  # half a unit of the fifth decimal of a printed covariance


def effects(measure: str | None = None, **columns: Any) -> EffectSizes:
    """Return the effects of a small table; `study` is one study unless it is given."""
    size = max(len(values) for values in columns.values())
    return mb.effect_sizes(pd.DataFrame({"study": ["A"] * size} | columns), measure=measure)


def kinds(es: EffectSizes, **choices: Any) -> list[str]:
    """Return the kinds of all pairs."""
    return mb.sampling_covariance(es, **choices).to_frame()["kind"].tolist()


def means(**changed: Any) -> EffectSizes:
    """Return two treatments against one control group, with labels, as mean differences."""
    columns: dict[str, Any] = {
        "arm_1": ["yoga", "pilates"], "arm_2": ["waiting list"] * 2, "n_1": [20, 24], "mean_1": [3.1, 2.7],
        "sd_1": [1.1, 1.3], "n_2": [22, 22], "mean_2": [4.25, 4.25], "sd_2": [1.42, 1.42],
    }  # fmt: skip
    return effects("MD", **(columns | changed))


def test_one_control_group_is_seen_by_its_numbers() -> None:
    """With labels and without: s^2/n of that arm, and s_1^2/n_1 is no part of it."""
    for es in (means(), means(arm_1=["", ""], arm_2=["", ""])):
        found = mb.sampling_covariance(es)
        assert kinds(es) == ["shared arm, exact"]
        assert found.covariance[0] == pytest.approx(1.42**2 / 22, rel=EXACT)
        assert whole(found.matrix)[0, 1] == found.covariance[0]
    assert kinds(means(), shared=False) == ["shared arm, not asked for"]
    assert whole(mb.sampling_covariance(means(), shared=False).matrix)[0, 1] == 0


def test_numbers_that_agree_to_the_fewer_decimals_are_one_arm() -> None:
    """4.2 in one row and 4.25 in another are one control group; 4.2 and 4.9 are two."""
    assert kinds(means(mean_2=[4.2, 4.25])) == ["shared arm, exact"]
    assert kinds(means(mean_2=[4.2, 4.9], arm_2=["c", "d"])) == ["none: other people"]


def test_one_treated_group_and_a_group_on_both_sides() -> None:
    """A shared first arm counts with plus; an arm that is second here and first there with minus."""
    one = means(
        arm_1=["yoga"] * 2, n_1=[20] * 2, mean_1=[3.13] * 2, sd_1=[1.17] * 2, arm_2=["a", "b"], n_2=[22, 21],
        mean_2=[4.25, 4.5], sd_2=[1.42, 1.5],
    )  # fmt: skip
    assert mb.sampling_covariance(one).covariance[0] == pytest.approx(1.17**2 / 20, rel=EXACT)
    chain = means(
        arm_1=["yoga", "pilates"], arm_2=["pilates", "list"], n_1=[20, 24], mean_1=[3.1, 2.77], sd_1=[1.1, 1.33],
        n_2=[24, 22], mean_2=[2.77, 4.25], sd_2=[1.33, 1.42],
    )  # fmt: skip
    assert mb.sampling_covariance(chain).covariance[0] == pytest.approx(-(1.33**2) / 24, rel=EXACT)


def test_standardised_differences_of_gleser_and_olkin() -> None:
    """Gleser & Olkin 2009, page 367: SMDs by one SD of all arms of a study; d and n as the book has them."""
    d = [2.1670, 1.3406, 2.8927, 2.1754, 2.3821, 1.6664]
    n_1, n_2 = np.array([25, 22, 38, 50, 30, 30]), np.array([25, 25, 40, 50, 30, 30])
    total = np.array([72, 72, 78, 100, 90, 90])
    es = effects(
        "SMD",
        study=list("112344"), treatment_1=list("abaaab"), treatment_2=["c"] * 6, n_1=n_1, n_2=n_2, yi=d,
        vi=1 / n_1 + 1 / n_2 + np.array(d) ** 2 / (2 * total),
    )  # fmt: skip
    V = whole(mb.sampling_covariance(es, pooled_sd="study").matrix)
    assert V[0, 1] == pytest.approx(1 / 25 + d[0] * d[1] / 144, rel=1e-12)
    X = np.equal.outer(list("abaaab"), ["a", "b"]).astype(float)
    spread = np.linalg.inv(X.T @ np.linalg.solve(V, X))
    beta = spread @ X.T @ np.linalg.solve(V, d)
    assert beta == pytest.approx((2.3743, 1.5702), abs=1e-4)
    assert spread[np.triu_indices(2)] == pytest.approx((0.02257, 0.01244, 0.03554), abs=PRINTED)


def test_several_outcomes_of_the_same_people() -> None:
    """That is rho sqrt(v v'), or the exact formula for standardised differences."""
    es = effects(
        "SMD",
        outcome=["pain", "function"], n_1=[20, 20], mean_1=[3.0, 50.0], sd_1=[1.0, 9.0], n_2=[30, 30],
        mean_2=[3.9, 58.0], sd_2=[1.2, 11.0],
    )  # fmt: skip
    plain = mb.sampling_covariance(es, rho=0.7)
    assert plain.covariance[0] == pytest.approx(0.7 * np.sqrt(es.vi.prod()), rel=EXACT)
    exact = mb.sampling_covariance(es, rho=0.7, exact=True)
    size = 2 * (50 - 3.94)  # that of the variances, by the convention of the default preset
    wanted = 0.7 * (1 / 20 + 1 / 30) + 0.7**2 * es.yi.prod() / size
    assert exact.covariance[0] == pytest.approx(wanted, rel=EXACT)
    assert exact.to_frame()["kind"].tolist() == ["several outcomes, exact formula"]
    assert "a correlation of 0.7" in plain.notes[0]


def test_correlations_by_pairs_of_outcomes() -> None:
    """Pairs in any order and case, the two general words, a frame; a pair that is missing is named."""
    es = effects(outcome=["pain", "Function", "mood"], yi=[0.1, 0.2, 0.3], vi=[1.0, 4.0, 9.0])
    given_ = {("function", "pain"): 0.5, ("pain", "mood"): 0.1, "other": 0.2}
    assert mb.sampling_covariance(es, rho=given_).covariance == pytest.approx([1.0, 0.3, 1.2], rel=EXACT)
    names = ["pain", "function", "mood"]
    frame = pd.DataFrame([[1, 0.5, 0.1], [0.5, 1, 0.2], [0.1, 0.2, 1]], names, names)
    assert mb.sampling_covariance(es, rho=frame).covariance == pytest.approx([1.0, 0.3, 1.2], rel=EXACT)
    with pytest.raises(OptionError, match=r"no correlation for \('Function', 'mood'\), \('mood', 'pain'\)"):
        mb.sampling_covariance(es, rho={("function", "pain"): 0.5})
    with pytest.raises(OptionError, match="did you mean 'mood'"):
        mb.sampling_covariance(es, rho={("moood", "pain"): 0.5, "other": 0.1})


def test_times_and_outcomes_multiply() -> None:
    """By phi per week, or per measurement; without phi, rho for any two rows."""
    es = effects(outcome=["x", "x", "y"], weeks=[4, 12, 12], yi=[0.1, 0.2, 0.3], vi=[1.0, 1.0, 1.0])
    assert mb.sampling_covariance(es, rho=0.5, phi=0.9).covariance == pytest.approx([0.9**8, 0.5 * 0.9**8, 0.5])
    assert mb.sampling_covariance(es, rho=0.5, phi=0.9, times="AR").covariance == pytest.approx([0.9, 0.45, 0.5])
    assert mb.sampling_covariance(es, rho=0.5).covariance == pytest.approx([0.5, 0.5, 0.5])
    assert kinds(es, phi=0.9) == ["assumed times", "assumed rho", "assumed rho"]


def test_an_arm_in_common_at_two_outcomes() -> None:
    """Two treatments, one control, two outcomes: rho times the part of the control."""
    es = means(
        **{name: values * 2 for name, values in {
            "arm_1": ["yoga", "pilates"], "arm_2": ["list"] * 2, "n_1": [20, 24], "n_2": [22, 22],
        }.items()},
        outcome=["pain", "pain", "mood", "mood"], mean_1=[3.1, 2.7, 41, 42], sd_1=[1.1, 1.3, 8.1, 8.3],
        mean_2=[4.25, 4.25, 47, 47], sd_2=[1.42, 1.42, 9.25, 9.25],
    )  # fmt: skip
    found = mb.sampling_covariance(es, rho=0.4).to_frame()
    across = found[(found.row_1 == es.rows[0]) & (found.row_2 == es.rows[3])].iloc[0]
    assert across["kind"] == "shared arm and assumed rho"
    assert across["covariance"] == pytest.approx(0.4 * 1.42 * 9.25 / 22, rel=EXACT)


def test_strata_are_different_people_unless_they_are_only_names() -> None:
    """Men and women are apart; strata that each have a time of their own are not."""
    people = {"stratum": ["men", "women"], "yi": [0.1, 0.2], "vi": [1.0, 4.0]}
    assert kinds(effects(**people)) == ["none: other people"]
    assert kinds(effects(**people, weeks=[4, 12])) == ["assumed times"]
    assert kinds(effects(**people), subgroups="ignored") == ["assumed rho: nothing tells the rows apart"]
    shared = mb.sampling_covariance(effects(**people), subgroups=0.25)
    assert shared.covariance[0] == pytest.approx(0.25 * 2, rel=EXACT)
    sized = effects(**people, n_1=[20, 45], n_2=[20, 45])
    counted = mb.sampling_covariance(sized, subgroups={("women", "men"): 15})
    assert counted.covariance[0] == pytest.approx(2 * 15 / np.sqrt(40 * 90), rel=EXACT)


def test_one_label_for_two_groups_of_people() -> None:
    """`usual care` of other numbers is another group; its words at a second outcome go with the other arm's."""
    es = effects(
        arm_1=["drug", "drug"] * 2, arm_2=["strong", "weak"] * 2, outcome=["x", "x", "y", "y"], n_1=[60, 32] * 2,
        n_2=[61, 28] * 2, mean_1=[3, 4, 5, 6], sd_1=[1] * 4, mean_2=[3, 4, 5, 7], sd_2=[1] * 4,
    )  # fmt: skip
    found = mb.sampling_covariance(es).to_frame()
    together = found[found["kind"] == "assumed rho"][["row_1", "row_2"]].values.tolist()
    assert together == [[es.rows[0], es.rows[2]], [es.rows[1], es.rows[3]]]
    assert (found["kind"] == "none: other people").sum() == 4


def test_counts_alone_do_not_make_an_arm_the_same() -> None:
    """Two events of 50 in two rows without labels may be two outcomes; with other sizes it is one control group."""
    few = effects("RR", events_1=[5, 6], n_1=[50, 50], events_2=[2, 2], n_2=[50, 50])
    assert kinds(few) == ["assumed rho: nothing tells the rows apart"]
    sizes = effects("RR", events_1=[5, 6], n_1=[50, 40], events_2=[2, 2], n_2=[50, 50])
    assert kinds(sizes) == ["shared arm, exact"]


def test_the_shared_control_of_the_shipped_table() -> None:
    """Jackson 2011: one control group in two rows, whose label says so; its size is not in the table."""
    es = mb.effect_sizes(mb.load_dataset("backpain").query("review == 'Tataryn 2021' and outcome == 'pain'"))
    found = mb.sampling_covariance(es).to_frame()
    assert found[["study", "kind"]].values.tolist() == [["Jackson 2011", "shared arm, assumed equal"]]
    assert found["correlation"].tolist() == pytest.approx([0.5])


def test_turned_rows_have_their_labels_turned() -> None:
    """A row that names the treatments the other way round shares its control all the same."""
    es = mb.effect_sizes(
        pd.DataFrame({
            "study": ["A", "A"], "treatment_1": ["t", "c"], "treatment_2": ["c", "t"], "arm_1": ["low", "list"],
            "arm_2": ["list", "high"], "n_1": [20, 22], "mean_1": [3.1, 4.25], "sd_1": [1.1, 1.42], "n_2": [22, 24],
            "mean_2": [4.25, 2.7], "sd_2": [1.42, 1.3],
        }),
        measure="MD",
    )  # fmt: skip
    assert "arms swapped" in es.corrections[1]
    assert mb.sampling_covariance(es).covariance[0] == pytest.approx(1.42**2 / 22, rel=EXACT)


def test_an_impossible_matrix_names_every_study() -> None:
    """Study, rows, smallest eigenvalue and cure; the nearest possible matrix is on record."""
    es = effects(study=list("AAABB"), outcome=list("xyzxy"), yi=[0.1] * 5, vi=[1.0] * 5)
    bad = {("x", "y"): 1.0, ("x", "z"): 1.0, ("y", "z"): -1.0}
    with pytest.raises(DataError) as caught:
        mb.sampling_covariance(es, rho=bad)
    assert len(caught.value.problems) == 2
    text = str(caught.value)
    assert "A (index 0, index 1 and index 2) is not positive definite" in text
    assert "smallest eigenvalue of its correlations is −1.00" in text
    assert "nearest=True" in text
    with pytest.raises(DataError, match="at rho = 1"):
        mb.sampling_covariance(es, rho=1)
    mended = mb.sampling_covariance(es, rho=bad, nearest=True)
    assert np.linalg.eigvalsh(whole(mended.matrix))[0] > 0
    assert on_diagonal(mended.matrix) == pytest.approx(es.vi, rel=1e-15)
    assert "of A, B was not positive definite" in mended.notes[-1]


def test_a_grid_has_one_matrix_for_each_correlation() -> None:
    """A list of values, or `grid=` beside one; each is what a call of its own gives."""
    es = effects(outcome=["x", "y"], yi=[0.1, 0.2], vi=[1.0, 4.0])
    found = mb.sampling_covariance(es, rho=[0, 0.2, 0.5, 0.8])
    assert [value for value, _ in found.grid] == [0, 0.2, 0.5, 0.8]
    assert found.rho == 0
    for value, matrix in found.grid:
        np.testing.assert_array_equal(whole(matrix), whole(mb.sampling_covariance(es, rho=value).matrix))
    beside = mb.sampling_covariance(es, rho=0.6, grid=[0.3])
    assert (beside.rho, [value for value, _ in beside.grid]) == (0.6, [0.6, 0.3])


def test_given_matrices_in_every_form() -> None:
    """Whole, per study, as blocks and by columns; another diagonal, half a matrix and blanks are told together."""
    V = np.diag([1.0, 2.0, 3.0])
    V[0, 2] = V[2, 0] = 0.5
    es = effects(study=list("ABA"), yi=[0.1] * 3, vi=[1.0, 2.0, 3.0], v1=[1.0, 2.0, 0.5], v2=[0.5, np.nan, 3.0])
    whole_ = mb.sampling_covariance(es, matrix=V)
    forms = [V, pd.DataFrame(V), whole_.matrix, [V[np.ix_([0, 2], [0, 2])], [[2.0]]], ["v1", "v2"]]
    for form in forms:
        found = mb.sampling_covariance(es, matrix=form)
        np.testing.assert_array_equal(whole(found.matrix), V)
        assert found.to_frame()[["kind", "covariance"]].values.tolist() == [["given", 0.5]]
    wrong = V.copy()
    wrong[1, 1], wrong[0, 2] = 2.5, 0.4
    with pytest.raises(DataError) as caught:
        mb.sampling_covariance(es, matrix=wrong)
    assert [problem.row for problem in caught.value.problems] == ["index 0", "index 1", "index 2"]
    with pytest.raises(OptionError, match=r"shape \(2, 2\)"):
        mb.sampling_covariance(es, matrix=np.eye(2))
    with pytest.raises(OptionError, match="name one for each"):
        mb.sampling_covariance(es, matrix=["v1"])


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"rho": 1.2}, "between -1 and 1"),
        ({"rho": "high"}, "is no correlation"),
        ({"phi": 1.0}, "from 0 to below 1"),
        ({"times": "UN"}, "use one of: CAR, AR"),
        ({"subgroups": "apart"}, "use one of: disjoint, ignored"),
        ({"subgroups": 2}, "no share of people"),
        ({"columns": {"outcom": "yi"}}, "did you mean 'outcome'"),
        ({"columns": {"outcome": "ouctome"}}, "did you mean 'outcome'"),
        ({"pooled_sd": "all"}, "use one of: pair, study"),
    ],
)
def test_options_out_of_range(choices: dict[str, Any], words: str) -> None:
    """Each is told with what is allowed."""
    es = effects(outcome=["x", "y"], yi=[0.1, 0.2], vi=[1.0, 4.0])
    with pytest.raises(OptionError, match=words):
        mb.sampling_covariance(es, **choices)


def test_rows_without_an_effect_stay_outside() -> None:
    """They have nan on the diagonal, nothing to other rows, and their place is kept."""
    es = effects(outcome=["x", "y", "z"], yi=[0.1, np.nan, 0.3], vi=[1.0, np.nan, 4.0])
    V = whole(mb.sampling_covariance(es, rho=0.5).matrix)
    np.testing.assert_array_equal(V, [[1, 0, 1], [0, np.nan, 0], [1, 0, 4]])


def test_the_covariance_goes_with_its_rows() -> None:
    """Selected, reordered, set aside; left behind where a row would stand twice."""
    es = effects(outcome=["x", "y", "z"], yi=[0.1, 0.2, 0.3], vi=[1.0, 4.0, 9.0])
    held = mb.sampling_covariance(es, rho=0.5).with_effects()
    V = whole(held.cov)
    np.testing.assert_array_equal(whole(select_rows(held, np.array([2, 0])).cov), V[np.ix_([2, 0], [2, 0])])
    assert select_rows(held, np.array([0, 0])).cov is None
    aside = whole(set_aside(held, {1: "left out"}, {}).cov)
    np.testing.assert_array_equal(aside, [[1, 0, 1.5], [0, np.nan, 0], [1.5, 0, 9]])
    assert not any("as if they were independent" in note for note in held.notes)


def test_dependence_is_told_with_its_reasons() -> None:
    """Same study, same people, other people; nothing where every study has one row."""
    es = effects(study=list("AABBC"), outcome=list("xyxxx"), stratum=["", "", "m", "f", ""], yi=[0.1] * 5, vi=[1.0] * 5)
    found = mb.dependent(es)
    assert (found.same_study, found.same_people) == (True, True)
    assert found.people.tolist() == [0, 0, 1, 2, 3]
    assert found.notes == (
        "4 of 5 effects are of 2 studies with several rows.",
        "2 rows of A are other outcomes of the same people.",
        "1 pair of rows of B is of different people, with only their study in common.",
    )
    lone = mb.dependent(effects(study=["A", "B"], yi=[0.1, 0.2], vi=[1.0, 1.0]))
    assert (lone.same_study, lone.same_people, lone.notes) == (False, False, ())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.9))
def test_order_and_scale_do_not_matter(seed: int, rho: float) -> None:
    """Rows in another order give the matrix in that order; effects of another unit its square."""
    rng = np.random.default_rng(seed)
    k = 12
    frame = pd.DataFrame({
        "study": rng.choice(list("ABC"), k), "outcome": rng.choice(list("xyz"), k), "weeks": rng.choice([4.0, 8.0], k),
        "arm_1": rng.choice(["p", "q"], k), "arm_2": "c", "yi": rng.normal(size=k), "vi": rng.uniform(0.1, 1, k),
    })  # fmt: skip
    order = rng.permutation(k)

    def matrix(table: pd.DataFrame) -> np.ndarray:
        return whole(mb.sampling_covariance(mb.effect_sizes(table), rho=rho, nearest=True).matrix)

    V = matrix(frame)
    again = matrix(frame.iloc[order].reset_index(drop=True))
    np.testing.assert_allclose(again, V[np.ix_(order, order)], rtol=1e-6, atol=1e-7)
    bigger = matrix(frame.assign(yi=frame.yi * 10, vi=frame.vi * 100))
    np.testing.assert_allclose(bigger, 100 * V, rtol=1e-6, atol=1e-5)
    assert np.linalg.eigvalsh(V)[0] > 0


@pytest.mark.parametrize(
    ("years", "said"),
    [
        (
            [1990, 1990, 1995],
            "2 pairs of rows of A are of different people, by their years, with only their study in common.",
        ),
        (
            [1990, 1991, 1995],
            "3 pairs of rows of A are of different people, by their years, with only their study in common.",
        ),
        ([1990, 1990, 1990], None),
    ],
)
def test_rows_of_other_years_are_told_to_be_of_other_people(years: list[int], said: str | None) -> None:
    """They keep only their study in common, also in the notes of a pool; rows of one year are taken for the same."""
    frame = pd.DataFrame({"study": ["A"] * 3 + ["B"], "year": [*years, 1990], "yi": [0.1, 0.2, 0.4, 0.3], "vi": 0.04})
    es = mb.effect_sizes(frame)
    found = mb.dependent(es)
    assert found.apart == (() if said is None else (said,))
    assert (found.notes[-1] == said) == (said is not None)
    cov = mb.sampling_covariance(es).to_frame()
    assert int(np.sum(cov["covariance"].to_numpy() == 0)) == (0 if said is None else int(said[0]))


COUNTS = {
    "arm_1": ["low", "high"], "arm_2": ["placebo"] * 2, "events_1": [12, 14], "n_1": [50, 52], "events_2": [10, 13],
    "n_2": [60, 60],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({}, "shared arm by its name, assumed rho"),
        ({"outcome": ["death", "death"]}, "shared arm by its name, assumed rho"),  # the time may differ
        ({"weeks": [8, 8]}, "shared arm by its name, assumed rho"),  # the outcome may differ
        ({"weeks": [8, 8], "outcome": ["death", "death"]}, "none: other people"),  # nothing else can differ
        ({"n_2": [60, 61]}, "none: other people"),
        ({"arm_2": ["placebo", "sham"]}, "none: other people"),
        ({"events_2": [13, 13]}, "shared arm, exact"),
        ({"stratum": ["men", "women"]}, "none: other people"),
        ({"year": [2001, 2004]}, "none: other people"),
    ],
)
def test_a_control_of_one_name_and_size_with_other_events_is_one(changed: dict[str, Any], kind: str) -> None:
    """Its events are those of another outcome or time, unless the table tells both."""
    assert kinds(effects("OR", **(COUNTS | changed))) == [kind]


def test_the_covariance_of_an_arm_by_its_name_is_rho_times_its_parts() -> None:
    found = mb.sampling_covariance(effects("OR", **COUNTS), rho=0.4)
    one, two = (1 / e + 1 / (60 - e) for e in COUNTS["events_2"])
    assert found.covariance[0] == pytest.approx(0.4 * np.sqrt(one * two), rel=EXACT)
    assert "labels of their own would keep such arms apart" in found.notes[0]


PARTS = {"events_1": [22, 14, 8], "n_1": [100, 55, 45], "events_2": [31, 13, 18], "n_2": [110, 60, 50]}


@pytest.mark.parametrize("name", ["all", "Overall", "total", "All patients", "whole sample", "both sexes"])
def test_a_row_of_all_people_holds_those_of_its_strata(name: str) -> None:
    """Log odds ratio of all and of some: by the delta method over the cells of both, the variance of that of all."""
    two = {role: cells[:2] for role, cells in PARTS.items()}
    es = effects("OR", stratum=[name, "women"], **two)
    found = mb.sampling_covariance(es)
    assert kinds(es) == ["all people and some of them"]
    cov = 0.0
    for side in "12":
        (all_events, events), (all_n, n) = two[f"events_{side}"], two[f"n_{side}"]
        slopes = [all_n / (all_events * (all_n - all_events)), n / (events * (n - events))]  # of the logit by an event
        cov += np.prod(slopes) * n * (events / n) * (1 - events / n)
    assert found.covariance[0] == pytest.approx(cov, rel=EXACT)
    assert found.covariance[0] == pytest.approx(es.vi[0], rel=EXACT)


def test_all_people_beside_all_of_their_parts_can_be_inverted() -> None:
    """Women and men tell nothing that the whole does not: 2.6% more at most, for a matrix that can be inverted."""
    es = effects("OR", stratum=["all", "women", "men"], **PARTS)
    found = mb.sampling_covariance(es)
    assert kinds(es) == ["all people and some of them"] * 2 + ["none: other people"]
    information = np.linalg.inv(whole(found.matrix)).sum()
    best = max(1 / es.vi[0], (1 / es.vi[1:]).sum())
    assert best <= information <= 1.026 * best
    apart = effects("OR", stratum=["all", "women", "men"], **(PARTS | {"n_1": [100, 155, 45]}))
    assert kinds(apart)[0] == "none: other people"  # more women than people
    later = effects("OR", stratum=["all", "women"] * 2, weeks=[8, 8, 26, 26], events_1=[22, 14, 30, 16],
                    n_1=[100, 50] * 2, events_2=[31, 13, 33, 15], n_2=[110, 60] * 2)  # fmt: skip
    frame = mb.sampling_covariance(later, rho=0.5).to_frame()
    across = frame[(frame.row_1 == later.rows[0]) & (frame.row_2 == later.rows[3])].iloc[0]
    assert across["correlation"] == pytest.approx(0.5 * np.sqrt(110 / 210), rel=EXACT)


def test_more_people_in_both_groups_than_there_are_is_told() -> None:
    es = effects("MD", stratum=["women", "older"], mean_1=[1, 2], sd_1=[2, 2], n_1=[15] * 2, mean_2=[0, 0],
                 sd_2=[2, 2], n_2=[15] * 2)  # fmt: skip
    with pytest.raises(
        OptionError, match=r"A: 500 people in both 'women' and 'older', of which one has 30\); give the"
    ):
        mb.sampling_covariance(es, subgroups={("women", "older"): 500})
    with pytest.raises(OptionError, match="is no number of people"):
        mb.sampling_covariance(es, subgroups={("women", "older"): -1})
    share = effects("PLO", stratum=["women", "older"], events=[5, 8], n=[20, 45])
    counted = mb.sampling_covariance(share, subgroups={("women", "older"): 15}).to_frame()
    assert counted["correlation"][0] == pytest.approx(15 / 30, rel=EXACT)  # 15 / sqrt(20 * 45)


@pytest.mark.parametrize("column", ["months", "Month", "Days", "time point", "Follow-up", "visit"])
def test_times_are_read_under_other_names(column: str) -> None:
    """Rows of other months differed in nothing that the table tells; words are times too, but none that phi can use."""
    found = effects(**{column: [3, 6, 12], "yi": [0.1, 0.2, 0.3], "vi": [1.0] * 3})
    assert kinds(found) == ["assumed times"] * 3
    covariance = mb.sampling_covariance(found, phi=0.9).covariance
    assert covariance == pytest.approx([0.9**3, 0.9**9, 0.9**6], rel=EXACT)
    words = effects(**{column: ["end", "later", "6"], "yi": [0.1, 0.2, 0.3], "vi": [1.0] * 3})
    assert kinds(words) == ["assumed times"] * 3
    with pytest.raises(
        DataError, match=r"2 problems in the table\n  - index 0: .* time of this row is no number \(A\)"
    ):
        mb.sampling_covariance(words, phi=0.9)


def test_a_blank_time_is_no_correlation_of_one() -> None:
    """Of weeks that are not told phi says nothing; the correlation was taken as 1, and the matrix then refused."""
    found = effects(weeks=[8.0, np.nan], yi=[0.1, 0.2], vi=[1.0, 1.0])
    assert mb.sampling_covariance(found, rho=0.4).covariance == pytest.approx([0.4], rel=EXACT)
    with pytest.raises(DataError, match=r"index 1: phi is the correlation of two times"):
        mb.sampling_covariance(found, phi=0.9)
    both = effects(weeks=[np.nan] * 2, outcome=["pain", "mood"], yi=[0.1, 0.2], vi=[1.0, 1.0])
    assert mb.sampling_covariance(both, rho=0.4, phi=0.9).covariance == pytest.approx([0.4], rel=EXACT)


def test_strata_of_several_treatments_share_the_control_only() -> None:
    """Women on x and older people on y have some of the control group in common, not half of everybody."""
    es = effects(
        "MD", arm_1=["x", "y"] * 2, arm_2=["c"] * 4, stratum=["women"] * 2 + ["older"] * 2, n_1=[30, 30, 36, 36],
        mean_1=[5, 6, 5.1, 6.1], sd_1=[2.0] * 4, n_2=[30, 30, 36, 36], mean_2=[7, 7, 7.1, 7.1], sd_2=[2.0] * 4,
    )  # fmt: skip
    found = mb.sampling_covariance(es, subgroups={("women", "older"): 24})  # 12 in each arm
    one_arm = 4 * 12 / (30 * 36)  # covariance of two means with 12 people in common
    assert whole(found.matrix)[:2, 2:] == pytest.approx(one_arm * np.array([[2, 1], [1, 2]]), rel=EXACT)
    assert not any("differ by more than a tenth" in note for note in found.notes)
    alone = mb.sampling_covariance(es, subgroups={("women", "older"): 24}, shared=False)
    assert whole(alone.matrix)[:2, 2:] == pytest.approx(one_arm * np.array([[2, 0], [0, 2]]), rel=EXACT)
    large = effects(
        "MD", arm_1=["x", "y"] * 2, arm_2=["c"] * 4, stratum=["all"] * 2 + ["women"] * 2, n_1=[60, 60, 24, 24],
        mean_1=[5, 6, 5.1, 6.1], sd_1=[2.0] * 4, n_2=[60, 60, 30, 30], mean_2=[7, 7, 7.1, 7.1], sd_2=[2.0] * 4,
    )  # fmt: skip
    parts = whole(mb.sampling_covariance(large).matrix)[:2, 2:]
    assert parts == pytest.approx(4 / 60 * np.array([[2, 1], [1, 2]]), rel=EXACT)  # each mean of all: 4 / 60


def test_several_outcomes_by_the_parts_of_both_arms() -> None:
    """Wei & Higgins 2013: rho (s s'/n of one arm + s s'/n of the other), and the same with 1/sqrt(n p (1 - p))."""
    scores = effects("MD", outcome=["pain", "mood"], n_1=[20, 20], mean_1=[3, 50], sd_1=[1.1, 9], n_2=[30, 30],
                     mean_2=[4, 58], sd_2=[1.3, 11])  # fmt: skip
    found = mb.sampling_covariance(scores, rho=0.7, exact=True)
    assert found.covariance[0] == pytest.approx(0.7 * (1.1 * 9 / 20 + 1.3 * 11 / 30), rel=EXACT)
    counts = effects("OR", outcome=["d", "e"], events_1=[60, 80], n_1=[200] * 2, events_2=[45, 50], n_2=[100] * 2)
    treated = np.prod([(200 * p * (1 - p)) ** -0.5 for p in (0.3, 0.4)])
    control = np.prod([(100 * p * (1 - p)) ** -0.5 for p in (0.45, 0.5)])
    covariance = mb.sampling_covariance(counts, rho=0.4, exact=True).covariance[0]
    assert covariance == pytest.approx(0.4 * (treated + control), rel=EXACT)
    assert mb.sampling_covariance(counts, rho=0.4).covariance[0] > covariance  # 0.4 of the two effects


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6), rho=st.floats(-0.4, 0.999), measure=st.sampled_from(["MD", "SMD", "ROM", "OR", "RD"])
)
def test_several_treatments_and_outcomes_always_make_a_covariance(seed: int, rho: float, measure: str) -> None:
    """With rho sqrt(v v') beside the parts of the control half of the studies of SMDs had none at rho = 0.8."""
    rng = np.random.default_rng(seed)
    arms, outcomes = 3, 3
    n, sd = rng.integers(15, 60, arms + 1), np.exp(rng.normal(0, 0.4, (outcomes, arms + 1))).round(2)
    mean, events = rng.normal(10, 1, (outcomes, arms + 1)).round(2), rng.integers(4, 12, (outcomes, arms + 1))
    each, common = [(o, a) for o in range(outcomes) for a in range(arms)], arms
    columns: dict[str, Any] = {
        "arm_1": [f"t{a}" for _, a in each], "arm_2": ["c"] * 9, "outcome": [f"o{o}" for o, _ in each],
        "n_1": [n[a] for _, a in each], "n_2": [n[common]] * 9,
    }  # fmt: skip
    numbers = {"events": events} if measure in {"OR", "RD"} else {"mean": mean, "sd": sd}
    for stem, values in numbers.items():
        columns |= {f"{stem}_1": [values[o, a] for o, a in each], f"{stem}_2": [values[o, common] for o, _ in each]}
    es = effects(measure, **columns)
    assert np.linalg.eigvalsh(whole(mb.sampling_covariance(es, rho=rho).matrix))[0] > 0


def test_outcomes_of_several_treatments_have_the_parts_of_both_arms() -> None:
    """Of one: rho (s s'/n + s s'/n), of two: rho s s'/n; where a study has one treatment only, rho sqrt(v v')."""
    es = effects(
        "MD", arm_1=["x", "y"] * 2, arm_2=["c"] * 4, outcome=["p", "p", "q", "q"], n_1=[20, 60] * 2,
        mean_1=[5, 6, 51, 62], sd_1=[1.0, 2.0, 9.0, 8.0], n_2=[25] * 4, mean_2=[7, 7, 70, 70],
        sd_2=[1.5, 1.5, 11.0, 11.0],
    )  # fmt: skip
    found = whole(mb.sampling_covariance(es, rho=0.5).matrix)
    control = 1.5 * 11 / 25
    assert found[:2, 2:] == pytest.approx(
        0.5 * np.array([[9 / 20 + control, control], [control, 16 / 60 + control]]), rel=EXACT
    )
    alone = select_rows(es, np.array([0, 2]))
    assert whole(mb.sampling_covariance(alone, rho=0.5).matrix)[0, 1] == pytest.approx(
        0.5 * np.sqrt(alone.vi.prod()), rel=EXACT
    )
