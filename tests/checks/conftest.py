"""Small tables for the tests of audit rules, and the outcome of one rule on them, as functions that fixtures return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.checks.findings import Finding, Outcome
from metaback.checks.rules import RULES, missing
from metaback.checks.scene import Scene
from metaback.data.read import read_trials
from metaback.effects.choices import effect_choices
from metaback.models.specs import resolve_spec
from metaback.postestimation.audit import Audit, audit_table, scene
from metaback.postestimation.table import Request

SEED = 20261122

ALONE = {"ci": "HKSJ"}  # a request that takes rows as independent without saying so, as most programs do


def request_of(spec: dict[str, Any] | None) -> dict[str, Any]:
    """Return the words of a request; a preset brings its own interval."""
    return dict(spec) if spec and "preset" in spec else {**ALONE, **(spec or {})}


def _scene_of(
    table: pd.DataFrame, *, measure: str | None = None, spec: dict[str, Any] | None = None, **words: Any
) -> Scene:
    """Return a table as the rules see it; `spec` holds words of the pool, `words` those of the effects."""
    trials = read_trials(table)
    return scene(trials, resolve_spec(**request_of(spec)), Request(measure=measure, choices=effect_choices(**words)))


def _run(key: str, table: pd.DataFrame, **words: Any) -> Outcome:
    """Run one rule on a table, as the audit would."""
    seen, entry = _scene_of(table, **words), RULES[key]
    lacking = missing(entry, seen)
    return Outcome(passed_over=(lacking,)) if lacking else entry.function(seen)


def _found(key: str, table: pd.DataFrame, **words: Any) -> tuple[Finding, ...]:
    """Return what one rule finds in a table."""
    return _run(key, table, **words).findings


def _audit_of(
    table: pd.DataFrame, *, measure: str | None = None, spec: dict[str, Any] | None = None, **words: Any
) -> Audit:
    """Return the whole audit of a table."""
    trials = read_trials(table)
    return audit_table(
        trials, resolve_spec(**request_of(spec)), Request(measure=measure, choices=effect_choices(**words))
    )


def _means_table(
    k: int = 8, *, sd: float = 20.0, mean: float = 50.0, effect: float = -0.4, seed: int = SEED
) -> pd.DataFrame:
    """Return a clean table of k trials with means and SDs of one outcome and instrument, small realistic arms."""
    rng = np.random.default_rng(seed)
    n1, n2 = rng.integers(10, 30, k), rng.integers(10, 30, k)
    spread = sd * np.exp(rng.normal(0, 0.15, k))
    means = mean + rng.normal(0, 3, k)
    return pd.DataFrame(
        {
            "study": [f"Author{chr(65 + i)} {2000 + i}" for i in range(k)],
            "outcome": "pain",
            "instrument": "VAS 0-100",
            "higher_is_better": False,
            "treatment_1": "exercise",
            "treatment_2": "usual care",
            "n_1": n1,
            "mean_1": (means + effect * spread).round(1),
            "sd_1": (spread * np.exp(rng.normal(0, 0.1, k))).round(1),
            "n_2": n2,
            "mean_2": means.round(1),
            "sd_2": (spread * np.exp(rng.normal(0, 0.1, k))).round(1),
        }
    )


@pytest.fixture
def scene_of() -> Callable[..., Any]:
    """Give a test the function of that name."""
    return _scene_of


@pytest.fixture
def run() -> Callable[..., Any]:
    """Give a test the function of that name."""
    return _run


@pytest.fixture
def found() -> Callable[..., Any]:
    """Give a test the function of that name."""
    return _found


@pytest.fixture
def audit_of() -> Callable[..., Any]:
    """Give a test the function of that name."""
    return _audit_of


@pytest.fixture
def means_table() -> Callable[..., Any]:
    """Give a test the function of that name."""
    return _means_table
