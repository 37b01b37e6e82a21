"""The audit of a table and of a pool: decisions that meet the table, and what is left when it is pooled anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.errors import OptionError

SAID = {"reason": "the trial's Table 2", "by": "AB"}


def table(rows: int = 9) -> pd.DataFrame:
    """Return trials of pain, the SDs of the fourth of which are standard errors."""
    rng = np.random.default_rng(0)
    n_1, n_2 = rng.integers(15, 40, (2, rows))
    found = pd.DataFrame(
        {
            "study": [f"S{i}" for i in range(rows)], "outcome": "pain", "higher_is_better": False,
            "n_1": n_1, "mean_1": rng.normal(35, 3, rows).round(1), "sd_1": rng.normal(18, 1.2, rows).round(1),
            "n_2": n_2, "mean_2": rng.normal(43, 3, rows).round(1), "sd_2": rng.normal(18, 1.2, rows).round(1),
        }
    )  # fmt: skip
    for arm in ("1", "2"):
        found.loc[3, f"sd_{arm}"] = round(found[f"sd_{arm}"][3] / np.sqrt(found[f"n_{arm}"][3]), 2)
    return found


def counts() -> pd.DataFrame:
    """Return trials of relapse, one of which does not fit the others."""
    return pd.DataFrame(
        {
            "study": [f"T{i}" for i in range(8)], "outcome": "relapse", "higher_is_better": False,
            "events_1": [20, 25, 22, 45, 30, 28, 24, 26], "n_1": [90, 100, 95, 60, 120, 110, 100, 105],
            "events_2": [30, 36, 31, 9, 41, 40, 33, 37], "n_2": [92, 99, 96, 66, 118, 112, 98, 104],
        }
    )  # fmt: skip


def test_a_corrected_table_is_pooled_as_the_table_corrected_by_hand() -> None:
    """The numbers of the finding, of the decision and of the edited table are one."""
    found = mb.check(table())[0]
    mended = found.finding.proposals[0]
    by_hand = table()
    for change in mended.changes:
        by_hand.loc[change.place, change.role] = change.value
    accept = [{"finding": found.id, "action": "correct", **SAID}]
    wanted = mb.pool(by_hand).estimate
    assert mb.pool(table(), accept=accept).estimate == wanted
    assert mb.pool_table(table(), accept=accept)[0].estimate == wanted
    told = {variant.name: variant.mean for variant in found.consequences[0].alternatives}[mended.name]
    assert told is not None
    assert (told.point, told.lower) == pytest.approx((wanted.point, wanted.lower), abs=1e-12)


def test_a_decision_outlives_an_update() -> None:
    """What was corrected stays told, with its words, when the same effects are pooled otherwise."""
    name = mb.check(table())[0].id
    res = mb.pool(table(), accept=[{"finding": name, "action": "correct", **SAID}]).update(tau2="DL")
    (kept,) = [found for found in res.checks if found.id == name]
    assert kept.decision is not None
    assert kept.decision.by == "AB"
    assert "1 finding was decided about" in repr(res)
    assert res.update(ci="Wald").checks.audit.decisions == res.checks.audit.decisions


def test_a_correction_that_contradicts_its_row_is_refused() -> None:
    """More events than people would make a row without an effect, in silence."""
    found = mb.check(counts())
    name = next(part.id for part in found if part.finding.rows == (3,))
    said = {"finding": name, "action": "correct", **SAID}
    with pytest.raises(OptionError, match=r"contradict their row.*more events than the 60 people"):
        mb.check(counts(), accept=[{**said, "values": {"events_1": 90}}])
    assert mb.check(counts(), accept=[{**said, "values": {"events_1": 12}}]).audit.answers.changes


def test_a_decision_for_other_numbers_names_what_is_open() -> None:
    """The table changed after the decision: it is told with the finding that is there now; a slip is refused."""
    name = mb.check(table())[0].id
    text = " ".join(repr(mb.check(table(), accept=[{"finding": "se-as-sd-000000", **SAID}])).split())
    assert f"se-as-sd-000000 fits no finding: the numbers it was made for are not in the table; still open of its kind: {name}" in text  # fmt: skip  # noqa: E501
    with pytest.raises(OptionError, match=r"'se-as-ds' names no rule \(did you mean 'se-as-sd'\?\)"):
        mb.check(table(), accept=[{"finding": "se-as-ds", **SAID}])


def test_mending_one_finding_uncovers_another_and_both_can_be_decided() -> None:
    """A row that is far out hides another: its finding comes after the first row is out, and takes a decision too."""
    se = [0.12, 0.2, 0.15, 0.18, 0.11, 0.2, 0.16, 0.14, 0.19, 0.13]
    yi = [-0.3, -0.35, 6.0, -0.22, -0.31, -0.4, 1.6, -0.25, -0.33, -0.28]
    hidden = pd.DataFrame({"study": [f"H{i}" for i in range(10)], "yi": yi, "sei": se})

    def outlying(accept: list[dict[str, str]]) -> dict[tuple[int, ...], str]:
        found = mb.check(hidden, accept=accept)
        return {part.finding.rows: part.id for part in found if part.open and part.finding.rule == "outlying-effect"}

    before = outlying([])
    assert list(before) == [(2,)]
    accept = [{"finding": before[2,], "action": "exclude", **SAID}]
    after = outlying(accept)
    assert list(after) == [(6,)]
    accept.append({"finding": after[6,], "action": "exclude", **SAID})
    assert not outlying(accept)
    assert not mb.check(hidden, accept=accept).audit.idle
    assert mb.pool(hidden, accept=accept).k == 8
    assert mb.pool(hidden, accept=accept).estimate == mb.pool(hidden.drop(index=[2, 6])).estimate
