"""The card that a notebook shows for a check: worst findings first, small, escaped, without ids or script."""

from __future__ import annotations

from metaback.postestimation.audit import Audit
from metaback.report.audit_sections import OPEN
from metaback.report.audit_words import (
    KINDS,
    NO_COMFORT,
    brief_change,
    coverage_text,
    decision_text,
    headline,
    passed_over,
    said,
    where,
)
from metaback.report.html import environment, style
from metaback.report.words import one_line

SHOWN = 25  # findings that a card shows


def audit_card(audit: Audit) -> str:
    """Return a check as an HTML fragment: one row per finding, and folded what could not be looked at."""
    rows = [
        (
            KINDS[found.finding.severity][0],
            found.id,
            where(audit.trials, found.finding.rows),
            said(audit.trials, found),
            brief_change(found),
            OPEN if found.decision is None else decision_text(found.decision),
        )
        for found in audit.findings[:SHOWN]
    ]
    more = len(audit.findings) - len(rows)
    return (
        environment()
        .get_template("audit.html.j2")
        .render(
            title=f"Check of {one_line(audit.trials.source.name)} ({len(audit.trials)} rows): {headline(audit)}",
            refused=[str(problem) for problem in audit.refused],
            head=("Severity", "Finding", "Rows", "What was found", "Pooled", "Decision"),
            rows=rows,
            more=more,
            coverage=f"{coverage_text(audit.coverage)}. {NO_COMFORT}",
            gaps=passed_over(audit.coverage),
            css=style("card.css"),
        )
    )
