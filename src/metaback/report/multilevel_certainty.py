"""What a model of dependent effects with one mean says to those who rate and use it, in the words of a pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from metaback.effects.instruments import Instrument
from metaback.models.plans import Plan
from metaback.postestimation.multilevel import MultilevelAnalysis
from metaback.postestimation.multilevel_pool import as_pool
from metaback.postestimation.pools import participants
from metaback.postestimation.summary import Analysis
from metaback.report.clinical import clinical_blocks, clinical_keys, grade_of
from metaback.report.document import Block, Notes
from metaback.report.grade import certainty_blocks, certainty_keys, certainty_words
from metaback.report.multilevel_page import has_one_mean

UNRATED = "Ratings of the plan that fit no effect"
OF_ONE_MEAN = "[[grade]] rates one pooled effect, and this model has {}: its ratings are not used."


def rated_pool(analysis: MultilevelAnalysis) -> Analysis | None:
    """Return a model with one mean as the pool that is rated, None for other models.

    Its people count once, as for a pool of dependent rows. Where no new effect can be predicted (terms of a factor,
    slopes) there is no one variance of settings, so that shares of settings are not told.
    """
    if not has_one_mean(analysis):
        return None
    pool, fitted = as_pool(analysis).analysis, analysis.fitted
    spread = pool.overall.heterogeneity
    if pool.overall.prediction is None:
        spread = replace(spread, tau2=None)
    people = participants(fitted.effects, fitted.design.used)
    return replace(pool, overall=replace(pool.overall, n=people, heterogeneity=spread))


def reading_part(pool: Analysis | None, plan: Plan | None, instruments: Mapping[str, Instrument]) -> tuple[Block, ...]:
    """Return the clinical reading of a rated pool, () where nothing can be said."""
    if pool is None:
        return ()
    return clinical_blocks(pool, grade=grade_of(plan, pool), instruments=instruments, anchor="model")


def certainty_part(
    analysis: MultilevelAnalysis, pool: Analysis | None, plan: Plan | None, instruments: Mapping[str, Instrument]
) -> tuple[Block, ...]:
    """Return the summary of findings, reasons and hints; () where the plan has no [[grade]].

    A model of several coefficients has no one effect to rate: the page says that the ratings are not used.
    """
    if plan is None or not plan.grade:
        return ()
    if pool is None:
        has = "moderators" if analysis.moderators is not None else f"{analysis.p} coefficients"
        return (Notes(UNRATED, (OF_ONE_MEAN.format(has),)),)
    return certainty_blocks(plan, [pool], instruments=instruments)


def rating_words(pool: Analysis | None, plan: Plan | None) -> str:
    """Return what people rated, for the end of the answer; "" where the plan rates nothing."""
    return "" if pool is None or plan is None or not plan.grade else certainty_words(grade_of(plan, pool))


def rating_keys(pool: Analysis | None, plan: Plan | None) -> tuple[str, ...]:
    """Return the keys of the references that reading and rating rest on."""
    if pool is None:
        return ()
    return (*clinical_keys(pool, grade=grade_of(plan, pool)), *certainty_keys(plan))
