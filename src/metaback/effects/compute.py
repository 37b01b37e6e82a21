"""From a table of trials to effects and variances, row by row on the best route that the row has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from metaback.data.read import read_trials
from metaback.data.trials import Trials, held
from metaback.effects.account import account
from metaback.effects.choices import EffectChoices, effect_choices
from metaback.effects.direction import Direction, decide, listed, reverse_counts, turn
from metaback.effects.effect_sizes import NOT_STATED, Context, CorrelationGrid, EffectSizes
from metaback.effects.instruments import (
    Instrument,
    check_range,
    explain_unknown,
    needed,
    rescale,
    scale_facts,
    unused,
)
from metaback.effects.known import known_numbers, swap_known
from metaback.effects.presets import MEASURE_PRESETS
from metaback.effects.reasons import explain
from metaback.effects.routes import (
    Bools,
    Draft,
    Floats,
    empty_draft,
    from_analysis_scale,
    from_d,
    from_derived,
    from_printed,
    from_tests,
    reopen_mixed,
)
from metaback.effects.set_notes import scale_notes, set_notes, unit_problems
from metaback.effects.standardisers import CHANGE, Standardised, standardised
from metaback.effects.ways import CONVENTIONS, DEFAULTS, derivation
from metaback.errors import DataError, OptionError, Problem, suggestion
from metaback.stats.measures import MEASURES, about, raw_roles
from metaback.stats.measures.family import defaults, option_names

SHOWN = ("n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2", "events_1", "events_2")
# Numbers of arms that stand for means, and for counts, where no measure is named. Paired designs have mean_1 too.
TWO_MEANS = ("mean_1", "median_1", "mean_post_1", "mean_change_1")
TWO_COUNTS = ("events_1", "nonevents_1", "percent_1")
SWAPPED = "arms swapped"
REPEATED = ("paired means", "pre-post", "changes", "means")  # kinds of numbers that may rest on two measurements


def effect_sizes(
    data: Trials | pd.DataFrame,
    *,
    measure: str | None = None,
    preset: str = "cochrane",
    options: Mapping[str, str] | None = None,
    compare: tuple[str, str] | None = None,
    by: str | None = None,
    r: float | None = None,
    r_grid: Iterable[float] | None = None,
    mixed_scores: str | None = None,
    instruments: Mapping[str, Instrument | Mapping[str, Any]] | None = None,
    higher_is_better: bool | None = None,
) -> EffectSizes:
    """Compute one effect and sampling variance per row, mixing routes freely.

    A row takes the first route it has the numbers for: raw numbers of the measure (means and SDs, or counts), as they
    stand or by identities (SD from SE, CI or t; counts from percentages); an effect on the analysis scale with its
    variance or standard error (`yi` with `vi` or `sei`); a printed effect with its interval, se = (high - low) /
    (2 x 1.96), on the log scale for ratios, or with a standard error (not for ratios, where its scale would be a
    guess); d from t, F or P; estimates (mean and SD from five numbers); an assumed r; a printed effect with t, P or one
    limit. `EffectSizes.routes()` tells each row's. Printed effects of another measure are not pooled, but mean
    differences are rescaled to the units of an instrument where the measure asks for these.

    data: checked trials, or a frame that is read first.
    measure: key of the measure; None takes the one that the rows name, else SMD for means and RR for counts.
    preset: whose conventions to follow ("cochrane", "revman5", "metafor"); options: conventions by name that
    override it, e.g. {"vtype": "LS", "zeros": "metafor", "five_numbers": "QE"}; see the measures.
    compare: (treatment_1, treatment_2); rows that name them the other way round are turned, rows of another pair have
    no effect. None takes the order of the first row where all rows are about the same two treatments.
    by: column whose values are the subgroups. A row without an effect stays, with the reason.
    r: pre-post correlation, in (-1, 1), for rows that need one and neither state it nor let it be solved; r_grid:
    others that the pool is repeated under.
    mixed_scores: why SMDs of change scores and of final scores may be pooled, in words for the report.
    instruments: facts by name, e.g. {"VAS": {"higher_is_better": False, "low": 0, "high": 100, "sd": 20, "mid": 15}}.
    higher_is_better: the direction of the pool, None for that of most rows; rows that point the other way are turned.

    Raises `DataError` for rows that cannot be turned, two kinds of standardiser or numbers outside the range of their
    instrument, `OptionError` for a `compare` or `by` that the table does not have.

    >>> from metaback.data.datasets import load_dataset
    >>> es = effect_sizes(load_dataset("backpain").query("study == 'Aasa 2015' and outcome == 'pain'"))
    >>> es.measure, es.obtained[0], round(float(es.vi[0]), 6)
    ('SMD', 'printed effect with 95% CI', 0.057504)
    """
    trials = held(data if isinstance(data, Trials) else read_trials(data))
    choices = effect_choices(
        options=options,
        r=r,
        r_grid=r_grid,
        mixed_scores=mixed_scores,
        instruments=instruments,
        higher_is_better=higher_is_better,
    )
    problems: list[Problem] = []
    direction = decide(trials, choices.instruments, choices.higher_is_better)
    facts = scale_facts(trials, choices.instruments, problems)
    key = measure or default_measure(trials)
    chosen = _conventions(key, preset, choices.options)
    ask = _Ask(key, chosen, _pair(trials, compare), direction, facts, choices)
    rows = _rows(trials, ask, choices.r)
    problems += [*direction.problems, *rows.draft.problems]
    problems += check_range(trials, rows.inputs, facts, _of_changes(rows.scores.score_types))
    problems += rows.scores.problems
    problems += unit_problems(trials, ~rows.draft.open(), choices.instruments, key)
    if problems:
        raise DataError(trials.source.name, problems)
    return _finish(trials, ask, rows, by)


def _of_changes(types: tuple[str, ...]) -> Bools:
    """Tell the rows whose scores are changes."""
    if CHANGE not in types:
        return np.zeros(len(types), dtype=bool)
    return np.array([word == CHANGE for word in types], dtype=bool)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked of every row: measure, conventions, order of the arms, direction, facts of instruments, choices."""

    key: str
    options: Mapping[str, str]
    pair: tuple[str, str] | None
    direction: Direction
    facts: Mapping[str, Floats]
    choices: EffectChoices


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows with their effects: inputs as shown, what is known of their scores, and what to tell of them all.

    known: all numbers of the table that a derivation may take. computed: (k,) rows computed from raw numbers.
    rests: (k,) rows that rest on the assumed correlation.
    """

    draft: Draft
    inputs: dict[str, Floats]
    known: Mapping[str, Floats]
    computed: Bools
    rests: Bools
    scores: Standardised
    notes: tuple[str, ...]


def _rows(trials: Trials, ask: _Ask, r: float | None) -> _Rows:
    """Try the routes one after the other, under one assumed pre-post correlation (None for none)."""
    k, key = len(trials), ask.key
    draft = empty_draft(k)
    wanted = dict.fromkeys((*SHOWN, *raw_roles(key)))
    inputs = {role: trials.numbers(role) for role in wanted if role in trials.roles}
    inputs |= {role: ask.facts[role] for role in needed(key) if role in ask.facts}
    _add_totals(trials, inputs)
    flip = _flipped(trials, ask.pair)
    known = known_numbers(trials, inputs, key)
    swap_known(inputs, flip)
    swap_known(known, flip)
    computed, found = _routes(draft, trials, ask, known, r)
    computed &= ~_leave_out(draft, trials, ask.pair)
    rests = _rests(draft)
    explain(draft, trials, found, key)
    explain_unknown(draft, trials, inputs, key)
    inputs |= {role: np.where(computed, draft.used[role], inputs.get(role, np.nan)) for role in draft.used}
    _turn(draft, flip, computed, key)
    told = turn(draft, ask.direction, computed, key, trials)
    scores = standardised(trials, ~draft.open(), computed, _changes(draft), key, ask.choices.mixed_scores)
    rests &= computed
    return _Rows(
        draft,
        inputs,
        known,
        computed,
        rests,
        scores,
        (*told, *scores.notes, *unused(trials, ask.choices.instruments)),
    )


def _routes(
    draft: Draft, trials: Trials, ask: _Ask, known: Mapping[str, Floats], r: float | None
) -> tuple[Bools, Mapping[str, Floats]]:
    """Try one route after the other; return which rows were computed from raw numbers, and these with all derived.

    Identities come before what a paper prints ready-made, and that before what rests on a belief about the data.
    """
    key, own = ask.key, derivation(ask.choices.options)

    def reverse(values: Mapping[str, Floats]) -> Mapping[str, Floats]:
        return reverse_counts(dict(values), key, ask.direction.turned)

    from_derived(draft, known, key, ask.options, grade="exact", own=own, reverse=reverse)
    computed = ~draft.open()
    from_analysis_scale(draft, trials, key)
    from_printed(draft, trials, key)
    rescale(draft, trials, ask.facts, key)
    before = draft.open()
    from_d(draft, known, key, ask.options)
    assume = {"r": r} if r is not None and about(key).kind in REPEATED else None
    found = from_derived(draft, known, key, ask.options, grade="assumed", own=own, assume=assume, reverse=reverse)
    if reopen_mixed(draft, own):
        usual = {**own, "five_numbers": DEFAULTS["five_numbers"]}
        found = from_derived(draft, known, key, ask.options, grade="assumed", own=usual, assume=assume, reverse=reverse)
    computed |= before & ~draft.open()
    from_tests(draft, trials, key)
    return computed, found


def _has_step(draft: Draft, conversion: str) -> Bools:
    """Tell the rows of which a conversion was a step."""
    found = np.zeros(draft.yi.size, dtype=bool)
    found[[i for i, steps in draft.steps.items() for step in steps if step.conversion == conversion]] = True
    return found


def _changes(draft: Draft) -> Bools:
    """Tell which rows had mean changes in the place of means."""
    return _has_step(draft, "change-score")


def _rests(draft: Draft) -> Bools:
    """Tell the rows that rest on the assumed pre-post correlation."""
    return _has_step(draft, "assumed")


def _grid(trials: Trials, ask: _Ask, rows: _Rows) -> CorrelationGrid | None:
    """Compute the effects anew under every correlation of the grid; None where no row rests on an assumed one."""
    r = ask.choices.r
    if r is None or not rows.rests.any():
        return None
    values = sorted({*ask.choices.r_grid, r}) if ask.choices.r_grid else []
    drafts = [_rows(trials, ask, value).draft for value in values]
    k = len(trials)
    yi = np.array([draft.yi for draft in drafts]).reshape(len(values), k)
    vi = np.array([draft.vi for draft in drafts]).reshape(len(values), k)
    return CorrelationGrid(r, rows.rests, np.array(values, dtype=float), yi, vi)


def _assumption(trials: Trials, ask: _Ask, rows: _Rows) -> tuple[str, ...]:
    """Tell how many rows rest on the assumed correlation."""
    r = ask.choices.r
    if r is None:
        return ()
    count = int(rows.rests.sum())
    if not count:
        return (f"No row needed the assumed pre-post correlation r = {r:g}.",)
    names = [f"{label} ({row})" for label, row in zip(trials.texts("study"), trials.rows, strict=True)]
    rest = listed([name for name, rests in zip(names, rows.rests, strict=True) if rests])
    return (f"A pre-post correlation of r = {r:g} was assumed in {count} row{'s' if count > 1 else ''}: {rest}.",)


def _conventions(key: str, preset: str, options: Mapping[str, str]) -> dict[str, str]:
    """Resolve the conventions that a measure has a choice of."""
    if preset not in MEASURE_PRESETS:
        raise OptionError.unknown("preset", preset, MEASURE_PRESETS)
    known = {name for other in MEASURES for name in option_names(other)} | set(CONVENTIONS) if options else set[str]()
    for name in options:
        if name not in known:
            raise OptionError.unknown("options", name, sorted(known))
    resolved = {**defaults(key), **_of_preset(key, preset)}
    return {name: options.get(name, value) for name, value in resolved.items()}


def _of_preset(key: str, preset: str) -> dict[str, str]:
    """Return what a preset says about the conventions that a measure has, where the measure knows that word."""
    conventions = about(key).conventions
    words = MEASURE_PRESETS[preset].items()
    return {name: word for name, word in words if name in conventions and word in conventions[name].choices}


def default_measure(trials: Trials) -> str:
    """Choose the measure that the rows themselves name, else SMD for means, RR for counts, GEN for bare effects."""
    named = {text.upper() for text in set(trials.texts("measure"))} - {""}
    known = sorted(named & set(MEASURES))
    if len(known) == 1:
        return known[0]
    if "SMD" in known:
        return "SMD"
    if len(known) > 1:
        raise OptionError(f"the rows name {' and '.join(known)}; choose one with measure={known[0]!r}")
    if named and np.isfinite(trials.numbers("effect")).any():
        words = " and ".join(sorted(named))
        rule = f"{words} is not a measure that can be computed or turned into logs here"
        fix = "Put effects on the analysis scale (logs for ratios) into yi and sei, or correct the name"
        raise DataError(trials.source.name, [Problem(rule, fix, trials.roles["measure"])])
    if _any(trials, TWO_MEANS):
        return "SMD"
    if _any(trials, TWO_COUNTS):
        return "RR"
    bare = not _any(trials, ("effect", "yi"))
    return "SMD" if bare and _any(trials, ("n_1",)) and _any(trials, ("t", "f_value", "p", "d")) else "GEN"


def _any(trials: Trials, roles: tuple[str, ...]) -> bool:
    """Tell whether any row has any of some numbers."""
    return any(np.isfinite(trials.numbers(role)).any() for role in roles if role in trials.roles)


def _add_totals(trials: Trials, inputs: dict[str, Floats]) -> None:
    """Fill sample sizes from events and non-events where the table has those instead."""
    for arm in ("1", "2"):
        if f"nonevents_{arm}" in trials.roles:
            total = trials.numbers(f"events_{arm}") + trials.numbers(f"nonevents_{arm}")
            known = inputs.get(f"n_{arm}", np.full(len(trials), np.nan))
            inputs[f"n_{arm}"] = np.where(np.isnan(known), total, known)


def _pair(trials: Trials, compare: tuple[str, str] | None) -> tuple[str, str] | None:
    """Return the order of the two treatments: the one asked for, else that of the first row if all share a pair."""
    if compare is None and not {"treatment_1", "treatment_2"} <= trials.roles.keys():
        return None
    pairs = list(zip(trials.texts("treatment_1"), trials.texts("treatment_2"), strict=True))
    if compare is None:
        same = len({frozenset(pair) for pair in pairs}) == 1 and all(pairs[0])
        return pairs[0] if same else None
    one, two = compare
    if "treatment_1" in trials.roles and not {(one, two), (two, one)} & set(pairs):
        known = sorted({":".join(pair) for pair in pairs if all(pair)})
        raise OptionError.unknown("compare", f"{one}:{two}", known)
    return one, two


def _leave_out(draft: Draft, trials: Trials, pair: tuple[str, str] | None) -> Bools:
    """Take the effect from rows that name another pair of treatments than the one asked for, and say so; return them.

    Turned and unturned pairs in one pool would add up effects of opposite sign. Rows that name no pair stay.
    """
    if pair is None:
        return np.zeros(len(trials), dtype=bool)
    pairs = list(zip(trials.texts("treatment_1"), trials.texts("treatment_2"), strict=True))
    other = np.array([any(own) and not set(own) <= {*pair, ""} for own in pairs], dtype=bool)
    for i in np.flatnonzero(other).tolist():
        draft.yi[i] = draft.vi[i] = np.nan
        draft.routes[i] = ""
        draft.corrections.pop(i, None)
        draft.steps.pop(i, None)
        words = " with ".join(name or "?" for name in pairs[i])
        draft.reasons[i] = f"it compares {words}, and the pool is of {pair[0]} with {pair[1]}"
    return other


def _flipped(trials: Trials, compare: tuple[str, str] | None) -> Bools:
    """Tell which rows name the two treatments the other way round."""
    if compare is None or "treatment_1" not in trials.roles:
        return np.zeros(len(trials), dtype=bool)
    pairs = zip(trials.texts("treatment_1"), trials.texts("treatment_2"), strict=True)
    return np.array([pair == compare[::-1] and pair != compare for pair in pairs], dtype=bool)


def _turn(draft: Draft, flip: Bools, computed: Bools, key: str) -> None:
    """Turn the ready-made effects of such rows; those computed from raw numbers are turned already."""
    ready = flip & ~computed & ~draft.open()
    draft.yi[ready] = 1 - draft.yi[ready] if about(key).kind == "auc" else -draft.yi[ready]
    for i in np.flatnonzero(flip & ~draft.open()).tolist():
        draft.correct(i, SWAPPED)


def _finish(trials: Trials, ask: _Ask, rows: _Rows, by: str | None) -> EffectSizes:
    """Assemble the record."""
    draft, labels = rows.draft, trials.texts("study")
    estimable = ~draft.open()
    told = account(trials, rows.known, draft, rows.computed, ask.key, derivation(ask.choices.options))
    studies = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    columns = {column: cells.to_numpy() for column, cells in trials.columns().items()}
    return EffectSizes(
        yi=draft.yi,
        vi=draft.vi,
        estimable=estimable,
        labels=labels,
        rows=trials.rows,
        clusters=np.fromiter(map(studies.__getitem__, labels), dtype=np.int64, count=len(labels)),
        measure=ask.key,
        options=dict(ask.options),
        obtained=tuple(draft.routes),
        reasons=_reasons(draft, estimable),
        corrections=draft.corrected(),
        inputs=rows.inputs,
        by=_groups(trials, by),
        by_name=by,
        context=_context(trials, ask.direction.higher_is_better, ask.pair),
        source=trials.source.name,
        notes=(
            *set_notes(trials, labels, estimable, turned=ask.pair is not None),
            *scale_notes(trials, estimable, ask.direction, ask.key),
            *_assumption(trials, ask, rows),
            *told.notes,
            *rows.notes,
        ),
        moderators={role: columns[column] for role, column in trials.roles.items()} | columns,
        categories=_categories(trials),
        steps=draft.steps_of_all(),
        ignored=told.ignored,
        disagreements=told.disagreements,
        score_types=rows.scores.score_types,
        standardisers=rows.scores.standardisers,
        mixed_scores=ask.choices.mixed_scores,
        grid=_grid(trials, ask, rows),
    )


def _reasons(draft: Draft, estimable: Bools) -> tuple[str, ...]:
    """Return why a row has no effect, "" where it has one."""
    if estimable.all():
        return ("",) * estimable.size
    return tuple("" if ok else reason for ok, reason in zip(estimable.tolist(), draft.reasons, strict=True))


def _categories(trials: Trials) -> dict[str, tuple[Any, ...]]:
    """Return the values of every pandas category in their order, by the names of moderators."""
    kinds = {column: cells.dtype for column, cells in trials.columns().items()}
    if not any(isinstance(kind, pd.CategoricalDtype) for kind in kinds.values()):
        return {}
    kinds = {role: kinds[column] for role, column in trials.roles.items()} | kinds
    return {name: tuple(kind.categories) for name, kind in kinds.items() if isinstance(kind, pd.CategoricalDtype)}


def _groups(trials: Trials, by: str | None) -> tuple[str, ...] | None:
    """Return the subgroup of each row, NOT_STATED where blank."""
    if by is None:
        return None
    if by not in trials.roles and by not in trials.frame.columns:
        columns = [str(column) for column in trials.frame.columns]
        raise OptionError(f"by={by!r} is not a column{suggestion(by, columns)}; the columns are: {', '.join(columns)}")
    column = trials.roles.get(by, by)
    return tuple(_group(value) or NOT_STATED for value in trials.frame[column])


def _group(value: object) -> str:
    """Write a value as the label of a subgroup: whole numbers without a decimal point."""
    if value is None or value is pd.NaT or value is pd.NA:
        return ""
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:g}"
    return str(value).strip()


def _only(values: tuple[str, ...]) -> str | None:
    """Return the value that all rows share, None when they differ or it is blank."""
    return values[0] if values and len(set(values)) == 1 and values[0] else None


def _context(trials: Trials, direction: bool | None, compare: tuple[str, str] | None) -> Context:
    """Say what the rows are about where they agree."""
    one, two = compare or (_only(trials.texts("treatment_1")), _only(trials.texts("treatment_2")))
    return Context(_only(trials.texts("outcome")), one or None, two or None, direction)
