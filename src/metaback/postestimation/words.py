"""The words that figures and pages share: names, counts, levels, and estimates on the natural scale."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

from metaback.effects.effect_sizes import EffectSizes
from metaback.effects.routes import ROUTES
from metaback.models.fitted import Estimate, to_natural
from metaback.models.specs import PoolSpec, estimates_tau2
from metaback.numbers import ABSENT, as_given, df_text, estimate_text, fixed, humanise, limit, p_phrase, parse_number
from metaback.postestimation.scales import natural_way, row_sizes, way_back
from metaback.postestimation.summary import Analysis, Heterogeneity, PoolSummary, SubgroupTest
from metaback.stats.inference import PREDICTION_RULES, whole_prediction
from metaback.stats.measures import about
from metaback.stats.transforms import back

MODELS = {
    "random": "random effects",
    "equal": "equal effects",
    "fixed": "fixed effects",
    "IVhet": "inverse variance heterogeneity",
}
NOT_ESTIMABLE = "not estimable"
UNITS = frozenset({"minutes", "hours", "days", "weeks", "months", "years", "sessions"})  # that names of columns end in
SCALE_NAMES = {
    "exp": "log scale",
    "exp_share": "log scale",
    "expit": "logit scale",
    "ndtr": "probit scale",
    "sin2": "arcsine scale",
    "freeman_tukey_proportion": "double arcsine scale",
    "square": "square root scale",
    "freeman_tukey_rate": "double square root scale",
    "tanh": "scale of Fisher's z",
    "tanh2": "scale of Fisher's z",
    "hakstian_whalen": "cube root scale",
    "hakstian_whalen_1976": "cube root scale",
    "bonett": "log scale of 1 − α",
    "bonett_2002": "log scale of 1 − α",
}


# ---------------------------------------------------------------- names


@dataclass(frozen=True, slots=True)
class Comparison:
    """The words that name one comparison, as a reader would write them; None for what the table does not say."""

    outcome: str | None
    first: str | None
    second: str | None
    higher_is_better: bool | None = None

    @property
    def known(self) -> str:
        """Return "Pain: posterior chain vs general exercise", or what is known of it, "" where nothing is."""
        versus = f"{self.first} vs {self.second}" if self.first and self.second else ""
        return ": ".join(part for part in (sentence_case(self.outcome or ""), versus) if part)

    @property
    def title(self) -> str:
        """Return what is known of the comparison, as the heading of a pool."""
        return self.known or "Pooled effect"

    @property
    def arms(self) -> tuple[str, str]:
        """Return the heads of the two arms."""
        return sentence_case(self.first or "Arm 1"), sentence_case(self.second or "Arm 2")

    @property
    def sides(self) -> tuple[str, str] | None:
        """Return whom effects below and above no effect favour; None when direction or names are not known.

        An effect is arm 1 against arm 2, so where higher is better its upper side favours arm 1.
        """
        if self.higher_is_better is None or not self.first or not self.second:
            return None
        return (self.second, self.first) if self.higher_is_better else (self.first, self.second)


def comparison(of: Analysis | EffectSizes) -> Comparison:
    """Return the names of an analysis, or of effects that have none."""
    context = of.context if isinstance(of, EffectSizes) else of.fitted.effects.context
    outcome, first, second = (
        humanise(name) if name else None for name in (context.outcome, context.treatment_1, context.treatment_2)
    )
    return Comparison(outcome, first, second, context.higher_is_better)


def sentence_case(text: str) -> str:
    """Start with a capital, unless the first word carries its own (mHealth, iCBT)."""
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.islower() else text


def measure_name(of: str | EffectSizes) -> str:
    """Return the name of a measure in running text, with its scale where effects cannot be shown on the natural one."""
    facts = about(of if isinstance(of, str) else of.measure)
    name = facts.name if facts.name[:2].isupper() else facts.name[:1].lower() + facts.name[1:]
    return f"{name}, shown as {back(facts.back).title}" if _stays_transformed(of) else name


def measure_short(of: str | EffectSizes) -> str:
    """Return the head of a column of effects: the key itself where they cannot be shown on the natural scale."""
    facts = about(of if isinstance(of, str) else of.measure)
    return facts.key if _stays_transformed(of) else facts.short


def _stays_transformed(of: str | EffectSizes) -> bool:
    """Tell whether the way back of a measure lacks the sizes that it needs."""
    return isinstance(of, EffectSizes) and bool(back(natural_way(of.measure)).size) and way_back(of) == "identity"


def scale_name(way: str) -> str:
    """Name the scale on which effects are analysed and drawn: `log scale`, `logit scale`; "" for the natural one."""
    return SCALE_NAMES.get(way, "")


def from_raw_numbers(effects: EffectSizes) -> bool:
    """Tell whether any pooled effect was computed from raw numbers, by the formula of the measure."""
    made = {route.split(", ")[0] for route, ok in zip(effects.obtained, effects.estimable, strict=True) if ok}
    return not made.isdisjoint(ROUTES.values())


# ---------------------------------------------------------------- counts and levels


def difference_statistic(test: SubgroupTest) -> tuple[str, str, tuple[str, ...]]:
    """Return letter, value and degrees of freedom of the test of differences between subgroups, as text.

    >>> difference_statistic(SubgroupTest(3.0, 2, 0.27, 8.0))
    ('F', '1.50', ('2', '8'))
    """
    if test.f is None:
        return "Q", fixed(test.q), (df_text(test.df),)
    return "F", fixed(test.f), (df_text(test.df), df_text(test.df2))


def level_words(column: str | None, level: str) -> str:
    """Return a level of subgroups in words; a number with the unit or the name of its column, "" where blank.

    >>> level_words("weeks", "12.0"), level_words("follow_up_months", "1"), level_words("dose", "3")
    ('12 weeks', '1 month', 'dose 3')
    >>> level_words("stratum", "12_weeks"), level_words(None, "2")
    ('12 weeks', '2')
    """
    number = parse_number(level)
    if number is None or not column:
        return humanise(level)
    name, value = humanise(column), as_given(number)
    unit = name.split()[-1].casefold() if name else ""
    if unit in UNITS:
        return f"{value} {unit.removesuffix('s') if value == '1' else unit}"
    return f"{name} {value}"


def rho_text(rho: float) -> str:
    """Write an assumed correlation: two decimals, more where it has more.

    >>> rho_text(0.6), rho_text(0.999)
    ('0.60', '0.999')
    """
    return fixed(rho) if round(rho, 2) == rho else as_given(rho)


def plural(count: int, one: str, many: str | None = None) -> str:
    """Write `1 study`, `1,204 participants`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counts(pool: PoolSummary, joint: str = " from ") -> str:
    """Write `8 studies`, or `9 effects from 8 studies` where a study gives more than one."""
    studies = plural(pool.studies, "study", "studies")
    return studies if pool.k == pool.studies else f"{plural(pool.k, 'effect')}{joint}{studies}"


