"""What a first user met: tables where little can be pooled, keys with gaps, consoles without a minus sign."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import metaback as mb

MEANS = {"n_1": 20, "mean_1": 5.1, "sd_1": 2.0, "n_2": 21, "mean_2": 4.0, "sd_2": 2.2}


def rows(*changes: dict[str, object]) -> pd.DataFrame:
    """Return a table with one row of means per change."""
    return pd.DataFrame([{"study": f"S{i}", **MEANS, "mean_1": 5.1 + 0.2 * i, **c} for i, c in enumerate(changes)])


def test_a_report_of_a_single_study_lists_it(tmp_path: Path) -> None:
    mb.pool(rows({})).report(tmp_path / "one")
    page = (tmp_path / "one" / "report.html").read_text(encoding="utf-8")
    assert "Listed, not pooled" in page
    assert json.loads((tmp_path / "one" / "results.json").read_text(encoding="utf-8"))["comparisons"] == []


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-8"])
def test_no_console_loses_a_minus_sign(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("study,yi,vi\nA,-0.2,0.1\nB,-0.3,0.1\n")
    words = [sys.executable, "-m", "metaback", "pool", "t.csv", "--format", "text"]
    done = subprocess.run(
        words, check=True, cwd=tmp_path, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}
    )
    text = done.stdout.decode(encoding)
    assert "-0.25" in text.replace("\u2212", "-")
    assert "?" not in text


def test_a_new_preset_is_the_preset() -> None:
    table = rows({}, {}, {}, {"mean_1": 9.0})
    for preset in ("revman5", "metafor"):
        assert mb.pool(table).update(preset=preset).spec == mb.pool(table, preset=preset).spec
    assert mb.pool(table).update(model="equal").spec == mb.pool(table, model="equal").spec
    kept = mb.pool(table, tau2="PM").update(preset="metafor").spec
    assert (kept.tau2, kept.ci) == ("PM", "Wald")


def test_the_total_is_labelled_by_the_rule_that_made_its_interval() -> None:
    res = mb.pool(pd.DataFrame({"study": list("ABC"), "yi": [0.2, 0.21, 0.2], "sei": [0.2, 0.2, 0.2]}))
    from metaback.plots.forest import forest_data

    label = next(row.label for row in forest_data(res.analysis).rows if row.kind == "total")
    assert label == "Total (random effects, REML, Wald)"


def test_a_notebook_shows_the_forest_without_pyplot() -> None:
    picture = mb.pool(rows({}, {})).forest()._repr_png_()  # type: ignore[attr-defined]
    assert picture.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (({"outcome": "pain"}, {"outcome": ""}), "is blank here"),
        (({"outcome": "pain"}, {"outcome": "Pain"}), "is written 'pain' in an earlier row"),
        (({"treatment_1": "a", "treatment_2": "a"},), "is compared with itself"),
        (({"treatment_1": "a", "treatment_2": "b"}, {"treatment_1": "a", "treatment_2": ""}), "is blank here"),
    ],
)
def test_keys_that_would_cut_the_table_in_the_wrong_place_are_refused(
    changes: tuple[dict[str, object], ...], told: str
) -> None:
    with pytest.raises(mb.DataError, match=told):
        mb.pool_table(rows(*changes))


def test_rows_without_a_stated_subgroup_are_no_subgroup_to_be_tested() -> None:
    res = mb.pool(rows({"stratum": "x"}, {"stratum": ""}, {"stratum": "y"}), by="stratum")
    assert res.subgroups is not None
    assert res.subgroups.test is not None
    assert res.subgroups.test.df == 1
    assert any("no stated subgroup" in note for note in res.notes)


def test_a_table_of_thousands_gives_a_forest_that_can_be_read() -> None:
    table = pd.DataFrame({"study": [f"S{i}" for i in range(600)], "yi": [0.1, 0.2] * 300, "sei": 0.1})
    height = mb.pool(table).forest().get_size_inches()[1]
    assert height < 6


@pytest.mark.parametrize("data", [None, [1, 2], 3.0])
def test_what_is_no_table_is_refused_in_words(data: object) -> None:
    with pytest.raises(mb.OptionError, match="a data frame or a path"):
        mb.pool(data)  # type: ignore[arg-type]


def test_a_proportion_has_no_line_of_no_effect() -> None:
    from metaback.plots.forest import forest_data
    from metaback.report.sections import answer

    table = pd.DataFrame({"study": list("ABC"), "events": [3, 8, 12], "n": [20, 40, 50]})
    res = mb.pool(table, measure="PLO")
    assert math.isnan(res.p_value)
    assert "instead of RevMan" not in res.methods_text()
    assert "no difference" not in answer(res.analysis)
    assert "P = " not in repr(res).split("Heterogeneity")[0]
    data = forest_data(res.analysis)
    assert data.null is None
    assert not any("Test for overall effect" in row.label for row in data.rows)
    assert forest_data(mb.pool(rows({}, {}), measure="MD").analysis).null == 0


# ---------------------------------------------------------------- sheets of a reviewer who had never seen the tool


def sheet(text: str, **options: object) -> mb.EffectSizes:
    """Read a sheet as typed and compute its effects."""
    return mb.effect_sizes(mb.read_trials(text.encode()), **options)  # pyright: ignore[reportArgumentType]


def test_medians_and_means_may_be_named_by_the_number_of_the_arm() -> None:
    own = sheet("study,n_1,median_iqr_1,n_2,median_iqr_2\nA,30,4 (2 to 6),28,5 (3 to 7)\n", measure="MD")
    apart = "study,n_1,median_1,q1_1,q3_1,n_2,median_2,q1_2,q3_2\nA,30,4,2,6,28,5,3,7\n"
    assert own.vi[0] == sheet(apart, measure="MD").vi[0]
    # (1^2 + 1.2^2) of standard errors
    assert sheet("study,n_1,mean_se_1,n_2,mean_se_2\nA,25,10 (1),25,12 (1.2)\n", measure="MD").vi[0] == pytest.approx(
        2.44
    )


def test_a_column_level_is_one_of_confidence_beside_an_interval_only() -> None:
    dose = sheet("study,level,n_1,mean_1,sd_1,n_2,mean_2,sd_2\nA,HIGH,20,5,2,20,4,2\n", measure="MD")
    assert dose.yi.tolist() == [1.0]
    ratio = sheet("study,measure,effect,ci_low,ci_high,level\nA,OR,2,1,4,90\n")
    # (ln 4 / (2 * 1.644853627))^2
    assert ratio.vi[0] == pytest.approx((math.log(4) / (2 * 1.6448536269514722)) ** 2, rel=1e-14)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("study,r,n\nA,1.2,20\n", "a correlation lies between -1 and 1"),
        ("study,events,n\nA,3,1\n", "more events than the 1 people of the group"),
    ],
)
def test_numbers_that_cannot_be_are_refused_for_single_groups_too(text: str, words: str) -> None:
    with pytest.raises(mb.DataError, match=words):
        mb.read_trials(text.encode())


def test_rows_made_of_two_rows_keep_their_names() -> None:
    long = pd.DataFrame({"study": ["A"] * 3, "treatment": ["x", "y", "z"], "events": [1, 2, 3], "n": [9, 9, 9]})
    assert mb.effect_sizes(mb.contrasts(long, reference="z")).rows[0] == "index 0 and index 2"


@pytest.mark.parametrize("text", ["study,OR (95% CI)\nA,2 (1 to 4)\n", "study,OR,lower,upper\nA,2,1,4\n"])
def test_a_column_headed_by_a_measure_brings_its_effects(text: str) -> None:
    found = sheet(text)
    # ln 2 and (2 ln 2 / (2 * 1.959963985))^2
    assert (found.measure, found.yi[0]) == ("OR", pytest.approx(math.log(2), rel=1e-14))
    assert found.vi[0] == pytest.approx((math.log(2) / 1.959963984540054) ** 2, rel=1e-14)
    assert any("printed effects of the measure OR" in note for note in mb.read_trials(text.encode()).notes)


def test_a_head_counts_where_the_role_was_given_by_hand_too() -> None:
    own = mb.read_trials(b"study,OR,from,to\nA,2,1,4\n", roles={"effect": "OR", "ci_low": "from", "ci_high": "to"})
    assert mb.effect_sizes(own).yi[0] == pytest.approx(math.log(2), rel=1e-14)  # not 2, as if it were a difference


def test_raw_numbers_are_not_moved_to_the_measure_of_another_column() -> None:
    found = sheet("study,n_1,mean_1,sd_1,n_2,mean_2,sd_2,MD\nA,20,5,2,20,4,2,1\n")
    assert (found.measure, found.obtained) == ("SMD", ("means and SDs",))
