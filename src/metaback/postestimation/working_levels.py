"""The working model of a pool as a model of levels: what `multilevel` answers, asked of a pool of dependent rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from metaback.errors import OptionError
from metaback.models.multilevel import FittedMultilevel, fit_multilevel
from metaback.models.multilevel_spec import resolve_multilevel
from metaback.postestimation.multilevel_profile import Floats, Profile, limits, profile
from metaback.postestimation.summary import Analysis, Component
from metaback.postestimation.working import BETWEEN, WITHIN

PLACES = {BETWEEN: 0, WITHIN: 1}
MODEL = "CHE"  # the working model of a pool by its name in `multilevel`


def as_levels(analysis: Analysis) -> FittedMultilevel:
    """Return the working model of a pool as `multilevel(es, "CHE", V=...)` fits it: the same mean, components and df.

    Raises `OptionError` where the answer of the pool is not that of a working model, or of one study alone.

    >>> import metaback as mb
    >>> res = mb.pool(mb.load_dataset("backpain").query("outcome == 'pain' and weeks < 9"))
    >>> fitted = as_levels(res.analysis)
    >>> bool(abs(fitted.fit.theta.sum() - res.tau2) < 1e-8), bool(abs(fitted.cov[0, 0] ** 0.5 - res.estimate.se) < 1e-8)
    (True, True)
    """
    working = analysis.working
    if working is None or not analysis.dependent:
        raise OptionError(
            "variances between and within studies are those of a working model, but this pool takes rows as "
            "independent: tau2 has its limits in heterogeneity, and its profile is profile(of='tau2')"
        )
    if not working.components:
        raise OptionError("all rows are of one study: there is no variance between studies to tell")
    spec = resolve_multilevel(MODEL, method=working.spec.tau2, level=working.spec.level)
    effects = analysis.fitted.effects
    study = np.array(list(map(str, effects.clusters.tolist())), dtype=object)
    alone = replace(effects, moderators={"study": study})  # a column named "effect" would be taken for that of a term
    return fit_multilevel(alone, spec, V=working.V)


def component_profile(analysis: Analysis, of: str, values: Floats | None = None) -> Profile:
    """Return the profile log-likelihood of one variance of the working model of a pool.

    of: "between studies" or "within studies". values: where to evaluate; None around the estimate. Raises
    `OptionError` for other words: tau2 is the sum of both.
    """
    if of not in PLACES:
        raise OptionError(f"{OptionError.unknown('of', of, PLACES)}: rows of a study are modelled together")
    return profile(as_levels(analysis), PLACES[of], values)


def with_limits(analysis: Analysis) -> tuple[Component, ...]:
    """Return the variance components of the working model with their profile likelihood limits.

    Where the data do not tell them apart there are no limits. Empty for a pool without components.

    >>> import metaback as mb
    >>> found = with_limits(mb.pool(mb.load_dataset("backpain").query("outcome == 'pain' and weeks < 9")).analysis)
    >>> [part.low <= part.tau2 <= part.high for part in found]
    [True, True]
    """
    working = analysis.working
    if working is None or not analysis.dependent or not working.components:
        return ()
    fitted = as_levels(analysis)
    ends = [limits(fitted, PLACES[part.name]) if part.told else (None, None) for part in working.components]
    return tuple(replace(part, low=low, high=high) for part, (low, high) in zip(working.components, ends, strict=True))


def limited(analysis: Analysis) -> Analysis:
    """Return an analysis whose working model has limits of its components, for a report; others as they are."""
    components = with_limits(analysis)
    if not components or analysis.working is None:
        return analysis
    return replace(analysis, working=replace(analysis.working, components=components))


def components_frame(analysis: Analysis) -> pd.DataFrame:
    """Return one row per variance component of the working model, with its profile likelihood limits."""
    as_levels(analysis)  # says why there are none
    rows: list[dict[str, object]] = [
        {"component": part.name, "estimate": part.tau2, "ci_low": part.low, "ci_high": part.high, "i2": part.i2}
        for part in with_limits(analysis)
    ]
    return pd.DataFrame(rows).astype({"ci_low": float, "ci_high": float})
