"""The check as data: one JSON record, and one row per finding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from metaback.checks.decisions import Decision, Values
from metaback.checks.findings import Proposal
from metaback.checks.rules import RULES
from metaback.data.trials import Trials
from metaback.numbers import written
from metaback.postestimation.audit import Audit, Reviewed
from metaback.postestimation.consequences import Consequence, Variant
from metaback.report.audit_words import brief_change, decision_text, where, why
from metaback.report.records import csv_text
from metaback.report.words import well_formed

SCHEMA = "metaback/check"
SCHEMA_VERSION = 1
FRAME = (
    "id", "severity", "rule", "studies", "rows", "says", "changes", "shift", "turns", "fix", "decision", "reference",
)  # fmt: skip


def audit_record(audit: Audit) -> dict[str, Any]:
    """Return a check as plain JSON values; numbers on the analysis scale, rounded to 12 significant digits."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "source": audit.trials.source.name,
        "sha256": audit.trials.source.sha256,
        "rows": len(audit.trials),
        "unanswered_errors": len(audit.unanswered),
        "refused": [str(problem) for problem in audit.refused],
        "findings": [finding_record(audit.trials, found) for found in audit.findings],
        "decisions": [_decision(decision) | {"needed": decision not in audit.idle} for decision in audit.decisions],
        "coverage": [
            {
                "rule": part.rule,
                "title": part.title,
                "examined": part.examined,
                "findings": part.findings,
                "passed_over": list(part.passed_over),
            }
            for part in audit.coverage
        ],
    }


def finding_record(trials: Trials, found: Reviewed) -> dict[str, Any]:
    """Return one finding as plain JSON values."""
    finding = found.finding
    studies = trials.texts("study")
    return {
        "id": found.id,
        "rule": finding.rule,
        "severity": finding.severity,
        "rows": [trials.rows[i] for i in finding.rows],
        "studies": list(dict.fromkeys(studies[i] for i in finding.rows)),
        "says": finding.says,
        "why": why(finding.rule),
        "fix": finding.fix,
        "evidence": {name: _value(value) for name, value in finding.evidence.items()},
        "cells": [
            {"row": trials.rows[cell.place], "role": cell.role, "column": trials.roles.get(cell.role, cell.role)}
            for cell in finding.cells
        ],
        "proposals": [_proposal(trials, proposal) for proposal in finding.proposals],
        "consequences": [_consequence(part) for part in found.consequences],
        "decision": None if found.decision is None else _decision(found.decision),
        "references": list(RULES[finding.rule].cite),
    }


def _value(value: float | str) -> float | str | None:
    return value if isinstance(value, str) else written(float(value))


def _proposal(trials: Trials, proposal: Proposal) -> dict[str, Any]:
    return {
        "name": proposal.name,
        "changes": [
            {"row": trials.rows[change.place], "role": change.role, "value": written(change.value)}
            for change in proposal.changes
        ],
        "without": [trials.rows[i] for i in proposal.without],
        "joint": [[trials.rows[i] for i in joint.places] for joint in proposal.joint],
    }


def _consequence(found: Consequence) -> dict[str, Any]:
    return {
        "pool": found.pool,
        "measure": found.measure,
        "shift": written(found.shift),
        "turns": found.turns,
        "as_is": _variant(found.as_is),
        "alternatives": [_variant(variant) for variant in found.alternatives],
    }


def _variant(variant: Variant) -> dict[str, Any]:
    mean = variant.mean
    numbers: Mapping[str, float] = {} if mean is None else {
        "estimate": mean.point, "se": mean.se, "ci_low": mean.lower, "ci_high": mean.upper, "p_value": mean.p_value
    }  # fmt: skip
    names = ("estimate", "se", "ci_low", "ci_high", "p_value")
    return {
        "name": variant.name,
        "k": variant.k,
        **{name: written(numbers.get(name, math.nan)) for name in names},
        "tau2": written(variant.tau2),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "finding": decision.finding,
        "action": decision.action,
        "reason": decision.reason,
        "by": decision.by,
        "values": _values(decision.values),
        "rows": list(decision.rows),
    }


def _values(values: Values) -> dict[str, Any]:
    """Return the numbers of a correction, by role or by row and role."""
    return {name: _values(value) if isinstance(value, Mapping) else written(value) for name, value in values.items()}


def findings_csv(audit: Audit) -> str:
    """Return one row per finding as CSV, cells defused for spreadsheets; see `FRAME` for the columns."""
    return csv_text(FRAME, ([row[name] for name in FRAME] for row in finding_rows(audit)))


def finding_rows(audit: Audit) -> list[dict[str, Any]]:
    """Return one flat row per finding, for a frame or a CSV; see `FRAME` for the columns."""
    studies = audit.trials.texts("study")
    return [
        {
            "id": found.id,
            "severity": found.finding.severity,
            "rule": found.finding.rule,
            "studies": "; ".join(dict.fromkeys(studies[i] for i in found.finding.rows)),
            "rows": where(audit.trials, found.finding.rows, most=len(found.finding.rows) or 1),
            "says": well_formed(found.finding.says),
            "changes": brief_change(found),
            "shift": written(found.shift),
            "turns": found.turns,
            "fix": found.finding.fix,
            "decision": "" if found.decision is None else decision_text(found.decision),
            "reference": " ".join(RULES[found.finding.rule].cite),
        }
        for found in audit.findings
    ]
