"""Rules about the direction of effects, their signs and the order of arms."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaback.checks.directions import arms_swapped, sign_swapped
from metaback.checks.scene import Pooled, Scene
from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.models.pool import fit_pool
from metaback.models.specs import resolve_spec

SEEDS = (1, 2, 3, 4)
KEYS = ("direction-missing", "sign-swapped", "arms-swapped")
CLOSE = 1e-12  # numbers that are moved, not computed
WALK = 4.0  # seconds: what one rule takes 0.5 for; comparing every turned row with every other takes above 6
SAME_POOL = 1e-9  # the same effects in another order


def _effects(yi: list[float], vi: float = 0.04) -> pd.DataFrame:
    """Return ready-made standardised differences of equal variance."""
    names = [f"Author{chr(65 + i)} 2010" for i in range(len(yi))]
    return pd.DataFrame({"study": names, "measure": "SMD", "yi": yi, "vi": vi})


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_table_has_no_finding(run: Any, means_table: Any, key: str, seed: int) -> None:
    """Nothing is suspected in clean trials with a strong effect."""
    assert run(key, means_table(10, effect=-1.0, seed=seed)).findings == ()


# ---------------------------------------------------------------- signs


def test_a_reversed_sign_is_weighed_as_the_docstring_says(found: Any) -> None:
    """Four effects of 1 and one of -1: residual -2 / sqrt(0.05), ratio of t densities on 3 df (1 + 80/3)^2."""
    (finding,) = found("sign-swapped", _effects([1, 1, 1, 1, -1]))
    assert finding.rows == (4,)
    assert finding.evidence["others"] == pytest.approx(1, rel=1e-12)
    assert finding.evidence["residual"] == pytest.approx(-2 / np.sqrt(0.05), rel=1e-12)
    assert finding.evidence["likelihood_ratio"] == pytest.approx((1 + 80 / 3) ** 2, rel=1e-12)
    assert [(c.role, c.value) for c in finding.proposals[0].changes] == [("yi", 1.0)]


@settings(deadline=None, max_examples=25)
@given(yi=st.lists(st.floats(-2, 2), min_size=5, max_size=9), turn=st.booleans(), data=st.data())
def test_signs_are_judged_alike_in_any_order_and_direction(yi: list[float], turn: bool, data: st.DataObject) -> None:
    """The order of the rows and the direction of all effects make no difference to which rows are told."""
    order = data.draw(st.permutations(range(len(yi))))
    told = {finding.rows[0] for finding in sign_swapped(_seen(yi)).findings}
    other = [(-yi[i] if turn else yi[i]) for i in order]
    again = {order[finding.rows[0]] for finding in sign_swapped(_seen(other)).findings}
    assert again == told


def _seen(yi: list[float]) -> Scene:
    """Return a pool of ready-made effects as a rule sees it."""
    trials, effects = read_trials(_effects(yi)), np.array(yi)
    no = np.zeros(len(yi), dtype=bool)
    pool = Pooled("pool", np.arange(len(yi)), "SMD", "linear", effects, np.full(len(yi), 0.04), no, no)
    return Scene(trials, (pool,))


def test_swapped_means_are_proposed_back(found: Any, means_table: Any, audit_of: Any) -> None:
    """Means that changed places are found, and the pool with the proposal is the clean one."""
    clean = means_table(10, effect=-1.2)
    table = clean.copy()
    table.loc[3, ["mean_1", "mean_2"]] = clean.loc[3, ["mean_2", "mean_1"]].to_numpy()
    (finding,) = found("sign-swapped", table)
    assert finding.rows == (3,)
    back = {change.role: change.value for change in finding.proposals[0].changes}
    assert back == {"mean_1": clean.loc[3, "mean_1"], "mean_2": clean.loc[3, "mean_2"]}
    reviewed = next(f for f in audit_of(table).findings if f.finding.rule == "sign-swapped")
    mended = reviewed.consequences[0].alternatives[0].mean
    right = fit_pool(effect_sizes(clean), resolve_spec()).fit.beta[0]
    assert mended.point == pytest.approx(float(right), rel=SAME_POOL)


def test_a_weak_effect_cannot_tell_a_sign(run: Any, means_table: Any) -> None:
    """Where the mean is small no row is suspected, and the coverage says that none could be."""
    table = means_table(10, effect=-0.15)
    table.loc[3, ["mean_1", "mean_2"]] = table.loc[3, ["mean_2", "mean_1"]].to_numpy()
    outcome = run("sign-swapped", table)
    assert outcome.findings == ()
    assert outcome.examined == 0
    assert outcome.passed_over == ("10 rows of 1 pool in which a wrong sign could not be told from chance",)


def test_four_rows_are_too_few(run: Any) -> None:
    """With four effects nothing is examined."""
    outcome = run("sign-swapped", _effects([1, 1, 1, -1]))
    assert (outcome.findings, outcome.examined) == ((), 0)
    assert outcome.passed_over == ("1 pool with fewer than 5 effects",)


def test_effects_without_another_sign_are_passed_over(run: Any) -> None:
    """The sign of bare effects may be that of a level."""
    outcome = run("sign-swapped", _effects([1, 1, 1, 1, -1]).drop(columns="measure"))
    assert outcome.findings == ()
    assert outcome.passed_over == ("GEN: its effects have no other sign to compare with",)


def test_a_printed_ratio_becomes_its_inverse(found: Any) -> None:
    """An odds ratio of 4 among 1/4s is proposed as 1/4, with its limits in each other's place."""
    ratio = np.array([0.25] * 6 + [4.0])
    table = pd.DataFrame({"study": list("ABCDEFG"), "measure": "OR", "effect": ratio})
    table["ci_low"], table["ci_high"] = ratio / 1.6, ratio * 1.6
    (finding,) = found("sign-swapped", table)
    back = {change.role: change.value for change in finding.proposals[0].changes}
    assert back["effect"] == pytest.approx(0.25, rel=CLOSE)
    assert (back["ci_low"], back["ci_high"]) == pytest.approx((0.25 / 1.6, 0.25 * 1.6), rel=CLOSE)


