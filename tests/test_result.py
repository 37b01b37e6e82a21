"""The verbs and the result as a user of a notebook meets them."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest

import metaback as mb

TIDY = [
    "term",
    "estimate",
    "se",
    "statistic",
    "df",
    "p_value",
    "ci_low",
    "ci_high",
    "pi_low",
    "pi_high",
    "k",
    "n",
    "scale",
]


@pytest.fixture(scope="module")
def pain() -> mb.Result:
    trials = mb.load_dataset("backpain").query("outcome == 'pain' and review == 'Tataryn 2021'")
    return mb.pool(trials, by="stratum")


@pytest.fixture(scope="module")
def ratio() -> mb.Result:
    table = pd.DataFrame(
        {
            "study": list("ABC"),
            "events_1": [4, 6, 3],
            "n_1": [123, 306, 231],
            "events_2": [11, 29, 11],
            "n_2": [139, 303, 220],
        }
    )
    return mb.pool(table, measure="RR", preset="metafor")


def test_every_public_name_loads_and_is_listed() -> None:
    assert {name: getattr(mb, name) for name in mb.__all__}
    assert set(mb.__all__) <= set(dir(mb))
    with pytest.raises(AttributeError, match="no attribute 'pol'"):
        getattr(mb, "pol")  # noqa: B009 - the point is the attribute


def test_the_frame_is_tidy_with_fixed_columns(pain: mb.Result) -> None:
    frame = pain.to_frame()
    assert list(frame.columns[: len(TIDY)]) == TIDY
    assert list(frame["term"]) == ["overall", "6-8 weeks", "12-16 weeks"]
    assert frame["k"].tolist() == [9, 4, 5]


def test_ratios_are_logs_unless_asked_for(ratio: mb.Result) -> None:
    logs, natural = ratio.to_frame(), ratio.to_frame(transform="natural")
    assert (logs["scale"][0], natural["scale"][0]) == ("log", "natural")
    assert natural["ci_high"][0] == pytest.approx(math.exp(logs["ci_high"][0]), rel=1e-12)
    with pytest.raises(mb.OptionError, match="natural"):
        ratio.to_frame(transform="naturl")


def test_studies_keep_every_row_with_its_route(pain: mb.Result) -> None:
    studies = pain.studies()
    assert len(studies) == 9
    assert set(studies["route"]) == {"printed effect with 95% CI"}
    assert studies["weight"].sum() == pytest.approx(100, abs=1e-9)


def test_text_fits_a_terminal_and_says_what_is_next(pain: mb.Result) -> None:
    lines = repr(pain).splitlines()
    assert len(lines) <= 18
    assert max(map(len, lines)) <= 100
    assert ".forest()" in lines[-1]


class _Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def test_the_card_is_escaped_and_the_same_each_time() -> None:
    label = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
    table = pd.DataFrame({"study": [label, "B"], "yi": [0.1, 0.2], "sei": [0.1, 0.1]})
    card = mb.pool(table)._repr_html_()
    tags = _Elements(card).found
    assert not {"script", "img", "iframe", "object", "link"} & {tag for tag, _ in tags}
    assert not any(name.startswith("on") or name == "id" for _, attrs in tags for name, _ in attrs)
    assert mb.pool(table)._repr_html_() == card


def test_update_pools_the_same_effects_in_another_way(pain: mb.Result) -> None:
    other = pain.update(tau2="DL", ci="Wald")
    assert (other.spec.tau2, other.spec.ci, pain.spec.tau2) == ("DL", "Wald", "REML")
    assert other.ci != pain.ci
    with pytest.raises(mb.OptionError, match="did you mean 'tau2'"):
        pain.update(tau="DL")


def test_results_are_frozen(pain: mb.Result) -> None:
    with pytest.raises(AttributeError):
        pain.source = None  # type: ignore[misc]


def test_to_dict_is_plain_json_without_nan(ratio: mb.Result) -> None:
    assert json.loads(json.dumps(ratio.to_dict(), allow_nan=False))["measure"] == "RR"


def test_forest_gives_a_figure_or_draws_into_axes(pain: mb.Result) -> None:
    assert isinstance(pain.forest(), matplotlib.figure.Figure)
    figure = matplotlib.figure.Figure()
    ax = figure.add_subplot()
    assert pain.forest(ax) is figure
    assert ax.collections or ax.patches or ax.lines


def test_report_of_one_result(pain: mb.Result, tmp_path: Path) -> None:
    assert pain.report(tmp_path / "one") == tmp_path / "one"
    record = json.loads((tmp_path / "one" / "results.json").read_text(encoding="utf-8"))
    assert len(record["comparisons"]) == 1
    assert record["provenance"]["input"]["sha256"]


def test_pool_takes_named_columns_and_numbers_rows_without_labels() -> None:
    table = pd.DataFrame({"g": [0.1, 0.3, 0.5], "s": [0.14, 0.17, 0.22]})
    before = table.copy()
    res = mb.pool(table, effect="g", se="s", preset="metafor")
    assert res.effects.labels == ("Study 1", "Study 2", "Study 3")
    pd.testing.assert_frame_equal(table, before)


def test_pool_takes_effect_sizes_and_follows_their_conventions() -> None:
    trials = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'core_stabilisation'")
    ours = mb.effect_sizes(trials, measure="SMD", preset="metafor")
    theirs = mb.effect_sizes(trials, measure="SMD", preset="revman5")
    assert (ours.options["vtype"], theirs.options["vtype"]) == ("LS", "RevMan")
    assert not np.allclose(ours.vi, theirs.vi, rtol=1e-6)
    assert (
        mb.pool(ours).estimate.point == mb.pool(trials, preset="metafor", measure="SMD", ci="HKSJ-wider").estimate.point
    )


def test_pool_table_is_the_command(tmp_path: Path) -> None:
    results = mb.pool_table(mb.load_dataset("backpain"), measure="SMD", preset="revman5")
    assert [res.k for res in results] == [9, 5, 2, 8, 4, 8, 3]
    assert [es.context.outcome for es in results.unpooled] == ["function (PSFS)", "global perceived effect"]
    assert len(results.to_frame()) == sum(1 + (len(res.subgroups.levels) if res.subgroups else 0) for res in results)
    results.report(tmp_path / "all")
    assert "not pooled" in (tmp_path / "all" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"tau2": "reml"}, "did you mean 'REML'"),
        ({"ci": "knha"}, "HKSJ"),
        ({"preset": "cochran"}, "did you mean 'cochrane'"),
        ({"level": 95}, "level=95"),
        ({"measure": "smd"}, "did you mean 'SMD'"),
        ({"by": "startum"}, "did you mean 'stratum'"),
    ],
)
def test_unknown_words_get_the_likely_one(choices: dict[str, object], told: str) -> None:
    with pytest.raises(mb.OptionError, match=told.replace("(", r"\(")):
        mb.pool(mb.load_dataset("backpain").query("outcome == 'pain'"), **choices)  # type: ignore[arg-type]


def test_two_unknown_words_are_told_together() -> None:
    with pytest.raises(mb.OptionError, match=r"tau2='x'.*ci='y'"):
        mb.pool(mb.load_dataset("backpain"), tau2="x", ci="y")


def test_rows_that_point_the_other_way_are_turned_and_told() -> None:
    res = mb.pool(mb.load_dataset("backpain"), measure="MD")
    flags = mb.load_dataset("backpain").flags("higher_is_better")
    usual = sum(map(bool, flags)) * 2 > len(flags)
    turned = [fix for fix, flag in zip(res.effects.corrections, flags, strict=True) if flag is not usual and fix]
    assert turned
    assert all("turned, so that" in fix for fix in turned)
    assert any("were turned so that" in note for note in res.notes)


ESCALC = pd.DataFrame(  # metafor's escalc(measure="ROM") leaves raw numbers, yi and vi side by side
    {
        "study": ["A", "B", "C"],
        "m1i": [12.0, 9.0, 15.0],
        "sd1i": [3.0, 2.0, 4.0],
        "n1i": [20, 25, 30],
        "m2i": [10.0, 8.5, 11.0],
        "sd2i": [3.0, 2.5, 3.5],
        "n2i": [20, 25, 30],
        "yi": [0.18, 0.06, 0.31],
        "vi": [0.0077, 0.0054, 0.0057],
        "robust": [0.11, 0.09, 0.05],
    }
)


def test_effects_that_were_named_are_pooled_and_not_what_else_the_table_has() -> None:
    named = mb.pool(ESCALC, effect="yi", preset="metafor")
    np.testing.assert_array_equal(named.effects.yi, ESCALC["yi"])
    np.testing.assert_array_equal(named.effects.vi, ESCALC["vi"])
    assert named.effects.measure == "GEN"
    assert named.analysis.overall.n == 150


def test_a_standard_error_that_was_named_wins_over_a_variance_beside_it() -> None:
    for res in (mb.pool(ESCALC, effect="yi", se="robust"), mb.pool(ESCALC, effect="yi", se="robust", measure="ROM")):
        np.testing.assert_allclose(res.effects.vi, ESCALC["robust"] ** 2, rtol=1e-15)
        assert not any("standard error is" in note for note in res.notes)
    fit = mb.regress(ESCALC.assign(x=[1.0, 2.0, 4.0]), "~ x", effect="yi", se="robust")
    np.testing.assert_allclose(fit.effects.vi, ESCALC["robust"] ** 2, rtol=1e-15)


def test_effects_that_were_passed_over_for_means_are_told() -> None:
    told = [note for note in mb.pool(ESCALC).notes if "passed over" in note]
    assert len(told) == 1
    assert told[0].startswith("3 rows bring an effect in column yi that is not the SMD computed from the other numbers")
    assert "effect='yi' pools that column" in told[0]
    assert not any("passed over" in note for note in mb.pool(ESCALC, measure="ROM").notes)


def test_a_query_that_is_no_question_selects_nothing_in_silence() -> None:
    trials = mb.load_dataset("backpain")
    for expression in ("weeks", "weeks + 1"):
        with pytest.raises(mb.OptionError, match="not true or false for each row"):
            trials.query(expression)
    assert len(trials.query("weeks > 8")) == int((trials.frame["weeks"] > 8).sum())
    assert len(trials.query("outcome == 'pain' and weeks in [8, 12]")) > 0


# ---------------------------------------------------------------- words that nothing would read


LATE = [
    ({"measure": "OR"}, "measure='OR' is for a table; these are effects already: leave it out, or say it to effect_si"),
    ({"study": "lab"}, "study='lab' is for a table; these are effects already: leave it out"),
    ({"effect": "g", "se": "s"}, "effect='g' is for a table; these are effects already: leave it out; se='s'"),
]


@pytest.mark.parametrize(("words", "said"), LATE)
def test_words_about_a_table_are_refused_beside_effects(words: dict[str, str], said: str) -> None:
    """Effects of one measure were pooled under the name of another without a word."""
    es = mb.effect_sizes(mb.load_dataset("backpain").query("outcome == 'pain'"))
    for ask in (lambda: mb.pool(es, **words), lambda: mb.regress(es, "~ weeks", **words)):
        with pytest.raises(mb.OptionError) as caught:
            ask()
        assert said in str(caught.value)


def test_subgroups_and_numbers_that_are_zero_are_refused_beside_effects_too() -> None:
    es = mb.effect_sizes(mb.load_dataset("backpain").query("outcome == 'pain'"))
    with pytest.raises(mb.OptionError, match=r"by='stratum' is for a table.*say it to effect_sizes"):
        mb.pool(es, by="stratum")
    with pytest.raises(mb.OptionError, match=r"r=0\.0 is for a table"):
        mb.pool(es, r=0.0)
    assert mb.pool(es, options={}, measure=None).k == es.k


def test_columns_cannot_be_named_for_trials_that_were_read() -> None:
    """The effects of `yi` were pooled where another column was named."""
    trials = mb.read_trials(pd.DataFrame({"study": ["A", "B"], "yi": [0.1, 0.2], "vi": 0.1, "g": [1.0, 2.0]}))
    asks = (mb.pool, lambda data, **said: mb.regress(data, "~ 1", **said), mb.multilevel)
    for ask in asks:
        with pytest.raises(mb.OptionError, match=r"read already: .* say roles=\{'yi': 'g'\} to read_trials"):
            ask(trials, effect="g")
