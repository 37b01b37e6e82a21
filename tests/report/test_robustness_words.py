"""How the part on sensitivity words conditions, choices and a variance between studies that is next to none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.models.plans import make_plan
from metaback.report.document import Table
from metaback.report.robustness import left_out_text, robustness, robustness_blocks


def test_what_differs_is_in_words_and_a_condition_keeps_its_columns() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"study": [f"S{i}" for i in range(6)], "yi": rng.normal(0.3, 0.3, 6), "vi": 0.02})
    frame["rob_overall"] = ["high", "low"] * 3
    said = [{"name": "DL", "tau2": "DL", "ci": "Wald"}, {"name": "low", "exclude": "rob_overall == 'high'"}]
    analysis = mb.pool(frame).analysis
    found = robustness(analysis, make_plan({"sensitivity": said}))
    table = next(part for part in robustness_blocks(analysis, found, anchor="a") if isinstance(part, Table))
    assert [row[1] for row in table.rows] == [
        "as the main analysis", "τ² DL; interval Wald", "without rows where rob_overall == 'high'",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (0.0, "; τ² 0 in every one"),
        (1.0, "; τ² between 0 and 0."),
    ],
)
def test_tau2_that_is_none_is_not_told_in_digits(extra: float, says: str) -> None:
    frame = pd.DataFrame({"study": list("abcde"), "yi": [0.3, 0.31, 0.29, 0.3, 0.3 + extra], "vi": 0.02})
    result = mb.pool(frame)
    assert says in left_out_text(result.analysis, result.leave_one_out())


def test_tau2_next_to_none_is_told_so() -> None:
    """Effects whose Q is just above its degrees of freedom: tau2 of DerSimonian and Laird is a millionth, I2 0.0%."""
    half = np.sqrt(0.02 * 3 * (1 + 1e-4) / 4)
    y = 0.3 + half * np.array([1.0, 1.0, -1.0, -1.0])
    frame = pd.DataFrame({"study": list("abcd"), "yi": y, "vi": 0.02})
    result = mb.pool(frame, tau2="DL")
    assert 0 < float(result.tau2 or 0) < 1e-5
    found = result.leave_one_out()
    tau2 = np.full(4, float(result.tau2 or 0))
    tau2[0] = 0.01
    i2 = 100 * tau2 / (tau2 + 0.02)
    made = replace(found, pools=replace(found.pools, tau2=tau2, i2=i2))
    assert "; τ² between next to 0 and 0.0100" in left_out_text(result.analysis, made)
    made = replace(found, pools=replace(found.pools, tau2=np.full(4, tau2[1]), i2=np.full(4, i2[1])))
    assert "; τ² next to 0 in every one" in left_out_text(result.analysis, made)
