"""Profile likelihoods of the components of a model of dependent effects, and the intervals that they give."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from metaback.errors import OptionError
from metaback.models.moments import without_likelihood
from metaback.models.multilevel import FittedMultilevel, plain_name
from metaback.postestimation.multilevel import GIVEN, Component, components_of, slices_of
from metaback.stats.inference import quantile
from metaback.stats.mixed import correlation_ends, profile_loglik
from metaback.stats.mixed.structures import chart_of

Floats = NDArray[np.float64]
POINTS = 8  # of the grid that brackets a limit on each side
STEPS = 30  # of the search for a limit; six are usual
CLOSE = 1e-9  # of the root of the fall in log-likelihood, or of a limit, relative: the limit is found
FURTHEST = 1e4  # times the estimate or the typical variance, beyond which a limit counts as infinite
END = 1.0 - 1e-9
ROUNDED = 1e-12  # of a correlation: below the end of its range by rounding


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """The profile log-likelihood of one component: values (g,) and logliks there, nan where none was reached.

    loglik: at the estimate; drop: by how much the log-likelihood falls to the limits of the interval.
    """

    component: Component
    values: Floats
    logliks: Floats
    loglik: float
    drop: float
    level: float

    def to_frame(self) -> pd.DataFrame:
        """Return one row per value."""
        return pd.DataFrame({"component": self.component.name, "value": self.values, "loglik": self.logliks})

    def __repr__(self) -> str:
        """Name the component and its range."""
        low, high = float(self.values.min()), float(self.values.max())
        return f"Profile of {self.component.name} from {low:.4g} to {high:.4g}: see .to_frame()"


def which_component(fitted: FittedMultilevel, name: str | int) -> tuple[int, Component]:
    """Return the place and the component that a name or a place means: "σ² study", "sigma2 study", "study" or 0.

    Raises `OptionError` for a name that means none of them.
    """
    found = components_of(fitted)
    if isinstance(name, int) and 0 <= name < len(found):
        return name, found[name]
    names = [plain_name(part.name) for part in found]
    short = [part.term for part in found]
    if plain_name(str(name)) in names:
        place = names.index(plain_name(str(name)))
        return place, found[place]
    if short.count(str(name)) == 1:
        return short.index(str(name)), found[short.index(str(name))]
    raise OptionError.unknown("component", name, names)


def profile(fitted: FittedMultilevel, name: str | int, values: Floats | None = None, *, points: int = 21) -> Profile:
    """Return the profile log-likelihood of a component: its highest value with the component held at each value.

    values: (g,) on the natural scale; None takes `points` around the estimate. All values climb together. A variance
    is at least 0; a correlation lies where the matrix of the random effects is a covariance: of L inner levels with one
    correlation ("CS", and "HCS" where no variance is 0) from -1 / (L - 1) to 1, over time from 0, else from -1.

    Raises `OptionError` for values out of the range.
    """
    without_likelihood(fitted.spec, "profile")
    place, component = which_component(fitted, name)
    if values is None:
        low, high = limits(fitted, place)
        values = _around(fitted, place, component, low, high, points)
    values = np.asarray(values, dtype=float)
    bottom, top = _range(fitted, place)
    outside = values[~((values >= bottom - ROUNDED) & (values <= top) & np.isfinite(values))]
    if outside.size or not values.size:
        found = f"values has {outside[0]:g}" if outside.size else "values is empty"
        raise OptionError(f"profile: {found}, but {component.name} lies from {bottom:g} to {top:g}")
    values = np.clip(values, *_within(bottom, top))
    return Profile(
        component, values, _logliks(fitted, place, values), float(fitted.fit.loglik), _drop(fitted), fitted.spec.level
    )


def _around(fitted: FittedMultilevel, place: int, component: Component, low: float, high: float, points: int) -> Floats:
    """Return values that reach a little beyond the limits."""
    at = float(fitted.fit.theta[place])
    low = at if not math.isfinite(low) else low
    high = 2 * max(at, _scale(fitted, component)) if not math.isfinite(high) else high
    wide = 0.3 * (high - low)
    bottom, top = _within(*_range(fitted, place))
    return np.linspace(max(bottom, low - wide), min(top, high + wide), points)


def limits(fitted: FittedMultilevel, place: int) -> tuple[float, float]:
    """Return the profile likelihood interval of one component: where the log-likelihood falls by chi2(1) / 2.

    A side on which it never falls so far ends at the range of the component, see `profile`: 0, the lowest or highest
    correlation, or infinity. nan for a component that cannot be told, or that the request gave.
    Source: Hardy & Thompson 1996; Viechtbauer 2007. Same as `metafor::confint`, which also looks at correlations that
    no covariance matrix has.
    """
    component = components_of(fitted)[place]
    if not component.identifiable or component.why == GIVEN:
        return math.nan, math.nan
    bottom, top = _within(*_range(fitted, place))
    at = float(fitted.fit.theta[place])
    low = _limit(fitted, place, at, bottom, _scale(fitted, component)) if at > bottom else bottom
    high = _limit(fitted, place, at, top, _scale(fitted, component)) if at < top else top
    return low, high


def components_ci(fitted: FittedMultilevel) -> pd.DataFrame:
    """Return the components with their profile likelihood intervals, one row each."""
    without_likelihood(fitted.spec, "components_ci")
    frame = components_frame(components_of(fitted))
    found = [limits(fitted, place) for place in range(len(frame))]
    frame.insert(4, "ci_low", [low for low, _ in found])
    frame.insert(5, "ci_high", [high for _, high in found])
    return frame


def components_frame(components: tuple[Component, ...]) -> pd.DataFrame:
    """Return one row per component: name, term, estimate, standard error, levels, and what is to be said of it."""
    return pd.DataFrame(
        {
            "component": [part.name for part in components],
            "term": [part.term for part in components],
            "estimate": [part.estimate for part in components],
            "se": [part.se for part in components],
            "levels": [part.levels for part in components],
            "at_bound": [part.at_bound for part in components],
            "identifiable": [part.identifiable for part in components],
            "note": [part.why for part in components],
        }
    )


def _drop(fitted: FittedMultilevel) -> float:
    """Return half the quantile of chi-square with one degree of freedom."""
    return 0.5 * float(quantile(fitted.spec.level, np.array([np.inf]))[0]) ** 2


def _scale(fitted: FittedMultilevel, component: Component) -> float:
    """Return a size at which a variance, or a range, would be plain to see."""
    if component.kind == "correlation":
        return 1.0
    if component.kind == "range":
        return max(abs(component.estimate), 1e-8)
    return float(np.median(fitted.effects.vi[fitted.design.used])) + max(component.estimate, 0.0)


def _range(fitted: FittedMultilevel, place: int) -> tuple[float, float]:
    """Return the ends of the range of a component."""
    for term, part in slices_of(fitted):
        if part.start <= place < part.stop and chart_of(term.term).kinds[place - part.start][0] == "correlation":
            held = fitted.fit.at_bound[part][: term.term.levels]
            return correlation_ends(term.term, np.where(held, 0.0, fitted.fit.theta[part][: term.term.levels]))
    return 0.0, math.inf


def _within(bottom: float, top: float) -> tuple[float, float]:
    """Return a range without the correlations -1 and 1 themselves."""
    return (max(bottom, -END), END) if top == 1 else (bottom, top)


def _logliks(fitted: FittedMultilevel, place: int, values: Floats) -> Floats:
    """Return the profile log-likelihood at some values, nan where none was reached."""
    return profile_loglik(
        fitted.y, fitted.design.X, fitted.V, fitted.terms, fitted.spec.method,
        index=place, values=values, start=fitted.fit.theta,
    )  # fmt: skip


def _limit(fitted: FittedMultilevel, place: int, at: float, end: float, scale: float) -> float:
    """Return where the profile crosses the drop between the estimate and the end of the range.

    The root of the fall in log-likelihood is nearly a line, so that false position on it ends after a few steps; where
    the profile has a gap, the crossing is that of its nearest end.
    """
    target = math.sqrt(_drop(fitted))
    grid = _outward(at, end, scale)
    fall = _falls(fitted, place, grid)
    over = ~(fall <= target)
    if not over.any():
        return end
    first = int(np.argmax(over))
    a, fa = (at, -target) if first == 0 else (float(grid[first - 1]), float(fall[first - 1]) - target)
    b, fb = float(grid[first]), float(fall[first]) - target
    side = 0
    for _ in range(STEPS):
        if not math.isfinite(fb) or abs(b - a) <= CLOSE * max(abs(a), abs(b)):
            break
        new = b - fb * (b - a) / (fb - fa)
        f = float(_falls(fitted, place, np.array([new]))[0]) - target
        if abs(f) <= CLOSE or not math.isfinite(f):
            return new
        if f > 0:
            fa, b, fb, side = (fa / 2 if side > 0 else fa), new, f, 1
        else:
            fb, a, fa, side = (fb / 2 if side < 0 else fb), new, f, -1
    return a if not math.isfinite(fb) else b - fb * (b - a) / (fb - fa)


def _outward(at: float, end: float, scale: float) -> Floats:
    """Return values from the estimate to the end of the range, ever farther apart."""
    if math.isfinite(end):
        return at + (end - at) * np.linspace(0, 1, POINTS + 1)[1:]
    return at + scale * np.geomspace(0.25, FURTHEST, 2 * POINTS)


def _falls(fitted: FittedMultilevel, place: int, values: Floats) -> Floats:
    """Return the root of how far the profile lies below its maximum, nan where none was reached."""
    fall = float(fitted.fit.loglik) - _logliks(fitted, place, values)
    return np.sqrt(np.maximum(fall, 0.0))
