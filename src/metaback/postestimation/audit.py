"""The audit of a table: what its rules find, what each finding is worth, and what was decided about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from metaback.checks.decisions import Answered, Decision, answered, decision_for
from metaback.checks.findings import SEVERITIES, Coverage, Finding, Proposal, identifiers
from metaback.checks.rules import RULES, inspect
from metaback.checks.scene import Plan, Pooled, Regressed, Scale, Scene
from metaback.data.comparisons import Comparison, comparisons
from metaback.data.roles import ROLES
from metaback.data.trials import Source, Trials, contradictions
from metaback.design.formula import build_design
from metaback.effects.choices import EffectChoices
from metaback.effects.direction import decide
from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.instruments import of_rows, scale_facts
from metaback.errors import DataError, EstimationError, MetabackError, OptionError, Problem, suggestion
from metaback.models.fitted import Fitted
from metaback.models.pool import fit_pool
from metaback.models.specs import PoolSpec
from metaback.postestimation.consequences import Asked, Consequence, changed_trials, consequences
from metaback.postestimation.table import Request, effects_of
from metaback.postestimation.working import own_words
from metaback.stats.measures import about

MARK = re.compile(r"-[0-9a-f]{6}$")  # that ends the name of a finding
MIXED = "the check looks at both kinds of scores"


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A finding with its identifier, what it changes in each pool, and what was decided about it (None for nothing).

    outside: the request leaves out all of its rows, so that it says nothing against what is pooled.
    """

    id: str
    finding: Finding
    consequences: tuple[Consequence, ...] = ()
    decision: Decision | None = None
    outside: bool = False

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
        """Return the errors in what is pooled that nobody decided about."""
        errors = (found for found in self.findings if found.open and found.finding.severity == "error")
        return tuple(found for found in errors if not found.outside)

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
    trials: Trials,
    spec: PoolSpec,
    request: Request,
    decisions: Sequence[Decision] = (),
    *,
    split: bool = True,
    weigh: bool = True,
    strata: bool = True,
) -> Audit:
    """Run every rule on a table, apply the decisions, and run the rules again on what is left.

    spec, request: how the table would be pooled; the same objects that `analyse_table` takes. split: whether outcomes
    and pairs of treatments are pooled apart, as by `analyse_table`, or all rows in one pool. weigh: whether the pools
    are made anew with each finding's alternatives, to tell what it changes. strata: whether these are subgroups
    without being named. Rules that look at single rows see the
    whole table, also the rows that the request leaves out.

    Edges: a table of which no effect can be computed is still checked; `refused` says what stands in the way.
    """

    def look(table: Trials) -> _Pools:
        return _pools(table, spec, request, split=split)

    _refuse_unknown(decisions)
    return _audited(trials, _Ask(spec, request, look, weigh, strata), tuple(decisions))


def _refuse_unknown(decisions: Sequence[Decision]) -> None:
    """Refuse decisions about findings that no rule can make: a name is misspelt, and nobody decided anything."""
    rules, faults = tuple(RULES), list[str]()
    for name in (decision.finding for decision in decisions):
        rule = MARK.sub("", name)
        if name not in rules and rule not in rules:
            faults.append(f"finding {name!r} names no rule{suggestion(rule, rules)}")
    if faults:
        raise OptionError(f"{'; '.join(faults)}; a finding is named as in the check, e.g. se-as-sd-1f03ab")


def audit_fit(fitted: Fitted, decisions: Sequence[Decision] = ()) -> Audit:
    """Run every rule on the table behind a finished pool, which is the only one that is looked at.

    Edges: corrections are refused, because the effects are computed already.
    """
    effects, trials = fitted.effects, trials_of(fitted.effects)
    if any(decision.action == "correct" for decision in decisions):
        raise OptionError("the effects are computed already; give the table, so that corrected cells can be used")
    _refuse_unknown(decisions)
    by = effects.by_name
    request = Request(by=by, measure=effects.measure, choices=_choices_of(effects))
    whole = Comparison("", "", "", trials, tuple(range(len(trials))))

    def look(table: Trials) -> _Pools:
        if len(table) < len(trials):
            return _pools(table, fitted.spec, request, split=False)
        asked = Asked("", trials, whole.places, fitted, request.choices)
        return _Pools((_seen(whole, effects, request, []),), (asked,), ())

    return _audited(trials, _Ask(fitted.spec, request, look, True), tuple(decisions))


