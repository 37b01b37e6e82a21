"""The contents of a profile likelihood plot as plain values: the curve, the level of its interval, every crossing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaback.models.fitted import to_natural
from metaback.numbers import fixed, limit, significant
from metaback.plots.forest_words import axis_title
from metaback.postestimation.crossings import crossings, fine_values
from metaback.postestimation.curves import Profile, profile
from metaback.postestimation.scales import way_back
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import comparison, effect_digits, percent, plural
from metaback.stats.measures.family import has_null
from metaback.stats.wls import Floats

LIKELIHOODS = {"REML": "restricted", "ML": "full"}


@dataclass(frozen=True, slots=True)
class ProfileData:
    """A profile likelihood plot before it is drawn; heights are log-likelihoods below their maximum.

    values, drop: (n,) the curve; cut: where its interval is cut off, below 0; crossings: (m,) where the curve crosses
    the cut; peak: where it is highest; low, high: the interval.
    """

    title: str
    of: str
    axis_title: str
    side_title: str
    back: str
    size: float | None
    null: float | None
    values: Floats
    drop: Floats
    cut: float
    level: float
    crossings: Floats
    peak: float
    low: float
    high: float
    footnotes: tuple[str, ...]
    alt: str


def profile_data(analysis: Analysis, *, of: str = "tau2", title: str | None = None) -> ProfileData:
    """Return the contents of the profile likelihood plot of "tau2" or of the "mean".

    Where the set of values above the cut has gaps, all its ends are crossings, and the notes say so. Raises
    `OptionError` for equal effects, for one effect and for another word, as `profile` does.
    """
    found = profile(analysis, of=of)
    effects = analysis.fitted.effects
    cuts = crossings(analysis, found)
    curve = profile(analysis, of=of, values=np.union1d(fine_values(analysis, found), cuts))
    whole = analysis.overall.mean
    tau = of == "tau2"
    word = LIKELIHOODS[found.likelihood]
    return ProfileData(
        title=comparison(effects).known if title is None else title,
        of=of,
        axis_title="Between-study variance τ²" if tau else axis_title(effects, whole.way),
        side_title=f"Log-likelihood ({word}) \u2212 maximum",
        back="identity" if tau else way_back(effects),
        size=None if tau else whole.size,
        null=0.0 if tau or has_null(effects.measure) else None,
        values=curve.values,
        drop=curve.loglik - found.top,
        cut=found.cut - found.top,
        level=found.level,
        crossings=cuts,
        peak=found.peak,
        low=found.low,
        high=found.high,
        footnotes=_footnotes(analysis, found, cuts),
        alt=_alt(analysis, found, cuts),
    )


def _said(analysis: Analysis, found: Profile, *values: float) -> list[str]:
    """Write values of the parameter: means on the natural scale, in increasing order where there are two or more."""
    if found.of == "tau2":
        return [significant(value) for value in values]
    mean = analysis.overall.mean
    shown = [to_natural(value, way_back(analysis.fitted.effects), mean.size) for value in values]
    digits = effect_digits(mean)
    return [limit(value, digits) for value in (sorted(shown) if len(shown) > 1 else shown)]


def _gaps(found: Profile, cuts: Floats) -> int:
    """Count the gaps of the set of values above the cut: pieces have two ends, of which 0 is no crossing."""
    open_end = found.of == "tau2" and found.low == 0 and cuts.size % 2 == 1
    return max(0, (cuts.size + open_end) // 2 - 1)


def _footnotes(analysis: Analysis, found: Profile, cuts: Floats) -> tuple[str, ...]:
    """Tell the interval, every crossing, and how this estimate relates to that of the pool."""
    name = "τ²" if found.of == "tau2" else "The mean"
    (peak,), (low, high) = _said(analysis, found, found.peak), _said(analysis, found, found.low, found.high)
    notes = [
        (
            f"{name}: {peak}, {percent(found.level)} profile likelihood interval {low} to {high}, where the curve is "
            f"above the dashed line, {fixed(found.top - found.cut)} below its maximum of {fixed(found.top)}."
        )
    ]
    if cuts.size:
        listed = ", ".join(_said(analysis, found, *cuts.tolist()))
        notes.append(f"The curve crosses the line at {listed}.")
    if found.of == "tau2" and found.low == 0:
        notes.append("The interval begins at 0, where the curve is above the line.")
    if gaps := _gaps(found, cuts):
        notes.append(
            f"The likelihood has several peaks: the values above the line have {plural(gaps, 'gap')}; the interval "
            "spans them all."
        )
    pooled, mean = analysis.overall.heterogeneity.tau2, analysis.overall.mean
    if found.of == "tau2" and analysis.fitted.spec.tau2 not in ("REML", "ML") and pooled is not None:
        notes.append(f"The pool itself has τ² = {significant(pooled)} ({analysis.fitted.spec.tau2}).")
    if found.of == "mean" and not np.isclose(mean.point, found.peak, rtol=1e-6):
        notes.append(f"The pool itself has {_said(analysis, found, mean.point)[0]} (τ² as its own estimator has it).")
    return tuple(notes)


def _alt(analysis: Analysis, found: Profile, cuts: Floats) -> str:
    """Describe the figure in words."""
    name = comparison(analysis).known
    what = "the between-study variance τ²" if found.of == "tau2" else "the mean"
    (peak,), (low, high) = _said(analysis, found, found.peak), _said(analysis, found, found.low, found.high)
    return (
        f"Profile log-likelihood of {what}{f', {name}' if name else ''}. Highest at {peak}, {percent(found.level)} "
        f"interval {low} to {high}; {plural(int(cuts.size), 'crossing')} of its cut."
    )
