"""From a table to effects: the route of each row, its reasons, and what may not be pooled together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.data.comparisons import comparisons
from metaback.data.datasets import load_dataset
from metaback.data.read import read_trials
from metaback.effects.compute import default_measure, effect_sizes
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.ways import shown_decimals
from metaback.errors import DataError, EstimationError, OptionError
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse
from metaback.stats.measures import MEASURES

CI = 3.919927969080109  # twice the 97.5% quantile of the normal, to all digits of a double
CLOSED = 1e-14
MEANS = {"n_1": 50, "mean_1": 103, "sd_1": 5.5, "n_2": 50, "mean_2": 100, "sd_2": 4.5}
COUNTS = {"events_1": 4, "n_1": 123, "events_2": 11, "n_2": 139}
PRINTED = {"effect": 0.5, "ci_low": 0.1, "ci_high": 0.9}
RATIO = {"effect": 0.5, "ci_low": 0.25, "ci_high": 1.0}


def effects(*rows: dict[str, Any], **options: Any) -> EffectSizes:
    """Compute the effects of rows, named A, B, C ... unless they have a study."""
    table = pd.DataFrame([{"study": "ABCDEFGHIJ"[i], **row} for i, row in enumerate(rows)])
    return effect_sizes(read_trials(table), **options)


def measured(key: str, row: dict[str, float], **options: str) -> tuple[float, float]:
    """Compute one row with the measure's own function."""
    done = MEASURES[key].function(*(np.array([float(value)]) for value in _ordered(key, row)), **options)
    return float(done.yi[0]), float(done.vi[0])


def _ordered(key: str, row: dict[str, float]) -> list[float]:
    names = ["mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"] if key in {"SMD", "MD"} else list(COUNTS)
    return [row[name] for name in names]


# ---------------------------------------------------------------- routes


def test_each_row_takes_the_first_route_that_it_has_the_numbers_for() -> None:
    found = effects(
        MEANS,
        PRINTED,
        {"yi": 0.2, "vi": 0.04},
        {"yi": 0.3, "sei": 0.2},
        {"effect": 0.4, "se": 0.1},
        MEANS | PRINTED | {"yi": 9.0, "vi": 9.0},
        PRINTED | {"yi": 0.7, "vi": 0.05},
        {"yi": 0.7, "vi": 0.05, "sei": 9.0},
    )
    smd = measured("SMD", MEANS, vtype="RevMan")
    width = 0.8 / CI
    expected = [smd, (0.5, width**2), (0.2, 0.04), (0.3, 0.04), (0.4, 0.01), smd, (0.7, 0.05), (0.7, 0.05)]
    np.testing.assert_allclose(np.column_stack((found.yi, found.vi)), expected, rtol=CLOSED)
    assert found.obtained == (
        "means and SDs",
        "printed effect with 95% CI",
        "effect with variance",
        "effect with standard error",
        "printed effect with standard error",
        "means and SDs",
        "effect with variance",
        "effect with variance",
    )
    assert found.estimable.all()
    assert set(found.reasons) == set(found.corrections) == {""}
    assert (found.measure, found.options["vtype"], found.k) == ("SMD", "RevMan", 8)
    assert found.labels == tuple("ABCDEFGH")


def test_a_row_without_an_effect_stays_with_its_reason() -> None:
    found = effects(MEANS, {"effect": 0.3}, {"n_1": 10, "mean_1": 3}, {}, MEANS | {"sd_1": 0, "sd_2": 0})
    assert found.estimable.tolist() == [True, False, False, False, False]
    assert np.isnan(found.yi[1:]).all()
    assert np.isnan(found.vi[1:]).all()
    assert found.reasons == (
        "",
        "its effect has neither an interval nor a standard error",
        "sd_1, mean_2, sd_2, n_2 not given",
        "no effect and no raw numbers are given",
        MEASURES["SMD"].facts["about"].undefined,
    )
    assert found.obtained[1:] == ("",) * 4
    assert len(found.labels) == len(found.rows) == 5