def audit_model(effects: EffectSizes, spec: PoolSpec, formula: str, by: str | None = None) -> Audit:
    """Run every rule on the table behind a regression or a model of dependent effects.

    spec: the pool that the model would be without its formula; by: column of subgroups of the model. What a finding
    changes is not told, because its coefficients are no pool.
    """
    trials = trials_of(effects)
    request = Request(by=by, measure=effects.measure, choices=_choices_of(effects), moderators=formula)
    whole = Comparison("", "", "", trials, tuple(range(len(trials))))
    refused: list[Problem] = []
    pools = _Pools((_seen(whole, effects, request, refused),), (), ())
    found = inspect(_scene(trials, spec, request, pools, strata=False))
    reviewed = [
        Reviewed(name, finding)
        for name, finding in zip(identifiers(found.findings, trials), found.findings, strict=True)
    ]
    return Audit(trials, tuple(sorted(reviewed, key=_rank)), found.coverage, tuple(refused))


def audit_again(before: Audit, fitted: Fitted) -> Audit:
    """Run every rule on a pool that was made anew from effects whose table was audited before.

    Decisions that took rows out or left them stand; findings that were corrected stay as they were decided, without
    what they changed in the pool before.
    """
    audit = audit_fit(fitted, [decision for decision in before.decisions if decision.action != "correct"])
    names = {found.id for found in audit.findings}
    mended = [
        replace(found, consequences=())
        for found in before.findings
        if found.decision is not None and found.decision.action == "correct" and found.id not in names
    ]
    corrected = tuple(decision for decision in before.idle if decision.action == "correct")
    return replace(
        audit,
        findings=tuple(sorted((*audit.findings, *mended), key=_rank)),
        decisions=before.decisions,
        idle=(*audit.idle, *corrected),
        answers=replace(audit.answers, corrected=before.answers.corrected),
    )


def trials_of(effects: EffectSizes) -> Trials:
    """Return the table that effects were computed from: columns with a role under its name, then all columns."""
    roles = {role: role for role in ROLES if role in effects.moderators}
    columns = {**roles, **{name: name for name in effects.moderators if name not in roles}}
    frame = pd.DataFrame({name: effects.moderators[name] for name in columns})
    if "study" not in roles:
        frame["study"], roles = list(effects.labels), {"study": "study", **roles}
    return Trials(frame, roles, effects.rows, Source(effects.source, "", len(frame), len(roles), roles))


