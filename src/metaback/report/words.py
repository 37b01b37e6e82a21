"""The wording that text, card, page and records share: names of measures, counts, directions, safe plain text."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from metaback.models.fitted import Estimate
from metaback.models.specs import PoolSpec
from metaback.numbers import ABSENT, MINUS, fixed, humanise, interval, significant
from metaback.postestimation.summary import Analysis, Heterogeneity, PoolSummary
from metaback.stats.measures import MEASURES, about

CI_NAMES = {"Wald": "Wald", "Wald-t": "Wald with t", "HKSJ": "HKSJ", "HKSJ-wider": "HKSJ or wider"}
REPLACEMENT = "\ufffd"
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The words that name one analysis; treatments and outcome as a reader would write them, None where not known."""

    outcome: str | None
    first: str | None
    second: str | None

    @property
    def title(self) -> str:
        """Return "Pain: posterior chain vs general exercise", or what is known of it."""
        outcome = sentence_case(self.outcome) if self.outcome else "Pooled effect"
        return f"{outcome}: {self.first} vs {self.second}" if self.first and self.second else outcome


def comparison(analysis: Analysis) -> Comparison:
    """Return the names of outcome and treatments in words."""
    context = analysis.fitted.effects.context
    first, second = context.treatment_1, context.treatment_2
    return Comparison(
        humanise(context.outcome) if context.outcome else None,
        humanise(first) if first else None,
        humanise(second) if second else None,
    )


def clean(text: str) -> str:
    """Make text from a file safe to show: controls, lone surrogates and bidirectional overrides become U+FFFD."""
    return _UNSAFE.sub(REPLACEMENT, text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """Make text safe to show within a line of a terminal."""
    return " ".join(clean(text).split())


def well_formed(text: str) -> str:
    """Replace lone surrogates, which cannot be written as UTF-8; everything else stays."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sentence_case(text: str) -> str:
    """Start with a capital and leave the rest alone (abbreviations stay as they are)."""
    return text[:1].upper() + text[1:]


def anchor(text: str, number: int | None = None) -> str:
    """Turn a title into a fragment of plain letters, digits and hyphens."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].strip("-") or "section"
    return f"{words}-{number}" if number is not None else words


def measure_name(key: str) -> str:
    """Return the name of a measure in running text, or its key when it is not known."""
    name = about(key).name if key in MEASURES else key
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def measure_short(key: str) -> str:
    """Return the name of a measure as the head of a column."""
    return about(key).short if key in MEASURES else key


def measure_words(key: str) -> str:
    """Return the name of a measure with its abbreviation: `standardised mean difference (SMD)`."""
    name, short = measure_name(key), measure_short(key)
    return name if short.casefold() == name.casefold() else f"{name} ({short})"


def percent(level: float) -> str:
    """Write a confidence level as `95%`."""
    return f"{100 * level:.6g}%"


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


def effect_digits(mean: Estimate) -> int:
    """Choose decimals so that the interval of the pooled effect shows its width: 2, more when it is narrow."""
    _, low, high = mean.natural()
    width = high - low
    if not (math.isfinite(width) and width > 0):
        return 2
    return min(6, max(2, 1 + math.ceil(-math.log10(width))))


def estimate_cell(estimate: Estimate | None, digits: int) -> str:
    """Write an estimate with its limits on the natural scale as `-0.41 [-0.72, -0.10]`."""
    if estimate is None:
        return ABSENT
    point, low, high = estimate.natural()
    return f"{fixed(point, digits)} {interval(low, high, digits)}"


def limits_cell(estimate: Estimate | None, digits: int, joint: str = " to ") -> str:
    """Write the limits of an estimate on the natural scale as `-0.72 to -0.10`."""
    if estimate is None:
        return ABSENT
    _, low, high = estimate.natural()
    return f"{fixed(low, digits)}{joint}{fixed(high, digits)}"


def study_estimate(effect: float, variance: float, level: float, scale: str) -> Estimate:
    """Return the effect of one study with its normal (Wald) interval on the analysis scale."""
    se = math.sqrt(variance)
    half = NormalDist().inv_cdf((1 + level) / 2) * se
    return Estimate(effect, effect - half, effect + half, se, level, scale)


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write `1 study`, `1,204 participants`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counts(pool: PoolSummary) -> str:
    """Write `8 studies`, or `9 effects from 8 studies` where a study gives more than one."""
    studies = plural(pool.studies, "study", "studies")
    return studies if pool.k == pool.studies else f"{plural(pool.k, 'effect')} from {studies}"


def null_value(scale: str) -> float:
    """Return the value of no effect on the natural scale."""
    return 1.0 if scale == "log" else 0.0


def excludes_null(estimate: Estimate) -> bool | None:
    """Tell whether the interval leaves out no effect; None when there is no interval."""
    if not (math.isfinite(estimate.lower) and math.isfinite(estimate.upper)):
        return None
    return estimate.lower > 0 or estimate.upper < 0


def favoured(analysis: Analysis, estimate: Estimate) -> str | None:
    """Return the treatment that a whole interval favours; None when it includes no effect or this is not known."""
    better = analysis.fitted.effects.context.higher_is_better
    names = comparison(analysis)
    if better is None or not names.first or not names.second or not excludes_null(estimate):
        return None
    return names.first if (estimate.lower > 0) == better else names.second


def direction(analysis: Analysis) -> str:
    """Say in words what the interval of the pooled effect allows; nothing where there is no interval."""
    mean = analysis.overall.mean
    excludes = excludes_null(mean)
    if excludes is None:
        return ""
    if not excludes:
        return "compatible with no difference"
    winner = favoured(analysis, mean)
    if winner:
        return f"favours {winner}"
    return "no difference lies outside the interval (which direction is better is not stated in the table)"


def model_words(spec: PoolSpec) -> str:
    """Name the model in a few words: `random effects (REML, HKSJ or wider)`."""
    if spec.model == "equal":
        return f"equal effects ({CI_NAMES[spec.ci]})"
    return f"random effects ({spec.tau2}, {CI_NAMES[spec.ci]})"


def percent_cell(value: float | None) -> str:
    """Write a percentage without decimals."""
    return ABSENT if value is None or not math.isfinite(value) else f"{fixed(value, 0)}%"


def i2_cell(heterogeneity: Heterogeneity, spec: PoolSpec) -> str:
    """Write I2 under the definition of the spec, with limits where that definition has them."""
    if spec.i2 == "Q" or spec.model == "equal":
        return percent_cell(heterogeneity.i2_q)
    low, high = heterogeneity.i2_low, heterogeneity.i2_high
    limits = "" if low is None or high is None else f" [{percent_cell(low)}, {percent_cell(high)}]"
    return f"{percent_cell(heterogeneity.i2_tau2)}{limits}"


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
