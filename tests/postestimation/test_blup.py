"""Predicted true effects: formula in 50 digits, shrinkage, and the edges."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.blup import blup

Make = Callable[..., EffectSizes]

YI, VI = [0.1, 0.5, -0.3, 0.9], [0.02, 0.03, 0.05, 0.04]


def test_the_prediction_is_the_conditional_mean_of_the_joint_normal(make: Make) -> None:
    spec = resolve_spec("metafor", tau2=0.1)
    found = blup(analyse(make(YI, VI), spec))
    with mp.workdps(50):  # Henderson's equations with the mean as a fixed effect
        y, v, tau2 = [mp.mpf(a) for a in YI], [mp.mpf(a) for a in VI], mp.mpf("0.1")
        k = len(y)
        left = mp.zeros(k + 1)
        right = mp.zeros(k + 1, 1)
        for i in range(k):
            left[0, 0] += 1 / v[i]
            left[0, i + 1] = left[i + 1, 0] = 1 / v[i]
            left[i + 1, i + 1] = 1 / v[i] + 1 / tau2
            right[0] += y[i] / v[i]
            right[i + 1] = y[i] / v[i]
        inverse = left**-1
        solved = inverse * right
        exact = [float(solved[0] + solved[i + 1]) for i in range(k)]
        error = [mp.sqrt(inverse[0, 0] + inverse[i + 1, i + 1] + 2 * inverse[0, i + 1]) for i in range(k)]
    np.testing.assert_allclose(found.estimate, exact, rtol=1e-13)
    np.testing.assert_allclose(found.se, [float(e) for e in error], rtol=1e-13)


def test_without_heterogeneity_every_study_has_the_mean(make: Make) -> None:
    found = blup(analyse(make([0.2, 0.21, 0.2], [0.04] * 3), resolve_spec("metafor")))
    np.testing.assert_allclose(found.estimate, found.mean.point)
    np.testing.assert_allclose(found.se, found.mean.se)
    assert found.shrinkage.tolist() == [1, 1, 1]


def test_rows_keep_their_place_and_scale(make: Make) -> None:
    found = blup(analyse(make([0.1, np.nan, 0.5], [0.02, np.nan, 0.03], measure="RR"), resolve_spec("cochrane")))
    natural = found.to_frame(transform="natural")
    assert np.isnan(found.estimate).tolist() == [False, True, False]
    np.testing.assert_allclose(natural["ci_high"][[0, 2]], np.exp(found.ci_high[[0, 2]]))
    assert "Predicted true effects of 2 rows" in repr(found)


def test_equal_effects_have_no_predictions(make: Make) -> None:
    with pytest.raises(OptionError, match="model='random'"):
        blup(analyse(make(YI, VI), resolve_spec("metafor", model="equal")))
