"""The family of audit rules, and how all of them are run on a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

from metaback.checks.findings import SEVERITIES, Coverage, Finding, Outcome, Severity
from metaback.checks.scene import Scene
from metaback.registry import Entry, Registry

RuleFunction = Callable[[Scene], Outcome]
Needs = tuple[tuple[str, ...], ...]
ALTERNATIVES = 2  # ways to what a rule needs that a sentence names besides the nearest
RULES: Registry[RuleFunction] = Registry("rule")


def rule(
    key: str,
    *,
    severity: Severity,
    title: str,
    why: str,
    needs: Iterable[str] = (),
    yields_to: Iterable[str] = (),
    cite: str = "",
) -> Callable[[RuleFunction], RuleFunction]:
    """Return the decorator that adds a rule to the audit.

    key: what a decision names, in words with hyphens. severity: the worst that it can say. title: what it looks for,
    in a few words. why: what the error is and what it does to a pooled result, in plain words for a reader who has
    never met it. needs: alternatives of roles, each one text of role names ("n_1 sd_1 n_2 sd_2"); where the table has
    none of them the rule is passed over, and the coverage says what it lacked. yields_to: rules that say the same fact
    better; where one of them names the same rows, at least as badly, this one is silent. cite: keys of references.bib.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"severity {severity!r} is none of {SEVERITIES}")
    alternatives = tuple(tuple(words.split()) for words in needs)
    facts = {"severity": severity, "why": why, "needs": alternatives, "yields_to": tuple(yields_to)}
    return RULES.register(key, title=title, cite=cite, **facts)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What all rules found in one scene, in the order of the rules, and what each could see."""

    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]


def inspect(scene: Scene) -> Inspection:
    """Run every rule on a table."""
    findings: list[Finding] = []
    coverage: list[Coverage] = []
    for entry in RULES.entries():
        lacking = missing(entry, scene)
        outcome = Outcome(passed_over=(lacking,)) if lacking else entry.function(scene)
        findings += outcome.findings
        coverage.append(Coverage(entry.key, entry.title, outcome.examined, len(outcome.findings), outcome.passed_over))
    return Inspection(_told_once(findings), tuple(coverage))


def _told_once(findings: list[Finding]) -> tuple[Finding, ...]:
    """Leave away findings whose rows are named by a rule that says the same fact better, at least as badly."""
    best: dict[tuple[str, int], int] = {}
    for found in findings:
        worst = SEVERITIES.index(found.severity)
        for row in found.rows:
            best[found.rule, row] = min(worst, best.get((found.rule, row), worst))

    def told(found: Finding) -> bool:
        others = cast("tuple[str, ...]", RULES[found.rule].facts["yields_to"])
        worst = SEVERITIES.index(found.severity)
        covered = (any(best.get((other, row), 9) <= worst for other in others) for row in found.rows)
        return bool(others) and bool(found.rows) and all(covered)

    return tuple(found for found in findings if not told(found))


def missing(entry: Entry[RuleFunction], scene: Scene) -> str:
    """Say which columns a rule lacks; "" where it has one of its alternatives."""
    needs = cast("Needs", entry.facts["needs"])
    if not needs or any(scene.has(*roles) for roles in needs):
        return ""
    lists = [[role for role in roles if not scene.has(role)] for roles in needs]
    nearest = min(lists, key=len)
    others = list(dict.fromkeys(", ".join(roles) for roles in lists if not set(nearest) <= set(roles)))
    noun = "column" if len(nearest) == 1 else "columns"
    rest = f" or {len(others) - ALTERNATIVES} other ways" if len(others) > ALTERNATIVES else ""
    more = f" (nor {' or '.join(others[:ALTERNATIVES])}{rest})" if others else ""
    return f"no {noun} {', '.join(nearest)}{more}"
