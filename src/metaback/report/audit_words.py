"""The words in which findings of the check are told, the same on a terminal, in a notebook and in a report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast

from metaback.checks.decisions import DONE, Decision
from metaback.checks.findings import SEVERITIES, Coverage
from metaback.checks.rules import RULES
from metaback.data.trials import Trials
from metaback.numbers import ABSENT
from metaback.postestimation.audit import Audit, Reviewed
from metaback.postestimation.consequences import AS_IS, LEFT_OUT, Consequence, Variant
from metaback.postestimation.words import effect_digits, estimate_cell, plural, sentence_case
from metaback.report.words import one_line

TURNS = "What the interval says about no effect changes."
KINDS: Mapping[str, tuple[str, str]] = {
    "error": ("error", "errors"),
    "warning": ("warning", "warnings"),
    "information": ("note for information", "notes for information"),
}
NO_COMFORT = "A table without findings is not a table without errors: the rules see numbers, not the trials' reports."


def headline(audit: Audit) -> str:
    """Say how much was found: `2 errors, 1 warning and 3 notes for information`."""
    counts = [(audit.count(severity), *KINDS[severity]) for severity in SEVERITIES]
    parts = [plural(count, one, many) for count, one, many in counts if count]
    decided = sum(not found.open for found in audit.findings)
    told = listed(parts) if parts else ("Nothing else was found" if decided else "Nothing was found")
    return f"{told}; {plural(decided, 'finding was', 'findings were')} decided about" if decided else told


def checked_title(audit: Audit) -> str:
    """Say what was checked and how much was found: `Check of trials.csv (41 rows): 1 error`."""
    rows = plural(len(audit.trials), "row", "rows")
    return f"Check of {one_line(audit.trials.source.name)} ({rows}): {headline(audit)}"


def listed(parts: Sequence[str]) -> str:
    """Join words with commas and a last `and`."""
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part) if parts else ""


def where(trials: Trials, rows: Sequence[int], most: int = 6) -> str:
    """Name the rows of a finding, those of one study together: `Jackson 2011 (rows 8 and 9)`."""
    studies = trials.texts("study")
    by_study: dict[str, list[str]] = {}
    for place in rows:
        by_study.setdefault(studies[place], []).append(trials.rows[place])
    names = [f"{one_line(study)} ({_rows(places, most)})" for study, places in by_study.items()]
    more = f" and {plural(len(names) - most, 'other study', 'other studies')}" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "the whole table"


def _rows(names: Sequence[str], most: int) -> str:
    """Write `rows 8 and 9` for `row 8`, `row 9`; other names of rows stay as they are."""
    kind = names[0].split(" ")[0]
    plain = len(names) > 1 and all(name.split(" ")[0] == kind and name.count(" ") == 1 for name in names)
    if not plain:
        return ", ".join(names[:most])
    numbers = [name.split(" ")[1] for name in names]
    noun = {"row": "rows", "index": "indices"}.get(kind, kind)
    shown = listed(numbers) if len(numbers) <= most else f"{', '.join(numbers[:most])} and {len(numbers) - most} more"
    return f"{noun} {shown}"


def said(trials: Trials, found: Reviewed) -> str:
    """Return what was found without the names of the rows that open it, where the rows are named beside it."""
    text, studies = one_line(found.finding.says), trials.texts("study")
    names = {re.escape(one_line(studies[place])) for place in found.finding.rows}
    if not names:
        return text
    one = rf"(?:{'|'.join(sorted(names))}) \([^()]*\)"
    return sentence_case(re.sub(rf"^{one}(?:(?:, | and ){one})*: ", "", text))


def changed_pools(found: Reviewed, most: int) -> tuple[tuple[Consequence, ...], str]:
    """Return the pools that a finding changes most, and a sentence on those that are not shown; "" for none."""
    ordered = tuple(sorted(found.consequences, key=lambda part: (not part.turns, -part.shift)))
    rest = len(ordered) - most
    return ordered[:most], f"It touches {plural(rest, 'more pool', 'more pools')}." if rest > 0 else ""


def change_texts(found: Reviewed, most: int) -> tuple[str, ...]:
    """Say what a finding changes in each pool, one sentence each; the pool that it changes most comes first."""
    shown, rest = changed_pools(found, most)
    return (*(_change(found, part) for part in shown), *([rest] if rest else []))


def _change(found: Reviewed, part: Consequence) -> str:
    """Write one pool as it stands and with every alternative."""
    parts = [f"{name}: {variant_text(variant)}" for name, variant in variants(found, part)]
    return f"{pool_name(part)}: {'; '.join(parts)}.{f' {TURNS}' if part.turns else ''}"


def pool_name(part: Consequence) -> str:
    """Name a pool and its measure: `pain, yoga vs usual care (SMD)`."""
    return f"{part.pool} ({part.measure})" if part.pool else part.measure


def variants(found: Reviewed, part: Consequence) -> tuple[tuple[str, Variant], ...]:
    """Name the pool as it is and every alternative; where a decision changed the table, it stood before it."""
    mended = found.decision is not None and found.decision.action != "accept"
    first = part.as_is.name.replace(AS_IS, "as the table was read") if mended else part.as_is.name
    return (first, part.as_is), *((_called(found, variant), variant) for variant in part.alternatives)


def _called(found: Reviewed, variant: Variant) -> str:
    """Name an alternative; a single row is left out as one."""
    return "without this row" if variant.name == LEFT_OUT and len(found.finding.rows) == 1 else variant.name


def variant_text(variant: Variant) -> str:
    """Write one pool: `-0.53 [-0.86, -0.20], k = 8`."""
    return "cannot be pooled" if variant.mean is None else f"{variant_cell(variant)}, k = {variant.k}"


def variant_cell(variant: Variant) -> str:
    """Write the mean of one pool with its interval."""
    return ABSENT if variant.mean is None else estimate_cell(variant.mean, effect_digits(variant.mean))


def brief_change(found: Reviewed) -> str:
    """Say in one cell what a finding changes most: `-0.53 [...] becomes -0.39 [...] without these rows`.

    "" where it changes nothing that was pooled.
    """
    best = max(found.consequences, key=lambda part: (part.turns, part.shift), default=None)
    if best is None or best.as_is.mean is None:
        return ""
    base = best.as_is.mean
    others = [(variant.mean, _called(found, variant)) for variant in best.alternatives if variant.mean is not None]
    if not others:
        return ""
    far, name = max(others, key=lambda other: abs(other[0].point - base.point))
    digits = effect_digits(base)
    return f"{estimate_cell(base, digits)} becomes {estimate_cell(far, digits)} ({name})"


def decision_text(decision: Decision) -> str:
    """Write what was decided: `accepted by A. B.: the SDs stand in the trial's Table 2`."""
    return f"{DONE[decision.action]} by {one_line(decision.by)}: {one_line(decision.reason)}"


def idle_text(audit: Audit, decision: Decision) -> str:
    """Say that a decision fits no finding, and which findings of its rule are open."""
    rule = re.sub(r"-[0-9a-f]{6}$", "", decision.finding)
    others = [found.id for found in audit.findings if found.open and found.finding.rule == rule]
    hint = f"; still open of its kind: {', '.join(others[:6])}{' ...' if len(others) > 6 else ''}" if others else ""
    return f"{one_line(decision.finding)} fits no finding: the numbers it was made for are not in the table{hint}"


def why(rule: str) -> str:
    """Return what the error is that a rule looks for, and what it does."""
    return cast("str", RULES[rule].facts["why"])


def brief_gaps(coverage: Sequence[Coverage]) -> tuple[str, ...]:
    """Name what was not looked for at all, and what only in a part of the rows, in a sentence each."""
    idle = [part.title for part in coverage if not part.ran]
    partly = [part.title for part in coverage if part.ran and part.passed_over]
    kinds = (("Not looked for", idle), ("Looked for in some rows only", partly))
    return tuple(f"{words}: {'; '.join(titles)}." for words, titles in kinds if titles)


def passed_over(coverage: Sequence[Coverage]) -> tuple[str, ...]:
    """Say what the rules could not look at, and why, one sentence per rule."""
    return tuple(
        f"{part.title}: {'' if part.ran else 'not looked for; '}"
        f"{'; '.join(part.passed_over) or 'no row has the numbers that it takes'}."
        for part in coverage
        if part.passed_over or not part.ran
    )


def coverage_text(coverage: Sequence[Coverage]) -> str:
    """Count the rules that could look at the table and those that could not."""
    ran = sum(part.ran for part in coverage)
    idle = len(coverage) - ran
    rest = f"; {idle} had not, because the table or its pools lack what they need" if idle else ""
    return f"{ran} of {len(coverage)} rules had something to look at{rest}"
