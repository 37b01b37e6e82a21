"""From effects and a request to a finished analysis: the overall pool, its subgroups and its notes."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from metaback.effects.effect_sizes import NOT_STATED, EffectSizes
from metaback.models.fitted import Fit, Fitted
from metaback.models.pool import fit_pool
from metaback.models.specs import PoolSpec
from metaback.postestimation.assumed import assumed_r
from metaback.postestimation.pools import summarise
from metaback.postestimation.subgroups import subgroups
from metaback.postestimation.summary import Analysis
from metaback.postestimation.working import dependence_note, without_repeats, working_pool
from metaback.progress import Progress, silent


def analyse(effects: EffectSizes, spec: PoolSpec, tell: Progress = silent) -> Analysis:
    """Pool the effects and their subgroups, and collect what has to be said about both.

    tell: what rules that resample tell how far they are, first for all effects and then for the subgroups.
    """
    fitted = fit_pool(effects, spec)
    everything = np.ones((1, effects.yi.size), dtype=bool)
    (overall,) = summarise(_as_batch(fitted), everything, tell)
    assumed = assumed_r(effects, spec)
    depends = assumed.notes if assumed else ()
    working = working_pool(effects, spec, overall)
    model = working if working is not None and working.primary else None
    groups = subgroups(effects, spec, tell, working=model)
    shared = groups.notes if groups else ()
    notes = (*shared, *depends, *effects.notes, *_unstated(effects), *_left_out(effects))
    if working is None:
        return Analysis(fitted, replace(overall, notes=(*overall.notes, *notes)), groups, assumed)
    first, told = dependence_note(working, effects), without_repeats(notes, effects)
    if working.primary:
        overall, notes = working.pool, (*first, *working.pool.notes, *working.sentences, *told)
    else:
        notes = (*first, *overall.notes, *notes)
    return Analysis(fitted, replace(overall, notes=notes), groups, assumed, working)


def _as_batch(fitted: Fitted) -> Fitted:
    """Give a single fit a batch axis of one."""
    fit = fitted.fit
    return replace(fitted, fit=Fit(*(getattr(fit, part.name)[None] for part in fields(Fit))))


def _unstated(effects: EffectSizes) -> list[str]:
    """Tell how many rows have no stated subgroup."""
    count = sum(label == NOT_STATED for label in effects.by or ())
    who = "1 row has no stated subgroup and is" if count == 1 else f"{count} rows have no stated subgroup and are"
    return [f"{who} left out of the test of differences between subgroups."] if count else []


def _left_out(effects: EffectSizes) -> list[str]:
    """Name the rows that could not be pooled."""
    return [
        f"{label} ({row}) is not pooled: {reason}."
        for label, row, reason in zip(effects.labels, effects.rows, effects.reasons, strict=True)
        if reason
    ]
