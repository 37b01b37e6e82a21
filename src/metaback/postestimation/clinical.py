"""What a pooled effect means for people: absolute risks, units of an instrument, and shares of settings and people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.instruments import Instrument
from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.models.plans import InstrumentFacts
from metaback.models.specs import estimates_tau2
from metaback.numbers import as_given, significant
from metaback.postestimation.beyond import BeyondThreshold, probability_beyond
from metaback.postestimation.summary import Analysis
from metaback.stats.absolute import (
    RISK_MEASURES,
    number_needed,
    people_for_means,
    people_for_risks,
    risk_with,
    superiority,
    u3,
)
from metaback.stats.measures import about
from metaback.stats.measures.family import has_null

Instruments = Mapping[str, Instrument | InstrumentFacts]
# Differences of two groups by an SD between people, which an SD of an instrument turns back into its units.
STANDARDISED = ("SMD", "SMDH", "SMD1", "SMD1H", "SMDA", "SMDAW")
IN_UNITS = ("MD", "MDA", "MDCH")  # in the units of the scores themselves
USUAL_REDUCTION = 0.25  # of the risk, between the 20% and 30% that Guyatt et al. 2011 use


@dataclass(frozen=True, slots=True)
class Limits:
    """A number with its limits, all on one scale; `low` is below `high`."""

    point: float
    low: float
    high: float

    def times(self, factor: float) -> Limits:
        """Return the numbers in another unit; factor above 0."""
        return Limits(self.point * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class AbsoluteEffect:
    """Risks that a pooled effect gives at a baseline risk.

    baseline: risk in arm 2; risk: in arm 1; difference: arm 1 minus arm 2. number: people of arm 1 for one event more
    or fewer, with the numbers at both limits of the difference, infinite for no difference; crosses: whether the
    interval of the difference holds 0, so that the interval of the number runs through infinity.
    cut: whether a risk was beyond 0 or 1 and cut off there. The baseline is taken as known.
    """

    baseline: float
    risk: Limits
    difference: Limits
    number: Limits
    crosses: bool
    cut: bool


@dataclass(frozen=True, slots=True)
class ReferenceSD:
    """An SD that turns standardised differences into units: of which instrument, and where it comes from in words.

    mid: smallest difference that matters on this instrument, in its units, None where nobody said.
    """

    sd: float
    instrument: str
    source: str
    mid: float | None = None


@dataclass(frozen=True, slots=True)
class InformationSize:
    """People that one trial needs (optimal information size), what it was computed from, and people that were pooled.

    pooled: None where not every row says how many; needed is infinite where no number is enough.
    """

    needed: float
    pooled: int | None
    basis: str


def natural_limits(mean: Estimate) -> Limits:
    """Return an estimate on its natural scale."""
    return Limits(*mean.natural())


def absolute_effect(analysis: Analysis, baseline: float) -> AbsoluteEffect | None:
    """Return risks, their difference and the number needed to treat at a baseline risk; None for other measures.

    baseline: risk in arm 2, within [0, 1]; `OptionError` otherwise. Limits of the pooled effect are carried over, so
    the uncertainty of the baseline is not in them. Edges: a ratio changes nothing at a baseline of 0; a risk above 1
    (RR, RD) or below 0 (RD) is cut off and `cut` says so.

    Source: Schünemann et al. 2024; Altman 1998 for the number needed to treat and its interval.
    """
    measure = analysis.fitted.effects.measure
    if measure not in RISK_MEASURES:
        return None
    found = risk_with(measure, np.array(analysis.overall.mean.natural()), baseline)
    risks = np.clip(found, 0.0, 1.0)
    differences = risks - baseline
    numbers = number_needed(differences).tolist()
    difference = Limits(*differences.tolist())
    return AbsoluteEffect(
        baseline=baseline,
        risk=Limits(*risks.tolist()),
        difference=difference,
        number=Limits(*numbers),
        crosses=difference.low <= 0 <= difference.high,
        cut=bool((found != risks)[np.isfinite(found)].any()),
    )


def settings_beyond(analysis: Analysis, mid: float | None = None) -> tuple[BeyondThreshold, ...]:
    """Return shares of settings whose true effect lies beyond no effect, above the upper and below the lower MID.

    The first is on the side of the pooled effect. mid: as in `thresholds`. Nothing where there is no tau2 (one effect,
    effects of one study, a model without it) or no value of no effect. Source: Mathur & VanderWeele 2019.
    """
    pool, spec = analysis.overall, analysis.spec
    known = estimates_tau2(spec) and pool.k >= 2 and pool.heterogeneity.tau2 is not None
    if not known or pool.mean.way not in ("identity", "exp") or not has_null(analysis.fitted.effects.measure):
        return ()
    null = 1.0 if pool.mean.way == "exp" else 0.0
    side = "above" if pool.mean.point >= 0 else "below"
    found = [probability_beyond(analysis, null, direction=side)]
    if mid is not None:
        low, high = thresholds(analysis, mid)
        found += [
            probability_beyond(analysis, high, direction="above"),
            probability_beyond(analysis, low, direction="below"),
        ]
    return tuple(found)


def thresholds(analysis: Analysis, mid: float) -> tuple[float, float]:
    """Return the lower and upper threshold of what matters, on the natural scale.

    mid: a difference above 0 gives -mid and mid; a ratio above 0 other than 1 gives itself and its inverse. Raises
    `OptionError` for other values.
    """
    ratio = analysis.overall.mean.way == "exp"
    if not (math.isfinite(mid) and mid > 0) or (ratio and mid == 1):
        needed = "a ratio above 0 other than 1, e.g. 0.75" if ratio else "a difference above 0"
        raise OptionError(f"mid={mid!r}: {analysis.fitted.effects.measure} needs {needed}")
    return (min(mid, 1 / mid), max(mid, 1 / mid)) if ratio else (-mid, mid)


def reference_sd(effects: EffectSizes, instruments: Instruments) -> ReferenceSD | None:
    """Return the SD that turns a standardised difference into units of an instrument, None where there is none.

    First the `sd` of a described instrument, of that which most pooled rows name; then the median over the trials of
    the SD pooled over their arms, of the instrument that most of them name. SDs of changes are left out. Where the
    table names no instrument, only the SD of the single one that was described can be used.

    Source: Schünemann et al. 2024, section 15.5.3.2.
    """
    if effects.measure not in STANDARDISED:
        return None
    names = _instrument_names(effects)
    described = {name.strip().casefold(): (name.strip(), facts) for name, facts in instruments.items() if facts.sd}
    for key in _most_named(names, effects.estimable) if names else (list(described) if len(described) == 1 else []):
        if key in described:
            name, facts = described[key]
            sd = float(facts.sd or math.nan)
            return ReferenceSD(sd, name, "the SD that the plan or call states for it", facts.mid)
    return _median_sd(effects, names, instruments)


def _instrument_names(effects: EffectSizes) -> list[str]:
    """Return the instrument of each row, [] where the table has none."""
    column = effects.moderators.get("instrument")
    return [] if column is None else [_word(cell) for cell in column.tolist()]


def _word(cell: object) -> str:
    """Return the text of a cell, "" for a blank one."""
    return cell.strip() if isinstance(cell, str) else ""


def _most_named(names: list[str], rows: NDArray[np.bool_]) -> list[str]:
    """Return the instruments of some rows in small letters, that of most rows first."""
    found: dict[str, int] = {}
    for name, taken in zip(names, rows.tolist(), strict=True):
        if taken and name:
            found[name.casefold()] = found.get(name.casefold(), 0) + 1
    return sorted(found, key=lambda key: -found[key])


def _median_sd(effects: EffectSizes, names: list[str], instruments: Instruments) -> ReferenceSD | None:
    """Return the median SD of the trials that use the instrument which most of those with SDs name."""
    pooled = pooled_sds(effects)
    usable = np.isfinite(pooled)
    if not names:
        return None
    ranked = _most_named(names, usable)
    if not ranked:
        return None
    rows = usable & np.array([name.casefold() == ranked[0] for name in names])
    name = names[int(np.flatnonzero(rows)[0])]
    facts = next((part for key, part in instruments.items() if key.strip().casefold() == ranked[0]), None)
    count = int(rows.sum())
    source = f"the median SD of {count} pooled row{'s' if count > 1 else ''} with it"
    return ReferenceSD(float(np.median(pooled[rows])), name, source, None if facts is None else facts.mid)


def shared_mid(effects: EffectSizes, instruments: Instruments) -> tuple[float, str] | None:
    """Return the MID and the name of the one instrument that all pooled rows name; None where there is no such one."""
    names = _instrument_names(effects)
    pooled = (
        {name.casefold() for name, ok in zip(names, effects.estimable.tolist(), strict=True) if ok} if names else {""}
    )
    if effects.measure not in IN_UNITS or len(pooled) != 1 or pooled == {""}:
        return None
    found = ((name.strip(), facts.mid) for name, facts in instruments.items() if name.strip().casefold() in pooled)
    return next(((mid, name) for name, mid in found if mid), None)


def people_better(analysis: Analysis) -> tuple[Limits, Limits] | None:
    """Return the common language effect size and U3 of a standardised difference, in the direction that is better.

    The first is the probability that somebody of arm 1 fares better than somebody of arm 2, the second the share of
    arm 2 that fares worse than the average person of arm 1. Where the table does not say which direction is better,
    higher is read as better and the words must say so. None for measures that are not standardised differences.

    Source: McGraw & Wong 1992; Cohen 1988.
    """
    effects = analysis.fitted.effects
    if effects.measure not in STANDARDISED:
        return None
    sign = -1.0 if effects.context.higher_is_better is False else 1.0
    point, low, high = sorted_limits(sign * np.array(analysis.overall.mean.natural()))
    values = np.array([point, low, high])
    return Limits(*superiority(values).tolist()), Limits(*u3(values).tolist())


def sorted_limits(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return point, lower and upper of three numbers whose limits may have changed places."""
    point, one, two = values.tolist()
    return (point, two, one) if one > two else (point, one, two)


