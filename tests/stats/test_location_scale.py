"""Location-scale models: exact derivatives, and the homoscedastic model as a special case."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate
from metaback.stats.location_scale import location_scale

COUNTS = np.array(
    [
        (4, 119, 11, 128, 44),
        (6, 300, 29, 274, 55),
        (3, 228, 11, 209, 42),
        (62, 13536, 248, 12619, 52),
        (33, 5036, 47, 5761, 13),
        (180, 1361, 372, 1079, 44),
        (8, 2537, 10, 619, 19),
        (505, 87886, 499, 87892, 13),
        (29, 7470, 45, 7232, 27),
        (17, 1699, 65, 1600, 42),
        (186, 50448, 141, 27197, 18),
        (5, 2493, 3, 2338, 33),
        (27, 16886, 29, 17825, 33),
    ],
    dtype=float,
)
A, B, C, D, LATITUDE = COUNTS.T
Y = np.log(A / (A + B)) - np.log(C / (C + D))
V = 1 / A - 1 / (A + B) + 1 / C - 1 / (C + D)


def bcg() -> mb.EffectSizes:
    frame = pd.DataFrame({"study": [f"S{i}" for i in range(13)], "yi": Y, "vi": V, "latitude": LATITUDE})
    return mb.effect_sizes(mb.read_trials(frame), measure="GEN")


def test_two_tests_of_one_hypothesis_agree_near_the_maximum() -> None:
    found = mb.regress(bcg(), "~ latitude").location_scale("~ latitude")
    assert found.wald is not None
    assert found.likelihood_ratio is not None
    assert found.wald.statistic == pytest.approx(found.scale["latitude"].statistic ** 2, rel=1e-9)
    assert found.wald.statistic == pytest.approx(found.likelihood_ratio.statistic, rel=0.05)


def exact_loglik(alpha: list[mpmath.mpf], *, restricted: bool) -> mpmath.mpf:
    k = len(Y)
    X = mpmath.matrix([[1, x] for x in LATITUDE.tolist()])
    w = [
        1 / (mpmath.mpf(v) + mpmath.e ** (alpha[0] + alpha[1] * mpmath.mpf(x)))
        for v, x in zip(V.tolist(), LATITUDE.tolist(), strict=True)
    ]
    W, y = mpmath.diag(w), mpmath.matrix(Y.tolist())
    XWX = X.T * W * X
    r = y - X * (XWX**-1 * (X.T * W * y))
    value = (sum(mpmath.log(one) for one in w) - (r.T * W * r)[0]) / 2
    if not restricted:
        return value - mpmath.mpf(k) / 2 * mpmath.log(2 * mpmath.pi)
    logs = mpmath.log(mpmath.det(XWX)) - mpmath.log(mpmath.det(X.T * X))
    return value - logs / 2 - mpmath.mpf(k - 2) / 2 * mpmath.log(2 * mpmath.pi)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_slope_is_nought_and_standard_errors_are_the_curvature_in_40_digits(method: str) -> None:
    found = mb.regress(bcg(), "~ latitude").location_scale("~ latitude", method=method)
    with mpmath.workdps(40):
        alpha = [mpmath.mpf(e.point) for e in found.scale.values()]

        def at(i: float, j: float) -> mpmath.mpf:
            return exact_loglik([alpha[0] + i * mpmath.mpf("1e-8"), alpha[1] + j * mpmath.mpf("1e-8")],
                                restricted=method == "REML")  # fmt: skip

        h = mpmath.mpf("1e-8")
        assert float(at(0, 0)) == pytest.approx(found.loglik, rel=1e-12)
        assert abs((at(1, 0) - at(-1, 0)) / (2 * h)) < 1e-6
        assert abs((at(0, 1) - at(0, -1)) / (2 * h)) < 1e-4  # per degree of latitude, of which there are 42
        haa = (at(1, 0) - 2 * at(0, 0) + at(-1, 0)) / h**2
        hbb = (at(0, 1) - 2 * at(0, 0) + at(0, -1)) / h**2
        hab = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * h**2)
        cov = (-mpmath.matrix([[haa, hab], [hab, hbb]])) ** -1
        true = [float(mpmath.sqrt(cov[i, i])) for i in range(2)]
    assert [e.se for e in found.scale.values()] == pytest.approx(true, rel=1e-5)


def test_a_constant_scale_is_reml() -> None:
    X = np.column_stack((np.ones(13), LATITUDE))
    plain = fit_univariate(Y, V, np.ones(13, dtype=bool), PoolSpec(ci="Wald"), X)
    found = location_scale(Y, V, X, np.ones((13, 1)))
    assert found.tau2[0] == pytest.approx(float(plain.theta[0]), rel=1e-8)
    assert found.loglik == pytest.approx(float(plain.loglik), rel=1e-12)
    np.testing.assert_allclose(found.beta, plain.beta, rtol=1e-8)


def test_unit_and_origin_of_the_scale_moderator_do_not_matter() -> None:
    X = np.ones((13, 1))
    one = location_scale(Y, V, X, np.column_stack((np.ones(13), LATITUDE / 10)))
    two = location_scale(Y, V, X, np.column_stack((np.ones(13), (LATITUDE - 33) / 14)))
    np.testing.assert_allclose(one.tau2, two.tau2, rtol=1e-6)
    assert one.loglik == pytest.approx(two.loglik, rel=1e-12)


def test_a_variance_that_vanishes_is_an_error_and_not_a_number() -> None:
    frame = pd.DataFrame(
        {
            "study": [f"S{i}" for i in range(10)],
            "yi": [0.1] * 5 + [-1.0, 1.2, 0.4, -0.7, 2.0],
            "vi": [0.1] * 10,
            "arm": ["a"] * 5 + ["b"] * 5,
        }
    )
    fit = mb.regress(mb.effect_sizes(mb.read_trials(frame), measure="GEN"), "~ 1")
    with pytest.raises(mb.EstimationError, match="has no maximum"):
        fit.location_scale("~ arm")


def test_words_and_models_that_do_not_fit_are_refused() -> None:
    fit = mb.regress(bcg(), "~ latitude")
    with pytest.raises(mb.OptionError, match="method='MLE' is not known"):
        fit.location_scale("~ latitude", method="MLE")
    with pytest.raises(mb.OptionError, match="equal effects"):
        fit.update(model="equal").location_scale("~ latitude")
    assert fit.location_scale("~ 1").wald is None
    assert math.isfinite(fit.location_scale("~ 1").loglik)
