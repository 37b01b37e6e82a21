"""Location-scale models against metafor (generate_location_scale.R)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb

# BFGS of R stops where these flat likelihoods change by 1e-15: alpha has six digits, the location seven. Ours ends
# where the exact slope vanishes (tests/stats/test_location_scale.py, 40 digits).
OPTIMISED = 2e-6
FLATTER = 5e-7
HEIGHT = 1e-12  # the maximum itself does not feel either
STORE = json.loads((Path(__file__).parent / "location_scale.json").read_text(encoding="utf-8"))
GRID = [(name, method) for name, case in STORE["cases"].items() for method in case["fits"]]


def effects_of(case: dict[str, Any]) -> mb.EffectSizes:
    frame = pd.DataFrame({"yi": case["yi"], "vi": case["vi"], **case["columns"]})
    return mb.effect_sizes(mb.read_trials(frame.assign(study=[f"S{i}" for i in range(len(frame))])), measure="GEN")


@pytest.mark.parametrize(("name", "method"), GRID)
def test_location_scale_models_agree(name: str, method: str) -> None:
    case = STORE["cases"][name]
    true = case["fits"][method]
    found = mb.regress(effects_of(case), case["formula"]).location_scale(case["scale"], method=method)
    location = found.location.values()
    np.testing.assert_allclose([e.point for e in location], true["beta"], rtol=FLATTER)
    np.testing.assert_allclose([e.se for e in location], true["se"], rtol=FLATTER)
    np.testing.assert_allclose([e.point for e in found.scale.values()], true["alpha"], rtol=OPTIMISED)
    assert found.loglik == pytest.approx(true["loglik"], rel=HEIGHT)
    assert found.likelihood_ratio is not None
    assert found.likelihood_ratio.statistic == pytest.approx(true["lrt"], rel=1e-8)


def test_the_grid_cannot_shrink() -> None:
    assert {name.split()[0] for name in STORE["cases"]} >= {"bcg", "bangertdrowns"}
    assert len(GRID) >= 8
    assert STORE["meta"]["metafor"] == "3.8.1"
