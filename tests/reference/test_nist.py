"""NIST's linear regressions as meta-regressions with equal variances: how many digits are right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from metaback.models.specs import PoolSpec
from metaback.models.univariate import fit_univariate

CASES = {case["name"]: case for case in json.loads((Path(__file__).parent / "nist.json").read_text("utf-8"))["cases"]}
# Right digits (log relative error) of the worst coefficient and of the worst standard error. Filip's powers up to x^10,
# rounded to doubles, do not hold more than eight; the digits of standard errors are those that one QR leaves.
DIGITS = {
    "Longley": (13, 13),
    "Filip": (8, 7),
    "Wampler1": (12, 12),
    "Wampler2": (12, 13),
    "Wampler3": (12, 12),
    "Wampler4": (12, 12),
    "Wampler5": (12, 12),
}


@pytest.mark.parametrize("variance", [1.0, 0.01])
@pytest.mark.parametrize("name", CASES)
def test_digits_of_coefficients_and_standard_errors(name: str, variance: float) -> None:
    case = CASES[name]
    y = np.array(case["y"])
    powers = np.arange(case.get("degree", 0) + 1)
    X = np.column_stack((np.ones(y.size), case["rows"])) if "rows" in case else np.array(case["x"])[:, None] ** powers
    spec = PoolSpec(model="equal", ci="HKSJ")  # whose factor is the residual variance
    found = fit_univariate(y, np.full(y.size, variance), np.ones(y.size, dtype=bool), spec, X)
    beta, se = (np.array(case[key], dtype=float) for key in ("beta", "se"))
    np.testing.assert_allclose(found.beta, beta, rtol=10.0 ** -DIGITS[name][0])
    np.testing.assert_allclose(np.sqrt(np.diag(found.cov)), se, rtol=10.0 ** -DIGITS[name][1], atol=1e-9)


def test_all_cases_are_there() -> None:
    assert set(CASES) == set(DIGITS)
