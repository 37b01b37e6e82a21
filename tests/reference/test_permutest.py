"""Permutation tests of a mean and of a moderator against metafor's permutest (generate_permutest.R)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.postestimation import regression_permutation
from metaback.stats.inference import IntervalRequest
from metaback.stats.resampling import permutation_p
from metaback.stats.tau2 import TAU2_ESTIMATORS

STORE = json.loads((Path(__file__).parent / "metafor_permutest.json").read_text(encoding="utf-8"))
MEANS, MODERATORS = STORE["means"], STORE["moderators"]
EXACT = 1e-12  # counts over counts: one arrangement more or less would be 1e-3
ERRORS = 4.0  # Monte Carlo standard errors
DRAWS = 5_000
RULES = {"z": "Wald", "knha": "HKSJ"}
METHODS = (0, 1)  # places of DL and REML in the file


def table(case: dict[str, Any]) -> pd.DataFrame:
    frame = pd.DataFrame({name: np.asarray(case[name], dtype=float) for name in ("yi", "vi", "x") if name in case})
    return frame.assign(study=[f"S{i}" for i in range(len(frame))])


def regressed(case: dict[str, Any], fit: dict[str, Any]) -> mb.Regression:
    return mb.regress(table(case), "~ x", measure="GEN", tau2=fit["method"], ci=RULES[fit["test"]])


def apart(mine: float, theirs: float, n: int, others: float) -> float:
    """Return the difference of two shares of random arrangements in standard errors, n and `others` in number."""
    both = 1 / n + 1 / others
    share = (n * mine + others * theirs) / (n + others) if math.isfinite(others) else theirs
    return abs(mine - theirs) / math.sqrt(max(share * (1 - share), 1 / n) * both)


def test_the_grid_cannot_shrink() -> None:
    assert len(MEANS) >= 14
    assert len({name.split()[0] for name in MODERATORS}) >= 13
    for case in (*MEANS.values(), *MODERATORS.values()):
        assert [fit["method"] for fit in case["fits"]] == ["DL", "REML"]
        assert [fit["failed"] for fit in case["fits"]] == [0, 0]
    assert sum("random" in case for case in MEANS.values()) >= 9
    assert sum("random" in case for case in MODERATORS.values()) >= 13


@pytest.mark.parametrize("place", METHODS)
@pytest.mark.parametrize("name", list(MEANS))
def test_sign_flips_of_a_mean_agree(name: str, place: int) -> None:
    case, true = MEANS[name], MEANS[name]["fits"][place]
    found = mb.pool(table(case), tau2=true["method"], ci="perm")
    assert found.estimate.p_value == pytest.approx(true["p"], abs=EXACT)


@pytest.mark.parametrize("place", METHODS)
@pytest.mark.parametrize("name", list(MODERATORS))
def test_all_orders_of_a_moderator_agree(name: str, place: int) -> None:
    case, true = MODERATORS[name], MODERATORS[name]["fits"][place]
    found = regressed(case, true).permutation_test()
    assert found.exact
    assert (found.n, found.failed) == (true["orders"], 0)
    assert list(found.p_values.values()) == pytest.approx(true["p"], abs=EXACT)
    assert found.p_moderators == pytest.approx(true["joint"], abs=EXACT)


@pytest.mark.parametrize("name", [name for name, case in MEANS.items() if "random" in case])
def test_random_flips_are_within_their_error(name: str) -> None:
    case = MEANS[name]["random"]
    request = IntervalRequest(0.95, lambda part: TAU2_ESTIMATORS[case["method"]].function(part).value, 1, DRAWS)
    mine = float(permutation_p(np.array(case["yi"]), np.array(case["vi"]), np.zeros(1), request)[0])
    assert apart(mine, case["p"], case["orders"], DRAWS) <= ERRORS


@pytest.mark.parametrize("name", list(MODERATORS))
def test_random_orders_are_within_their_error(name: str) -> None:
    case = MODERATORS[name]["random"]
    found = regressed(case, case).permutation_test(n=DRAWS)
    assert not found.exact
    for mine, theirs in zip((*found.p_values.values(), found.p_moderators), (*case["p"], case["joint"]), strict=True):
        assert apart(mine, theirs, case["orders"], DRAWS) <= ERRORS


@pytest.mark.parametrize("name", list(MODERATORS))
def test_random_orders_are_within_their_error_of_all_orders(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case, true = MODERATORS[name], MODERATORS[name]["fits"][0]
    monkeypatch.setattr(regression_permutation, "EXACT", 0)
    found = regressed(case, true).permutation_test(n=DRAWS)
    assert not found.exact
    for mine, theirs in zip((*found.p_values.values(), found.p_moderators), (*true["p"], true["joint"]), strict=True):
        assert apart(mine, theirs, DRAWS, math.inf) <= ERRORS