def test_counts_may_be_events_and_non_events() -> None:
    totals = effects(COUNTS, measure="RR")
    cells = effects({"ai": 4, "bi": 119, "ci": 11, "di": 128}, measure="RR")
    assert (cells.yi[0], cells.vi[0], cells.obtained) == (totals.yi[0], totals.vi[0], ("counts",))
    assert cells.inputs["n_1"].tolist() == [123]


def test_non_events_that_contradict_the_total_are_not_passed_over() -> None:
    with pytest.raises(DataError):
        effects({"events_1": 4, "nonevents_1": 119, "n_1": 200, "events_2": 11, "nonevents_2": 128, "n_2": 139})


# ---------------------------------------------------------------- ratios


@pytest.mark.parametrize("measure", ["RR", "OR"])
def test_a_printed_ratio_is_pooled_as_a_logarithm(measure: str) -> None:
    found = effects(RATIO, {"yi": -0.7, "sei": 0.1}, measure=measure)
    assert found.yi[0] == pytest.approx(math.log(0.5), rel=CLOSED)
    assert found.vi[0] == pytest.approx((math.log(4) / CI) ** 2, rel=CLOSED)
    assert (found.yi[1], found.vi[1]) == (-0.7, pytest.approx(0.01))  # yi is on the analysis scale already


@pytest.mark.parametrize("measure", ["SMD", "MD", "RD", "GEN"])
def test_a_printed_difference_is_not(measure: str) -> None:
    found = effects({"effect": -0.5, "ci_low": -1.0, "ci_high": 0.0}, measure=measure)
    assert (found.yi[0], found.vi[0]) == (-0.5, pytest.approx((1 / CI) ** 2, rel=CLOSED))


@pytest.mark.parametrize("measure", ["RR", "OR"])
def test_a_standard_error_beside_a_ratio_is_not_guessed_about(measure: str) -> None:
    found = effects(RATIO, {"effect": 0.5, "se": 0.2}, measure=measure)
    assert found.estimable.tolist() == [True, False]
    assert found.reasons[1] == (
        f"a standard error beside {measure} may be of the ratio or of its log; give its interval, or yi and sei"
    )


@pytest.mark.parametrize(
    "row", [{"effect": -0.5, "ci_low": -1.0, "ci_high": 0.2}, {"effect": 0.5, "ci_low": 0.0, "ci_high": 1.0}]
)
def test_a_ratio_that_is_a_logarithm_is_refused(row: dict[str, float]) -> None:
    with pytest.raises(DataError) as caught:
        effects(RATIO, row, measure="OR")
    (problem,) = caught.value.problems
    assert (problem.column, problem.row, problem.rule) == ("effect", "index 1", "OR and its limits must be above 0")
    assert "yi and sei" in problem.fix


# ---------------------------------------------------------------- other measures


def test_a_printed_effect_of_another_measure_is_kept_but_not_pooled() -> None:
    found = effects(RATIO | {"measure": "OR"}, RATIO | {"measure": "SMD"}, RATIO | {"measure": ""}, measure="SMD")
    assert found.estimable.tolist() == [False, True, True]
    assert found.reasons[0] == "it brings OR, and the pool is of SMD"


def test_an_effect_on_the_scale_of_another_measure_is_not_pooled_either() -> None:
    # yi with measure OR is a log odds ratio; in a pool of SMDs it would be a wrong number without a word
    found = effects({"yi": 0.5, "vi": 0.2, "measure": "OR"}, {"yi": 0.5, "vi": 0.3, "measure": "SMD"}, measure="SMD")
    assert found.estimable.tolist() == [False, True]
    assert found.reasons[0] == "it brings OR, and the pool is of SMD"


def test_raw_numbers_serve_every_measure_that_is_made_from_them() -> None:
    found = effects(MEANS | {"measure": "SMD"}, measure="MD")
    assert (found.yi[0], found.vi[0]) == (3.0, pytest.approx(1.01, rel=CLOSED))


@pytest.mark.parametrize("word", ["smd", "SMD", "Smd"])
def test_the_name_of_a_measure_may_be_written_in_any_case(word: str) -> None:
    assert effects(PRINTED | {"measure": word}).k == 1


