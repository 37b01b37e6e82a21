"""Subgroups against metafor: one tau2 for all, a tau2 for each, every pair adjusted (generate_subgroups.R)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.postestimation.group_comparison import GroupComparison
from metaback.stats.multiplicity import ADJUSTMENTS

AGREE = 1e-8  # the stopping rule of metafor's REML; closed forms agree to 1e-13
P_VALUES = 2e-7  # a p value moves by its statistic times the relative error
STORE = json.loads((Path(__file__).parent / "subgroups.json").read_text(encoding="utf-8"))
CASES = STORE["cases"]
RULES = {"z": "Wald", "knha": "HKSJ"}


def compared(case: dict[str, Any], *, tau2: str, adjust: str, **choices: str) -> GroupComparison:
    """Compare the groups, which stand in the order of R's levels."""
    frame = pd.DataFrame({"yi": case["yi"], "vi": case["vi"], "group": [str(label) for label in case["group"]]})
    frame = frame.sort_values("group", kind="stable", ignore_index=True)
    frame["study"] = [f"S{i}" for i in range(len(frame))]
    return mb.pool(frame, measure="GEN", by="group", **choices).compare_subgroups(tau2=tau2, adjust=adjust)


def check(found: GroupComparison, true: dict[str, Any], adjust: str) -> None:
    np.testing.assert_allclose([m.estimate.point for m in found.means], true["mean"], rtol=AGREE)
    assert found.test.statistic == pytest.approx(true["statistic"], rel=P_VALUES)
    assert found.test.p_value == pytest.approx(true["p_value"], rel=P_VALUES)
    np.testing.assert_allclose([p.estimate.point for p in found.pairs], true["difference"], rtol=AGREE, atol=1e-12)
    np.testing.assert_allclose([p.estimate.se for p in found.pairs], true["pair_se"], rtol=AGREE)
    np.testing.assert_allclose([p.p_adjusted for p in found.pairs], true["pair_p"][adjust], rtol=P_VALUES)


@pytest.mark.parametrize("adjust", list(ADJUSTMENTS))
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("method", ["REML", "DL"])
@pytest.mark.parametrize("name", CASES)
def test_groups_with_one_tau2(name: str, method: str, rule: str, adjust: str) -> None:
    true = CASES[name]["common"][method][rule]
    preset = "metafor" if method == "REML" else "revman5"
    found = compared(CASES[name], tau2="common", adjust=adjust, ci=RULES[rule], preset=preset)
    check(found, true, adjust)
    np.testing.assert_allclose([m.tau2 for m in found.means], true["tau2"], rtol=AGREE, atol=1e-12)
    np.testing.assert_allclose([m.estimate.se for m in found.means], true["se"], rtol=AGREE)
    np.testing.assert_allclose([m.estimate.lower for m in found.means], true["low"], rtol=AGREE)
    np.testing.assert_allclose([m.estimate.upper for m in found.means], true["high"], rtol=AGREE)


@pytest.mark.parametrize("adjust", list(ADJUSTMENTS))
@pytest.mark.parametrize(("method", "preset"), [("REML", "metafor"), ("DL", "revman5")])
@pytest.mark.parametrize("name", CASES)
def test_groups_with_a_tau2_of_their_own(name: str, method: str, preset: str, adjust: str) -> None:
    true = CASES[name]["separate"][method]
    found = compared(CASES[name], tau2="separate", adjust=adjust, preset=preset)
    check(found, true, adjust)
    np.testing.assert_allclose([m.tau2 for m in found.means], true["tau2"], rtol=AGREE, atol=1e-9)


def test_the_grid_cannot_shrink() -> None:
    assert len(CASES) >= 3
    assert all(set(case) >= {"common", "separate"} for case in CASES.values())
