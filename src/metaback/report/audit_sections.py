"""The check as a part of a report: what was found, what was decided, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Sequence

from metaback.numbers import ABSENT
from metaback.postestimation.audit import Audit, Reviewed
from metaback.postestimation.words import plural
from metaback.report.audit_words import (
    KINDS,
    NO_COMFORT,
    change_texts,
    coverage_text,
    decision_text,
    headline,
    passed_over,
    said,
    where,
    why,
)
from metaback.report.document import Block, Heading, Listing, Notes, Paragraph, Table
from metaback.report.tables import Flag
from metaback.report.words import clean

HEAD = ("Finding", "Rows", "What was found", "What it changes", "Decision")
ROWS = 200  # findings that a page shows; the CSV has all
OPEN = "open"


def lead_blocks(audit: Audit | None, *, accepted: bool = False) -> tuple[Block, ...]:
    """Return what the first lines of a report say about the check; nothing where no error is open.

    accepted: whether the user asked for a report in spite of open errors.
    """
    if audit is None or not audit.unanswered:
        return ()
    count = len(audit.unanswered)
    told = "was asked for in spite of" if accepted else "was written with"
    title = f"This report {told} {plural(count, 'error')} that the check found and nobody decided about"
    points = tuple(
        f"{where(audit.trials, found.finding.rows)}: {said(audit.trials, found)}" for found in audit.unanswered[:10]
    )
    more = (f"{count - 10} more: see the section on the check.",) if count > 10 else ()
    return (Notes(title, (*points, *more)),)


def flags_of(audit: Audit | None) -> dict[str, tuple[Flag, ...]]:
    """Return, by the name of each row, its findings with the cells that they point to, for the table of studies.

    Notes for information mark no cell.
    """
    found: dict[str, list[Flag]] = {}
    for part in audit.findings if audit is not None else ():
        finding = part.finding
        if audit is None or finding.severity == "information" or (finding.whole and not finding.cells):
            continue
        for place in finding.rows:
            roles = frozenset(cell.role for cell in finding.cells if cell.place == place)
            found.setdefault(audit.trials.rows[place], []).append(Flag(part.id, finding.severity, roles))
    return {row: tuple(flags) for row, flags in found.items()}


def audit_blocks(audit: Audit | None) -> tuple[Block, ...]:
    """Return the section of the check."""
    if audit is None:
        return ()
    blocks: list[Block] = [
        Heading(2, "Checks and decisions", "checks"),
        Paragraph(
            f"Before it was pooled the table was checked: {headline(audit)[0].lower()}{headline(audit)[1:]}. "
            f"{coverage_text(audit.coverage)}. {NO_COMFORT}"
        ),
    ]
    if audit.findings:
        blocks += [_findings_table(audit), *_reasons(audit)]
    if audit.idle:
        blocks.append(
            Notes(
                "Decisions that no finding needs",
                tuple(f"{decision.finding}: {decision_text(decision)}" for decision in audit.idle),
                "information",
            )
        )
    gaps = passed_over(audit.coverage)
    if gaps:
        blocks += [Heading(3, "What could not be looked at", "checks-gaps"), Listing(gaps)]
    return tuple(blocks)


def _findings_table(audit: Audit) -> Table:
    """Return one row per finding."""
    total = len(audit.findings)
    shown = f" The first {ROWS} of {total:,} are shown." if total > ROWS else ""
    return Table(
        caption=f"Findings of the check, worst first, with the pool as the table stands and as it would be.{shown}",
        head=HEAD,
        rows=tuple(_cells(audit, found) for found in audit.findings[:ROWS]),
        numeric=(False,) * len(HEAD),
        file="checks.csv",
    )


def _cells(audit: Audit, found: Reviewed) -> tuple[str, ...]:
    """Write one finding as cells."""
    finding, says = found.finding, said(audit.trials, found)
    kind = KINDS[finding.severity][0]
    changes = " ".join(change_texts(found)[:2]) or ABSENT
    decision = OPEN if found.decision is None else decision_text(found.decision)
    return (
        f"{found.id} ({kind})",
        where(audit.trials, finding.rows),
        clean(f"{says} To do: {finding.fix}." if found.open else says),
        changes,
        decision,
    )


def _reasons(audit: Audit) -> Sequence[Block]:
    """Explain each error that was looked for and found, once."""
    rules = dict.fromkeys(found.finding.rule for found in audit.findings)
    return (
        Heading(3, "Why these findings matter", "checks-why"),
        Listing(tuple(f"{rule}: {why(rule)}" for rule in rules)),
    )
