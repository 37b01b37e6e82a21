"""The audit of a table: what its rules find, what each finding is worth, and what was decided about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from metaback.checks.decisions import Answered, Decision, answered, decision_for
from metaback.checks.findings import SEVERITIES, Coverage, Finding, identify
from metaback.checks.rules import inspect
from metaback.checks.scene import Plan, Pooled, Scale, Scene
from metaback.data.comparisons import Comparison, comparisons
from metaback.data.trials import Trials
from metaback.effects.direction import decide
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.instruments import scale_facts
from metaback.errors import DataError, EstimationError, MetabackError, Problem
from metaback.models.pool import fit_pool
from metaback.models.specs import PoolSpec
from metaback.postestimation.consequences import Asked, Consequence, changed_trials, consequences
from metaback.postestimation.table import Request, effects_of
from metaback.stats.measures import about

MIXED = "the check looks at both kinds of scores"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A finding with its identifier, what it changes in each pool, and what was decided about it (None for nothing)."""

    id: str
    finding: Finding
    consequences: tuple[Consequence, ...] = ()
    decision: Decision | None = None

    @property
    def open(self) -> bool:
        """Tell whether nobody decided about it."""
        return self.decision is None

    @property
    def shift(self) -> float:
        """Return the largest move of a mean, in standard errors."""
        return max((found.shift for found in self.consequences), default=0.0)

    @property
    def turns(self) -> bool:
        """Tell whether it changes what an interval says about no effect."""
        return any(found.turns for found in self.consequences)


@dataclass(frozen=True, slots=True)
class Audit:
    """All findings about one table, worst first, and what the rules could not see.

    findings: those that nobody decided about and those that somebody did, sorted by severity and by what they change.
    coverage: per rule. refused: what keeps pools from being made at all. decisions: all that were given; idle: those
    that no finding needs any more. answers: what the decisions do to the table. trials: the table as decided.
    """

    trials: Trials
    findings: tuple[Reviewed, ...]
    coverage: tuple[Coverage, ...]
    refused: tuple[Problem, ...] = ()
    decisions: tuple[Decision, ...] = ()
    idle: tuple[Decision, ...] = ()
    answers: Answered = field(default_factory=Answered)

    @property
    def unanswered(self) -> tuple[Reviewed, ...]:
        """Return the errors that nobody decided about."""
        return tuple(found for found in self.findings if found.open and found.finding.severity == "error")

    def count(self, severity: str) -> int:
        """Count the findings of a severity that nobody decided about."""
        return sum(found.open and found.finding.severity == severity for found in self.findings)


@dataclass(frozen=True, slots=True)
class _Pools:
    """The pools of a table as they were asked for: what the rules see of them, and what consequences need."""

    seen: tuple[Pooled, ...]
    asked: tuple[Asked, ...]
    refused: tuple[Problem, ...]


def audit_table(
    trials: Trials, spec: PoolSpec, request: Request, decisions: Sequence[Decision] = (), *, weigh: bool = True
) -> Audit:
    """Run every rule on a table, apply the decisions, and run the rules again on what is left.

    spec, request: how the table would be pooled; the same objects that `analyse_table` takes. weigh: whether the pools
    are made anew with each finding's alternatives, to tell what it changes. Nothing is pooled that the request leaves
    out, but rules that look at single rows see the whole table.

    Edges: a table of which no effect can be computed is still checked; `refused` says what stands in the way.
    """
    pools = _pools(trials, spec, request)
    first = inspect(_scene(trials, spec, request, pools))
    named = [(identify(finding, trials), finding) for finding in first.findings]
    decided = [(name, finding, decision_for(name, finding, decisions)) for name, finding in named]
    with_decision = [(finding, decision) for _, finding, decision in decided if decision is not None]
    answers = answered(trials, with_decision)
    used = {decision.finding for _, decision in with_decision}
    idle = tuple(decision for decision in decisions if decision.finding not in used)
    worth = _worth(pools, [finding for _, finding, _ in decided]) if weigh else {}
    reviewed = [
        Reviewed(name, finding, tuple(worth.get(i, ())), decision)
        for i, (name, finding, decision) in enumerate(decided)
    ]
    after = decided_table(trials, answers)
    if answers.changes or answers.excluded:
        reviewed = _again(reviewed, after, answers, spec, request, weigh)
    return Audit(
        after, tuple(sorted(reviewed, key=_rank)), first.coverage, pools.refused, tuple(decisions), idle, answers
    )


def decided_table(trials: Trials, answers: Answered) -> Trials:
    """Return the table with the cells that decisions corrected."""
    if not answers.changes:
        return trials
    return replace(changed_trials(trials, range(len(trials)), answers.changes), rows=trials.rows)