# ---------------------------------------------------------------- which measure


@pytest.mark.parametrize(
    ("rows", "measure"),
    [
        ([MEANS], "SMD"),
        ([COUNTS], "RR"),
        ([PRINTED], "GEN"),
        ([{"yi": 0.1, "vi": 0.2}], "GEN"),
        ([MEANS, COUNTS], "SMD"),
        ([MEANS | {"measure": "MD"}], "MD"),
        ([PRINTED | {"measure": "or"}], "OR"),
        ([PRINTED | {"measure": "SMD"}, PRINTED | {"measure": "OR"}], "SMD"),
        ([COUNTS | {"measure": "OR"}, COUNTS | {"measure": ""}], "OR"),
        ([{"yi": 0.1, "vi": 0.2, "measure": "XR"}], "GEN"),
        ([{"yi": 0.1, "vi": 0.2, "measure": "HR"}], "HR"),
    ],
)
def test_the_measure_that_is_chosen(rows: list[dict[str, Any]], measure: str) -> None:
    table = pd.DataFrame([{"study": "A", **row} for row in rows])
    assert default_measure(read_trials(table)) == measure


def test_a_measure_that_is_not_known_is_not_pooled_as_something_else() -> None:
    with pytest.raises(DataError, match="XR is not a measure"):
        effects(RATIO | {"measure": "XR"})
    with pytest.raises(OptionError, match="the rows name OR and RR; choose one"):
        effects(RATIO | {"measure": "OR"}, RATIO | {"measure": "RR"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"measure": "smd"}, "did you mean 'SMD'"),
        ({"preset": "revman"}, "did you mean 'revman5'"),
        ({"options": {"vtyp": "LS"}}, "did you mean 'vtype'"),
        ({"options": {"vtype": "ls"}}, "did you mean 'LS'"),
        ({"options": {"zeros": "no"}, "measure": "RR"}, "zeros='no'"),
        ({"by": "stratums"}, "did you mean 'stratum'"),
    ],
)
def test_a_word_that_is_not_known_is_refused_with_what_was_meant(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words.replace("(", r"\(")):
        effects(MEANS | COUNTS | {"stratum": "x"}, **options)


@pytest.mark.parametrize(
    ("preset", "vtype", "zeros"),
    [("cochrane", "RevMan", "RevMan"), ("revman5", "RevMan", "RevMan"), ("metafor", "LS", "metafor")],
)
def test_a_preset_chooses_conventions_and_an_option_overrides_it(preset: str, vtype: str, zeros: str) -> None:
    assert effects(MEANS, preset=preset).options["vtype"] == vtype
    assert effects(COUNTS, preset=preset).options["zeros"] == zeros
    assert effects(COUNTS, preset=preset, options={"zeros": "none"}).options["zeros"] == "none"
    found = effects(MEANS, preset=preset)
    assert (found.yi[0], found.vi[0]) == measured("SMD", MEANS, vtype=vtype)


# ---------------------------------------------------------------- zero cells


def test_a_correction_is_told_row_by_row() -> None:
    found = effects(COUNTS, COUNTS | {"events_1": 0}, COUNTS | {"events_1": 0, "events_2": 0})
    assert found.corrections == ("", "0.5 added to all four cells", "")
    assert found.estimable.tolist() == [True, True, False]
    assert found.reasons[2] == "no events, or only events, in both arms"


# ---------------------------------------------------------------- arms


def both_ways(*rows: dict[str, Any], **options: Any) -> EffectSizes:
    """Compute rows that name x and y in turn."""
    pairs = [{"treatment_1": "x", "treatment_2": "y"}, {"treatment_1": "y", "treatment_2": "x"}]
    return effects(*(row | pairs[i % 2] for i, row in enumerate(rows)), **options)