def test_swapped_counts_change_places_with_their_people(found: Any) -> None:
    """Arms of counts are proposed the other way round, with their numbers of people."""
    table = pd.DataFrame(
        {"study": list("ABCDEFG"), "events_1": [10] * 6 + [42], "n_1": [100] * 6 + [90], "events_2": [40] * 6 + [9]}
    )
    table["n_2"] = [100] * 6 + [95]
    (finding,) = found("sign-swapped", table)
    back = {change.role: change.value for change in finding.proposals[0].changes}
    assert back == {"events_1": 9, "events_2": 42, "n_1": 95, "n_2": 90}


def test_a_stated_sign_is_held_against_the_numbers(found: Any) -> None:
    """A sign that the numbers of the row do not have is told once; zero and blank say nothing."""
    table = _effects([0.5, -0.2, 0.4, 0.3])
    table["sign"] = [1, 1, np.nan, 0]
    (finding,) = found("sign-swapped", table)
    assert finding.rows == (1,)
    assert "positive" in finding.says
    assert finding.proposals[0].changes[0].value == 0.2


# ---------------------------------------------------------------- arms


def _one_study(n_1: list[int], n_2: list[int]) -> pd.DataFrame:
    """Return rows of one study with three outcomes."""
    return pd.DataFrame(
        {
            "study": "Author 2010",
            "outcome": ["pain", "function", "mood"],
            "n_1": n_1,
            "mean_1": [5.0, 6.0, 7.0],
            "sd_1": 2.0,
            "n_2": n_2,
            "mean_2": [4.0, 5.0, 6.0],
            "sd_2": 2.1,
        }
    )


def test_reversed_numbers_of_people_are_found(found: Any) -> None:
    """The row of the minority is told, with all numbers of its arms exchanged."""
    (finding,) = found("arms-swapped", _one_study([30, 50, 30], [50, 30, 50]))
    assert finding.rows == (1,)
    back = {change.role: change.value for change in finding.proposals[0].changes}
    assert back == {"mean_1": 5, "mean_2": 6, "sd_1": 2.1, "sd_2": 2.0, "n_1": 30, "n_2": 50}


@pytest.mark.parametrize(("n_1", "n_2"), [([30, 31, 30], [31, 30, 31]), ([30, 28, 30], [50, 47, 50])])
def test_drop_out_is_no_exchange(found: Any, n_1: list[int], n_2: list[int]) -> None:
    """Arms of nearly the same size, and people who left, are no exchange."""
    assert found("arms-swapped", _one_study(n_1, n_2)) == ()


def test_reversed_labels_with_reversed_numbers_are_right(found: Any) -> None:
    """Where treatments and numbers are both reversed nothing is wrong; where only the labels are, the row is told."""
    table = _one_study([30, 50, 30], [50, 30, 50])
    table["treatment_1"], table["treatment_2"] = ["a", "b", "a"], ["b", "a", "b"]
    assert found("arms-swapped", table) == ()
    table[["n_1", "n_2"]] = [[30, 50]] * 3
    assert [finding.rows for finding in found("arms-swapped", table)] == [(1,)]


@pytest.mark.parametrize(("turned", "wide"), [(2000, False), (2500, True)])
def test_a_study_of_thousands_of_rows_is_looked_at_in_no_time(turned: int, wide: bool) -> None:
    """Each turned row finds its mates without a walk over the whole study."""
    rows = np.arange(5000) % 2500 if wide else np.zeros(5000, dtype=int)
    n_1, n_2 = 3000 + 2 * rows, 20000 + 3 * rows
    reverse = np.arange(5000) < turned
    table = pd.DataFrame(
        {
            "study": "Author 2010",
            "outcome": [f"outcome {i}" for i in range(5000)],
            "n_1": np.where(reverse, n_2, n_1),
            "mean_1": 5.0,
            "sd_1": 2.0,
            "n_2": np.where(reverse, n_1, n_2),
            "mean_2": 4.0,
            "sd_2": 2.1,
        }
    )
    seen = Scene(read_trials(table))
    begun = time.process_time()
    told = arms_swapped(seen).findings
    assert time.process_time() - begun < WALK
    assert len(told) == turned


