"""Working covariances and aggregated effects against metafor's vcalc and aggregate, and clubSandwich."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.effects.effect_sizes import EffectSizes
from metaback.stats.blocks import whole

GRID = json.loads((Path(__file__).parent / "working_covariance.json").read_text(encoding="utf-8"))
CLOSE = 1e-12  # the same few operations in another order


def _effects(name: str, **columns: str) -> EffectSizes:
    """Return the effects of one data set, its columns named as metaback has them."""
    block = GRID[name]
    size = len(block["yi"])
    frame = pd.DataFrame({key: value for key, value in block.items() if isinstance(value, list) and len(value) == size})
    frame = frame.rename(columns=columns)
    frame["study"] = frame["study"].astype(str)
    return mb.effect_sizes(frame)


def _dense(es: EffectSizes, block: dict[str, Any]) -> np.ndarray:
    """Return the matrix of R, whose pairs are in the file."""
    out = np.diag(es.vi)
    out[block["i"], block["j"]] = out[block["j"], block["i"]] = block["cov"]
    return out


def test_the_grid_cannot_shrink() -> None:
    """Four data sets with their numbers of rows, from the named versions."""
    assert {name: len(block["yi"]) for name, block in GRID.items() if name != "versions"} == {
        "assink": 100,
        "ishak": 82,
        "berkey": 10,
        "knapp": 66,
    }
    assert GRID["versions"]["metafor"] == ["3.8.1"]


@pytest.mark.parametrize("source", ["rho", "clubsandwich"])
def test_one_correlation_within_studies(source: str) -> None:
    """vcalc(cluster, obs, rho = 0.6) and impute_covariance_matrix(r = 0.6), Assink & Wibbelink 2016."""
    es = _effects("assink")
    found = whole(mb.sampling_covariance(es, rho=0.6).matrix)
    np.testing.assert_allclose(found, _dense(es, GRID["assink"][source]), rtol=CLOSE, atol=0)


def test_the_printed_blocks_of_the_manual() -> None:
    """The first two studies of Assink & Wibbelink 2016, to the four decimals that metafor's own tests have."""
    V = whole(mb.sampling_covariance(_effects("assink"), rho=0.6).matrix)
    first = [0.0740, 0.0326, 0.0358, 0.0252, 0.0297, 0.0486]
    second = [[0.0115, 0.0056, 0.0052], [0.0056, 0.0076, 0.0042], [0.0052, 0.0042, 0.0065]]
    assert V[0, :6] == pytest.approx(first, abs=5.001e-5)
    np.testing.assert_allclose(V[6:9, 6:9], second, atol=5.001e-5)


def test_two_correlations_by_type() -> None:
    """vcalc(type, rho = c(0.7, 0.5)): within a type of behaviour and between two."""
    es = _effects("assink")
    found = mb.sampling_covariance(es, rho={"same": 0.7, "other": 0.5}, columns={"outcome": "deltype"})
    np.testing.assert_allclose(whole(found.matrix), _dense(es, GRID["assink"]["types"]), rtol=CLOSE, atol=0)


def test_times_of_a_study() -> None:
    """vcalc(time1, phi = 0.97): Ishak 2007, deep brain stimulation at four times."""
    es = _effects("ishak", time="weeks")
    found = whole(mb.sampling_covariance(es, phi=0.97).matrix)
    np.testing.assert_allclose(found, _dense(es, GRID["ishak"]["V"]), rtol=CLOSE, atol=0)


def test_columns_that_hold_the_matrix() -> None:
    """vcalc(rvars = c(v1i, v2i)): Berkey 1998, whose table has the covariances."""
    es = _effects("berkey", author="study")
    found = whole(mb.sampling_covariance(es, matrix=["v1i", "v2i"]).matrix)
    np.testing.assert_allclose(found, _dense(es, GRID["berkey"]["V"]), rtol=CLOSE, atol=0)


def test_shared_controls_by_their_sizes() -> None:
    """vcalc(grp1, grp2, w1, w2, rho = 0.4): Knapp 2017, patients of several kinds against one control group."""
    es = _effects("knapp", group1="arm_1", group2="arm_2", n1="n_1", n2="n_2")
    found = whole(mb.sampling_covariance(es, rho=0.4).matrix)
    np.testing.assert_allclose(found, _dense(es, GRID["knapp"]["V"]), rtol=CLOSE, atol=0)


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("aggregated", {"rho": 0.6}),
        ("equal", {"rho": 0.6, "weights": "equal"}),
        ("by_types", {"rho": {"same": 0.7, "other": 0.5}, "columns": {"outcome": "deltype"}}),
    ],
)
def test_rows_of_a_study_taken_together(name: str, choices: dict[str, Any]) -> None:
    """aggregate.escalc with an assumed correlation, with equal weights and with a matrix."""
    found = _effects("assink").aggregate(**choices)
    assert found.yi == pytest.approx(GRID["assink"][name]["yi"], rel=CLOSE * 100, abs=CLOSE)
    assert found.vi == pytest.approx(GRID["assink"][name]["vi"], rel=CLOSE * 10)
