"""Meta-regressions with one moderator against metafor with tight control (generate_meta_regression.R)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.stats.heterogeneity import cochran_q, h2_from_tau2, i2_from_tau2, typical_variance
from metaback.stats.wls import prepare

CLOSED = 1e-10  # DL and what does not depend on tau2: sums and QR, metafor solves the normal equations
ITERATED = 1e-8  # PM and REML; metafor's stopping rules are absolute, with tau2 near 0.01 they leave 1e-12
CASES = json.loads((Path(__file__).parent / "meta_regression.json").read_text(encoding="utf-8"))["cases"]
METHODS = ("DL", "PM", "REML")


def arrays(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    case = CASES[name]
    yi, vi, x = (np.array(case[key], dtype=float) for key in ("yi", "vi", "x"))
    return yi, vi, np.column_stack((np.ones(x.size), x))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CASES)
def test_coefficients_and_heterogeneity_agree(name: str, method: str) -> None:
    y, v, X = arrays(name)
    true, tolerance = CASES[name]["random"][method], CLOSED if method == "DL" else ITERATED
    everything = np.ones(y.size, dtype=bool)
    wald = fit_univariate(y, v, everything, PoolSpec(tau2=method, ci="Wald"), X)
    hksj = fit_univariate(y, v, everything, PoolSpec(tau2=method, ci="HKSJ"), X)
    np.testing.assert_allclose(wald.theta, [true["tau2"]], rtol=tolerance)
    np.testing.assert_allclose(wald.beta, true["beta"], rtol=tolerance)
    np.testing.assert_allclose(np.sqrt(np.diag(wald.cov)), true["se"], rtol=tolerance)
    np.testing.assert_allclose(np.sqrt(np.diag(hksj.cov)), true["se_hksj"], rtol=tolerance)
    np.testing.assert_allclose(wald.loglik, true["loglik_reml"], rtol=tolerance)
    assert (wald.df, hksj.df) == (np.inf, true["df_hksj"])
    problems = prepare(y[None], v[None], everything[None], X[None])
    (q,), (p,) = cochran_q(problems)
    assert (q, p) == (pytest.approx(true["q"], rel=CLOSED), pytest.approx(true["q_p_value"], rel=CLOSED))
    typical = typical_variance(problems)
    assert i2_from_tau2(wald.theta, typical)[0] == pytest.approx(true["i2"], rel=tolerance)
    assert h2_from_tau2(wald.theta, typical)[0] == pytest.approx(true["h2"], rel=tolerance)


def test_the_grid_cannot_shrink() -> None:
    assert set(CASES) >= {"dat.bcg", "dat.raudenbush1985", "dat.bangertdrowns2004"}
    assert all(set(case["random"]) == set(METHODS) for case in CASES.values())
