"""The family of rules: what every rule says of itself, and that one fact is told once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import metaback as mb
from metaback.checks.findings import SEVERITIES
from metaback.checks.rules import RULES
from metaback.data.read import read_trials
from metaback.registry import Entry

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("entry", RULES.entries(), ids=lambda entry: entry.key)
def test_what_a_rule_says_of_itself(entry: Entry[Any]) -> None:
    """Title and reason are there, severity is known, and rules that it yields to exist and do not yield back."""
    facts = entry.facts
    assert entry.key == entry.key.lower().replace(" ", "-")
    assert entry.title
    assert not entry.title.endswith(".")
    assert len(str(facts["why"])) > 60
    assert facts["severity"] in SEVERITIES
    for other in facts["yields_to"]:
        assert other in list(RULES)
        assert entry.key not in RULES[other].facts["yields_to"]


def test_an_effect_that_an_se_explains_is_told_once(audit_of: Any, means_table: Any) -> None:
    """The row whose SDs are SEs is large and outlying too; only the rule that explains it speaks."""
    table = means_table(12)
    sizes = table.loc[3, ["n_1", "n_2"]].astype(float).to_numpy() ** 0.5
    table.loc[3, ["sd_1", "sd_2"]] = table.loc[3, ["sd_1", "sd_2"]].astype(float).to_numpy() / sizes
    table.loc[3, "mean_1"] -= 20.0
    told = [found.finding.rule for found in audit_of(table).findings if found.finding.rows == (3,)]
    assert "se-as-sd" in told
    assert not {"implausible-effect", "outlying-effect", "influential-effect"} & set(told)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["besson2016", "hasselblad1998", "trials"])
def test_the_order_of_rows_changes_no_finding(name: str, seed: int) -> None:
    """A decision holds wherever its rows stand: names and severities depend on what the rows hold alone.

    Instruments without a direction, a study whose rows share arms in a chain, and groups that changed places between
    outcomes are what once depended on it.
    """
    path = ROOT / "data" / "trials.csv" if name == "trials" else ROOT / "tests" / "checks" / "public" / f"{name}.csv"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    measure = {"besson2016": "SMD", "hasselblad1998": "OR"}.get(name)

    def names(rows: pd.DataFrame) -> set[tuple[str, str]]:
        return {(one.id, one.finding.severity) for one in mb.check(read_trials(rows), measure=measure)}

    assert names(table) == names(table.sample(frac=1, random_state=seed))
