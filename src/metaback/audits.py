"""The check that a user calls: the audit of a table with its findings as text, card, frame and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pandas as pd

from metaback.checks.decisions import Decision, read_decisions
from metaback.checks.rules import RULES
from metaback.data.read import read_trials
from metaback.data.trials import Trials
from metaback.effects.choices import EffectWords, effect_choices
from metaback.errors import OptionError
from metaback.models.specs import SpecWords, resolve_spec
from metaback.postestimation.audit import Audit, Reviewed, audit_table
from metaback.postestimation.table import Request
from metaback.report.audit_card import audit_card
from metaback.report.audit_plan import decisions_template
from metaback.report.audit_records import FRAME, audit_record, finding_rows
from metaback.report.audit_text import audit_text
from metaback.report.records import json_text

Accept = Iterable[Decision | Mapping[str, Any]] | None
SHOWN = 12  # findings that the text in a session writes out


class CheckWords(SpecWords, EffectWords, total=False):
    """The keywords that say how the table would be pooled, besides those that `check` names; see `pool`."""

    model: str | None
    tau2: str | float | None
    weights: str | None
    ci: str | None
    pi: str | None
    level: float | None


@dataclass(frozen=True, repr=False)
class Checks:
    """The findings of a check, worst first. Frozen; iterate over it, or look at `to_frame()` and `coverage()`."""

    audit: Audit

    def __len__(self) -> int:
        """Count the findings, decided ones too."""
        return len(self.audit.findings)

    def __iter__(self) -> Iterator[Reviewed]:
        """Iterate over the findings, worst first."""
        return iter(self.audit.findings)

    def __getitem__(self, position: int) -> Reviewed:
        """Return one finding."""
        return self.audit.findings[position]

    @property
    def errors(self) -> tuple[Reviewed, ...]:
        """Return the errors that nobody decided about."""
        return self.audit.unanswered

    @property
    def trials(self) -> Trials:
        """Return the table with the cells that decisions corrected."""
        return self.audit.trials

    def to_frame(self) -> pd.DataFrame:
        """Return one row per finding, worst first.

        Columns: id (what a decision names), severity, rule, studies, rows, says, changes (the pool as it stands and
        the alternative that is farthest away), shift (of the mean, in standard errors), turns (whether the interval
        says something else about no effect), fix, decision, reference (keys of references.bib).
        """
        return pd.DataFrame(finding_rows(self.audit), columns=list(FRAME))

    def coverage(self) -> pd.DataFrame:
        """Return one row per rule: what it looks for, how many rows it could look at, and what it could not judge."""
        rows = [
            {
                "rule": part.rule,
                "title": part.title,
                "examined": part.examined,
                "findings": part.findings,
                "passed_over": "; ".join(part.passed_over),
            }
            for part in self.audit.coverage
        ]
        return pd.DataFrame(rows, columns=["rule", "title", "examined", "findings", "passed_over"])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values: evidence, proposals and what each finding changes among it."""
        return audit_record(self.audit)

    def to_json(self) -> str:
        """Return the same as JSON text."""
        return json_text(self.to_dict())

    def decisions(self) -> str:
        """Return a `[checks]` section for a plan file, with one decision to fill in for each open finding."""
        return decisions_template(self.audit)

    def __repr__(self) -> str:
        """Return the findings as text, the worst ones in full."""
        text = audit_text(self.audit, limit=SHOWN)
        return f"{text}\nMore: .to_frame(), .coverage() (what no rule could judge), .decisions() (a plan to fill in)"

    def _repr_html_(self) -> str:
        """Return a card for notebooks."""
        return audit_card(self.audit)


def check(
    data: Trials | pd.DataFrame | str | Path,
    *,
    measure: str | None = None,
    preset: str = "cochrane",
    outcome: str | None = None,
    compare: tuple[str, str] | None = None,
    by: str | None = None,
    moderators: str | None = None,
    accept: Accept = None,
    **choices: Unpack[CheckWords],
) -> Checks:
    """Check a table of trials before it is pooled, and tell what each finding would change.

    Every rule looks at the table and at the effects that would be pooled from it: each outcome and pair of treatments
    is one pool, as in `pool_table`. A finding comes with its numbers, its rows, the value that the cell would have if
    the suspicion is right, and the pool as the table stands, without the rows, and with that value.

    data: checked trials, a frame or a file. measure, preset, outcome, compare, by and choices: as in `pool_table`.
    moderators: formula of a meta-regression that is to be made of the same effects, e.g. "~ weeks", as in `regress`.
    accept: decisions about findings, each a mapping with finding (its id, or the key of a rule for all of its
    findings), action ("accept", "correct" or "exclude"), reason and by (who decided). "correct" takes the right values
    by role, e.g. {"sd_1": 5.4}, or by row and role, {"row 8": {"n_2": 8}, "row 9": {"n_2": 7}}; without values the
    first that the finding proposes. "exclude" takes rows, e.g. ["row 9"]; without rows it leaves out all of them.

    Edges: a table without means is still checked for dependence, duplicates and contradictions; `coverage()` says what
    no rule could judge. Raises `DataError` for a table that cannot be read, `OptionError` for an unknown word.

    >>> import metaback as mb
    >>> found = mb.check(mb.load_dataset("backpain"))
    >>> any("Jackson 2011" in name for name in found.to_frame()["studies"])
    True
    """
    known = {**CheckWords.__annotations__}
    if unknown := [name for name in choices if name not in known]:
        raise OptionError("; ".join(str(OptionError.unknown("option", name, known)) for name in unknown))
    of_effects = {name: value for name, value in choices.items() if name in EffectWords.__annotations__}
    of_pool = {name: value for name, value in choices.items() if name not in of_effects}
    trials = data if isinstance(data, Trials) else read_trials(data)
    request = Request(outcome, compare, by, measure, effect_choices(**of_effects), moderators=moderators)
    return Checks(audit_table(trials, resolve_spec(preset, **of_pool), request, read_decisions(accept)))


class _RuleRow(TypedDict):
    """One rule as `rules` tells it."""

    rule: str
    severity: str
    title: str
    why: str
    reference: str


def rules() -> pd.DataFrame:
    """Return one row per rule of the check: its key, its worst severity, what it looks for, why, and its source."""
    rows = [
        _RuleRow(
            rule=entry.key,
            severity=str(entry.facts["severity"]),
            title=entry.title,
            why=str(entry.facts["why"]),
            reference=" ".join(entry.cite),
        )
        for entry in RULES.entries()
    ]
    return pd.DataFrame(rows, columns=list(_RuleRow.__annotations__))
