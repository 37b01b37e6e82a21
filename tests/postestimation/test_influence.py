"""Influence and Baujat: 50-digit values, places, digits far from zero, regressions, and the edges."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.baujat import baujat
from metaback.postestimation.influence import Influence, influence

Make = Callable[..., EffectSizes]

EXACT = 1e-11  # closed forms (DL): sums of a few numbers
YI, VI = [0.1, 0.5, -0.3, 0.9, 1.4], [0.02, 0.03, 0.05, 0.04, 0.2]


def exact_fit(y: list, v: list) -> tuple:
    """Return mean, variance of the mean and tau2 of DerSimonian and Laird in 50 digits."""
    w = [1 / b for b in v]
    mean = sum(a * b for a, b in zip(w, y, strict=True)) / sum(w)
    q = sum(a * (b - mean) ** 2 for a, b in zip(w, y, strict=True))
    tau2 = max(mp.mpf(0), (q - (len(y) - 1)) / (sum(w) - sum(a * a for a in w) / sum(w)))
    u = [1 / (b + tau2) for b in v]
    return sum(a * b for a, b in zip(u, y, strict=True)) / sum(u), 1 / sum(u), tau2, q


def exact_rows(yi: list[float], vi: list[float]) -> list[list[float]]:
    """Return rstudent, dffits, cook, cov_ratio, tau2, q, hat, dfbetas, rstandard of each study, from definitions."""
    rows = []
    with mp.workdps(50):
        y, v = [mp.mpf(a) for a in yi], [mp.mpf(a) for a in vi]
        mean, variance, tau2, _ = exact_fit(y, v)
        for i in range(len(y)):
            b, c, t, q = exact_fit(y[:i] + y[i + 1 :], v[:i] + v[i + 1 :])
            hat = variance / (v[i] + tau2)
            at = 1 / sum(1 / (a + t) for a in v)
            change = mean - b
            row = [(y[i] - b) / mp.sqrt(v[i] + t + c), change / mp.sqrt(hat * (v[i] + t)), change**2 / variance]
            row += [c / variance, t, q, hat, change / mp.sqrt(at), (y[i] - mean) / mp.sqrt((v[i] + tau2) * (1 - hat))]
            rows.append([float(value) for value in row])
    return rows


NAMES = ("rstudent", "dffits", "cook", "cov_ratio", "tau2_deleted", "q_deleted", "hat", "dfbetas", "rstandard")


def columns(found: Influence) -> np.ndarray:
    return np.column_stack([np.ravel(getattr(found, name)) for name in NAMES])


def dl(make: Make, yi: list[float], vi: list[float]) -> Influence:
    return influence(analyse(make(yi, vi), resolve_spec("revman5")).fitted)


def test_every_number_in_50_digits(make: Make) -> None:
    np.testing.assert_allclose(columns(dl(make, YI, VI)), exact_rows(YI, VI), rtol=EXACT)


def test_digits_survive_a_study_that_carries_nearly_all_weight(make: Make) -> None:
    vi = [1e-9, 0.03, 0.05, 0.04, 0.2]
    yi = [0.1, 0.15, 0.05, 0.2, 0.11]
    np.testing.assert_allclose(columns(dl(make, yi, vi)), exact_rows(yi, vi), rtol=1e-9)


def test_digits_survive_far_from_zero(make: Make) -> None:
    yi = [2.0**20 + a for a in (0.0, 0.5, -0.25, 0.75, 1.5)]  # exact in binary, so the numbers must be those near 0
    near = dl(make, [0.0, 0.5, -0.25, 0.75, 1.5], VI)
    np.testing.assert_allclose(columns(dl(make, yi, VI)), columns(near), rtol=1e-12)


def test_rows_that_are_not_pooled_keep_their_place(make: Make) -> None:
    found = dl(make, [0.1, np.nan, 0.5, -0.3, 0.9], [0.02, np.nan, 0.03, 0.05, 0.04])
    assert np.isnan(found.rstudent).tolist() == [False, True, False, False, False]
    assert found.reasons[1] == "not given"
    assert not found.influential[1]
    assert len(found.to_frame()) == 5


def test_squared_pearson_residuals_sum_to_the_generalised_q(make: Make) -> None:
    analysis = analyse(make(YI, VI), resolve_spec("metafor"))
    found = baujat(analysis.fitted)
    assert found.heterogeneity.sum() == pytest.approx(float(analysis.fitted.fit.q1), rel=1e-12)
    assert "Most heterogeneity: study" in repr(found)


def test_who_stands_out_is_said(make: Make) -> None:
    found = dl(make, [0.0, 0.05, -0.05, 0.02, 3.0], [0.01] * 5)
    assert found.outlying.tolist() == [False] * 4 + [True]
    assert "study 4 is outlying" in repr(found)
    calm = dl(make, [0.1] * 12, [0.02] * 12)
    assert "No study is outlying or influential" in repr(calm)


def test_one_and_two_studies(make: Make) -> None:
    one = dl(make, [0.3], [0.04])
    assert np.isnan(one.rstudent).all()
    assert one.hat.tolist() == one.weight.tolist() == [1.0] or one.weight.tolist() == [100.0]
    assert one.reasons[0].startswith("without it: No study")
    two = dl(make, [0.3, 0.7], [0.04, 0.09])
    np.testing.assert_allclose(two.rstudent, [-0.4 / 0.13**0.5, 0.4 / 0.13**0.5], rtol=1e-12)


def test_equal_effects_have_numbers_or_none_but_no_trouble(make: Make) -> None:
    for ci in ("HKSJ", "HKSJ-wider", "Wald"):
        found = influence(analyse(make([0.2] * 4, [0.04] * 4), resolve_spec("cochrane", ci=ci)).fitted)
        assert not found.outlying.any()


def regression(x: list[float], y: list[float]) -> mb.Regression:
    table = pd.DataFrame({"y": y, "s": [0.2, 0.3, 0.25, 0.2, 0.3, 0.22], "x": x})
    return mb.regress(table, "~ x", effect="y", se="s", tau2="DL", ci="Wald")


def test_a_regression_is_refitted_without_each_row() -> None:
    x, y = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0], [0.1, 0.4, 0.2, 0.6, 0.5, 1.4]
    fit = regression(x, y)
    found = fit.influence()
    whole = np.array([estimate.point for estimate in fit.coefficients.values()])
    table = pd.DataFrame({"y": y, "s": [0.2, 0.3, 0.25, 0.2, 0.3, 0.22], "x": x})
    for i in range(6):
        less = mb.regress(table.drop(index=i), "~ x", effect="y", se="s", tau2="DL", ci="Wald")
        change = whole - np.array([estimate.point for estimate in less.coefficients.values()])
        assert found.cook[i] == pytest.approx(change @ np.linalg.solve(fit.cov, change), rel=1e-9)
        assert found.cov_ratio[i] == pytest.approx(np.linalg.det(less.cov) / np.linalg.det(fit.cov), rel=1e-9)
        assert found.tau2_deleted[i] == pytest.approx(less.tau2, rel=1e-9, abs=1e-14)
    assert found.hat.sum() == pytest.approx(2, rel=1e-12)
    assert list(found.to_frame().filter(like="dfbetas")) == ["dfbetas[Intercept]", "dfbetas[x]"]


def test_a_row_that_a_moderator_rests_on_has_a_reason() -> None:
    found = regression([0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [0.1, 0.4, 0.2, 0.6, 0.5, 1.4]).influence()
    assert np.isnan(found.cook[5])
    assert "collinear" in found.reasons[5]
    assert np.isfinite(found.cook[:5]).all()


def test_one_effect_has_nothing_to_be_compared_with(make: Make) -> None:
    found = influence(analyse(make([0.1], [0.1]), resolve_spec("cochrane")).fitted)
    assert repr(found) == "Influence: no effect can be left out, so there is nothing to compare."
