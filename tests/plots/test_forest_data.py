"""What stands in a forest plot: rows, columns, numbers as text, directions, notes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from metaback.effects.effect_sizes import Context
from metaback.models.specs import PoolSpec
from metaback.plots import forest_words as words
from metaback.plots.forest_data import ForestData, ForestRow, forest_data
from metaback.postestimation.summary import Analysis, Heterogeneity

Make = Callable[..., Analysis]
COUNTS = {"n_1": [29, 53, 15, 15], "events_1": [4, 9, 0, 0], "n_2": [29, 55, 16, 14], "events_2": [9, 15, 3, 0]}


def column(data: ForestData, head: str, spanner: str | None = None) -> list[str]:
    found = [i for i, c in enumerate(data.columns) if c.head == head and spanner in {None, c.spanner}]
    return [row.cells[found[0]] if row.cells else "" for row in data.rows]


def kinds(data: ForestData) -> list[str]:
    return [row.kind for row in data.rows]


def only(data: ForestData, kind: str) -> list[ForestRow]:
    return [row for row in data.rows if row.kind == kind]


def ratios(make: Make, **options: Any) -> Analysis:
    return make(
        [math.log(0.44), math.log(0.62), math.log(0.15), math.nan],
        [0.54, 0.38, 1.47, math.nan],
        ["Akbari 2008", "Akhtar 2017", "Kamali 2019", "Nejati 2019"],
        scale="log",
        measure="RR",
        inputs=COUNTS,
        reasons={3: "no events in either arm"},
        corrections={2: "0.5 added to all four cells"},
        **options,
    )


def test_rows_stand_in_table_order_under_their_subgroups(make_tataryn: Make) -> None:
    data = forest_data(make_tataryn())
    group = ["study"] * 4, ["study"] * 5
    assert kinds(data) == [
        "header", *group[0], "subtotal", "text", "blank", "header", *group[1], "subtotal", "text", "blank",
        "total", "prediction", "text", "text", "text",
    ]  # fmt: skip
    assert [row.label for row in only(data, "header")] == ["6-8 weeks", "12-16 weeks"]
    assert [row.label for row in only(data, "study")][:2] == ["Aasa 2015", "Atalay 2017"]
    assert {row.level for row in only(data, "study")} == {1}
    assert [row.label for row in only(data, "subtotal")] == ["Subtotal (4 studies)", "Subtotal (5 studies)"]


def test_one_subgroup_keeps_its_header_but_repeats_no_total(make_tataryn: Make) -> None:
    assert kinds(forest_data(make_tataryn(by=["all"] * 9)))[:2] == ["header", "study"]
    assert not only(forest_data(make_tataryn(by=["all"] * 9)), "subtotal")


def test_subgroup_without_a_pool_keeps_its_rows(make: Make) -> None:
    data = forest_data(make([0.1, 0.2, math.nan], [0.1, 0.2, 1], list("abc"), by=["x", "x", "y"], reasons={2: "no SD"}))
    assert kinds(data)[-7:-2] == ["blank", "header", "not_estimable", "blank", "total"]


def test_numbers_of_a_study_and_of_the_total(make_tataryn: Make) -> None:
    data = forest_data(make_tataryn(by=None))
    effects = column(data, "SMD [95% CI]")
    assert effects[0] == "\u22120.13 [\u22120.60, 0.34]"
    assert effects[9] == "\u22120.41 [\u22120.72, \u22120.10]"
    study, total = data.rows[0], only(data, "total")[0]
    assert study.estimate == pytest.approx(-0.13)
    assert study.lower == pytest.approx(-0.60, abs=1e-6)
    assert data.reference == total.estimate == pytest.approx(-0.41, abs=0.005)


def test_weights_sum_to_one_hundred_and_subtotals_to_their_rows(make_tataryn: Make) -> None:
    data = forest_data(make_tataryn())
    shown = {k: [float(r.cells[-2]) for r in only(data, k)] for k in ("study", "subtotal", "total")}
    assert round(sum(shown["study"]), 6) == 100.0
    assert round(sum(shown["study"][:4]), 6) == shown["subtotal"][0]
    assert round(sum(shown["subtotal"]), 6) == 100.0
    assert shown["total"] == [100.0]


@pytest.mark.parametrize("k", [1, 2, 3, 7, 50, 200])
def test_weights_sum_to_one_hundred_for_any_number_of_studies(make_many: Make, k: int) -> None:
    data = forest_data(make_many(k))
    assert round(sum(float(row.cells[-2]) for row in only(data, "study")), 6) == 100.0


def test_total_names_the_model(make_tataryn: Make) -> None:
    labels = [
        only(forest_data(make_tataryn(spec=spec)), "total")[0].label
        for spec in (
            PoolSpec(),
            PoolSpec(preset="revman5", tau2="DL", ci="Wald", pi="none", i2="Q"),
            PoolSpec(model="equal", ci="Wald", pi="none"),
        )
    ]
    assert labels == [
        "Total (random effects, REML, HKSJ)", "Total (random effects, DL, Wald)", "Total (equal effects, Wald)",
    ]  # fmt: skip


def test_prediction_interval_has_limits_only_and_only_where_there_is_one(make_tataryn: Make, make: Make) -> None:
    row = only(forest_data(make_tataryn()), "prediction")[0]
    assert row.label == "95% prediction interval"
    assert row.cells[-1].startswith("[\u2212")
    assert row.cells[-2] == ""
    assert row.estimate is None
    revman = PoolSpec(preset="revman5", tau2="DL", ci="Wald", pi="none", i2="Q")
    assert not only(forest_data(make_tataryn(spec=revman)), "prediction")
    two = forest_data(make([0.1, 0.3], [0.1, 0.2], ["a", "b"]))
    assert not only(two, "prediction")
    assert "Prediction interval: not estimable (k = 2)." in two.footnotes


def test_statistics_lines(make_tataryn: Make) -> None:
    lines = [row.label for row in only(forest_data(make_tataryn()), "text")]
    assert lines[0] == "Heterogeneity: τ² = 0.00, I² = 0%, Q = 0.65, df = 3, P = 0.03"
    assert lines[2] == "Heterogeneity: τ² = 0.10, I² (from τ²) = 50%, Q = 16.14, df = 8, P = 0.03"
    assert lines[3] == "Test for overall effect: t = \u22122.61, df = 8, P = 0.009"
    assert lines[4] == "Test for subgroup differences: Q = 2.31, df = 1, P = 0.13"


def test_normal_test_is_a_z_without_df_and_i2_from_q_says_so(make_tataryn: Make) -> None:
    spec = PoolSpec(preset="revman5", tau2="DL", ci="Wald", pi="none", i2="Q")
    lines = [row.label for row in only(forest_data(make_tataryn(by=None, spec=spec)), "text")]
    assert "I² (from Q) = 50%" in lines[0]
    assert lines[1] == "Test for overall effect: z = \u22122.61, P = 0.009"


def test_heterogeneity_of_one_study_and_of_a_common_effect() -> None:
    none = Heterogeneity(0.0, 0, None, None, None, None, None, None, None, None, None)
    assert words.heterogeneity_text(none, PoolSpec()) == "Heterogeneity: not applicable"
    equal = Heterogeneity(5.0, 4, 0.0001, None, None, None, 20.0, None, None, None, None)
    assert (
        words.heterogeneity_text(equal, PoolSpec(model="equal"), define=True)
        == "Heterogeneity: I² (from Q) = 20%, Q = 5.00, df = 4, P < 0.001"
    )


@pytest.mark.parametrize(("tau2", "text"), [(0.0, "0.00"), (0.0312, "0.031"), (2.178, "2.18"), (1.23e-5, "0.000012")])
def test_small_tau2_keeps_two_digits_unless_it_is_nothing(tau2: float, text: str) -> None:
    found = Heterogeneity(5.0, 4, 0.2, tau2, None, None, 20.0, 20.0, None, None, None)
    assert f"τ² = {text}," in words.heterogeneity_text(found, PoolSpec())


def test_ratio_is_written_back_transformed_and_drawn_in_logs(make: Make) -> None:
    data = forest_data(ratios(make))
    assert column(data, "RR [95% CI]")[0] == "0.44 [0.15, 1.27]"
    assert data.scale == "log"
    assert data.null == 0.0
    assert data.rows[0].estimate == pytest.approx(math.log(0.44))
    assert data.axis_title == "Risk ratio (log scale)"


def test_counts_have_a_pair_of_columns_per_arm_with_totals_of_pooled_rows(make: Make) -> None:
    data = forest_data(ratios(make, context=Context("recurrence", "exercise", "usual_care")))
    assert [(c.head, c.spanner) for c in data.columns if c.side == "left"] == [
        ("Events", "Exercise"), ("N", "Exercise"), ("Events", "Usual care"), ("N", "Usual care"),
    ]  # fmt: skip
    assert column(data, "Events", "Exercise")[:5] == ["4", "9", "0", "0", "13"]
    assert column(data, "N", "Usual care")[:5] == ["29", "55", "16", "14", "100"]


def test_not_estimable_row_keeps_its_place(make: Make) -> None:
    data = forest_data(ratios(make))
    row = data.rows[3]
    assert (row.kind, row.label) == ("not_estimable", "Nejati 2019")
    assert row.cells[-2:] == ("\u2013", "not estimable")
    assert row.estimate is row.lower is row.weight is None
    assert "Not pooled: Nejati 2019 (no events in either arm)." in data.footnotes
    assert "1 row is not estimable" in data.alt


def test_footnotes_name_methods_corrections_and_conventions(make: Make, make_tataryn: Make) -> None:
    assert "0.5 added to all four cells: 1 row." in forest_data(ratios(make)).footnotes
    methods = forest_data(make_tataryn()).footnotes[0]
    for part in ("τ² by REML", "Hartung-Knapp-Sidik-Jonkman", "t with k \u2212 1 df", "SMD: variance as in RevMan"):
        assert part in methods


def test_many_rows_left_out_are_counted_not_listed(make: Make) -> None:
    k = 20
    analysis = make([0.1] * k, [0.2] * k, [f"S{i}" for i in range(k)], reasons=dict.fromkeys(range(1, 19), "no SD"))
    assert forest_data(analysis).footnotes[1] == "Not pooled: S1, S2, S3, S4 (no SD); and 14 more."


@pytest.mark.parametrize(
    ("higher", "favours"),
    [
        (True, ("Favours usual care", "Favours exercise")),
        (False, ("Favours exercise", "Favours usual care")),
        (None, None),
    ],
)
def test_favours_words_follow_the_direction_and_are_never_guessed(
    make: Make, higher: bool | None, favours: tuple[str, str] | None
) -> None:
    context = Context("recurrence", "exercise", "usual_care", higher)
    assert forest_data(ratios(make, context=context)).favours == favours
    assert forest_data(ratios(make, context=Context("x", "exercise", None, higher))).favours is None
    assert forest_data(ratios(make, context=Context("x", None, "usual_care", higher))).favours is None


def test_means_have_columns_per_arm_in_the_decimals_they_came_with(make: Make) -> None:
    inputs = {
        "mean_1": [39, 17.4], "sd_1": [18, 6.847928], "n_1": [50, 20],
        "mean_2": [37, 18], "sd_2": [18, math.nan], "n_2": [95, 22.5],
    }  # fmt: skip
    data = forest_data(make([0.1, 0.2], [0.1, 0.2], ["a", "b"], inputs=inputs))
    assert [c.head for c in data.columns] == ["Mean", "SD", "N", "Mean", "SD", "N", "Weight (%)", "SMD [95% CI]"]
    assert data.columns[0].spanner == "Arm 1"
    assert data.rows[1].cells[:6] == ("17.40", "6.85", "20.0", "18.00", "", "22.5")
    assert only(data, "total")[0].cells[:6] == ("", "", "70.0", "", "", "117.5")


def test_participants_alone_need_half_of_the_rows(make: Make) -> None:
    some = {"n_1": [9, math.nan, math.nan], "n_2": [9, math.nan, math.nan]}
    most = {"n_1": [9, 8, math.nan], "n_2": [9, 8, math.nan]}
    heads = [
        [c.head for c in forest_data(make([0.1] * 3, [1] * 3, list("abc"), inputs=i)).columns] for i in (some, most)
    ]
    assert heads[0] == ["Weight (%)", "SMD [95% CI]"]
    assert heads[1][:2] == ["N", "N"]
    assert only(forest_data(make([0.1] * 3, [1] * 3, list("abc"), inputs=most)), "total")[0].cells[:2] == ("", "")


def test_one_study(make: Make) -> None:
    data = forest_data(make([-0.4], [0.2], ["Aasa 2015"]))
    assert kinds(data) == ["study", "total", "text", "text"]
    assert data.rows[0].cells[0] == "100.0"
    assert data.rows[2].label == "Heterogeneity: not applicable"


def test_zero_never_carries_a_sign_and_narrow_intervals_get_more_decimals(make: Make) -> None:
    head = "SMD [95% CI]"
    assert column(forest_data(make([-0.001], [0.5], ["a"])), head)[0] == "0.00 [\u22120.98, 0.98]"
    assert column(forest_data(make([-0.001], [0.001], ["a"])), head)[0] == "\u22120.0010 [\u22120.0030, 0.0010]"
    assert column(forest_data(make([-0.001], [0.001], ["a"]), digits=1), head)[0] == "0.0 [0.0, 0.0]"


@pytest.mark.parametrize(
    ("given_labels", "made"),
    [
        (["Jackson 2011", "Kell 2009", "Jackson 2011"], ["Jackson 2011a", "Kell 2009", "Jackson 2011b"]),
        (["Dougherty 2014a", "Dougherty 2014a"], ["Dougherty 2014a (1)", "Dougherty 2014a (2)"]),
        (["A 2011", "A 2011", "A 2011b"], ["A 2011 (1)", "A 2011 (2)", "A 2011b"]),
        (["UK BEAM"], ["UK BEAM"]),
    ],
)
def test_repeated_labels_are_told_apart(given_labels: list[str], made: list[str]) -> None:
    assert list(words.distinct_labels(given_labels)) == made


def test_title_and_alt_say_what_and_how_much(make_tataryn: Make) -> None:
    data = forest_data(make_tataryn())
    assert data.title == "Pain: posterior chain vs general exercise"
    assert "9 studies" in data.alt
    assert "\u22120.41 (95% CI \u22120.72 to \u22120.10)" in data.alt
    assert "Values below 0 favour posterior chain" in data.alt
    assert "12-16 weeks: \u22120.61" in data.alt
    assert forest_data(make_tataryn(context=Context())).title == ""
    assert forest_data(make_tataryn(), title="Mine", label_head="Trial").title == "Mine"


def test_huge_log_limits_do_not_overflow(make: Make) -> None:
    data = forest_data(make([0.1, 5.0], [0.2, 900.0], ["a", "b"], scale="log", measure="OR"))
    assert column(data, "OR [95% CI]")[1] == "148.41 [0.00, \u221e]"


def test_data_needs_no_drawing_library() -> None:
    code = "import sys, metaback.plots.forest_data; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