@pytest.mark.parametrize(
    ("measure", "row"), [("SMD", MEANS), ("MD", MEANS), ("RR", COUNTS), ("OR", COUNTS), ("RD", COUNTS)]
)
def test_a_row_that_names_the_treatments_the_other_way_round_is_turned(measure: str, row: dict[str, float]) -> None:
    found = both_ways(row, row, measure=measure, compare=("x", "y"))
    assert found.yi[1] == pytest.approx(-found.yi[0], rel=CLOSED) != 0
    assert found.vi[1] == pytest.approx(found.vi[0], rel=CLOSED)
    assert found.corrections == ("", "arms swapped")
    for role in ("n", "mean", "sd", "events"):
        if f"{role}_1" in found.inputs:
            assert found.inputs[f"{role}_1"][1] == found.inputs[f"{role}_2"][0]
            assert found.inputs[f"{role}_2"][1] == found.inputs[f"{role}_1"][0]
    assert (found.context.treatment_1, found.context.treatment_2) == ("x", "y")


def test_printed_effects_are_turned_too() -> None:
    found = both_ways(RATIO, RATIO, {"yi": 0.4, "vi": 0.1}, {"yi": 0.4, "vi": 0.1}, measure="OR", compare=("x", "y"))
    assert found.yi.tolist() == [math.log(0.5), -math.log(0.5), 0.4, -0.4]


def test_the_comparison_may_come_as_a_list() -> None:
    # as it does from JSON or a plan file; a silent wrong sign otherwise
    found = both_ways(MEANS, MEANS, compare=["x", "y"])
    assert found.yi[1] == -found.yi[0]


def test_turned_rows_are_no_other_treatments() -> None:
    assert not any("treatments in arm" in note for note in both_ways(MEANS, MEANS, compare=("x", "y")).notes)


def test_rows_about_one_pair_are_turned_to_the_first_row_without_being_asked() -> None:
    found = both_ways(MEANS, MEANS)
    assert found.yi[1] == -found.yi[0]
    assert found.corrections == ("", "arms swapped")
    assert not any("treatments in arm" in note for note in found.notes)


def test_rows_about_several_pairs_are_not_turned_but_told() -> None:
    third = MEANS | {"treatment_1": "y", "treatment_2": "z"}
    found = effects(MEANS | {"treatment_1": "x", "treatment_2": "y"}, third)
    assert found.corrections == ("", "")
    assert any("2 treatments in arm 1" in note for note in found.notes)


def test_a_comparison_that_no_row_makes_is_not_put_on_the_pool() -> None:
    row = MEANS | {"treatment_1": "x", "treatment_2": "y"}
    try:
        context = effects(row, compare=("a", "b")).context
    except (DataError, OptionError):
        return  # refusing is as good
    assert (context.treatment_1, context.treatment_2) != ("a", "b")


def test_inputs_of_the_table_are_not_turned_in_place() -> None:
    table = pd.DataFrame([{"study": "A", **MEANS, "treatment_1": "y", "treatment_2": "x"}])
    trials = read_trials(table)
    before = trials.frame.copy(deep=True)
    effect_sizes(trials, compare=("x", "y"))
    pd.testing.assert_frame_equal(trials.frame, before)


# ---------------------------------------------------------------- direction, subgroups, repeats


@pytest.mark.parametrize(("flags", "known"), [((True, True), True), ((False, False), False), ((None, None), None)])
def test_the_direction_is_known_when_all_rows_agree(flags: tuple[Any, Any], known: bool | None) -> None:
    found = effects(*(MEANS | {"higher_is_better": flag} for flag in flags))
    assert found.context.higher_is_better is known


def test_blank_subgroups_are_one_of_their_own() -> None:
    found = effects(*(PRINTED | {"stratum": value} for value in ("a", "", None, " b ", "NA")), by="stratum")
    assert found.by == ("a", "(not stated)", "(not stated)", "b", "NA")
    assert found.by_name == "stratum"


def test_subgroups_may_come_from_any_column() -> None:
    rows = [PRINTED | {"Subgroup": "a", "risk of bias": 1}, PRINTED | {"Subgroup": "b", "risk of bias": 2}]
    assert effects(*rows, by="stratum").by == ("a", "b")  # by its role
    assert effects(*rows, by="Subgroup").by == ("a", "b")  # by its name
    assert effects(*rows, by="risk of bias").by == ("1", "2")
    assert effects(*rows).by is None


