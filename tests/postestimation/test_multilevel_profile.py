"""Profiles of correlations and variances stay where the matrix of the random effects is a covariance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.errors import OptionError
from metaback.levels import Multilevel
from metaback.stats.mixed import Term, correlation_ends, profile_loglik

SEARCHED = 1e-6  # relative: two searches for the same limit
RHO = "rho outcome | study"
# fmt: off
IN_RANGE = {
    "yi": [-0.27, -0.9, -0.26, 0.66, 0.9, 0.91, -0.24, -0.09, -0.14, -0.7, 0.0, 0.88, 1.12, -0.18, 0.99, -0.02, 0.55,
           -0.15, 0.49, 0.78, 1.33, 0.28, 0.66, -0.39, 0.64, 0.76, 0.5, 0.58, 0.53, 0.09],
    "vi": [0.042, 0.026, 0.025, 0.017, 0.043, 0.02, 0.016, 0.021, 0.017, 0.034, 0.015, 0.014, 0.012, 0.039, 0.015,
           0.028, 0.028, 0.033, 0.034, 0.015, 0.013, 0.039, 0.021, 0.034, 0.017, 0.017, 0.049, 0.049, 0.02, 0.016],
}
# fmt: on
# confint(rma.mv(yi, vi, random = ~ outcome | study, struct = ...), control = list(tol = 1e-10)) of metafor 3.8-1, the
# fit by optim's BFGS with reltol = 1e-14
THEIRS = {
    "CS": [(0.17101784, 0.69924709), (0.0071346996, 0.7857981)],
    "HCS": [
        (0.10968777, 0.79459147),
        (0.11628155, 0.85216743),
        (0.15400034, 1.0711302),
        (0.012038614, 0.78888701),
    ],
}


def model(yi: object, vi: object, struct: str, **choices: object) -> Multilevel:
    """Return three correlated outcomes in each study, one mean."""
    rows = len(np.asarray(yi))
    study = [f"s{i // 3}" for i in range(rows)]
    frame = pd.DataFrame({"study": study, "outcome": list("abc") * (rows // 3), "yi": yi, "vi": vi})
    return mb.multilevel(frame, "~ outcome | study", struct=struct, robust="none", **choices)  # type: ignore[arg-type]


def opposed(struct: str, **choices: object) -> Multilevel:
    """Return outcomes as opposed as three can be: their effects add up to nearly nothing in every study."""
    rng = np.random.default_rng(3)
    vi = rng.uniform(0.01, 0.03, (12, 3))
    apart = rng.multivariate_normal(np.zeros(3), 0.1 * (1.35 * np.eye(3) - 0.35), 12)
    return model((0.2 + apart + rng.normal(0, np.sqrt(vi))).ravel(), vi.ravel(), struct, **choices)


@pytest.mark.parametrize("struct", ["CS", "HCS"])
def test_intervals_within_the_range_are_those_of_confint(struct: str) -> None:
    found = model(**IN_RANGE, struct=struct).components_ci()
    np.testing.assert_allclose(found[["ci_low", "ci_high"]], THEIRS[struct], rtol=SEARCHED)


@pytest.mark.parametrize("struct", ["CS", "HCS"])
def test_a_correlation_of_three_levels_ends_at_minus_one_half(struct: str) -> None:
    """There the profile is still higher than the estimate by less than the drop, so that the interval ends there."""
    fit = opposed(struct)
    row = fit.components_ci().iloc[-1]
    assert row["ci_low"] == -0.5
    assert -0.5 <= row["estimate"] < row["ci_high"] < 0
    profile = fit.profile(RHO)
    assert profile.values.min() == -0.5
    assert np.isfinite(profile.logliks).all()
    assert profile.logliks.max() <= fit.loglik + SEARCHED
    assert fit.profile(RHO, [-0.5]).logliks[0] > fit.loglik - profile.drop
    with pytest.raises(OptionError, match=r"values has -0\.51, but ρ outcome \| study lies from -0\.5 to 1"):
        fit.profile(RHO, [-0.3, -0.51])
    with pytest.raises(OptionError, match=r"rho outcome \| study=-0\.6 is out of its range, -0\.5 to 1"):
        fit.update(fixed={RHO: -0.6})


def test_variances_have_intervals_where_the_correlation_is_at_its_end() -> None:
    """Each limit is where the profile falls by chi2(1) / 2, and between them the profile has its top."""
    fit = opposed("HCS")
    table = fit.components_ci().iloc[:3][["ci_low", "estimate", "ci_high"]].to_numpy()
    for place, (low, estimate, high) in enumerate(table.tolist()):
        ends = fit.profile(place, [low, estimate, high]).logliks
        assert low < estimate < high
        np.testing.assert_allclose(fit.loglik - ends, [1.920729, 0.0, 1.920729], atol=1e-5)


def test_a_variance_of_zero_leaves_the_others_their_range() -> None:
    """Without outcome c the two others may have any correlation: the profile at 0 is the fit without it."""
    fit = opposed("HCS").fitted
    at = profile_loglik(
        fit.y, fit.design.X, fit.V, fit.terms, index=2, values=np.array([0.0, 0.1]), start=fit.fit.theta
    )
    held = opposed("HCS", fixed={"tau2 c (outcome | study)": 0.0})
    assert at[0] == pytest.approx(held.loglik, abs=SEARCHED)
    assert at[0] < at[1]


def test_the_ends_of_a_correlation() -> None:
    rows = np.zeros(6, dtype=int)
    for struct, levels, variances, low in [
        ("CS", 2, [0.1], -1.0), ("CS", 5, [0.1], -0.25), ("HCS", 3, [1.0, 1.0, 1.0], -0.5),
        ("HCS", 3, [1.0, 0.0, 1.0], -1.0), ("UN", 3, [1.0, 1.0, 1.0], -1.0), ("AR", 3, [1.0], -1.0),
        ("CAR", 1, [1.0], 0.0),
    ]:  # fmt: skip
        assert correlation_ends(Term(struct, rows, rows, levels), np.array(variances)) == (low, 1.0)


@pytest.mark.parametrize("levels", [2, 3, 4, 7])
def test_the_lower_end_is_where_the_smallest_eigenvalue_is_zero(levels: int) -> None:
    low, _ = correlation_ends(Term("CS", np.zeros(1, dtype=int), None, levels), np.ones(1))
    smallest = np.linalg.eigvalsh((1 - low) * np.eye(levels) + low)[0]
    assert smallest == pytest.approx(0, abs=1e-14)
