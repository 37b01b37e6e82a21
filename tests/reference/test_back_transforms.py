"""Pooled effects and studies on the natural scale against metafor's `predict(transf=...)`.

metafor shows a double arcsine and a double square root with the harmonic mean of the sizes, a study with its own size,
and 0.5 is added to the counts of a row with a zero. Known disagreement: metafor takes the exponential of the logarithm
of a proportion as it is, here it is never shown above 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.postestimation.words import study_estimates

HERE = Path(__file__).parent
# The REML estimate of tau2 is found by iteration on both sides; metafor stops at a change of 1e-14 of it, and the mean
# and its limits inherit the rest. Closed forms (studies) differ by rounding only.
POOLED, CLOSED = 1e-10, 1e-12
ROLES = {"xi": "events", "ni": "n", "ti": "time", "mi": "items", "ri": "r", "ai": "alpha", "sdi": "sd"}
FILE = json.loads((HERE / "back_transforms.json").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = {case["measure"]: case for case in FILE["cases"]}
SHARES = {"PLO", "PLN", "PAS", "PFT"}


def result(case: dict[str, Any]) -> mb.Result:
    roles = ROLES | ({"mi": "mean"} if case["measure"] == "MNLN" else {})
    frame = pd.DataFrame({roles[name]: values for name, values in case["inputs"].items()})
    frame.insert(0, "study", [f"S{i}" for i in range(len(frame))])
    return mb.pool(frame, measure=case["measure"], preset="metafor")


def bounded(values: list[float], measure: str) -> list[float]:
    """Cut proportions off at 1, as they are shown here."""
    return [min(value, 1.0) for value in values] if measure in SHARES else values


def test_the_grid_does_not_shrink() -> None:
    assert FILE["metafor"] == "3.8.1"
    assert set(CASES) == {"PLO", "PLN", "PAS", "PFT", "IRLN", "IRS", "IRFT", "ZCOR", "ABT", "AHW", "MNLN"}
    assert all(len(case["point"]) == 9 and None not in case["pooled"] for case in CASES.values())


@pytest.mark.parametrize("measure", list(CASES))
def test_pooled_numbers_on_the_natural_scale_are_those_of_metafor(measure: str) -> None:
    case, res = CASES[measure], result(CASES[measure])
    prediction = res.analysis.overall.prediction
    assert prediction is not None
    found = [*res.estimate.natural(), *prediction.natural()[1:]]
    np.testing.assert_allclose(found, bounded(case["pooled"], measure), rtol=POOLED, atol=POOLED)
    row = res.to_frame(transform="natural").iloc[0]
    assert row["scale"] == "natural"
    assert [row[name] for name in ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")] == found


@pytest.mark.parametrize("measure", list(CASES))
def test_each_study_on_the_natural_scale_is_that_of_metafor(measure: str) -> None:
    case, res = CASES[measure], result(CASES[measure])
    shown = [study.natural() for study in study_estimates(res.analysis) if study is not None]
    for found, name in zip(np.array(shown).T, ("point", "lower", "upper"), strict=True):
        np.testing.assert_allclose(found, bounded(case[name], measure), rtol=CLOSED, atol=CLOSED)
