"""The simulation of the audit runs, and the rules keep what it promises."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "checks.py"
TABLES = 60  # about 130 wrong and 650 right rows: standard errors of 3 and 0.3 percentage points
FOUND, ALARMS, GAIN, ERRORS = 85.0, 1.0, 30.0, 0.5  # what the audit promises at a spread of 0.3


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """Load the script as a module."""
    spec = importlib.util.spec_from_file_location("benchmark_checks", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def test_standard_errors_are_found_with_few_false_alarms(script: ModuleType) -> None:
    found = script.simulated("se", 0.3, TABLES)
    assert found.share("se-as-sd") >= FOUND
    assert found.alarms("se-as-sd") < ALARMS
    assert found.share("se-as-sd") - found.share("|SMD| > 2") >= GAIN


def test_standard_errors_before_and_after_are_found_as_well(script: ModuleType) -> None:
    found = script.simulated("se-twice", 0.3, TABLES)
    assert found.share("se-as-sd") >= FOUND
    assert found.alarms("se-as-sd") < ALARMS
    clean = script.simulated("pre-post", 0.3, TABLES // 2, wrong=False)
    assert clean.alarms("se-as-sd") < ALARMS
    assert sum(clean.errors.values()) == 0


def test_clean_tables_have_hardly_an_error(script: ModuleType) -> None:
    clean = script.simulated("means", 0.3, TABLES // 2, wrong=False)
    assert clean.wrong == 0
    assert clean.alarms("se-as-sd") < ALARMS
    assert sum(clean.errors.values()) / clean.tables < ERRORS


def test_the_report_has_every_error_and_every_column(script: ModuleType) -> None:
    text = script.report(1)
    assert all(kind.words in text for kind in script.KINDS.values())
    assert all(kind.words in text for kind in script.CLEAN.values())
    assert "errors per table" in text


@pytest.mark.parametrize("name", ["se", "sd", "sign", "arms", "unit", "median"])
def test_what_is_made_wrong_is_one_row(script: ModuleType, name: str) -> None:
    rng = np.random.default_rng(1)
    draws = script.people(rng, 6, 0.3, skewed=False)
    table, before = script.means(draws), script.means(draws)
    script.KINDS[name].corrupt(table, draws, 2, rng)
    same = (table == before).all(axis=1)
    assert same.tolist() == [True, True, False, True, True, True]
