"""Pools and models of dependent effects at their edges: one study, impossible words, groupings that were forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metaback as mb


def table(studies: int = 8, rows: int = 3) -> pd.DataFrame:
    """Return effects in studies, with a moderator."""
    rng = np.random.default_rng(4)
    study = np.repeat(np.arange(studies), rows)
    y = 0.3 + 0.3 * rng.normal(size=studies)[study] + 0.2 * rng.normal(size=study.size)
    return pd.DataFrame({"study": [f"S{s}" for s in study], "x": rng.normal(size=study.size), "yi": y, "vi": 0.04})


@pytest.fixture(name="alone", scope="module")
def one_study() -> mb.Result:
    """Return the pool of one study with several rows."""
    return mb.pool(table(1))


def test_one_study_with_several_rows_leaves_nothing_without_it(alone: mb.Result) -> None:
    found = alone.leave_one_out()
    assert found.labels == ("S0",)
    assert np.isnan(found.pools.estimate).all()
    assert found.reasons == ("no effect is left",)
    rows = alone.leave_one_out(by="row")
    assert np.isfinite(rows.pools.estimate).all()


def test_one_study_with_several_rows_has_a_report(alone: mb.Result, tmp_path: Path) -> None:
    folder = alone.report(tmp_path / "report")
    assert "S0" in (folder / "report.md").read_text(encoding="utf-8")