def percent(level: float) -> str:
    """Write a confidence level as `95%`."""
    return f"{100 * level:.6g}%"


def percent_cell(value: float | None) -> str:
    """Write a percentage without decimals."""
    return ABSENT if value is None or not math.isfinite(value) else f"{fixed(value, 0)}%"


# ---------------------------------------------------------------- estimates on the natural scale


def natural(value: float, scale: str) -> float:
    """Return a value of the analysis scale as a reader expects it; beyond what a number can hold it is infinite."""
    return to_natural(value, "exp" if scale == "log" else "identity")


def natural_values(estimate: Estimate) -> tuple[float, float, float]:
    """Return point, lower and upper on the natural scale."""
    return estimate.natural()


def null_value(scale: str) -> float:
    """Return the value of no effect on the natural scale."""
    return natural(0.0, scale)


def effect_digits(mean: Estimate) -> int:
    """Choose decimals so that the interval of the pooled effect shows its width: 2, more when narrow, 0 when vast.

    A share or a rate of one group near 0 has two significant digits.
    """
    point, low, high = natural_values(mean)
    width = high - low
    if not (math.isfinite(width) and width > 0):
        return 2
    if width >= 10_000:
        return 0
    small = 1 - math.floor(math.log10(point)) if mean.back and back(mean.way).image[0] == 0 and point > 0 else 2
    return min(15, max(2, 1 + math.ceil(-math.log10(width)), min(small, 6)))


def point_text(estimate: Estimate, digits: int) -> str:
    """Write an estimate without its limits on the natural scale as `-0.41`."""
    return fixed(natural_values(estimate)[0], digits)


