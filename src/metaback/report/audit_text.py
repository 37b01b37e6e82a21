"""The check as plain text: what was found, worst first, then what could not be looked at."""

from __future__ import annotations

import textwrap

from metaback.postestimation.audit import Audit, Reviewed
from metaback.report.audit_words import (
    NO_COMFORT,
    brief_gaps,
    change_texts,
    checked_title,
    coverage_text,
    decision_text,
    idle_text,
    passed_over,
    said,
    where,
)
from metaback.report.words import clean, one_line

WIDTH = 100
INDENT = "    "
POOLS = 3  # pools of a finding that are written out
HEADS = {"error": "ERROR", "warning": "WARNING", "information": "INFORMATION"}


def audit_text(audit: Audit, *, details: bool = True, coverage: bool = False, limit: int | None = None) -> str:
    """Return the findings of a check as text: headline, findings, decisions that are not needed, and coverage.

    details: also what each finding changes, what to do about it, and which rules could not look at the table.
    coverage: also why each rule could not look at what it passed over. limit: how many findings are written out; the
    others, and the rules that could not look, are counted.
    """
    shown = audit.findings if limit is None else audit.findings[:limit]
    lines = [f"{checked_title(audit)}."]
    for problem in audit.refused:
        lines += ["", *_wrapped(f"CANNOT BE POOLED  {problem}", "", INDENT)]
    for found in shown:
        lines += ["", *_finding(audit, found, details)]
    if len(shown) < len(audit.findings):
        lines += ["", f"... and {len(audit.findings) - len(shown)} more findings"]
    idle = [
        line for decision in audit.idle for line in _wrapped(f"DECISION  {idle_text(audit, decision)}.", "", INDENT)
    ]
    lines += ["", *idle] if idle else []
    lines += ["", *_coverage(audit, names=details and limit is None, reasons=coverage)]
    return "\n".join(clean(line).rstrip() for line in lines)


def _finding(audit: Audit, found: Reviewed, details: bool) -> list[str]:
    """Write one finding."""
    finding = found.finding
    head = HEADS[finding.severity] if found.open else f"decided ({finding.severity})"
    lines = _wrapped(f"{head}  {found.id}  {where(audit.trials, finding.rows)}", "", INDENT)
    lines += _wrapped(said(audit.trials, found), INDENT, INDENT)
    if found.decision is not None:
        lines += _wrapped(f"Decision: {decision_text(found.decision)}.", INDENT, INDENT)
    elif details:
        for text in change_texts(found, POOLS):
            lines += _wrapped(f"Pooled: {text}", INDENT, f"{INDENT}  ")
        lines += _wrapped(f"What to do: {finding.fix}.", INDENT, INDENT)
    return lines


def _coverage(audit: Audit, *, names: bool, reasons: bool) -> list[str]:
    """Say what could not be looked at: how many rules, names too, or reasons too."""
    lines = _wrapped(f"{coverage_text(audit.coverage)}. {NO_COMFORT}", "", "")
    gaps = passed_over(audit.coverage) if reasons else brief_gaps(audit.coverage) if names else ()
    return lines + [line for text in gaps for line in _wrapped(f"- {text}", "  ", INDENT)]


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    """Break a text into lines; long words such as addresses stay whole."""
    whole = one_line(text).replace(" k = ", " k\u00a0=\u00a0")  # which is read as one word
    found = textwrap.wrap(
        whole, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace("\u00a0=\u00a0", " = ") for line in found] or [first]
