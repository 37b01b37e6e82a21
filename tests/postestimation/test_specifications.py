"""The multiverse: every row is a pool, nothing is dropped in silence, and what turns the conclusion is told."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import EstimationError, OptionError
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.exclusions import exclusions
from metaback.postestimation.specification_words import sentences, smallest_changes
from metaback.postestimation.specifications import Menu, Source, Specifications, explore, specifications_frame

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "multiverse.json").read_text(encoding="utf-8"))
SAME = 1e-12  # the same arithmetic in batches of another size: sums differ in their last bits
METAFOR = 1e-8  # metafor's search for tau2 under tight control
NAMES = ("estimate", "se", "ci_low", "ci_high", "p_value", "pi_low", "pi_high", "tau2", "i2")


def effects(y: Any, v: Any, **fields: Any) -> EffectSizes:
    k = len(y)
    names = tuple(f"S{i}" for i in range(k))
    blank = ("",) * k
    whole = (np.asarray(y, float), np.asarray(v, float), np.ones(k, dtype=bool), names, names, np.arange(k), "GEN")
    return replace(EffectSizes(*whole, {}, blank, blank, blank, {}), **fields)


def made(es: EffectSizes, menu: Menu, **rest: Any) -> Specifications:
    return explore(tuple(Source(es.measure, None, preset, es) for preset in menu.preset), menu, **rest)


def bcg() -> mb.Trials:
    rows = [(f"Trial {i + 1}", *counts) for i, counts in enumerate(REFERENCE["counts"])]
    return mb.read_trials(pd.DataFrame(rows, columns=["study", "ai", "bi", "ci", "di"]))


def pain() -> mb.Trials:
    return mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")


# ---------------------------------------------------------------- right numbers


def test_every_specification_is_that_of_metafor() -> None:
    words = {"z": "Wald", "knha": "HKSJ", "adhoc": "HKSJ-q1"}
    found = mb.multiverse(bcg(), measure=("RR", "OR"), tau2=("REML", "DL", "PM", "SJ"), ci=tuple(words.values()))
    frame = found.to_frame().set_index(["measure", "tau2_estimator", "ci", "exclude"])
    assert len(frame) == len(REFERENCE["rows"]) == 2 * 4 * 3 * 14
    for row in REFERENCE["rows"]:
        left = f"Trial {row['left_out']}" if row["left_out"] else "nothing"
        mine = frame.loc[(row["measure"], row["method"], words[row["test"]], left)]
        for name in ("k", "estimate", "se", "ci_low", "ci_high", "p_value", "tau2"):
            assert mine[name] == pytest.approx(row[name], rel=METAFOR, abs=1e-12), (row, name)


spans = st.lists(st.tuples(st.floats(-2, 2), st.floats(0.01, 1.0)), min_size=1, max_size=8)
some = lambda *words: st.lists(st.sampled_from(words), min_size=1, max_size=3, unique=True).map(tuple)  # noqa: E731
menus = st.builds(
    Menu,
    preset=some("cochrane", "revman5", "metafor"),
    model=some(None, "equal", "fixed", "IVhet"),
    tau2=some(None, "REML", "DL", "PM", "ML", "SJ", "EB", "GENQM", 0.04),
    ci=some(None, "Wald", "Wald-t", "HKSJ", "HKSJ-wider", "HKSJ-q1", "KR", "HC", "PL"),
    pi=some(None, "none", "z", "t(k-1)", "t(k-2)", "HK"),
    fixed=st.fixed_dictionaries({"level": st.sampled_from([0.9, 0.95])}),
    exclude=st.sampled_from([None, "each study"]),
)


def _possible(menu: Menu) -> bool:
    """Tell whether any combination of a menu can be made: rules from KR on need the random-effects model."""
    whole_ci, whole_pi = {"KR", "HC", "PL"}, {"HK"}
    plain_ci = bool(set(menu.ci) - whole_ci)
    return (
        None in menu.model
        or (plain_ci and bool({"equal", "fixed"} & set(menu.model)))
        or (plain_ci and bool(set(menu.pi) - whole_pi))
    )


@settings(max_examples=25, deadline=None)
@given(spans, menus, st.randoms(use_true_random=False))
def test_every_specification_is_a_pool(rows: list[tuple[float, float]], menu: Menu, choose: Any) -> None:
    es = effects(*zip(*rows, strict=True))
    if not _possible(menu):
        with pytest.raises(OptionError, match="no combination of these choices is possible"):
            made(es, menu)
        return
    found = made(es, menu)
    left = {part.name: part.rows for part in exclusions(es, menu.exclude, resolve_spec())}
    frame = specifications_frame(found)
    asked = {(c.name, i): word for c in found.choices[2:7] for i, word in enumerate(getattr(menu, c.name))}
    for i in choose.sample(range(found.n), min(found.n, 6)):
        words = {c.name: asked.get((c.name, int(found.codes[i, j]))) for j, c in enumerate(found.choices[:7]) if j > 1}
        spec = resolve_spec(words.pop("preset"), **words, **menu.fixed)
        part = replace(es, estimable=~left[frame["exclude"][i]])
        row = frame.iloc[i]
        if not part.estimable.any():
            assert row["status"] == "no_studies"
            assert math.isnan(row["estimate"])
            assert row["k"] == 0
            continue
        pool = analyse(part, spec).overall
        mean, spread = pool.mean, pool.heterogeneity
        i2 = spread.i2_q if spec.i2 == "Q" else spread.i2_tau2
        pi = (None, None) if pool.prediction is None else (pool.prediction.lower, pool.prediction.upper)
        want = (mean.point, mean.se, mean.lower, mean.upper, mean.p_value, *pi, spread.tau2, i2)
        assert row["k"] == pool.k
        assert row["status"] == "converged"
        for name, value in zip(NAMES, want, strict=True):
            number = math.nan if value is None else value
            assert row[name] == pytest.approx(number, rel=SAME, abs=SAME, nan_ok=True), (name, spec)


def test_seeded_rules_have_the_numbers_of_a_pool() -> None:
    found = mb.multiverse(pain(), tau2="DL", ci=("perm", "boot-percentile"), draws=199, exclude=None)
    for ci, row in zip(("perm", "boot-percentile"), found.to_frame().itertuples(), strict=True):
        alone = mb.pool(pain(), tau2="DL", ci=ci, draws=199)
        assert (row.ci_low, row.ci_high, row.p_value) == pytest.approx((*alone.ci, alone.p_value), rel=SAME)
    assert sum("slow" in note for note in found.notes) == 2


# ---------------------------------------------------------------- nothing is dropped in silence


def test_what_is_impossible_and_what_repeats_is_counted() -> None:
    menu = Menu(model=("random", "equal"), tau2=("REML", "DL"), ci=("Wald", "KR"), pi=("none", "z"))
    found = made(effects([0.1, 0.4, 0.6], [0.1, 0.1, 0.2]), menu)
    # random: 2 x 2 x 2; equal: Wald once, for tau2 and pi have no meaning, and KR four times impossible
    assert found.n == 9
    assert [note for note in found.notes if "4 combinations before exclusions" in note and "Kenward-Roger" in note]
    equal = found.codes[found.shown["model"] == "equal"]
    assert equal[:, [4, 6]].tolist() == [[-1, -1]]
    twice = made(
        effects([0.1, 0.4], [0.1, 0.1]), Menu(preset=("cochrane", "metafor"), tau2=("DL",), ci=("Wald",), pi=("z",))
    )
    assert twice.n == 1
    assert twice.notes == ("1 combination (before exclusions) repeats another and counts once.",)


def test_an_exclusion_of_no_row_is_told() -> None:
    found = made(effects([0.1, 0.4], [0.1, 0.1]), Menu(exclude={"late": [False, False]}))
    assert found.n == 1
    assert found.notes == ("Excluding late leaves out no row, and is no specification of its own.",)


def test_an_exclusion_of_everything_keeps_its_row() -> None:
    found = made(effects([0.1, 0.4], [0.1, 0.1]), Menu(exclude={"all": [True, True]}))
    frame = specifications_frame(found)
    assert frame["status"].tolist() == ["converged", "no_studies"]
    assert frame["conclusion"].tolist()[1] == "not estimable"


def test_a_measure_that_cannot_be_computed_is_told() -> None:
    found = mb.multiverse(bcg(), measure=("RR", "SMD"), tau2="DL", ci="Wald", exclude=None)
    assert found.to_frame()["measure"].tolist() == ["RR"]
    assert any(note.startswith("Left out as impossible") and "SMD" in note for note in found.notes)
    with pytest.raises(EstimationError, match="no specification has an effect"):
        mb.multiverse(bcg(), measure="SMD")


def test_all_unknown_words_are_told_at_once() -> None:
    with pytest.raises(OptionError) as error:
        mb.multiverse(pain(), tau2=("REML", "REMl"), ci="Walt", model="rand")
    assert all(word in str(error.value) for word in ("'REMl'", "'Walt'", "'rand'"))
    with pytest.raises(OptionError) as error:
        mb.multiverse(pain(), exclude=["nix == 3", {"a": ["Nobody"]}, 3, {"b": [True]}, "@x == 1"])
    assert all(word in str(error.value) for word in ("nix", "Nobody", "holds 3", "1 values", "no variable with @"))
    for words in ({"preset": "cochran"}, {"measure": "SMDD"}, {"r": 1.5}, {"main": {"tau": "DL"}}, {"nope": 1}):
        with pytest.raises(OptionError):
            mb.multiverse(pain(), **words)


def test_too_many_are_refused_before_any_work() -> None:
    with pytest.raises(OptionError, match="81 specifications are more than limit=80"):
        mb.multiverse(pain(), limit=80)
    assert len(mb.multiverse(pain(), limit=81)) == 81


# ---------------------------------------------------------------- exclusions


def test_exclusions_by_study_query_rows_and_labels() -> None:
    es = mb.effect_sizes(pain())
    names = [part.name for part in exclusions(es, "each study", resolve_spec())]
    assert names == ["nothing", *dict.fromkeys(es.labels)]
    said = {"early": "year < 2012", "rows": [label == "Kell 2009" for label in es.labels], "labels": ["Kell 2009"]}
    early, rows, labels = exclusions(es, said, resolve_spec())[1:]
    assert np.array_equal(early.rows, es.moderators["year"] < 2012)
    assert np.array_equal(rows.rows, labels.rows)
    assert rows.rows.any()
    (_, query) = exclusions(es, "year < 2012", resolve_spec())
    assert query.name == "rows where year < 2012"
    assert np.array_equal(query.rows, early.rows)


@pytest.mark.parametrize(
    "query",
    [
        "code",
        "code + 1",
        "code = 2",
        "import os",
        "__import__('os')",
        "outlier",
        "",
        "study > 3",
        "code.__class__",
        "@a",
    ],
)
def test_a_query_that_is_no_condition_is_refused(query: str) -> None:
    # `code` holds numbers that are labels of rows too: DataFrame.query("code") would take rows 0 and 2
    es = effects(
        [0.1, 0.4, 0.6], [0.1] * 3, moderators={"code": np.array([0, 2, 0]), "study": np.array(["A", "B", "C"])}
    )
    with pytest.raises(OptionError, match="exclude="):
        exclusions(es, query, resolve_spec())


def test_outliers_are_those_of_influence() -> None:
    es = mb.effect_sizes(pain())
    outlying = mb.pool(es, independent=True).influence().outlying
    (_, found) = exclusions(es, "outliers", resolve_spec())
    assert outlying.any()
    assert np.array_equal(found.rows, outlying)


def test_rows_of_one_study_leave_together() -> None:
    es = effects([0.1, 0.4, 0.6], [0.1, 0.1, 0.1], clusters=np.array([0, 1, 0]))
    found = made(es, Menu(exclude="each study"))
    assert specifications_frame(found)["k"].tolist() == [3, 1, 2]


# ---------------------------------------------------------------- conclusions and what turns them


def turning() -> Specifications:
    # Without S0 the interval includes no effect; with equal effects it never does.
    es = effects([-1.2, -0.30, -0.35, -0.05], [0.02, 0.05, 0.05, 0.05])
    return made(es, Menu(tau2=("REML",), ci=("Wald", "HKSJ"), exclude="each study"))


def test_flips_are_said_in_words() -> None:
    found = turning()
    low, high = found.numbers.ci_low, found.numbers.ci_high
    below = int((high < 0).sum())
    assert not (low > 0).any()
    assert 0 < below < found.n
    words = sentences(found)
    assert words[0] == (
        f"The 95% interval includes no effect in {found.n - below} of {found.n} specifications, as in the main one; "
        f"it lies below no effect in {below}."
        if high[found.main] > 0
        else f"The 95% interval lies below no effect in {below} of {found.n} specifications, as in the main one; "
        f"it includes no effect in {found.n - below}."
    )
    main_below = high[found.main] < 0
    for change in smallest_changes(found):
        assert len(change) == 1
        codes = found.codes[found.main].copy()
        for name, option in change:
            j = [c.name for c in found.choices].index(name)
            codes[j] = found.choices[j].options.index(option)
        (i,) = np.flatnonzero((found.codes == codes).all(axis=1))
        assert (high[i] < 0) != main_below


def test_without_one_study_it_never_does() -> None:
    found = mb.multiverse(pain(), tau2=("REML", "DL", "PM"), ci=("HKSJ", "Wald"))
    assert "It never does without Jackson 2011." in found.flips
    assert found.smallest_flips == ((("exclude", "Jackson 2011"),),)
    shares = found.shares().set_index("option")
    assert shares.loc["Jackson 2011", "same"] == 0
    assert shares.loc["Jackson 2011", "percent_turned"] == 100
    frame = found.to_frame()
    jackson = frame[frame["exclude"] == "Jackson 2011"]
    assert (jackson["conclusion"] == "includes no effect").all()


def test_two_changes_together_are_found() -> None:
    es = effects([-0.8, -0.4, -0.1, -0.3], [0.03] * 4)
    found = made(es, Menu(model=("equal", "random"), tau2=("DL",), ci=("Wald", "Wald-t")))
    assert found.conclusion.tolist() == [-1, -1, -1, 0]
    assert smallest_changes(found) == ((("model", "random"), ("ci", "Wald-t")),)
    assert sentences(found)[1:] == (
        "It always does with model equal or with ci Wald.",
        (
            "No change alone turns it, but two together do: model random instead of equal together with ci Wald-t "
            "instead of Wald."
        ),
    )


def test_nothing_turns_where_all_agree() -> None:
    found = made(effects([-1.0, -1.1, -0.9], [0.01] * 3), Menu(ci=("Wald", "Wald-t")))
    assert sentences(found) == (
        (
            "The 95% interval lies below no effect in 2 of 2 specifications, as in the main one. "
            "No specification leads to another conclusion."
        ),
    )
    assert smallest_changes(found) == ()


def test_a_limit_at_no_effect_includes_it_and_an_mcid_is_a_side_of_its_own() -> None:
    es = effects([1.0, 1.0, 1.0], [0.03] * 3)
    half = 1.959963984540054 * 0.1
    for mcid, code in ((1 - half - 1e-9, 2), (1 - half + 1e-9, 1), (None, 1)):
        assert made(es, Menu(model=("equal",)), mcid=mcid).conclusion.tolist() == [code]
    assert made(replace(es, yi=-es.yi), Menu(model=("equal",)), mcid=0.5).conclusion.tolist() == [-2]


def test_an_mcid_of_a_ratio_is_a_ratio() -> None:
    words = {"measure": "RR", "tau2": "DL", "ci": "Wald", "exclude": None}
    high = mb.multiverse(bcg(), **words).to_frame(transform="natural")["ci_high"][0]
    for mcid in (high + 1e-6, 1 / (high + 1e-6)):
        assert (
            mb.multiverse(bcg(), **words, mcid=mcid).to_frame()["conclusion"][0] == "below no effect, beyond the MCID"
        )
    assert mb.multiverse(bcg(), **words, mcid=high - 1e-6).to_frame()["conclusion"][0] == "below no effect"
    for bad in (1.0, -2.0, {"OR": 2.0}):
        with pytest.raises(OptionError):
            mb.multiverse(bcg(), **words, mcid=bad)


def test_a_measure_without_no_effect_has_no_conclusion() -> None:
    table = mb.read_trials(pd.DataFrame({"study": list("ABC"), "events": [3, 5, 8], "n": [20, 30, 40]}))
    found = mb.multiverse(table, measure="PLO")
    assert set(found.to_frame()["conclusion"]) == {"no value of no effect"}
    assert found.flips == ("The measure has no value of no effect, so no conclusion can turn.",)
    assert np.isnan(found.to_frame()["p_value"]).all()


# ---------------------------------------------------------------- the main one, frames and other sources


def test_the_main_specification_is_the_first_or_the_one_named() -> None:
    words: dict[str, Any] = {"tau2": ("REML", "DL"), "ci": ("HKSJ", "Wald")}
    first = mb.multiverse(pain(), **words).to_frame().query("main")
    assert first[["tau2_estimator", "ci", "exclude"]].to_numpy().tolist() == [["REML", "HKSJ", "nothing"]]
    named = mb.multiverse(pain(), **words, main={"tau2": "DL", "exclude": "Kell 2009"}).to_frame().query("main")
    assert named[["tau2_estimator", "ci", "exclude"]].to_numpy().tolist() == [["DL", "HKSJ", "Kell 2009"]]
    with pytest.raises(OptionError, match="not among those that can be made"):
        mb.multiverse(pain(), model=("random", "equal"), ci=("Wald", "KR"), main={"model": "equal", "ci": "KR"})


@pytest.mark.parametrize(
    "spec", [{}, {"preset": "metafor"}, {"model": "equal"}, {"tau2": 0.1, "pi": "HK"}, {"level": 0.9}]
)
def test_a_result_is_the_main_one_of_its_own_multiverse(spec: dict[str, Any]) -> None:
    res = mb.pool(pain(), **{"independent": True, **spec})
    found = res.multiverse(model=("random", "equal"))
    row = found.to_frame().query("main").iloc[0]
    assert (row["estimate"], row["ci_low"], row["ci_high"]) == pytest.approx((res.estimate.point, *res.ci), rel=SAME)
    assert row["i2"] == pytest.approx(res.i2, rel=SAME)
    assert row["exclude"] == "nothing"
    with pytest.raises(OptionError, match="main"):
        res.multiverse(main={"tau2": "DL"})  # type: ignore[call-arg]


# metafor 3.8-1, REML and test="knha", as in test_assumed.py: estimate, tau2, limits
ASSUMED = {
    ("SMCC", 0.5): (0.348004805136483, 0.0249557189544088, 0.0878803295681678, 0.608129280704798),
    ("SMCC", 0.9): (0.659015445785166, 0.189432085629726, 0.132552753776085, 1.18547813779425),
    ("SMCR", 0.5): (0.346687052451252, 0.0303478465061447, 0.0808961602535224, 0.612477944648982),
    ("SMCR", 0.9): (0.371864150839801, 0.0448001912347228, 0.11406010999755, 0.629668191682053),
}


def repeated() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": list("ABCDEF"),
            "mean_1": [24.1, 22.5, 30.2, 27.7, 25.0, 21.9],
            "sd_1": [5.1, 4.8, 6.3, 5.9, 5.5, 4.4],
            "mean_2": [21.8, 21.9, 26.1, 24.0, 24.6, 19.5],
            "sd_2": [5.6, 4.5, 6.0, 6.4, 5.2, 4.9],
            "n": [21, 34, 18, 27, 40, 15],
            "r": [np.nan, 0.62, np.nan, 0.55, np.nan, np.nan],
        }
    )


def test_measure_and_assumed_correlation_vary() -> None:
    words: dict[str, Any] = {"preset": "metafor", "ci": "HKSJ", "exclude": None}
    found = mb.multiverse(repeated(), measure=("SMCC", "SMCR"), r=(0.5, 0.9), **words)
    for row in found.to_frame().itertuples():
        numbers = (row.estimate, row.tau2, row.ci_low, row.ci_high)
        assert numbers == pytest.approx(ASSUMED[row.measure, row.r], rel=METAFOR)
    assert found.varied == ("measure", "r")


def test_a_correlation_that_no_row_needs_makes_no_other_specification() -> None:
    found = mb.multiverse(bcg(), measure="RR", r=(0.3, 0.7), tau2="DL", ci="Wald", exclude=None)
    assert len(found) == 1
    assert found.notes == ("1 combination (before exclusions) repeats another and counts once.",)


def test_the_grid_of_a_result_varies_with_it() -> None:
    res = mb.pool(mb.read_trials(repeated()), measure="SMCC", preset="metafor", ci="HKSJ", r=0.5, r_grid=(0.9,))
    frame = res.multiverse(ci=("HKSJ", "Wald"), exclude=None).to_frame()
    assert frame["r"].tolist() == [0.5, 0.5, 0.9, 0.9]
    assert frame["main"].tolist() == [True, False, False, False]
    assert frame["estimate"][2] == pytest.approx(ASSUMED["SMCC", 0.9][0], rel=METAFOR)


def test_frames_are_tidy_and_natural_numbers_come_back() -> None:
    found = mb.multiverse(bcg(), measure=("RR", "RD"), tau2="DL", ci="Wald", exclude=None)
    plain, natural = found.to_frame(), found.to_frame(transform="natural")
    assert plain["scale"].tolist() == ["log", "linear"]
    assert natural["scale"].tolist() == ["natural", "linear"]
    assert natural["estimate"].tolist() == pytest.approx([math.exp(plain["estimate"][0]), plain["estimate"][1]])
    assert list(plain.columns[:8]) == ["measure", "r", "preset", "model", "tau2_estimator", "ci", "pi", "exclude"]
    assert plain["main"].sum() == 1
    assert plain["main"][0]
    with pytest.raises(OptionError):
        found.to_frame(transform="percent")


def test_shares_add_up() -> None:
    found = mb.multiverse(pain(), model=("random", "IVhet"), ci=("Wald", "HKSJ", "KR"), tau2=("REML", "DL"))
    shares = found.shares()
    for _, part in shares.groupby("choice"):
        assert part["specifications"].sum() == len(found)
        assert (part["same"] + part["turned"]).sum() == part["concluding"].sum()


def test_texts_are_short_and_escaped() -> None:
    table = pd.DataFrame({"study": ["<b>x</b>", "B", "C"], "yi": [0.1, 0.2, 0.9], "sei": [0.1, 0.1, 0.1]})
    found = mb.multiverse(table)
    assert len(repr(found).splitlines()) <= 15
    assert "<b>x" not in found._repr_html_()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"exclud": None}, r"'exclud' is not known \(did you mean 'exclude'"),
        ({"mcid": "a"}, "mcid='a' is no number"),
        ({"exclude": "alloc == random"}, "texts stand in quotes"),
        ({"exclude": "every study"}, r"it is no query\) \(did you mean 'each study'"),
    ],
)
def test_slips_are_told_with_the_likely_intent(words: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        mb.multiverse(bcg(), measure="RR", **words)


def test_what_a_result_cannot_vary_is_told_with_the_way_to_vary_it() -> None:
    with pytest.raises(OptionError, match=r"measure would need other effects .* mb\.multiverse"):
        mb.pool(bcg(), measure="RR").multiverse(measure="OR")  # type: ignore[call-arg]
    with pytest.raises(OptionError, match="did you mean 'tau2'"):
        mb.pool(bcg(), measure="RR").multiverse(tua2="DL")  # type: ignore[call-arg]
