"""The data of published examples of dependent effects, as `tests/reference/dependent` has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.stats.blocks import BlockMatrix, blocks_of, gathered

HERE = Path(__file__).parents[1] / "reference" / "dependent"
SETS: dict[str, Any] = json.loads((HERE / "data.json").read_text(encoding="utf-8"))["sets"]


class Dependent:
    """What published examples of dependent effects are made of."""

    @staticmethod
    def frame(name: str) -> pd.DataFrame:
        """Return a data set."""
        return pd.DataFrame(SETS[name]["columns"])

    @staticmethod
    def covariance(name: str) -> BlockMatrix:
        """Return the sampling covariance of a data set."""
        n = SETS[name]["n"]
        whole, label = np.zeros((n, n)), np.zeros(n, dtype=np.intp)
        for number, block in enumerate(SETS[name]["V"]):
            rows = np.array(block["rows"]).reshape(-1)
            whole[np.ix_(rows, rows)] = np.array(block["V"]).reshape(rows.size, rows.size)
            label[rows] = number
        return gathered(blocks_of(label), whole)

    @staticmethod
    def known(name: str, term: str) -> pd.DataFrame:
        """Return a known correlation with the names of its levels."""
        stored = SETS[name]["R"][term]
        whole = np.eye(len(stored["labels"]))
        for i, row in enumerate(stored["lower"]):
            for j, value in enumerate(row if isinstance(row, list) else [row]):
                whole[i, j] = whole[j, i] = value
        return pd.DataFrame(whole, index=stored["labels"], columns=stored["labels"])

    @staticmethod
    def fit(model: str, method: str) -> dict[str, Any]:
        """Return a pinned fit of rma.mv."""
        return json.loads((HERE / "fits.json").read_text(encoding="utf-8"))["models"][model]["fits"][method]


@pytest.fixture(scope="session")
def dependent() -> type[Dependent]:
    """Return the data of published examples."""
    return Dependent
