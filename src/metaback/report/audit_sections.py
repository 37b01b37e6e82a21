"""The check as a part of a report: what was found, what was decided, and what could not be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from metaback.checks.rules import RULES
from metaback.postestimation.audit import Audit, Reviewed
from metaback.postestimation.consequences import Consequence
from metaback.postestimation.words import percent, plural, sentence_case
from metaback.report.audit_words import (
    KINDS,
    NO_COMFORT,
    TURNS,
    changed_pools,
    coverage_text,
    decision_text,
    headline,
    idle_text,
    passed_over,
    said,
    variant_cell,
    variants,
    where,
    why,
)
from metaback.report.bibliography import reference_text
from metaback.report.document import Block, Case, Heading, Listing, Notes, Paragraph, Table
from metaback.report.tables import Flag

SHOWN = 200  # findings under a heading; the CSV has all
POOLS = 3  # pools of a finding that are shown
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
            f"{coverage_text(audit.coverage)}. {NO_COMFORT} The findings as a table: tables/checks.csv."
        ),
    ]
    decided = [found for found in audit.findings if not found.open]
    blocks += _cases(audit, decided, "Findings that somebody decided about", "checks-decided")
    blocks += _cases(audit, [found for found in audit.findings if found.open], "Open findings", "checks-open")
    if audit.idle:
        blocks.append(
            Notes(
                "Decisions that fit no finding",
                tuple(f"{idle_text(audit, decision)} ({decision_text(decision)})." for decision in audit.idle),
                "information",
            )
        )
    blocks += _reasons(audit)
    gaps = passed_over(audit.coverage)
    if gaps:
        blocks += [Heading(3, "What could not be looked at", "checks-gaps"), Listing(gaps)]
    return tuple(blocks)


def audit_keys(audit: Audit | None) -> tuple[str, ...]:
    """Return the keys of the references that the findings rest on."""
    found = () if audit is None else audit.findings
    return tuple(dict.fromkeys(key for part in found for key in RULES[part.finding.rule].cite))


def _cases(audit: Audit, findings: Sequence[Reviewed], title: str, fragment: str) -> list[Block]:
    """Return findings under a heading, worst first; nothing where there is none."""
    if not findings:
        return []
    total = len(findings)
    rest = [Paragraph(f"The first {SHOWN} of {total:,} stand here.", "small")] if total > SHOWN else []
    shown = findings[:SHOWN]
    fixes = [(found.finding.rule, found.finding.fix) for found in shown]
    often, told = Counter(fixes), set[tuple[str, str]]()
    cases: list[Case] = []
    for found, fix in zip(shown, fixes, strict=True):
        cases.append(_case(audit, found, 0 if fix in told else often[fix]))
        told.add(fix)
    return [Heading(3, title, fragment), *rest, *cases]


def _case(audit: Audit, found: Reviewed, alike: int) -> Case:
    """Write one finding with the pools that it changes.

    alike: findings of its rule that ask for the same, itself among them, where it is the first of them; else 0, and
    what to do is not said again.
    """
    finding = found.finding
    pools, rest = changed_pools(found, POOLS)
    facts = [("Decision", decision_text(found.decision))] if found.decision is not None else []
    head = "What to do" if alike < 2 else f"What to do (here and in {plural(alike - 1, 'finding')} of this kind below)"
    facts += [(head, f"{finding.fix.removesuffix('.')}.")] if found.open and alike else []
    return Case(
        mark=sentence_case(KINDS[finding.severity][0]),
        title=where(audit.trials, finding.rows),
        name=found.id,
        texts=tuple(filter(None, (said(audit.trials, found), rest))),
        tables=tuple(_pools_table(found, part) for part in pools),
        facts=tuple(facts),
        tone=finding.severity if found.open else "settled",
    )


def _pools_table(found: Reviewed, part: Consequence) -> Table:
    """Return one pool as it stands, and with every alternative."""
    rows = [(sentence_case(name), variant_cell(variant), str(variant.k)) for name, variant in variants(found, part)]
    level = "" if part.as_is.mean is None else f" [{percent(part.as_is.mean.level)} CI]"
    head = ("The pool", f"{part.measure}{level}", "k")
    caption = f"{sentence_case(part.pool) or 'All rows'}{f'. {TURNS}' if part.turns else ''}"
    return Table(caption, head, tuple(rows), (False, True, True))


def _reasons(audit: Audit) -> Sequence[Block]:
    """Explain each kind of finding once, with its source."""
    rules = dict.fromkeys(found.finding.rule for found in audit.findings)
    points = [
        f"{sentence_case(RULES[rule].title)}: {why(rule)} {'; '.join(map(reference_text, RULES[rule].cite))}".strip()
        for rule in rules
    ]
    return (Heading(3, "Why these findings matter", "checks-why"), Listing(tuple(points))) if points else ()
