"""The standard analyses of dependent rows are the pools that one would ask for by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.postestimation.standard_sensitivity import StandardPool
from metaback.postestimation.standard_working import APART, INDEPENDENT, LEVELS, TOGETHER, standard_working

CLIMBED = 2e-6  # two searches that end within the tolerance of the climb


def table(seed: int = 6, studies: int = 8) -> pd.DataFrame:
    """Return effects of studies with one to three outcomes of the same people."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), 1 + np.arange(studies) % 3)
    v = rng.uniform(0.02, 0.08, study.size)
    y = 0.3 + rng.normal(0, 0.3, studies)[study] + rng.normal(0, 0.2, study.size) + rng.normal(0, np.sqrt(v))
    names = [f"Study {i}" for i in study]
    return pd.DataFrame({"study": names, "outcome": [f"o{i}" for i in range(study.size)], "yi": y, "vi": v})


def of(found: tuple[StandardPool, ...], name: str, rule: str) -> list[float]:
    """Return mean, limits and P value of one of the analyses."""
    (part,) = (part for part in found if (part.tau2_rule, part.ci) == (name, rule))
    assert part.mean is not None
    return [part.mean.point, part.mean.lower, part.mean.upper, part.mean.p_value]


def asked(result: mb.Result | mb.Multilevel) -> list[float]:
    """Return the same of a fit."""
    one = result.estimate
    return [one.point, one.lower, one.upper, one.p_value]


@pytest.mark.parametrize(("own", "other"), [("REML", "ML"), ("ML", "REML")])
def test_each_is_the_pool_that_one_would_ask_for(own: str, other: str) -> None:
    """Three levels with both variances and both likelihoods, hierarchical effects, aggregates, independent rows."""
    frame = table()
    es = mb.effect_sizes(frame)
    dependent = mb.sampling_covariance(es).with_effects()
    res = mb.pool(frame, tau2=own)
    found = standard_working(res.analysis)
    wanted = {
        (f"{LEVELS}, {own}", "CR2"): res,
        (f"{LEVELS}, {own}", "Wald"): mb.multilevel(dependent, "~ 1 | study/effect", method=own, test="z"),
        (f"{APART}, {own}", "CR2"): mb.multilevel(es, "HE", method=own),
        (f"{LEVELS}, {other}", "CR2"): res.update(tau2=other),
        (f"{LEVELS}, {own}, ρ = 0.8", "CR2"): res.update(rho=0.8),
        (TOGETHER, "HKSJ-wider"): mb.pool(dependent.aggregate(), tau2=own),
        (INDEPENDENT, "HKSJ-wider"): res.update(independent=True),
        (INDEPENDENT, "Wald"): res.update(independent=True, ci="Wald"),
    }
    for (name, rule), result in wanted.items():
        np.testing.assert_allclose(of(found, name, rule), asked(result), rtol=CLIMBED, atol=CLIMBED, err_msg=name)
    assert [part.mean for part in found if part.main] == [res.estimate]


def test_what_is_the_same_is_left_out() -> None:
    """With sampling errors that are independent anyway nothing hangs on rho, and there is no second model."""
    frame = table().assign(stratum=[f"s{i}" for i in range(len(table()))], outcome="pain")
    found = standard_working(mb.pool(frame).analysis)
    assert not any("ρ" in part.tau2_rule or APART in part.tau2_rule for part in found)
    assert standard_working(mb.pool(frame, independent=True).analysis) == ()
