"""The probability that the true effect of a new setting is of a size that matters."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metaback.errors import OptionError
from metaback.models.specs import estimates_tau2
from metaback.numbers import as_given, fixed
from metaback.postestimation.summary import Analysis
from metaback.stats.intervals.beyond import normal_tail_probability
from metaback.stats.tau2_interval import tau2_variance
from metaback.stats.wls import prepare

FEW = 10  # studies below which the published interval is not advised


@dataclass(frozen=True, slots=True, repr=False)
class BeyondThreshold:
    """Probability that a new setting's true effect lies beyond a threshold.

    threshold: as it was given, on the natural scale; direction: "above" or "below"; point, lower, upper: probabilities,
    limits at `level`, None where they do not exist; notes: what a reader must know.
    """

    threshold: float
    direction: str
    point: float
    lower: float | None
    upper: float | None
    level: float
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """Return one sentence."""
        limits = "" if self.lower is None else f" [{fixed(self.lower)}, {fixed(self.upper)}]"
        return f"P(true effect {self.direction} {as_given(self.threshold)}) = {fixed(self.point)}{limits}"

    def __repr__(self) -> str:
        """Return the sentence and the notes."""
        return "\n".join([str(self), *(f"  ! {note}" for note in self.notes)])


def probability_beyond(analysis: Analysis, threshold: float, *, direction: str = "above") -> BeyondThreshold:
    """Return how probable it is that the true effect of a new setting lies above (or below) a threshold.

    threshold: on the natural scale, e.g. a ratio for ratio measures. direction: "above" or "below". True effects are
    taken as normal on the analysis scale. Raises `OptionError` for an unknown direction, a threshold that the scale
    does not have, and a model without tau2.

    Source: Mathur & VanderWeele 2019.
    """
    spec, effects, fit = analysis.fitted.spec, analysis.fitted.effects, analysis.fitted.fit
    if direction not in ("above", "below"):
        raise OptionError.unknown("direction", direction, ("above", "below"))
    if not estimates_tau2(spec) or analysis.overall.k < 2:
        raise OptionError("a probability beyond a threshold needs tau2: a random-effects model of two or more effects")
    way = analysis.overall.mean.way
    if way not in ("identity", "exp"):
        raise OptionError(f"no threshold can be placed on this scale ({way})")
    if not math.isfinite(threshold) or (way == "exp" and threshold <= 0):
        needed = "a ratio above 0" if way == "exp" else "a number"
        raise OptionError(f"threshold={threshold!r}: {needed} is needed")
    at = math.log(threshold) if way == "exp" else threshold
    if analysis.dependent or analysis.levels:
        return _of_working(analysis, threshold, at, direction)
    rows = effects.estimable
    problems = prepare(effects.yi[rows][None], effects.vi[rows][None], np.ones((1, int(rows.sum())), dtype=bool))
    tau2, mean = float(fit.theta.ravel()[0]), float(fit.beta.ravel()[0])
    spread = float(tau2_variance(problems, np.array([tau2]), reml=spec.tau2 != "ML")[0])
    found = normal_tail_probability(at, mean, float(fit.cov.ravel()[0]), tau2, spread, spec.level)
    point, low, high = found.point, found.lower, found.upper
    if direction == "below":
        point, low, high = 1 - point, 1 - high, 1 - low
    known = math.isfinite(low)
    return BeyondThreshold(
        threshold, direction, point, low if known else None, high if known else None, spec.level, _notes(analysis, tau2)
    )


def _of_working(analysis: Analysis, threshold: float, at: float, direction: str) -> BeyondThreshold:
    """Return the probability under a working model of dependent rows, without an interval."""
    tau2, mean = analysis.overall.heterogeneity.tau2, analysis.overall.mean
    if tau2 is None:
        raise OptionError("a probability beyond a threshold needs tau2, and a single study has none")
    found = normal_tail_probability(at, mean.point, mean.se**2, tau2, math.nan, mean.level)
    point = 1 - found.point if direction == "below" else found.point
    said = "Settings differ by the variance between and within studies of a model of dependent rows; no interval."
    return BeyondThreshold(threshold, direction, point, None, None, mean.level, (said,))


def _notes(analysis: Analysis, tau2: float) -> tuple[str, ...]:
    """Say where the probability or its interval is doubtful."""
    if tau2 == 0:
        return ("τ² is estimated as 0, so every setting has the pooled effect; the probability has no interval.",)
    k = analysis.overall.k
    return (f"With {k} effects the interval is rough: ten or more are advised.",) if k < FEW else ()
