"""The card that a notebook shows for a check: worst findings first, small, escaped, without element ids or script."""

from __future__ import annotations

from metaback.postestimation.audit import Audit, Reviewed
from metaback.postestimation.words import sentence_case
from metaback.report.audit_words import (
    KINDS,
    NO_COMFORT,
    brief_change,
    checked_title,
    coverage_text,
    decision_text,
    passed_over,
    said,
    where,
)
from metaback.report.html import environment, style

SHOWN = 25  # findings that a card shows


def audit_card(audit: Audit) -> str:
    """Return a check as an HTML fragment: finding after finding, and folded what could not be looked at."""
    findings = [_finding(audit, found) for found in audit.findings[:SHOWN]]
    more = len(audit.findings) - len(findings)
    return (
        environment()
        .get_template("audit.html.j2")
        .render(
            title=checked_title(audit),
            refused=[str(problem) for problem in audit.refused],
            findings=findings,
            more=more,
            coverage=f"{coverage_text(audit.coverage)}. {NO_COMFORT}",
            gaps=passed_over(audit.coverage),
            css=style("card.css"),
        )
    )


def _finding(audit: Audit, found: Reviewed) -> dict[str, str]:
    """Return the words of one finding."""
    kind = sentence_case(KINDS[found.finding.severity][0])
    change = brief_change(found)
    return {
        "tone": found.finding.severity if found.open else "settled",
        "mark": kind if found.open else f"{kind}, decided",
        "where": where(audit.trials, found.finding.rows),
        "name": found.id,
        "says": said(audit.trials, found),
        "pooled": f"Pooled: {change}." if change else "",
        "todo": "" if found.decision is not None else f"{found.finding.fix.removesuffix('.')}.",
        "decision": "" if found.decision is None else f"Decision: {decision_text(found.decision).removesuffix('.')}.",
    }
