"""Analysing a whole table: one analysis for each outcome x comparison that it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from metaback.checks.decisions import Answered
from metaback.data.comparisons import Comparison, comparisons
from metaback.data.trials import Trials
from metaback.effects.choices import EffectChoices
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes, set_aside
from metaback.errors import DataError, Problem
from metaback.models.pool import no_effects
from metaback.models.specs import PoolSpec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.summary import Analysis

STRATA = "stratum"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a table: None stands for "whatever the table holds"; `choices` say how effects are computed.

    answers: what decisions about findings did to the table that is analysed: which rows stay out of every pool, and
    which have corrected cells. moderators: formula of a meta-regression of the same effects, which the check looks at;
    no pool depends on it.
    """

    outcome: str | None = None
    compare: tuple[str, str] | None = None
    by: str | None = None
    measure: str | None = None
    choices: EffectChoices = field(default_factory=EffectChoices)
    answers: Answered = field(default_factory=Answered)
    moderators: str | None = None


@dataclass(frozen=True, slots=True)
class TableAnalysis:
    """The comparisons of a table: those that could be analysed, and those of which no row has an effect."""

    analyses: tuple[Analysis, ...]
    unpooled: tuple[EffectSizes, ...]


def analyse_table(
    trials: Trials,
    spec: PoolSpec,
    request: Request,
    progress: Callable[[str], None] = lambda _: None,
) -> TableAnalysis:
    """Analyse every comparison of a table, in order of first appearance.

    Subgroups are those of `request.by`, else of the table's strata where there is more than one. Raises `DataError`
    with the problems of all comparisons at once. One without any effect stays as `unpooled`; when all are so,
    `EstimationError` says why for each row.
    """
    done: list[Analysis] = []
    unpooled: list[EffectSizes] = []
    problems: list[Problem] = []
    for comparison in comparisons(trials, outcome=request.outcome, compare=request.compare):
        progress(" ".join(filter(None, (comparison.outcome, comparison.treatment_1, comparison.treatment_2))))
        try:
            effects = effects_of(comparison, spec, request)
        except DataError as error:
            problems += error.problems
            continue
        if effects.k == 0:
            unpooled.append(effects)
        elif not problems:
            done.append(analyse(effects, spec))
    if problems:
        raise DataError(trials.source.name, problems)
    if not done:
        raise no_effects(*unpooled)
    return TableAnalysis(tuple(done), tuple(unpooled))


def effects_of(comparison: Comparison, spec: PoolSpec, request: Request) -> EffectSizes:
    """Compute the effects of one comparison with its subgroups."""
    trials = comparison.trials
    by = request.by or (STRATA if STRATA in trials.roles else None)
    pair = (comparison.treatment_1, comparison.treatment_2)
    effects = effect_sizes(
        trials,
        measure=request.measure,
        preset=spec.preset,
        compare=pair if all(pair) else None,
        by=by,
        **request.choices.words(),
    )
    effects = set_aside(effects, *of_rows(comparison.places, request.answers))
    pooled = {label for label, ok in zip(effects.by or (), effects.estimable, strict=bool(effects.by)) if ok}
    return effects if request.by or len(pooled) > 1 else replace(effects, by=None, by_name=None)


def effects_of_table(trials: Trials, spec: PoolSpec, request: Request) -> EffectSizes:
    """Return the effects of the first comparison that a request asks for, which say how all are computed."""
    first = comparisons(trials, outcome=request.outcome, compare=request.compare)[0]
    return effects_of(first, spec, request)


def of_rows(places: Sequence[int], answers: Answered) -> tuple[dict[int, str], dict[int, str]]:
    """Return why rows stay out and what was corrected in them, by their position among `places`."""
    positions = {place: i for i, place in enumerate(places)}
    return (
        {positions[place]: why for place, why in answers.excluded.items() if place in positions},
        {positions[place]: words for place, words in answers.corrected.items() if place in positions},
    )
