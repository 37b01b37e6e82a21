"""Red flags: facts about a pool that a reader must know, in words, on every result and in every report."""

from __future__ import annotations

import math
from dataclasses import dataclass

from metaback.models.specs import PoolSpec
from metaback.numbers import significant

DEGENERATE = 1e-8  # a generalised Q per degree of freedom below this is rounding: the effects are equal
WIDE_VARIANCES = 1e7
HKSJ = "Hartung-Knapp-Sidik-Jonkman"
NEAR_PEAK = 2.0  # log-likelihood units within which a second peak must be told


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """What the notes of one pool are made from.

    hksj_share: width of the Hartung-Knapp interval over that of the Wald interval (nan for k = 1); hksj_q: its factor
    of the variance; variance_ratio: largest over smallest sampling variance; rival, gap: second peak of the
    restricted likelihood and how much lower it is (nan, inf where there is none).
    """

    k: int
    tau2: float
    tau2_low: float
    tau2_high: float
    hksj_share: float
    hksj_q: float
    variance_ratio: float
    rival: float
    gap: float


def pool_notes(spec: PoolSpec, facts: PoolFacts) -> tuple[str, ...]:
    """Return the notes that apply, the most serious first."""
    if facts.k == 1:
        return ("One study: the estimate and its interval are that study's own; nothing was pooled.",)
    notes = [*_hksj(spec, facts), *_tau2(spec, facts)]
    if spec.pi != "none" and spec.model == "random" and facts.k < 3:
        notes.append(f"No prediction interval: it needs at least 3 studies, there are {facts.k}.")
    if facts.variance_ratio > WIDE_VARIANCES:
        notes.append(
            "The largest sampling variance is more than ten million times the smallest: look for a variance typed as "
            "a standard error, or a wrong unit."
        )
    return tuple(notes)


def _hksj(spec: PoolSpec, facts: PoolFacts) -> list[str]:
    """Say where the Hartung-Knapp-Sidik-Jonkman interval misleads."""
    if not spec.ci.startswith("HKSJ"):
        return []
    if facts.hksj_q < DEGENERATE:
        seen = "so the Wald interval is shown" if spec.ci == "HKSJ-wider" else "so its interval must not be used"
        return [f"The effects are equal to rounding: the {HKSJ} standard error degenerates to 0, {seen}."]
    if facts.hksj_share >= 1:
        return []
    share = f"{min(round(100 * facts.hksj_share), 99)}%"
    if spec.ci == "HKSJ-wider":
        return [
            (
                f"The {HKSJ} interval would be {share} as wide as the Wald interval; "
                "the wider one, the Wald interval with the normal quantile, is shown."
            )
        ]
    return [
        (
            f"The {HKSJ} interval is only {share} as wide as the Wald interval: the effects agree more "
            "closely than their standard errors suggest. Use ci='HKSJ-wider' for the wider of the two."
        )
    ]


def _tau2(spec: PoolSpec, facts: PoolFacts) -> list[str]:
    """Say where the estimate of tau2 is doubtful."""
    if spec.model != "random":
        return []
    notes: list[str] = []
    if facts.gap < NEAR_PEAK:
        notes.append(
            f"The restricted likelihood has a second peak at \u03c4\u00b2 = {significant(facts.rival)}, only "
            f"{facts.gap:.2f} log-likelihood units below the maximum at \u03c4\u00b2 = {significant(facts.tau2)}: "
            "the data support two very different amounts of heterogeneity."
        )
    if math.isnan(facts.tau2_low):
        notes.append(
            "The Q-profile interval of \u03c4\u00b2 is empty: the effects agree more closely than chance would have "
            "it. Check the standard errors."
        )
    elif not facts.tau2_low <= facts.tau2 <= facts.tau2_high:
        notes.append(
            f"The estimate \u03c4\u00b2 = {significant(facts.tau2)} lies outside its own Q-profile interval "
            f"({significant(facts.tau2_low)} to {significant(facts.tau2_high)}): the estimator and the interval "
            "disagree on this data set."
        )
    return notes
