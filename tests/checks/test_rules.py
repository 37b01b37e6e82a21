"""The family of rules: what every rule says of itself, and that one fact is told once."""

from __future__ import annotations

from typing import Any

import pytest

from metaback.checks.findings import SEVERITIES
from metaback.checks.rules import RULES
from metaback.registry import Entry


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
