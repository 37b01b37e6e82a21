"""Best linear unbiased predictions of the studies' own true effects, shrunk towards the mean."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.fitted import Estimate
from metaback.models.specs import estimates_tau2
from metaback.numbers import fixed
from metaback.postestimation.flips import digits_for, level_text
from metaback.postestimation.scales import row_sizes, way_back
from metaback.postestimation.subsets import natural_columns, row_labels
from metaback.postestimation.summary import Analysis
from metaback.postestimation.words import plural
from metaback.stats.inference import quantile
from metaback.stats.measures import about
from metaback.stats.transforms import back
from metaback.stats.wls import Floats


@dataclass(frozen=True, slots=True, repr=False)
class Blups:
    """Predicted true effects of the rows, in the order of the table, on the analysis scale; nan for unpooled rows.

    estimate, se, ci_low, ci_high: (n,) prediction with its standard error and interval at the level of the pool; own:
    (n,) the row's own effect; shrinkage: (n,) share of the mean in the prediction, v / (v + tau2). mean: of the pool.
    size: (n,) people behind each where the way back needs one, None for those of the rows. unit: what each is, in
    words for one and for several.
    """

    labels: tuple[str, ...]
    estimate: Floats
    se: Floats
    ci_low: Floats
    ci_high: Floats
    own: Floats
    shrinkage: Floats
    mean: Estimate
    effects: EffectSizes
    size: Floats | None = field(default=None, kw_only=True)
    unit: tuple[str, str] = field(default=("row", "rows"), kw_only=True)

    def to_frame(self, *, transform: str | None = None) -> pd.DataFrame:
        """Return one tidy row per row of the table; transform="natural" carries effects and limits back."""
        if transform not in (None, "natural"):
            raise OptionError.unknown("transform", transform, ["natural"])
        names = ("estimate", "ci_low", "ci_high", "own")
        columns, scale = {name: getattr(self, name) for name in names}, about(self.effects.measure).scale
        way = way_back(self.effects)
        if transform and way != "identity":
            sizes = row_sizes(self.effects) if self.size is None else self.size
            size = sizes if back(way).size else None
            columns, scale = natural_columns(columns, way, size), "natural"
        frame = pd.DataFrame({"study": self.labels, **columns, "se": self.se, "shrinkage": self.shrinkage})
        return frame[["study", "estimate", "se", "ci_low", "ci_high", "own", "shrinkage"]].assign(scale=scale)

    def __repr__(self) -> str:
        """Return how far the predictions reach and how much they were shrunk."""
        known = np.isfinite(self.estimate)
        ends = float(self.estimate[known].min()), float(self.estimate[known].max())
        low, high = (fixed(end, digits_for(*ends)) for end in ends)
        share = f"{fixed(100 * float(np.median(self.shrinkage[known])), 0)}%"
        level, k = level_text(self.mean.level), int(known.sum())
        return (
            f"Predicted true effects of {plural(k, *self.unit)}, with {level} intervals (analysis scale)\n"
            f"from {low} to {high}; the median {self.unit[0]} is shrunk to the mean by {share}"
        )


def blup(analysis: Analysis) -> Blups:
    """Return the best linear unbiased prediction of each study's true effect, with its interval.

    pred_i = s_i mu + (1 - s_i) y_i with s_i = v_i / (v_i + tau2); its variance s_i tau2 + s_i^2 Var(mu) takes the mean
    as estimated (under the interval rule where that is a factor, else the model's) and tau2 as known. The interval has
    the quantile of the mean's rule.

    Edges: tau2 = 0 predicts the mean for every study. Raises `OptionError` for equal effects, where the mean is every
    study's effect. Source: Robinson 1991; Raudenbush & Bryk 1985. Same as `metafor::blup`.

    >>> import metaback as mb
    >>> pain = mb.load_dataset("backpain").query("outcome == 'pain' and treatment_1 == 'posterior_chain'")
    >>> found = blup(mb.pool(pain, preset="revman5").analysis)
    >>> bool((abs(found.estimate - found.mean.point) <= abs(found.own - found.mean.point)).all())
    True
    """
    fitted = analysis.fitted
    spec, fit, effects = fitted.spec, fitted.fit, fitted.effects
    if not estimates_tau2(spec):
        raise OptionError(
            f"model={spec.model!r} gives every study the same effect, its mean; predictions need model='random'"
        )
    tau2, mean, variance = float(fit.theta.ravel()[0]), float(fit.beta.ravel()[0]), float(fit.cov.ravel()[0])
    v = np.where(effects.estimable, effects.vi, np.nan)
    share = v / (v + tau2)
    point = mean + (1 - share) * (effects.yi - mean)
    se = np.sqrt(share * tau2 + share * share * variance)
    half = float(quantile(spec.level, np.array([float(fit.df)]))[0]) * se
    own = np.where(effects.estimable, effects.yi, np.nan)
    labels = row_labels(effects)
    return Blups(labels, point, se, point - half, point + half, own, share, analysis.overall.mean, effects)
