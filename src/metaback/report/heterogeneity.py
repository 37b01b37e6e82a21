"""How much the effects of one comparison differ: every statistic with its interval, and what it says here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from metaback.models.specs import estimates_tau2
from metaback.numbers import ABSENT, df_text, fixed, interval, significant
from metaback.postestimation.beyond import BeyondThreshold
from metaback.postestimation.number_styles import STANDARD, NumberStyle, p_styled, restyled
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import (
    asks_prediction,
    comparison,
    effect_digits,
    i2_from_q,
    limits_cell,
    null_value,
    percent,
    percent_cell,
    plural,
    scale_name,
)
from metaback.report.clinical import share_text, threshold_text
from metaback.report.document import Table
from metaback.report.words import measure_inside, tau2_cell
from metaback.stats.measures.family import has_null

FEW = 10  # studies below which the test of equal effects is known to have little power (Deeks et al. 2024)
LARGE = 0.10  # the P value at which that test is usually read
KEYS = ("cochran1954", "higgins2002", "higgins2009")


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    value: str
    meaning: str


def heterogeneity_table(
    analysis: Analysis, beyond: Sequence[BeyondThreshold] = (), style: NumberStyle = STANDARD
) -> Table | None:
    """Return one row per statistic: its value with its interval, and what it says about this comparison.

    beyond: shares of settings beyond no effect and beyond a threshold that matters, as `settings_beyond` has them.
    style: how numbers are written. None for one effect.
    """
    pool, spec = analysis.overall, analysis.spec
    if pool.heterogeneity.q_df == 0:
        return None
    level = percent(spec.level)
    rows = [*_q_rows(analysis, style), *_tau_rows(analysis), *_i2_rows(analysis), *_prediction_rows(analysis)]
    rows += [_beyond_row(analysis, found) for found in beyond]
    limits = pool.heterogeneity.tau2_low is not None
    carried = "; limits of τ, I² and H² are those of τ², carried over" if limits else ""
    return Table(
        caption=f"Heterogeneity of {plural(pool.k, 'effect')}{carried}.",
        head=("Statistic", f"Value [{level} CI]" if limits else "Value", "What it says here"),
        rows=tuple((row.name, restyled(row.value, style), row.meaning) for row in rows),
        numeric=(False, True, False),
    )


def _q_rows(analysis: Analysis, style: NumberStyle) -> Iterator[_Row]:
    """Write the test of equal effects."""
    found = analysis.overall.heterogeneity
    value = f"{fixed(found.q)} on {df_text(found.q_df)} df, {p_styled(found.q_p, style)}"
    more = found.q > found.q_df
    scatter = f"The effects scatter {'more' if more else 'no more'} than sampling error alone leads to expect (Q "
    scatter += f"{'>' if more else '≤'} df)"
    large = found.q_p is not None and found.q_p >= LARGE
    unlike = " A large P value does not show that they are equal" if large else ""
    few = ", and with so few studies the test has little power" if large and analysis.overall.studies < FEW else ""
    yield _Row("Cochran's Q", value, f"{scatter}.{unlike}{few}{'.' if large else ''}")


def _tau_rows(analysis: Analysis) -> Iterator[_Row]:
    """Write tau2 and its root, in words of the scale that readers know."""
    found, mean = analysis.overall.heterogeneity, analysis.overall.mean
    if found.tau2 is None:
        return
    scale = scale_name(mean.way)
    where = f", on the {scale}" if scale else ""
    low, high = found.tau2_low, found.tau2_high
    within = ", between and within studies" if analysis.dependent else ""
    says = f"Variance of the true effects{where}{within}."
    if found.tau2 == 0:
        says += " Estimated as 0; " + (
            "its interval leaves room for more." if high else "that is no proof that it is 0."
        )
    elif low == 0:
        says += " Its interval includes 0."
    elif low is not None:
        says += " Its interval excludes 0."
    yield _Row("τ²", tau2_cell(found), says)
    if found.tau2 == 0 or found.tau is None:
        return
    unit = measure_inside(analysis.fitted.effects)
    if mean.way in {"exp", "exp_share"}:
        size = f"a factor of {fixed(math.exp(min(found.tau, 700.0)))} of the mean {unit}"
    else:
        size = f"{significant(found.tau)} of the mean{f' on the {scale}' if scale else f' {unit}'}"
    says = f"SD of the true effects: if they are normal, about two thirds lie within {size}."
    yield _Row("τ", _limited(found.tau, found.tau_low, found.tau_high), says)


def _limited(value: float, low: float | None, high: float | None) -> str:
    """Write a number with its limits, all with the decimals that three digits of it need."""
    if low is None or high is None or not value > 0:
        return significant(value)
    digits = min(max(0, 2 - math.floor(math.log10(value))), 6)
    return f"{fixed(value, digits)} {interval(low, high, digits)}".replace(f"[{fixed(0.0, digits)},", "[0,")


def _i2_rows(analysis: Analysis) -> Iterator[_Row]:
    """Write I2 under both definitions, that of the analysis first, and H2."""
    found, spec = analysis.overall.heterogeneity, analysis.spec
    limits = ""
    if found.i2_low is not None and found.i2_high is not None:
        limits = f" [{percent_cell(found.i2_low)}, {percent_cell(found.i2_high)}]"
    share = "Share of the variance of observed effects that true differences account for"
    warned = "; it grows with the precision of the studies, and does not say how large the differences are"
    tau2 = _Row("I² from τ²", f"{percent_cell(found.i2_tau2)}{limits}", f"{share}: τ² / (τ² + typical variance){{}}.")
    q = _Row("I² from Q", percent_cell(found.i2_q), f"{share}: (Q − df) / Q, not below 0{{}}.")
    both = [q] if found.tau2 is None else [q, tau2] if i2_from_q(spec) else [tau2, q]
    for place, row in enumerate(both):
        yield _Row(row.name, row.value, row.meaning.format("" if place else warned))
    if found.h2 is not None:
        value = _limited(found.h2, found.h2_low, found.h2_high)
        yield _Row("H²", value, "Variance of observed effects over that of sampling error alone: 1 / (1 − I²).")


def _prediction_rows(analysis: Analysis) -> Iterator[_Row]:
    """Write the prediction interval, or why there is none."""
    spec, pool = analysis.spec, analysis.overall
    if not estimates_tau2(spec):
        return
    prediction = pool.prediction
    if prediction is None:
        why = "not asked for" if not asks_prediction(spec) else f"not estimable from {plural(pool.k, 'effect')}"
        yield _Row("Prediction interval", ABSENT, f"None: {why}.")
        return
    says = "Where the true effect of a new, similar setting is expected"
    if has_null(analysis.fitted.effects.measure):
        inside = prediction.lower <= 0 <= prediction.upper
        null = fixed(null_value(prediction.scale), 0)
        sides = "; settings on either side of it are to be expected" if inside else ""
        says += f"; it {'includes' if inside else 'excludes'} no effect ({null}){sides}"
    digits = effect_digits(pool.mean)
    yield _Row(f"{percent(prediction.level)} prediction interval", limits_cell(prediction, digits), f"{says}.")


def _beyond_row(analysis: Analysis, found: BeyondThreshold) -> _Row:
    """Write the share of settings beyond a threshold."""
    sides = comparison(analysis).sides
    favoured = "" if sides is None else f", in favour of {sides[found.direction == 'above']}"
    name = f"Settings {found.direction} {threshold_text(found.threshold)}"
    return _Row(name, share_text(found), f"Estimated share of settings whose true effect lies there{favoured}.")
