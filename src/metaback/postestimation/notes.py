"""Red flags: facts about a pool that a reader must know, in words, on every result and in every report."""

from __future__ import annotations

import math
from dataclasses import dataclass

from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.numbers import significant
from metaback.stats.inference import PREDICTION_RULES, is_seeded
from metaback.stats.resampling import tries_all
from metaback.stats.tau2_interval import TAU2_INTERVALS

DEGENERATE = 1e-8  # a generalised Q per degree of freedom below this is rounding: the effects are equal
WIDE_VARIANCES = 1e7
HKSJ = "Hartung-Knapp-Sidik-Jonkman"
PER_MODERATOR = 10  # studies that a meta-regression should have for each of its moderators
RECENTRED = {
    "HC": "The mean has fixed-effect weights, as Henmi and Copas have it; τ² and the prediction interval are "
    "those of the random-effects model, around its own mean.",
    "PL": "The mean and its interval rest on the maximum likelihood estimate of τ², whatever estimator of τ² is shown.",
}
SPREAD_RULES = ("HK", "HK-PR", "NNF")  # of prediction, with a standard error that is 0 for equal effects
NEAR_PEAK = 2.0  # log-likelihood units within which a second peak must be told


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """What the notes of one pool are made from.

    hksj_share: width of the Hartung-Knapp interval over that of the Wald interval (nan for k = 1); hksj_q: its factor
    of the variance; variance_ratio: largest over smallest sampling variance; rival, gap: second peak of the
    likelihood and how much lower it is (nan, inf where there is none); pieces: of how many intervals the set of tau2
    consists; prediction_low: lower limit of prediction, nan where there is none.
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
    pieces: int = 1
    prediction_low: float = 0.0


def pool_notes(spec: PoolSpec, facts: PoolFacts) -> tuple[str, ...]:
    """Return the notes that apply, the most serious first."""
    if facts.k == 1:
        return ("One study: the estimate and its interval are that study's own; nothing was pooled.",)
    notes = [*_hksj(spec, facts), *_tau2(spec, facts), *_rule(spec, facts)]
    notes += _prediction(spec, facts)
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
        guarded = {"HKSJ-wider": "so the Wald interval is shown", "HKSJ-q1": "so the model's standard error is used"}
        seen = guarded.get(spec.ci, "so its interval must not be used")
        return [f"The effects are equal to rounding: the {HKSJ} standard error degenerates to 0, {seen}."]
    if spec.ci == "HKSJ-q1":
        value = significant(facts.hksj_q)
        return [f"The factor of the {HKSJ} variance would be {value}; 1 is used."] if facts.hksj_q < 1 else []
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
    if not estimates_tau2(spec):
        return []
    notes: list[str] = []
    if facts.gap < NEAR_PEAK:
        curve = "likelihood" if spec.tau2 == "ML" else "restricted likelihood"
        notes.append(
            f"The {curve} has a second peak at \u03c4\u00b2 = {significant(facts.rival)}, only "
            f"{facts.gap:.2f} log-likelihood units below the maximum at \u03c4\u00b2 = {significant(facts.tau2)}: "
            "the data support two very different amounts of heterogeneity."
        )
    rule = TAU2_INTERVALS[spec.tau2_ci].title
    if math.isnan(facts.tau2_low):
        notes.append(
            f"The {rule} interval of τ² is empty: the effects agree more closely than chance would have "
            "it. Check the standard errors."
        )
    elif not facts.tau2_low <= facts.tau2 <= facts.tau2_high:
        notes.append(
            f"The estimate τ² = {significant(facts.tau2)} lies outside its own {rule} interval "
            f"({significant(facts.tau2_low)} to {significant(facts.tau2_high)}): the estimator and the interval "
            "disagree on this data set."
        )
    if facts.pieces > 1:
        notes.append(
            f"The {rule} set of τ² consists of {facts.pieces} separate intervals; the limits are those of "
            "all of them together."
        )
    return notes


def _prediction(spec: PoolSpec, facts: PoolFacts) -> list[str]:
    """Say why there is no prediction interval, or why it must not be used."""
    if spec.pi == "none" or not estimates_tau2(spec):
        return []
    if facts.k < 3:
        return [f"No prediction interval: it needs at least 3 studies, there are {facts.k}."]
    if spec.pi in SPREAD_RULES and facts.hksj_q < DEGENERATE:
        title = PREDICTION_RULES[spec.pi].title
        return [f"The effects are equal to rounding: the prediction interval ({title}) has no width, or there is none."]
    if math.isnan(facts.prediction_low):
        title = PREDICTION_RULES[spec.pi].title
        return [f"No prediction interval: its rule ({title}) has no degrees of freedom left."]
    return []


def _rule(spec: PoolSpec, facts: PoolFacts) -> list[str]:
    """Say what is peculiar to the rule of the mean: another centre, a seed, limits that do not exist."""
    notes = [RECENTRED[spec.ci]] if spec.ci in RECENTRED else []
    if spec.ci == "perm" and tries_all(facts.k, spec.draws):
        patterns = 2 ** (facts.k - 1)
        notes.append(f"The permutation test tried all {patterns:,} patterns of signs.")
        if 1 / patterns > 1 - spec.level:
            least = significant(1 / patterns)
            notes.append(f"With {facts.k} studies no permutation P can be below {least}, so its interval is infinite.")
    elif is_seeded(spec.ci):
        notes.append(f"The interval of the mean rests on {spec.draws:,} random samples, seed {spec.rng}.")
    if spec.ci.startswith("boot") and facts.hksj_q < DEGENERATE:
        notes.append(
            "The effects are equal to rounding: every sample of the bootstrap has the same mean, so its interval has "
            "no width and must not be used."
        )
    return notes


def moderator_notes(studies: int, moderators: int, unit: str = "studies") -> tuple[str, ...]:
    """Return the note of a meta-regression with fewer than ten studies for each moderator, or nothing.

    moderators: columns of the design besides the constant; unit: what is counted as a study.

    >>> moderator_notes(12, 2)
    ('12 studies for 2 moderators: fewer than ten for each, so that chance findings and overfitting are likely.',)
    """
    if moderators < 1 or studies >= PER_MODERATOR * moderators:
        return ()
    which = "1 moderator" if moderators == 1 else f"{moderators} moderators"
    return (
        f"{studies} {unit} for {which}: fewer than ten for each, so that chance findings and overfitting are likely.",
    )