def test_subgroups_of_a_year_are_years() -> None:
    rows = [PRINTED | {"year": 2010, "higher_is_better": True}, PRINTED | {"year": 2011, "higher_is_better": True}]
    assert effects(*rows, by="year").by == ("2010", "2011")


def test_a_study_that_enters_twice_is_told_with_its_rows() -> None:
    found = effects(MEANS | {"study": "A"}, PRINTED | {"study": "B"}, PRINTED | {"study": "A"}, measure="MD")
    (note,) = found.notes
    assert note.startswith("A enters 2 times (index 0, index 2)")
    assert "independent" in note
    assert found.clusters.tolist() == [0, 1, 0]


def test_a_row_that_is_not_pooled_does_not_count_as_a_repeat() -> None:
    assert effects(MEANS | {"study": "A"}, {"study": "A"}, PRINTED | {"study": "B"}, measure="MD").notes == ()


def test_several_outcomes_in_one_pool_are_told() -> None:
    found = effects(MEANS | {"outcome": "pain"}, PRINTED | {"outcome": "sleep"}, measure="MD")
    assert found.notes == ("2 outcomes are pooled together: pain, sleep.",)
    assert found.context.outcome is None
    assert effects(MEANS | {"outcome": "pain"}).context.outcome == "pain"


# ---------------------------------------------------------------- nothing to pool


def test_a_table_without_an_effect_ends_in_a_sentence() -> None:
    with pytest.raises((DataError, EstimationError)) as caught:
        analyse(effects(PRINTED | {"ci_low": None, "ci_high": None}), PoolSpec())
    assert "usable effect" in str(caught.value) or "no row" in str(caught.value)


@pytest.mark.parametrize("sei", [1e-200, 1e200])
def test_a_variance_that_leaves_the_range_of_numbers_is_not_pooled(sei: float) -> None:
    found = effects({"yi": 1.0, "sei": sei}, {"yi": 2.0, "sei": 0.1})
    assert found.estimable.tolist() == [False, True]
    assert found.reasons[0]


# ---------------------------------------------------------------- comparisons


def test_a_table_is_cut_into_its_questions() -> None:
    rows = [
        {"outcome": "pain", "treatment_1": "x", "treatment_2": "y"},
        {"outcome": "pain", "treatment_1": "y", "treatment_2": "x"},
        {"outcome": "sleep", "treatment_1": "y", "treatment_2": "x"},
        {"outcome": "pain", "treatment_1": "x", "treatment_2": "z"},
    ]
    trials = read_trials(pd.DataFrame([{"study": "A", **PRINTED, **row} for row in rows]))
    found = comparisons(trials)
    assert [(c.outcome, c.treatment_1, c.treatment_2, len(c.trials)) for c in found] == [
        ("pain", "x", "y", 2),
        ("sleep", "y", "x", 1),
        ("pain", "x", "z", 1),
    ]
    assert sum(len(c.trials) for c in found) == len(trials)
    (one,) = comparisons(trials, outcome="pain", compare=("y", "x"))
    assert (one.treatment_1, one.treatment_2, one.trials.rows) == ("y", "x", ("index 0", "index 1"))
    with pytest.raises(OptionError, match="did you mean 'pain'"):
        comparisons(trials, outcome="pian")
    with pytest.raises(OptionError, match="compare='q' is not known"):
        comparisons(trials, compare=("x", "q"))
    with pytest.raises(DataError, match="has no row comparing y with z"):
        comparisons(trials, compare=("y", "z"))


def test_the_dataset_that_comes_along_can_be_pooled() -> None:
    trials = load_dataset("backpain")
    assert len(trials) == 41
    pooled = 0
    for question in comparisons(trials):
        found = effect_sizes(question.trials, compare=(question.treatment_1, question.treatment_2))
        pooled += found.k
        assert all(bool(reason) != bool(ok) for reason, ok in zip(found.reasons, found.estimable, strict=True))
    assert pooled >= 35
    with pytest.raises(OptionError, match="did you mean 'backpain'"):
        load_dataset("backpains")


