"""Effect sizes against 50-digit values and metafor's `escalc`, and RevMan's variants against their formulas.

The 94 rows of effect_sizes.json are computed twice: by the measure's function and through a table, as a user would.
What the package's policies for zero cells correspond to in metafor: `zeros="metafor"` is to="only0", drop00=FALSE;
`zeros="none"` is to="none"; `zeros="RevMan"` gives for RR and OR what drop00=TRUE gives. For RD nothing corresponds to
drop00=TRUE: RevMan corrects and keeps the rows that metafor drops (the last test but one holds that down).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import pytest

from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import EffectSizes
from metaback.stats.measures import MEASURES
from metaback.stats.measures.means import small_sample_factor

HERE = Path(__file__).parent
CLOSED = 1e-10  # closed forms; an effect of 0 is measured against its standard error
TIGHT = 1e-13  # the same formula in 50 digits: nothing but the rounding of a few operations may be lost
DIGITS = 50


def _rows(name: str) -> list[dict[str, Any]]:
    return json.loads((HERE / name).read_text(encoding="utf-8"))["rows"]


EXACT = {row["id"]: row for row in _rows("exact_effect_sizes.json")}
METAFOR = {row["id"]: row for row in _rows("effect_sizes.json")}
MEANS = [key for key, row in EXACT.items() if row["measure"] in {"SMD", "MD"}]
COUNTS = [key for key, row in EXACT.items() if row["measure"] in {"RR", "OR", "RD"}]
RD_DROPPED = ("rd_no_events_dropped", "rd_all_events_dropped")  # no policy of the package does this


def policy(row: dict[str, Any]) -> str:
    """Name the package's policy for the options of a row."""
    options = row["options"]
    if options["to"] == "none":
        return "none"
    return "RevMan" if options["drop00"] else "metafor"


def columns(row: dict[str, Any]) -> dict[str, float]:
    """Give the inputs of a row the package's names."""
    given = row["inputs"]
    if "m1i" in given:
        names = {"mean_1": "m1i", "sd_1": "sd1i", "n_1": "n1i", "mean_2": "m2i", "sd_2": "sd2i", "n_2": "n2i"}
        return {ours: float(given[theirs]) for ours, theirs in names.items()}
    a, b, c, d = (float(given[cell]) for cell in ("ai", "bi", "ci", "di"))
    return {"events_1": a, "n_1": a + b, "events_2": c, "n_2": c + d}


def direct(row: dict[str, Any], **options: str) -> tuple[float | None, float | None, bool]:
    """Compute one row with the measure's function: effect, variance, corrected."""
    done = MEASURES[row["measure"]].function(*(np.array([value]) for value in columns(row).values()), **options)
    yi, vi = float(done.yi[0]), float(done.vi[0])
    assert np.isfinite(yi) == np.isfinite(vi) == done.defined[0]
    return (yi, vi, bool(done.corrected[0])) if done.defined[0] else (None, None, bool(done.corrected[0]))


def through_a_table(rows: list[dict[str, Any]], options: dict[str, str]) -> EffectSizes:
    """Compute rows of one measure through a data frame with metafor's own column names."""
    table = pd.DataFrame([row["inputs"] for row in rows])
    table.insert(0, "study", [row["id"] for row in rows])
    return effect_sizes(read_trials(table), measure=rows[0]["measure"], options=options)


def agrees(found: float | None, true: Any, scale: float, tolerance: float) -> bool:
    """Compare two numbers, or two absences."""
    if found is None or true is None:
        return found is true
    return abs(found - float(true)) <= tolerance * max(abs(float(true)), scale)


def scale(row: dict[str, Any]) -> float:
    """Return the standard error of a row, 1 where it has none."""
    return float(row["vi"]) ** 0.5 if row["vi"] is not None else 1.0


# ---------------------------------------------------------------- the pinned rows


@pytest.mark.parametrize("key", MEANS)
def test_means_agree(key: str) -> None:
    row = EXACT[key]
    yi, vi, corrected = direct(row)
    assert agrees(yi, row["yi"], scale(row), CLOSED)
    assert agrees(vi, row["vi"], 0.0, CLOSED)
    assert not corrected


