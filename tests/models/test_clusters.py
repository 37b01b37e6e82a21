"""The clusters of a model of dependent effects: those of its random terms are those of the table, read anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.design.random_terms import coded
from metaback.models.multilevel import FittedMultilevel, levels_in, with_study
from metaback.models.multilevel_spec import words_of_random
from metaback.stats.mixed import clusters_of

ROWS = 24


def table() -> pd.DataFrame:
    """Return effects of studies, in laboratories that hold whole studies, with groups that cross both."""
    rng = np.random.default_rng(11)
    study = rng.integers(0, 8, ROWS)
    return pd.DataFrame(
        {
            "study": [f"Study {i}" for i in study],
            "lab": [f" Lab {i % 3}" for i in study],
            "group": rng.integers(0, 3, ROWS),
            "effect": rng.normal(size=ROWS),
            "se": rng.uniform(0.2, 0.4, ROWS),
        }
    )


def by_search(fitted: FittedMultilevel) -> str:
    """Return the first grouping of a model that holds all rows that are correlated, from the parts of its graph."""
    columns = with_study(fitted.effects, fitted.spec)
    parts = clusters_of(fitted.V, fitted.terms)
    first = np.unique(parts, return_index=True)[1]
    names = [words.outer[0][0] for words in words_of_random(fitted.spec)]
    for name in names:
        codes = coded(columns[name][fitted.design.used])[0]
        if np.array_equal(codes, codes[first][parts]):
            return name
    return names[0]


@pytest.mark.parametrize(
    ("random", "choices"),
    [
        ("~ 1 | study/effect", {}),
        ("~ 1 | lab/study/effect", {}),
        (["~ 1 | study", "~ 1 | lab"], {}),  # the second holds what the first does not
        (["~ 1 | study", "~ 1 | group"], {}),  # no grouping holds all
        ("~ 1 | study/group", {"V": 0.4}),
        (["~ 1 | group", "~ 1 | study"], {"V": 0.4}),
    ],
)
def test_clusters_are_those_of_a_search(random: Any, choices: dict[str, Any]) -> None:
    """The grouping that is taken, its codes and its names follow from the table by themselves."""
    fitted = mb.multilevel(table(), random, study="study", **choices).analysis.fitted
    name = str(fitted.spec.cluster)
    codes, texts = coded(with_study(fitted.effects, fitted.spec)[name][fitted.design.used])
    assert name == by_search(fitted)
    assert fitted.clusters.tolist() == codes.tolist()
    assert fitted.cluster_names == tuple(texts.tolist())


def test_a_column_that_is_called_as_the_row_is_not_the_row() -> None:
    """`effect` in a formula is the row itself; the levels of a column of that name are those of its cells."""
    frame = table()
    fitted = mb.multilevel(frame, "~ 1 | effect", study="study").analysis.fitted
    frame["effect"] = [1.0, 2.0] * (ROWS // 2)
    columns = {"effect": frame["effect"].to_numpy()}
    assert fitted.random.terms[0].grouping.count == ROWS
    assert levels_in("effect", columns, fitted.design, fitted.random)[1].tolist() == ["1", "2"]
