"""What every conversion must keep, whoever adds it: words, references, behaviour at the edges, and a use."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from metaback.effects.routes import TESTED
from metaback.effects.ways import FUNCTION_ONLY, WAYS
from metaback.stats.conversions import CONVERSIONS, needs, outputs

BIBLIOGRAPHY = (Path(__file__).parents[2] / "references.bib").read_text(encoding="utf-8")
PRINTED = {*TESTED, "se-from-ci", "log-effect-from-ci"}  # the routes of ready-made effects
OPTIONS = {"delta": {"transform": "log"}}  # conventions that have no default
BY_ARM = {"combine-means", "combine-counts"}  # (k, m): one column for each arm


def run(key: str, value: float, size: int) -> dict[str, np.ndarray]:
    """Run a conversion on arrays of one value."""
    column = np.full((size, 2) if key in BY_ARM else size, value)
    return outputs(key, CONVERSIONS[key].function(*(column.copy() for _ in needs(key)), **OPTIONS.get(key, {})))


@pytest.mark.parametrize("key", list(CONVERSIONS))
def test_a_conversion_has_words_and_references_that_exist(key: str) -> None:
    entry = CONVERSIONS[key]
    assert len(entry.title) > 3
    assert len(entry.facts["text"]) > 3
    assert not entry.facts["text"].endswith(".")
    assert entry.facts["gives"]
    assert entry.cite
    for word in entry.cite:
        assert re.search(rf"^@\w+{{{word},", BIBLIOGRAPHY, re.MULTILINE), word


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("key", list(CONVERSIONS))
def test_a_conversion_runs_on_arrays_of_any_length(key: str, size: int) -> None:
    for column in run(key, 6.0, size).values():
        assert column.shape == (size,)


@pytest.mark.parametrize("key", list(CONVERSIONS))
def test_nothing_comes_of_nothing(key: str) -> None:
    for role, column in run(key, np.nan, 3).items():
        assert np.isnan(column).all(), role


@pytest.mark.parametrize("key", list(CONVERSIONS))
def test_a_conversion_is_used_or_has_a_reason_not_to_be(key: str) -> None:
    used = key in {way.conversion for way in WAYS} | PRINTED
    assert used != (key in FUNCTION_ONLY)


def test_every_word_for_a_conversion_is_of_one_that_exists() -> None:
    assert FUNCTION_ONLY.keys() | PRINTED <= set(CONVERSIONS)
    assert {way.conversion for way in WAYS} <= set(CONVERSIONS)