@pytest.mark.parametrize("key", [key for key in COUNTS if key not in RD_DROPPED])
def test_counts_agree(key: str) -> None:
    row = EXACT[key]
    yi, vi, corrected = direct(row, zeros=policy(row))
    assert agrees(yi, row["yi"], scale(row), CLOSED)
    assert agrees(vi, row["vi"], 0.0, CLOSED)
    has_zero = 0 in row["inputs"].values()
    assert corrected == (has_zero and policy(row) == "metafor")


@pytest.mark.parametrize("key", RD_DROPPED)
def test_risk_differences_that_metafor_drops_are_kept_by_every_policy_but_none(key: str) -> None:
    row = EXACT[key]
    assert row["yi"] is None
    kept = EXACT[key.replace("dropped", "kept")]
    for zeros in ("metafor", "RevMan"):
        yi, vi, corrected = direct(row, zeros=zeros)
        assert agrees(yi, kept["yi"], scale(kept), CLOSED)
        assert agrees(vi, kept["vi"], 0.0, CLOSED)
        assert corrected
    assert direct(row, zeros="none")[:2] == (None, None)


@pytest.mark.parametrize("key", METAFOR)
def test_metafor_agrees_with_the_exact_values_but_for_one_row(key: str) -> None:
    # Its J is a difference of log-gammas, which loses 8 digits at n = 1e7 per group (README).
    theirs, true = METAFOR[key], EXACT[key]
    tolerance = 1e-8 if key == "smd_n_20_million" else CLOSED
    assert agrees(theirs["yi"], true["yi"], scale(true), tolerance)
    assert agrees(theirs["vi"], true["vi"], 0.0, tolerance)
    if key == "smd_n_20_million":
        assert abs(theirs["yi"] / float(true["yi"]) - 1) == pytest.approx(7.7e-9, rel=0.06)
        assert agrees(direct(true)[0], true["yi"], 0.0, TIGHT)


@pytest.mark.parametrize("measure", ["SMD", "MD", "RR", "OR", "RD"])
@pytest.mark.parametrize("zeros", ["metafor", "RevMan", "none"])
def test_a_table_gives_what_the_function_gives(measure: str, zeros: str) -> None:
    rows = [row for row in EXACT.values() if row["measure"] == measure]
    found = through_a_table(rows, {"zeros": zeros, "vtype": "LS"})
    options = {"zeros": zeros} if measure in {"RR", "OR", "RD"} else {}
    assert options.items() <= dict(found.options).items()
    assert found.options.get("vtype", "LS") in {"LS", "RevMan"}
    for i, row in enumerate(rows):
        yi, vi, corrected = direct(row, **options)
        assert found.estimable[i] == (yi is not None)
        if yi is None:
            assert np.isnan(found.yi[i])
            assert np.isnan(found.vi[i])
            assert found.reasons[i] == MEASURES[measure].facts["about"].undefined
        else:
            assert (found.yi[i], found.vi[i], found.reasons[i]) == (yi, vi, "")
        assert bool(found.corrections[i]) == corrected


def test_the_rows_cannot_shrink() -> None:
    assert len(EXACT) >= 94
    assert set(EXACT) == set(METAFOR)
    assert {measure: sum(row["measure"] == measure for row in EXACT.values()) for measure in ("SMD", "MD")} == {
        "SMD": 17,
        "MD": 17,
    }
    assert all(sum(EXACT[key]["measure"] == m for key in COUNTS) == 20 for m in ("RR", "OR", "RD"))
    compared = sum((row["yi"] is not None) + (row["vi"] is not None) for row in EXACT.values())
    assert compared >= 172  # 94 rows less 8 that have no effect, two numbers each


# ---------------------------------------------------------------- RevMan's variants