def control_risk(effects: EffectSizes) -> float | None:
    """Return the median risk in arm 2 of the pooled rows with counts; None where no row has them.

    Source: Schünemann et al. 2024b: the median risk of the control groups as an assumed risk.
    """
    if not {"events_2", "n_2"} <= set(effects.inputs):
        return None
    events, n = effects.inputs["events_2"], effects.inputs["n_2"]
    rows = effects.estimable & np.isfinite(events) & np.isfinite(n) & (n > 0)
    return float(np.median(events[rows] / n[rows])) if bool(rows.any()) else None


def information_size(
    analysis: Analysis, *, mid: float | None = None, sd: float | None = None, baseline: float | None = None
) -> InformationSize | None:
    """Return the optimal information size, for 80% power at two-sided 5%; None where what it needs is not known.

    Ratios and differences of risks: from the baseline risk to one that is lower by a quarter. Standardised
    differences: the MID in SDs. Differences in units: MID and SD of the scores, in the units of the measure.

    mid: smallest difference that matters, in the units of the measure; not used for risks, because the size should
    not grow as the difference that matters shrinks. sd: in the units of the measure. baseline: risk in arm 2.

    Source: Guyatt et al. 2011.
    """
    measure, n = analysis.fitted.effects.measure, analysis.overall.n
    if measure in RISK_MEASURES and measure != "HR":
        if baseline is None or not 0 < baseline <= 1:
            return None
        needed = people_for_risks(baseline, baseline * (1 - USUAL_REDUCTION))
        return InformationSize(
            needed, n, f"a risk of {significant(1000 * baseline)} per 1,000 and one that is lower by a quarter"
        )
    if mid is None or about(measure).scale == "log":
        return None
    if measure in STANDARDISED:
        return InformationSize(people_for_means(mid, 1.0), n, f"a difference of {as_given(mid)} SD")
    if measure in IN_UNITS and sd is not None:
        return InformationSize(
            people_for_means(mid, sd), n, f"a difference of {as_given(mid)} and an SD of {significant(sd)}"
        )
    return None


def median_sd(effects: EffectSizes) -> float | None:
    """Return the median SD of the pooled rows, of a measure that keeps the units of the scores; None without SDs."""
    sds = pooled_sds(effects)
    known = np.isfinite(sds)
    return float(np.median(sds[known])) if effects.measure in IN_UNITS and bool(known.any()) else None


def pooled_sds(effects: EffectSizes) -> NDArray[np.float64]:
    """Return the SD of each row pooled over its arms, nan where it has none, is not pooled or holds that of changes."""
    usable = effects.estimable.copy()
    if effects.score_types:
        usable &= np.array([kind != "change" for kind in effects.score_types])
    if not {"sd_1", "sd_2", "n_1", "n_2"} <= set(effects.inputs):
        return np.full(usable.shape, np.nan)
    sd_1, sd_2, n_1, n_2 = (effects.inputs[role] for role in ("sd_1", "sd_2", "n_1", "n_2"))
    with np.errstate(all="ignore"):
        pooled = np.sqrt(((n_1 - 1) * sd_1**2 + (n_2 - 1) * sd_2**2) / (n_1 + n_2 - 2))
        return np.where(usable & np.isfinite(pooled) & (pooled > 0), pooled, np.nan)
