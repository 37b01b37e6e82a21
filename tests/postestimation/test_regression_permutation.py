"""Statistics of shuffled studies are those that a regression of the same rows prints."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.postestimation.regression_permutation import _statistics

SAME = 1e-10  # the joint statistic by another route; coefficients of raw years beside their squares: 1e-7
K = 14


def table() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    yi, vi = rng.normal(size=K), rng.uniform(0.05, 0.3, K)
    frame = pd.DataFrame({"study": [f"S{i}" for i in range(K)], "yi": yi, "vi": vi})
    return frame.assign(year=1990.0 + rng.permutation(K), arm=list("abcabcabcabcab"))


@pytest.mark.parametrize("ci", ["Wald", "HKSJ"])
@pytest.mark.parametrize("formula", ["~ year + arm", "~ year + arm - 1", "~ year + I(year^2)"])
def test_every_order_has_the_statistics_of_its_own_regression(formula: str, ci: str) -> None:
    frame = table()
    rng = np.random.default_rng(1)
    orders = np.array([np.arange(K), rng.permutation(K), rng.permutation(K)], dtype=np.intp)
    fitted = mb.regress(frame, formula, measure="GEN", ci=ci).analysis.fitted
    z, q = _statistics(fitted, orders)
    for i, order in enumerate(orders):
        moved = frame.assign(yi=frame["yi"].to_numpy()[order], vi=frame["vi"].to_numpy()[order])
        one = mb.regress(moved, formula, measure="GEN", ci=ci)
        np.testing.assert_allclose(z[i], [e.statistic for e in one.coefficients.values()], rtol=1e-7)
        assert one.moderators is not None
        times = 1 if ci == "Wald" else one.moderators.df
        assert q[i] == pytest.approx(one.moderators.statistic * times, rel=SAME)