def _again(
    before: list[Reviewed], after: Trials, answers: Answered, spec: PoolSpec, request: Request, weigh: bool
) -> list[Reviewed]:
    """Look at the table as decided: findings that somebody decided about stay, the others are those of a new look."""
    kept = np.array([place not in answers.excluded for place in range(len(after))], dtype=bool)
    left = np.flatnonzero(kept)
    if not left.size:
        return [found for found in before if not found.open]
    rest = audit_table(after.take(kept), spec, request, weigh=weigh)
    known = {found.id for found in before if not found.open}
    moved = [_moved(found, left.tolist()) for found in rest.findings if found.id not in known]
    return [*(found for found in before if not found.open), *moved]


def _moved(found: Reviewed, places: list[int]) -> Reviewed:
    """Give the rows and cells of a finding their places in the whole table."""
    finding = found.finding
    cells = tuple(replace(cell, place=places[cell.place]) for cell in finding.cells)
    return replace(
        found, finding=replace(finding, rows=tuple(places[row] for row in finding.rows), cells=cells, proposals=())
    )


def _rank(found: Reviewed) -> tuple[bool, int, bool, float, int]:
    """Sort findings: open ones first, by severity, by what they change, by where they stand."""
    worst = SEVERITIES.index(found.finding.severity)
    return not found.open, worst, not found.turns, -found.shift, found.finding.rows[0] if found.finding.rows else -1


def _worth(pools: _Pools, findings: Sequence[Finding]) -> dict[int, list[Consequence]]:
    """Return what each finding changes in every pool."""
    worth: dict[int, list[Consequence]] = {}
    for asked in pools.asked:
        for number, found in consequences(asked, findings).items():
            worth.setdefault(number, []).append(found)
    return worth


def _scene(trials: Trials, spec: PoolSpec, request: Request, pools: _Pools) -> Scene:
    """Return the table as the rules see it."""
    facts = scale_facts(trials, request.choices.instruments, [])
    flags = trials.flags("higher_is_better")
    nothing = np.full(len(trials), np.nan)
    ends = zip(facts.get("scale_low", nothing), facts.get("scale_high", nothing), flags, strict=True)
    scales = tuple(Scale(float(low), float(high), flag) for low, high, flag in ends)
    plan = Plan(
        model=spec.model,
        tau2=str(spec.tau2),
        ci=spec.ci,
        pi=spec.pi,
        weights=spec.weights,
        by=request.by,
        mixed_scores=bool(request.choices.mixed_scores),
    )
    return Scene(trials, pools.seen, plan, scales)


def scene(trials: Trials, spec: PoolSpec, request: Request) -> Scene:
    """Return a table as the rules see it, with the pools that would be made of it."""
    return _scene(trials, spec, request, _pools(trials, spec, request))


def _pools(trials: Trials, spec: PoolSpec, request: Request) -> _Pools:
    """Make every pool that the request asks for; what cannot be pooled is told and passed over."""
    seen: list[Pooled] = []
    asked: list[Asked] = []
    refused: list[Problem] = []
    try:
        found = comparisons(trials, outcome=request.outcome, compare=request.compare)
    except DataError as error:
        return _Pools((), (), error.problems)
    for comparison in found:
        try:
            effects = _effects(comparison, spec, request, refused)
            seen.append(_seen(comparison, effects, request))
            fitted = fit_pool(effects, spec)
        except EstimationError:
            continue
        except DataError as error:
            refused += error.problems
        except MetabackError as error:
            refused.append(Problem(str(error), "Change the request or the table"))
        else:
            asked.append(Asked(comparison.name, comparison.trials, comparison.places, fitted, request.choices))
    return _Pools(tuple(seen), tuple(asked), tuple(refused))


def _effects(comparison: Comparison, spec: PoolSpec, request: Request, refused: list[Problem]) -> EffectSizes:
    """Compute the effects of one comparison; where kinds of scores are mixed against the rules, look at them anyway."""
    try:
        return effects_of(comparison, spec, request)
    except DataError as error:
        if request.choices.mixed_scores:
            raise
        mixed = replace(request, choices=replace(request.choices, mixed_scores=MIXED))
        effects = effects_of(comparison, spec, mixed)
        refused += error.problems
        return effects


def _seen(comparison: Comparison, effects: EffectSizes, request: Request) -> Pooled:
    """Return what the rules see of one pool."""
    turned = decide(comparison.trials, request.choices.instruments, effects.context.higher_is_better).turned
    swapped = np.array(["arms swapped" in words for words in effects.corrections], dtype=bool)
    printed = np.array([words.startswith(("printed", "effect with")) for words in effects.obtained], dtype=bool)
    ok = effects.estimable
    return Pooled(
        name=comparison.name,
        places=np.array(comparison.places, dtype=np.intp),
        measure=effects.measure,
        scale=about(effects.measure).scale,
        yi=np.where(ok, effects.yi, np.nan),
        vi=np.where(ok, effects.vi, np.nan),
        computed=ok & ~printed,
        turned=turned ^ swapped,
    )