# ---------------------------------------------------------------- scales other than linear and log


@pytest.mark.parametrize(
    ("measure", "forward"),
    [("ZCOR", math.atanh), ("PLO", lambda p: math.log(p / (1 - p))), ("PAS", lambda p: math.asin(math.sqrt(p)))],
)
def test_a_printed_effect_is_carried_to_the_scale_of_its_measure(
    measure: str, forward: Callable[[float], float]
) -> None:
    found = effects({"effect": 0.5, "ci_low": 0.2, "ci_high": 0.7}, measure=measure)
    assert found.yi[0] == pytest.approx(forward(0.5), abs=1e-12)
    assert found.vi[0] == pytest.approx(((forward(0.7) - forward(0.2)) / CI) ** 2, rel=CLOSED)


def test_a_printed_effect_that_the_measure_cannot_have_is_refused() -> None:
    with pytest.raises(DataError, match="ZCOR and its limits must be between -1 and 1"):
        effects({"effect": 0.5, "ci_low": 0.2, "ci_high": 1.7}, measure="ZCOR")


def test_a_printed_effect_whose_scale_needs_a_size_is_not_pooled() -> None:
    found = effects({"effect": 0.5, "ci_low": 0.2, "ci_high": 0.7}, measure="PFT")
    assert not found.estimable[0]
    assert "give the counts" in found.reasons[0]


def test_pairs_of_a_turned_row_change_places() -> None:
    pairs = {"pairs_11": 20, "pairs_12": 9, "pairs_21": 4, "pairs_22": 30}
    table = [
        {"study": "A", "effect": None, "treatment_1": "x", "treatment_2": "y", **pairs},
        {"study": "B", "effect": None, "treatment_1": "y", "treatment_2": "x", **pairs},
    ]
    frame = pd.DataFrame(table).assign(ci_low=None, ci_high=None)
    found = effect_sizes(frame, measure="MPOR")
    assert found.yi[1] == pytest.approx(-found.yi[0], rel=CLOSED)
    assert found.yi[0] != 0


def test_numbers_whose_squares_are_none_get_a_reason_and_no_warning() -> None:
    frame = pd.DataFrame(
        {"study": ["A"], "n_1": [10], "mean_1": [1e200], "sd_1": [1e200], "n_2": [10], "mean_2": [0.0], "sd_2": [1e200]}
    )
    found = effect_sizes(frame, measure="MD")
    assert not found.estimable[0]
    assert "beyond the range of numbers" in found.reasons[0]


ABSURD: dict[str, dict[str, list[float]]] = {
    "SMD": {
        "n_1": [9, 9],
        "mean_1": [1, 1e200],
        "sd_1": [1, 1e200],
        "n_2": [9, 9],
        "mean_2": [2, 1],
        "sd_2": [1, 1e200],
    },
    "MD": {"n_1": [9, 9], "mean_1": [1, 2], "sd_1": [1, 1e-300], "n_2": [9, 9], "mean_2": [2, 1], "sd_2": [1, 1e-300]},
    "IRD": {"events_1": [9, 2], "time_1": [100, 1e-300], "events_2": [1, 3], "time_2": [10, 1e-300]},
    "IRSD": {"events_1": [9, 9], "time_1": [100, 1e-300], "events_2": [1, 9], "time_2": [10, 1e300]},
}


@pytest.mark.parametrize("measure", ABSURD)
def test_absurd_numbers_leave_no_effect_and_no_warning(measure: str) -> None:
    """An SD of 1e200 has a square that is no number: d would be 0, and is not given at all."""
    found = effect_sizes(read_trials(pd.DataFrame({"study": ["A", "B"], **ABSURD[measure]})), measure=measure)
    assert found.estimable.tolist() == [True, False]
    assert "beyond the range of numbers" in found.reasons[1]


def test_decimals_of_a_number_do_not_hang_on_a_vast_one_beside_it() -> None:
    """Rounding 1e300 to one decimal overflows."""
    assert shown_decimals(np.array([1e300, 0.25, 12.0]), 12).tolist() == [0, 2, 0]
