"""What the rules of the mean and of prediction share: registries, words, quantiles, tails and limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from metaback.progress import Progress, silent
from metaback.registry import Registry
from metaback.stats.wls import Bools, Floats, Problems, coefficients

DRAWS = 4999  # resamples: (draws + 1) times the usual levels is a whole number, so that limits are order statistics


@dataclass(frozen=True, slots=True)
class IntervalRequest:
    """What a rule must know besides the data.

    level: in (0, 1); estimate: from problems to their tau2 (n,), for rules that fit again; seed, draws: of resampling;
    tell: what rules that resample tell how far they are.
    """

    level: float
    estimate: Callable[[Problems], Floats]
    seed: int = 1
    draws: int = DRAWS
    tell: Progress = silent


@dataclass(frozen=True, slots=True)
class Limits:
    """An interval for each of n problems, all (n,).

    point, lower, upper: which need not be symmetric; se: standard error that belongs to the point.
    statistic, df, p: test of zero; nan where the rule has none, df inf for the normal.
    tau2: at which the weights of the point stand.
    """

    point: Floats
    se: Floats
    df: Floats
    lower: Floats
    upper: Floats
    statistic: Floats
    p: Floats
    tau2: Floats


MeanRule = Callable[[Floats, Floats, float], tuple[Floats, Floats]]
PredictionRule = Callable[[Floats], Floats]
WholeRule = Callable[[Problems, Floats, IntervalRequest], Limits]
MEAN_RULES: Registry[MeanRule] = Registry("ci")
PREDICTION_RULES: Registry[PredictionRule] = Registry("pi")


@dataclass(frozen=True, slots=True)
class MeanWords:
    """How a rule of the mean is called.

    short: beside the model's name; text: in the methods of a paper, after "Confidence intervals of pooled effects".
    guards: key of the rule that this one changes; its text comes first, and `text` goes on from there.
    test: name of the test that its P value is of, "" for the z or t test of mean / se.
    """

    short: str
    text: str
    guards: str = ""
    test: str = ""


def mean_rule(
    key: str, *, title: str, short: str, text: str, cite: str, guards: str = ""
) -> Callable[[MeanRule], MeanRule]:
    """Return the decorator that adds a rule of the mean; see `MeanWords`, `cite` holds keys of references.bib."""
    return MEAN_RULES.register(key, title=title, cite=cite, words=MeanWords(short, text, guards), whole=None)


def whole_mean_rule(
    key: str, *, title: str, short: str, text: str, cite: str, test: str = "", seeded: bool = False
) -> Callable[[WholeRule], WholeRule]:
    """Return the decorator that adds a rule which needs the data, not only a factor and degrees of freedom.

    The kernel leaves the covariance as the model has it (`model_alone`); the interval comes from the rule afterwards.
    test: see `MeanWords`; seeded: its numbers depend on the seed of the request.
    """

    def add(rule: WholeRule) -> WholeRule:
        words = MeanWords(short, text, test=test)
        MEAN_RULES.register(key, title=title, cite=cite, words=words, whole=rule, seeded=seeded)(model_alone)
        return rule

    return add


def model_alone(q1: Floats, m: Floats, level: float) -> tuple[Floats, Floats]:
    """Leave the covariance as the model has it, with the normal quantile; the interval itself is made afterwards.

    q1: (n,) generalised Q; m: (n,) k - p. Source: that of the rule, which is in the fact `whole` of its entry.
    """
    return np.ones_like(m), np.full_like(m, np.inf)


def mean_words(key: str) -> MeanWords:
    """Return how a rule of the mean is called."""
    words: MeanWords = MEAN_RULES[key].facts["words"]
    return words


def whole_rule(key: str) -> WholeRule | None:
    """Return the rule of the mean that needs the data, None for one that is a factor and degrees of freedom."""
    rule: WholeRule | None = MEAN_RULES[key].facts["whole"]
    return rule


def is_seeded(key: str) -> bool:
    """Tell whether a rule of the mean draws random numbers."""
    return bool(MEAN_RULES[key].facts.get("seeded"))


def prediction_rule(key: str, *, title: str, text: str, cite: str) -> Callable[[PredictionRule], PredictionRule]:
    """Return the decorator that adds a rule of prediction; `text` names its quantile in the methods of a paper."""
    return PREDICTION_RULES.register(key, title=title, cite=cite, text=text, whole=None)


def whole_prediction_rule(key: str, *, title: str, text: str, cite: str) -> Callable[[WholeRule], WholeRule]:
    """Return the decorator that adds a rule of prediction which needs the data; see `whole_mean_rule`."""

    def add(rule: WholeRule) -> WholeRule:
        PREDICTION_RULES.register(key, title=title, cite=cite, text=text, whole=rule)(residual_df)
        return rule

    return add


def residual_df(k: Floats) -> Floats:
    """Return k - 1 df, the most that a rule of prediction which needs the data may end with.

    Source: that of the rule, which is in the fact `whole` of its entry.
    """
    return k - 1


def prediction_text(key: str) -> str:
    """Return how the methods of a paper name the quantile of a rule of prediction."""
    text: str = PREDICTION_RULES[key].facts["text"]
    return text


def whole_prediction(key: str) -> WholeRule | None:
    """Return the rule of prediction that needs the data, None for one that is degrees of freedom."""
    rule: WholeRule | None = PREDICTION_RULES[key].facts["whole"]
    return rule


def quantile(level: float, df: Floats) -> Floats:
    """Return the two-sided quantile of t with `df` degrees of freedom (normal for inf, nan for df <= 0)."""
    p = (1 + level) / 2
    safe = np.where(np.isfinite(df) & (df > 0), df, 1.0)
    return np.where(np.isinf(df), ndtri(p), np.where(df > 0, stdtrit(safe, p), np.nan))


def two_sided_p(statistic: Floats, df: Floats) -> Floats:
    """Return the two-sided p value of a z (df inf) or t statistic from its lower tail, so that small p keep digits."""
    tail = -np.abs(statistic)
    safe = np.where(np.isfinite(df) & (df > 0), df, 1.0)
    return np.where(np.isinf(df), 2 * ndtr(tail), np.where(df > 0, 2 * stdtr(safe, tail), np.nan))


def symmetric(point: Floats, se: Floats, df: Floats, level: float, tau2: Floats) -> Limits:
    """Return point -+ quantile(df) se with its t or z test; no test where the standard error is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        half = quantile(level, df) * se
        statistic = np.where(se > 0, point / np.where(se > 0, se, 1.0), np.nan)
    return Limits(point, se, df, point - half, point + half, statistic, two_sided_p(statistic, df), tau2)


def wald_limits(problems: Problems, tau2: Floats, level: float) -> Limits:
    """Return the Wald interval at `tau2` (n,) with the normal quantile, for a mean alone."""
    fit = coefficients(problems, tau2)
    normal = np.full(problems.n, np.inf)
    return symmetric(fit.beta[:, 0], np.sqrt(fit.cov[:, 0, 0]), normal, level, tau2)


def apply_whole(rule: WholeRule, problems: Problems, tau2: Floats, request: IntervalRequest) -> Limits:
    """Apply a rule that needs the data to a batch; one study has the Wald interval, whatever the rule."""
    known = problems.m > 0
    base = wald_limits(problems, tau2, request.level)
    if not known.any():
        return base
    found = rule(problems.take(np.flatnonzero(known)), tau2[known], request)
    return _merged(base, found, known)


def _merged(base: Limits, found: Limits, at: Bools) -> Limits:
    """Put the found limits into their places of a larger batch."""
    columns: dict[str, Floats] = {}
    for field in fields(Limits):
        column = np.array(getattr(base, field.name), dtype=float)
        column[at] = getattr(found, field.name)
        columns[field.name] = column
    return Limits(**columns)