def _choices_of(effects: EffectSizes) -> EffectChoices:
    """Return the choices that effects still show: conventions, the assumed correlation, mixed scores, direction."""
    conventions = {name: word for name, word in effects.options.items() if word}
    assumed = None if effects.grid is None else effects.grid.assumed
    direction = effects.context.higher_is_better
    return EffectChoices(conventions, assumed, (), effects.mixed_scores, higher_is_better=direction)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked of every look at the table: the request, how its pools are made, whether findings are weighed.

    strata: whether they are subgroups without being named.
    """

    spec: PoolSpec
    request: Request
    look: Callable[[Trials], _Pools]
    weigh: bool
    strata: bool = True


def _audited(trials: Trials, ask: _Ask, decisions: tuple[Decision, ...]) -> Audit:
    """Look at a table, apply the decisions that fit, and look at what is left with the others."""
    pools = ask.look(trials)
    found = inspect(_scene(trials, ask.spec, ask.request, pools, strata=ask.strata))
    names = identifiers(found.findings, trials)
    reviewed = [
        Reviewed(name, finding, (), decision_for(name, finding, decisions), _outside(finding, pools, ask.request))
        for name, finding in zip(names, found.findings, strict=True)
    ]
    decided = [(part.finding, part.decision) for part in reviewed if part.decision is not None]
    answers = answered(trials, decided)
    anew = bool(answers.changes or answers.excluded)
    reviewed = _weighed(reviewed, pools, settled=anew) if ask.weigh else reviewed
    used = {decision.finding for _, decision in decided}
    rest = tuple(decision for decision in decisions if decision.finding not in used)
    first = Audit(trials, tuple(reviewed), found.coverage, pools.refused, decisions, rest, answers)
    if anew:
        standing = tuple(decision for decision in decisions if decision.action == "accept" or decision in rest)
        first = _again(first, ask, standing)
    return replace(first, findings=tuple(sorted(first.findings, key=_rank)))


def _weighed(reviewed: Sequence[Reviewed], pools: _Pools, *, settled: bool) -> list[Reviewed]:
    """Tell what findings change; only those that somebody decided about where the table is looked at once more."""
    places = [i for i, part in enumerate(reviewed) if not settled or part.decision is not None]
    worth = _worth(pools, [reviewed[i].finding for i in places])
    found = {place: tuple(worth.get(i, ())) for i, place in enumerate(places)}
    return [replace(part, consequences=found.get(i, ())) for i, part in enumerate(reviewed)]


def _outside(finding: Finding, pools: _Pools, request: Request) -> bool:
    """Tell whether a request for one outcome or pair leaves out all rows of a finding."""
    narrow = request.outcome is not None or request.compare is not None
    return narrow and bool(finding.rows) and not any(np.isin(finding.rows, pool.places).any() for pool in pools.seen)


def decided_table(trials: Trials, answers: Answered) -> Trials:
    """Return the table with the cells that decisions corrected; raise `OptionError` where they contradict their row."""
    if not answers.changes:
        return trials
    after = replace(changed_trials(trials, range(len(trials)), answers.changes), rows=trials.rows)
    touched = {trials.rows[change.place] for change in answers.changes}
    faults = [problem for problem in contradictions(after) if problem.row in touched]
    if faults:
        raise OptionError(f"corrected cells contradict their row: {'; '.join(map(str, faults))}")
    return after


def _again(before: Audit, ask: _Ask, decisions: tuple[Decision, ...]) -> Audit:
    """Look at the table as decided: findings that somebody decided about stay, the others are those of a new look."""
    settled = tuple(found for found in before.findings if not found.open)
    after = decided_table(before.trials, before.answers)
    left = np.array([place for place in range(len(after)) if place not in before.answers.excluded], dtype=np.intp)
    if not left.size:
        return replace(before, trials=after, findings=settled)
    rest = _audited(after.take(np.isin(np.arange(len(after)), left)), ask, decisions)
    places = left.tolist()
    known = {found.id for found in settled}
    findings = (*settled, *(_moved(found, places) for found in rest.findings if found.id not in known))
    more = rest.answers
    answers = Answered(
        (*before.answers.changes, *(replace(change, place=places[change.place]) for change in more.changes)),
        {**before.answers.corrected, **{places[i]: words for i, words in more.corrected.items()}},
        {**before.answers.excluded, **{places[i]: words for i, words in more.excluded.items()}},
    )
    idle = tuple(decision for decision in before.idle if decision in rest.idle)
    return replace(
        before,
        trials=decided_table(before.trials, answers),
        findings=findings,
        refused=rest.refused,
        idle=idle,
        answers=answers,
    )


def _moved(found: Reviewed, places: list[int]) -> Reviewed:
    """Give the rows of a finding, and of what it proposes, their places in the whole table."""

    def spots(rows: Iterable[int]) -> tuple[int, ...]:
        return tuple(places[row] for row in rows)

    finding = found.finding
    proposals = tuple(
        Proposal(
            proposal.name,
            tuple(replace(change, place=places[change.place]) for change in proposal.changes),
            spots(proposal.without),
            tuple(replace(joint, places=spots(joint.places)) for joint in proposal.joint),
        )
        for proposal in finding.proposals
    )
    cells = tuple(replace(cell, place=places[cell.place]) for cell in finding.cells)
    return replace(found, finding=replace(finding, rows=spots(finding.rows), cells=cells, proposals=proposals))


def _rank(found: Reviewed) -> tuple[bool, int, bool, float, int]:
    """Sort findings: open ones first, by severity, by what they change, by where they stand."""
    worst = SEVERITIES.index(found.finding.severity)
    return not found.open, worst, not found.turns, -found.shift, found.finding.rows[0] if found.finding.rows else -1


def _worth(pools: _Pools, findings: Sequence[Finding]) -> dict[int, list[Consequence]]:
    """Return what each finding changes in every pool."""
    worth: dict[int, list[Consequence]] = {}
    for asked in pools.asked:
        for number, found in consequences(asked, findings).items():
            worth.setdefault(number, []).extend(found)
    return worth


def _scene(trials: Trials, spec: PoolSpec, request: Request, pools: _Pools, *, strata: bool = True) -> Scene:
    """Return the table as the rules see it."""
    facts = scale_facts(trials, request.choices.instruments, [])
    cells, described = trials.flags("higher_is_better"), of_rows(trials, request.choices.instruments)
    pairs = zip(cells, described, strict=True)
    flags = [facts_.higher_is_better if cell is None else cell for cell, facts_ in pairs]
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
        strata=strata,
        mixed_scores=bool(request.choices.mixed_scores),
        independent=spec.independent and spec.preset == "cochrane",
        modelled=not own_words(spec),
    )
    return Scene(trials, pools.seen, plan, scales)


def scene(trials: Trials, spec: PoolSpec, request: Request) -> Scene:
    """Return a table as the rules see it, with the pools that would be made of it."""
    return _scene(trials, spec, request, _pools(trials, spec, request))


def _pools(trials: Trials, spec: PoolSpec, request: Request, *, split: bool = True) -> _Pools:
    """Make every pool that the request asks for; what cannot be pooled is told and passed over."""
    seen: list[Pooled] = []
    asked: list[Asked] = []
    refused: list[Problem] = []
    try:
        found = (
            comparisons(trials, outcome=request.outcome, compare=request.compare)
            if split
            else (Comparison("", "", "", trials, tuple(range(len(trials)))),)
        )
    except DataError as error:
        return _Pools((), (), error.problems)
    for comparison in found:
        try:
            effects = _effects(comparison, spec, request, refused)
            seen.append(_seen(comparison, effects, request, refused))
            fitted = fit_pool(effects, spec)
        except EstimationError:
            continue
        except DataError as error:
            refused += error.problems
        except MetabackError as error:
            refused.append(Problem(str(error), "Change the request or the table"))
        else:
            asked.append(Asked(comparison.name, comparison.trials, comparison.places, fitted, request.choices))
    return _Pools(tuple(seen), tuple(asked), tuple(dict.fromkeys(refused)))


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


def _seen(comparison: Comparison, effects: EffectSizes, request: Request, refused: list[Problem]) -> Pooled:
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
        regressed=_regressed(effects, request.moderators, refused),
    )


def _regressed(effects: EffectSizes, formula: str | None, refused: list[Problem]) -> Regressed | None:
    """Return what a formula asks of some effects: how many coefficients, of which rows; None without a formula.

    What these effects cannot answer is a finding about them; a formula that cannot be read is refused for all.
    """
    if formula is None or not effects.estimable.any():
        return None
    try:
        design = build_design(
            formula, effects.moderators, effects.estimable, effects.rows, effects.source, effects.categories
        )
    except DataError as error:
        why = "; ".join(problem.rule for problem in error.problems)
        return Regressed(0, effects.estimable, why)
    except OptionError as error:
        refused.append(Problem(str(error), "Change the formula or the table"))
        return None
    return Regressed(design.X.shape[1] - int(design.intercept), design.used)