def exact_smd_revman(row: dict[str, Any]) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Compute g = (1 - 3/(4N - 9)) d and N/(n1 n2) + g^2/(2 (N - 3.94)) with 50 digits."""
    m1, s1, n1, m2, s2, n2 = (mpmath.mpf(value) for value in columns(row).values())
    total = n1 + n2
    pooled = mpmath.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / (total - 2))
    g = (1 - mpmath.mpf(3) / (4 * total - 9)) * (m1 - m2) / pooled
    return g, total / (n1 * n2) + g**2 / (2 * (total - mpmath.mpf(3.94)))


@pytest.mark.parametrize("key", [key for key in MEANS if key.startswith("smd")])
def test_smd_of_revman_is_its_formula(key: str) -> None:
    row = EXACT[key]
    with mpmath.workdps(DIGITS):
        true_y, true_v = exact_smd_revman(row)
        yi, vi, _ = direct(row, vtype="RevMan")
        assert agrees(yi, true_y, float(mpmath.sqrt(true_v)), TIGHT)
        assert agrees(vi, true_v, 0.0, TIGHT)


def test_smd_of_revman_and_metafor_part_only_in_small_studies() -> None:
    small_to_large = [EXACT[key] for key in ("smd_n_2_2", "smd_n_5_5", "smd_ordinary_1", "smd_n_1000")]
    differences = [abs(direct(row, vtype="RevMan")[0] / direct(row)[0] - 1) for row in small_to_large]
    assert differences == sorted(differences, reverse=True)
    assert differences[0] > 1e-2
    assert differences[-1] < 1e-6


@pytest.mark.parametrize("key", [key for key in COUNTS if "dropped" not in key and "no_correction" not in key])
def test_counts_of_revman_are_its_rules(key: str) -> None:
    # RR and OR: 0.5 to all cells of rows with a zero, except rows with a = c = 0 or b = d = 0, which have no ratio.
    # RD: 0.5 only where the variance would be 0 without it.
    row = EXACT[key]
    a, b, c, d = cells = tuple(int(row["inputs"][cell]) for cell in ("ai", "bi", "ci", "di"))
    yi, vi, corrected = direct(row, zeros="RevMan")
    if row["measure"] == "RD":
        expected_correction, undefined = a * b == 0 and c * d == 0, False
    else:
        undefined = a == c == 0 or b == d == 0
        expected_correction = 0 in (a, b, c, d) and not undefined
    assert corrected == expected_correction
    if undefined:
        assert (yi, vi) == (None, None)
        return
    with mpmath.workdps(DIGITS):
        true_y, true_v = exact_counts(row["measure"], cells, 0.5 if expected_correction else 0)
        assert agrees(yi, true_y, float(mpmath.sqrt(true_v)), TIGHT)
        assert agrees(vi, true_v, 0.0, TIGHT)


def exact_counts(measure: str, cells: tuple[int, ...], add: float) -> tuple[mpmath.mpf, mpmath.mpf]:
    """Compute RR, OR (as logarithms) and RD with their variances from four cells with 50 digits."""
    A, B, C, D = (mpmath.mpf(cell) + add for cell in cells)
    n1, n2 = A + B, C + D
    if measure == "RR":
        return mpmath.log(A / n1) - mpmath.log(C / n2), 1 / A - 1 / n1 + 1 / C - 1 / n2
    if measure == "OR":
        return mpmath.log(A * D / (B * C)), 1 / A + 1 / B + 1 / C + 1 / D
    return A / n1 - C / n2, A * B / n1**3 + C * D / n2**3


@pytest.mark.parametrize("measure", ["RR", "OR", "RD"])
def test_without_zero_cells_all_policies_agree(measure: str) -> None:
    for row in (EXACT[key] for key in COUNTS if EXACT[key]["measure"] == measure):
        if 0 not in row["inputs"].values():
            assert len({direct(row, zeros=zeros) for zeros in ("metafor", "RevMan", "none")}) == 1


# ---------------------------------------------------------------- the factor J


@pytest.mark.parametrize("n", [2, 3, 10, 340, 344, 1e3, 1e5, 1e7, 2e7, 1e12])
def test_the_exact_factor_keeps_its_digits_at_any_size(n: float) -> None:
    df = 2 * n - 2
    with mpmath.workdps(DIGITS):
        x = mpmath.mpf(df)
        true = mpmath.gammaprod([x / 2], [(x - 1) / 2]) / mpmath.sqrt(x / 2)
    assert float(small_sample_factor(np.array([df]))[0]) == pytest.approx(float(true), rel=TIGHT)