def estimate_cell(estimate: Estimate | None, digits: int) -> str:
    """Write an estimate with its limits on the natural scale as `-0.41 [-0.72, -0.10]`."""
    return ABSENT if estimate is None else estimate_text(*natural_values(estimate), digits)


def coefficient_text(estimate: Estimate) -> str:
    """Write a coefficient on the analysis scale with the decimals that two digits of its standard error need."""
    known = math.isfinite(estimate.se) and estimate.se > 0
    digits = min(max(2, 1 - math.floor(math.log10(estimate.se))), 10) if known else 2
    return f"{estimate_text(estimate.point, estimate.lower, estimate.upper, digits)}, {p_phrase(estimate.p_value)}"


def limits_cell(estimate: Estimate | None, digits: int, joint: str = " to ") -> str:
    """Write the limits of an estimate on the natural scale as `-0.72 to -0.10`."""
    if estimate is None:
        return ABSENT
    _, low, high = natural_values(estimate)
    return f"{limit(low, digits)}{joint}{limit(high, digits)}"


def study_estimates(analysis: Analysis) -> tuple[Estimate | None, ...]:
    """Return the effect of each row with its normal interval at the level of the pool, None where it has none.

    A row comes back to the natural scale with its own size, where one is needed.
    """
    effects, mean = analysis.fitted.effects, analysis.overall.mean
    quantile = NormalDist().inv_cdf((1 + analysis.spec.level) / 2)
    like = replace(mean, level=analysis.spec.level)
    sizes = row_sizes(effects) if mean.size is not None else None
    sized = [None] * len(effects.labels) if sizes is None else sizes.tolist()
    rows = zip(effects.yi.tolist(), effects.vi.tolist(), effects.estimable.tolist(), sized, strict=True)
    return tuple(_normal(y, math.sqrt(v), quantile, like, n) if pooled else None for y, v, pooled, n in rows)


def _normal(point: float, se: float, quantile: float, like: Estimate, size: float | None) -> Estimate:
    """Return an effect with its Wald limits on the analysis scale, at the level and on the scale of another."""
    lower, upper = point - quantile * se, point + quantile * se
    return Estimate(point, lower, upper, se, like.level, like.scale, back=like.back, size=size)


# ---------------------------------------------------------------- statistics


def i2_from_q(spec: PoolSpec) -> bool:
    """Tell whether I2 is shown as it follows from Q; the definition from tau2 needs a tau2."""
    return spec.i2 == "Q" or not estimates_tau2(spec)


def i2_shown(heterogeneity: Heterogeneity, spec: PoolSpec) -> float | None:
    """Return I2 in percent by the definition of the spec."""
    return heterogeneity.i2_q if i2_from_q(spec) else heterogeneity.i2_tau2


def i2_source(spec: PoolSpec) -> str:
    """Name what I2 is computed from: `Q` or `τ²`."""
    return "Q" if i2_from_q(spec) else "τ²"


def asks_prediction(spec: PoolSpec) -> bool:
    """Tell whether the spec asks for a prediction interval; whether there is one depends on the data."""
    return estimates_tau2(spec) and spec.pi != "none"


def prediction_words(prediction: Estimate, spec: PoolSpec) -> str:
    """Name the rule of a prediction interval in a few words: `t, 3 df`, `normal quantile`, or the title of its rule."""
    if whole_prediction(spec.pi) is not None:
        return PREDICTION_RULES[spec.pi].title
    return "normal quantile" if math.isinf(prediction.df) else f"t, {df_text(prediction.df)} df"


def mean_test(mean: Estimate, *, brief: bool = False) -> str:
    """Write the test of no effect as `t = -2.91, df = 3, P = 0.02`, or brief as `t(3) = -2.91, P = 0.02`.

    The normal has no df: `z = -2.91, P = 0.004`. A P value that is not that of the statistic stands alone under the
    name of its test: `permutation P = 0.02`. Nothing is written where no test was made.
    """
    if mean.test:
        return p_phrase(mean.p_value, f"{mean.test} P") if math.isfinite(mean.p_value) else ""
    if not math.isfinite(mean.statistic):
        return ""
    value, p, df = fixed(mean.statistic), p_phrase(mean.p_value), df_text(mean.df)
    if math.isinf(mean.df):
        return f"z = {value}, {p}"
    return f"t({df}) = {value}, {p}" if brief else f"t = {value}, df = {df}, {p}"