def _two_groups(sizes: list[tuple[int, int]]) -> pd.DataFrame:
    """Return two groups of one trial for two outcomes, with the people of both arms in each row."""
    return pd.DataFrame(
        {
            "study": "Author 2010",
            "outcome": ["pain", "pain", "function", "function"],
            "arm_1": ["manipulation, young", "manipulation, old"] * 2,
            "arm_2": ["exercise, young", "exercise, old"] * 2,
            "n_1": [one for one, _ in sizes],
            "mean_1": [5.0, 6.0, 7.0, 5.5],
            "sd_1": 2.0,
            "n_2": [two for _, two in sizes],
            "mean_2": [4.0, 5.0, 6.0, 4.5],
            "sd_2": 2.1,
        }
    )


def test_groups_that_change_places_between_outcomes_are_found(found: Any) -> None:
    """Both rows of the later outcome are told, with the numbers of people that the earlier one has."""
    (finding,) = found("arms-swapped", _two_groups([(60, 61), (32, 28), (32, 28), (60, 61)]))
    assert (finding.rows, finding.severity) == ((2, 3), "warning")
    assert "32 + 28 and 60 + 61 people for function" in finding.says
    back = {(change.place, change.role): change.value for change in finding.proposals[0].changes}
    assert back == {(2, "n_1"): 60, (2, "n_2"): 61, (3, "n_1"): 32, (3, "n_2"): 28}


@pytest.mark.parametrize(
    "sizes",
    [
        [(60, 61), (32, 28), (60, 61), (32, 28)],  # the same groups
        [(60, 61), (32, 28), (58, 60), (31, 28)],  # people left
        [(60, 61), (32, 28), (32, 28), (60, 60)],  # not the same numbers: another reason
        [(30, 31), (31, 31), (31, 31), (30, 31)],  # groups of nearly one size
    ],
)
def test_groups_that_keep_their_places_are_not_told(found: Any, sizes: list[tuple[int, int]]) -> None:
    """Drop-out, and groups of nearly the same size, are no exchange."""
    assert found("arms-swapped", _two_groups(sizes)) == ()


def test_groups_without_labels_cannot_change_places(found: Any) -> None:
    """Where no label tells the groups apart, the order of rows means nothing; nor do groups of several studies."""
    table = _two_groups([(60, 61), (32, 28), (32, 28), (60, 61)])
    assert found("arms-swapped", table.assign(arm_1="manipulation", arm_2="exercise")) == ()
    assert found("arms-swapped", table.assign(study=["A 2010", "B 2011", "C 2012", "D 2013"])) == ()
    assert len(found("arms-swapped", table.iloc[[0, 3, 2, 1]])) == 1


def test_without_numbers_of_people_it_is_passed_over(run: Any) -> None:
    """The coverage names the columns."""
    assert run("arms-swapped", _effects([0.1, 0.2])).passed_over == ("no columns n_1, n_2",)


# ---------------------------------------------------------------- directions


def test_silent_instruments_are_told(found: Any, means_table: Any) -> None:
    """Two instruments without a direction are a warning about the whole pool."""
    table = means_table().drop(columns="higher_is_better")
    table.loc[:3, "instrument"] = "NPRS"
    (finding,) = found("direction-missing", table)
    assert finding.severity == "warning"
    assert finding.whole
    assert finding.rows == tuple(range(8))


def test_instruments_known_to_point_both_ways_are_an_error(found: Any, means_table: Any) -> None:
    """A PSFS beside an ODI cannot be pooled in silence."""
    table = means_table().drop(columns="higher_is_better")
    table["instrument"] = ["PSFS"] * 4 + ["ODI"] * 4
    (finding,) = found("direction-missing", table)
    assert finding.severity == "error"
    assert "on PSFS a high score is usually good, on ODI bad" in finding.says


def test_directions_may_come_with_the_instruments(found: Any, means_table: Any) -> None:
    """Instruments that were described are not silent; one that was not is named."""
    table = means_table().drop(columns="higher_is_better")
    table["instrument"] = ["PSFS"] * 4 + ["ODI"] * 4
    both = {"PSFS": {"higher_is_better": True}, "ODI": {"higher_is_better": False}}
    assert found("direction-missing", table, instruments=both) == ()
    (finding,) = found("direction-missing", table, instruments={"ODI": {"higher_is_better": False}})
    assert finding.evidence["silent"] == "PSFS"
    assert finding.severity == "warning"


def test_one_instrument_needs_no_word(found: Any, means_table: Any) -> None:
    """With one instrument all rows point the same way."""
    assert found("direction-missing", means_table().drop(columns="higher_is_better")) == ()
