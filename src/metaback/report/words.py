"""The wording that text, card, page and records share: directions, heterogeneity, raw numbers, safe plain text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from metaback.effects.effect_sizes import EffectSizes
from metaback.models.fitted import Estimate
from metaback.models.specs import PoolSpec, estimates_tau2, tau2_label
from metaback.numbers import ABSENT, MINUS, fixed, significant
from metaback.postestimation.summary import Analysis, Heterogeneity
from metaback.postestimation.words import (
    MODELS,
    comparison,
    i2_from_q,
    i2_shown,
    measure_name,
    measure_short,
    percent_cell,
)
from metaback.stats.inference import mean_words
from metaback.stats.measures.family import has_null

REPLACEMENT = "\ufffd"
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]")


def clean(text: str) -> str:
    """Make text from a file safe to show: controls, lone surrogates and bidirectional overrides become U+FFFD."""
    return _UNSAFE.sub(REPLACEMENT, text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """Make text safe to show within a line of a terminal."""
    return " ".join(clean(text).split())


def well_formed(text: str) -> str:
    """Replace lone surrogates, which cannot be written as UTF-8; everything else stays."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def anchor(text: str, number: int | None = None) -> str:
    """Turn a title into a fragment of plain letters, digits and hyphens."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-") or "section"
    return f"{words}-{number}" if number is not None else words


def measure_words(of: str | EffectSizes) -> str:
    """Return the name of a measure with its abbreviation: `standardised mean difference (SMD)`."""
    name, short = measure_name(of), measure_short(of)
    return name if short.casefold() == name.casefold() else f"{name} ({short})"


def plain(value: float | None) -> str:
    """Write a raw number of a table as it would be typed: `2.5`, `29`, nothing added; a dash where it is blank.

    Three decimals at most, or three significant digits below 1.
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{value:.3g}" if 0 < abs(value) < 1 else f"{value:.3f}".rstrip("0").rstrip(".")
    return text.replace("-", MINUS)


def column_decimals(values: Sequence[float]) -> list[str]:
    """Write a column of positive numbers with the decimals that the smallest needs for three significant digits.

    Numbers of too different a size for that are written with three significant digits each.
    """
    known = [v for v in values if math.isfinite(v) and v > 0]
    if not known or max(known) / min(known) > 1e4 or min(known) < 1e-5:
        return [significant(v) for v in values]
    digits = max(0, 2 - math.floor(math.log10(min(known))))
    return [fixed(v, digits) for v in values]


def measure_inside(effects: EffectSizes) -> str:
    """Return the abbreviation of a measure as it stands within a sentence: `SMD`, `R²`, `effect`."""
    short = measure_short(effects)
    return short.lower() if len(short) > 2 and short == short.capitalize() else short


def excludes_null(estimate: Estimate) -> bool | None:
    """Tell whether the interval leaves out no effect; None when there is no interval."""
    if not (math.isfinite(estimate.lower) and math.isfinite(estimate.upper)):
        return None
    return estimate.lower > 0 or estimate.upper < 0


def favoured(analysis: Analysis, estimate: Estimate) -> str | None:
    """Return the treatment that a whole interval favours; None when it includes no effect or this is not known."""
    sides = comparison(analysis).sides
    if sides is None or not excludes_null(estimate):
        return None
    below, above = sides
    return above if estimate.lower > 0 else below


def direction(analysis: Analysis) -> str:
    """Say in words what the interval of the pooled effect allows; nothing where there is no interval."""
    if not has_null(analysis.fitted.effects.measure):
        return ""
    mean = analysis.overall.mean
    excludes = excludes_null(mean)
    if excludes is None:
        return ""
    if not excludes:
        return "compatible with no difference"
    winner = favoured(analysis, mean)
    if winner:
        return f"favours {winner}"
    higher = comparison(analysis).higher_is_better
    if higher is None:
        return "no difference lies outside the interval (which direction is better is not stated in the table)"
    side, better = "above" if mean.lower > 0 else "below", "higher" if higher else "lower"
    return f"the whole interval lies {side} no difference, and {better} is better"


def model_words(spec: PoolSpec) -> str:
    """Name the model in a few words: `random effects (REML, HKSJ or wider)`."""
    estimator = f"{tau2_label(spec)}, " if estimates_tau2(spec) else ""
    weights = f", weights of column {spec.weights}" if spec.weights else ""
    return f"{MODELS[spec.model]} ({estimator}{mean_words(spec.ci).short}{weights})"


def i2_cell(heterogeneity: Heterogeneity, spec: PoolSpec) -> str:
    """Write I2 under the definition of the spec, with limits where that definition has them."""
    low, high = heterogeneity.i2_low, heterogeneity.i2_high
    known = not i2_from_q(spec) and low is not None and high is not None
    limits = f" [{percent_cell(low)}, {percent_cell(high)}]" if known else ""
    return f"{percent_cell(i2_shown(heterogeneity, spec))}{limits}"


def tau2_cell(heterogeneity: Heterogeneity) -> str:
    """Write tau2 with its limits."""
    point, limits = tau2_texts(heterogeneity)
    return f"{point} [{', '.join(limits)}]" if limits else point


def tau2_texts(heterogeneity: Heterogeneity) -> tuple[str, tuple[str, str] | None]:
    """Write tau2 and its limits with the decimals that three significant digits of tau2 need; an exact 0 is `0`."""
    tau2, low, high = heterogeneity.tau2, heterogeneity.tau2_low, heterogeneity.tau2_high
    if low is None or high is None:
        return significant(tau2), None
    leading = tau2 or high
    size = math.floor(math.log10(leading)) if 0 < leading < math.inf else 0
    texts = [_variance_text(value, 2 - size) for value in (tau2, low, high)]
    return texts[0], (texts[1], texts[2])


def _variance_text(value: float | None, digits: int) -> str:
    if value == math.inf:
        return "\u221e"
    return fixed(value, max(0, digits)) if value and digits <= 6 else significant(value)
