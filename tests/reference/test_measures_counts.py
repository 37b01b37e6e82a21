"""Measures from counts (two arms, two rates, matched pairs) against 50-digit values and metafor's `escalc`.

Every row of every block of measures_counts.json is computed three times: by the package, by the formula of the paper
with 50 digits, and by metafor 3.8-1 (ZPHI, ZTET and vtype "H0": 5.1-12). The package agrees with the exact values to
1e-12 everywhere; where metafor does not, it is metafor that is off:

| where | metafor is off by | cause |
|---|---|---|
| counts of 1e7 | effects 4e-10, variances 5e-10 (YUQ 2e-3, YUY 8e-10) | differences of nearly equal numbers (1) |
| ZTET (5.1) | effects 6e-4, variances 6e-3 | its precision, not that of the data (2) |
| matched pairs, `drop00` | leaves out a = c = 0 and b = d = 0 | it reads the paired table as two arms (3) |
| PHI = 1 or -1 | reports a variance of 0 | undefined here |

(1) 1 - p for p near 1, 1 - Q^2 for Q near 1, the terms of the variance of phi. (2) The package's values are those of
another integral with 30 digits. (3) A row with a = c = 0 and b > 0 is informative, and stays here.

metafor's RTET is not pinned: it needs a package that is not installed where the numbers were made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

from metaback.errors import OptionError
from metaback.stats.measures import MEASURES, Computed, about, raw_roles
from metaback.stats.measures.family import option_names
from metaback.stats.measures.tetrachoric import tetrachoric

HERE = Path(__file__).parent
CLOSED = 1e-10  # closed forms, against metafor; an effect near 0 is measured against its standard error
TIGHT = 1e-12  # the same formula in 50 digits
TETRACHORIC = 1e-8  # near +-1 at 1e7 people: the difference of two cuts, 1e-7 apart, has 9 digits left
HUGE = {"YUQ": 2e-3, "YUY": 8e-10}  # what metafor loses at counts of 1e7 (the table above)
HUGE_ELSE = 5e-10
ITERATIVE = 6e-3  # what metafor's iteration leaves of ZTET
DIGITS = 50
POLICIES = ("RevMan", "metafor", "none", "only0", "all", "if0all", "drop00", "treatment-arm")
COMBINED = {"only0-drop00", "all-drop00", "if0all-drop00"}  # see test_zero_cells.py
PLAIN = {"AS", "PHI", "ZPHI", "RTET", "ZTET", "IRSD"}  # metafor adds nothing by default
KEPT = {"RD", "AS", "IRD", "IRSD", "MPRD"}  # RevMan's policy leaves no row of these out
PINNED: dict[str, Any] = json.loads((HERE / "measures_counts.json").read_text(encoding="utf-8"))
KINDS = {
    "arms": ("RR", "OR", "RD", "PETO", "AS", "PHI", "ZPHI", "YUQ", "YUY", "PBIT", "OR2D", "OR2DL", "OR2DN"),
    "rates": ("IRR", "IRD", "IRSD"),
    "pairs": ("MPRD", "MPRR", "MPOR", "MPORC", "MPPETO"),
    "margins": ("MPORM",),
}
KIND = {measure: kind for kind, measures in KINDS.items() for measure in measures} | {"RTET": "arms", "ZTET": "arms"}
Row = tuple[mpf, ...]
Answer = tuple[mpf, mpf] | None


def rows_of(kind: str, table: dict[str, list[float | None]]) -> list[tuple[float, ...]]:
    """Give the rows of a table as cells: a b c d (r), or events and times."""
    return [tuple(np.nan if x is None else float(x) for x in row) for row in zip(*table.values(), strict=True)]


def arguments(kind: str, rows: list[tuple[float, ...]]) -> list[np.ndarray]:
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    if kind in {"arms", "margins"}:
        a, b, c, d, *rest = columns
        return [a, a + b, c, c + d, *rest]
    return columns


def ours(measure: str, rows: list[tuple[float, ...]], **options: str) -> Computed:
    return MEASURES[measure].function(*arguments(KIND[measure], rows), **options)


# ---------------------------------------------------------------- the formulas of the papers, in 50 digits


def odds(row: Row, vtype: str) -> tuple[mpf, mpf]:
    a, b, c, d = row
    p = (a + c) / sum(row)
    null = (1 / (a + b) + 1 / (c + d)) / (p * (1 - p)) if vtype == "H0" else 1 / a + 1 / b + 1 / c + 1 / d
    return mpmath.log(a * d / (b * c)), null


def rr(row: Row, vtype: str) -> tuple[mpf, mpf]:
    a, b, c, d = row
    p = (a + c) / sum(row)
    null = (1 / (a + b) + 1 / (c + d)) * (1 - p) / p if vtype == "H0" else 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)
    return mpmath.log(a / (a + b)) - mpmath.log(c / (c + d)), null


def rd(row: Row, vtype: str, pooled: tuple[mpf, mpf]) -> tuple[mpf, mpf]:
    a, b, c, d = row
    n1, n2, p = a + b, c + d, (a + c) / sum(row)
    p1, p2 = pooled if vtype == "AV" else (a / n1, c / n2)
    less = 1 if vtype == "UB" else 0
    v = p * (1 - p) * (1 / n1 + 1 / n2) if vtype == "H0" else p1 * (1 - p1) / (n1 - less) + p2 * (1 - p2) / (n2 - less)
    return a / n1 - c / n2, v


def peto(row: Row) -> tuple[mpf, mpf]:
    a, b, c, d = row
    n = sum(row)
    v = (a + b) * (c + d) * (a + c) * (b + d) / (n**2 * (n - 1))
    return (a - (a + b) * (a + c) / n) / v, 1 / v


def arcsine(row: Row) -> tuple[mpf, mpf]:
    a, b, c, d = row
    one, two = mpmath.asin(mpmath.sqrt(a / (a + b))), mpmath.asin(mpmath.sqrt(c / (c + d)))
    return one - two, 1 / (4 * (a + b)) + 1 / (4 * (c + d))


def phi(row: Row, vtype: str) -> tuple[mpf, mpf]:
    n = sum(row)
    a, b, c, d = (x / n for x in row)
    r1, r2, c1, c2 = a + b, c + d, a + c, b + d
    root = mpmath.sqrt(r1 * r2 * c1 * c2)
    y = (a * d - b * c) / root
    if vtype == "ST":  # the derivative of phi by the two risks, whose variances are binomial
        s = mpmath.sqrt(c1 * c2)
        p1, p2 = a / r1, c / r2
        by = [
            mpmath.sqrt(r1 * r2) * (sign / s - (p1 - p2) * (c2 - c1) * w / (2 * s**3))
            for sign, w in ((1, r1), (-1, r2))
        ]
        return y, by[0] ** 2 * p1 * (1 - p1) / (n * r1) + by[1] ** 2 * p2 * (1 - p2) / (n * r2)
    skew = (r1 - r2) * (c1 - c2) / root
    spread = (r1 - r2) ** 2 / (r1 * r2) + (c1 - c2) ** 2 / (c1 * c2)
    return y, (1 - y**2 + y * (1 + y**2 / 2) * skew - mpf(3) / 4 * y**2 * spread) / n


def zphi(row: Row, vtype: str) -> tuple[mpf, mpf]:
    y, v = phi(row, vtype)
    if row[0] == row[3] == 0 or row[1] == row[2] == 0:
        raise ZeroDivisionError  # phi is 1 or -1, but for rounding
    return mpmath.atanh(y), v / (1 - y**2) ** 2


def yule(row: Row, power: mpf) -> tuple[mpf, mpf]:
    a, b, c, d = row
    y = ((a * d) ** power - (b * c) ** power) / ((a * d) ** power + (b * c) ** power)
    return y, (1 - y**2) ** 2 * (1 / a + 1 / b + 1 / c + 1 / d) * power**2 / 4


def probit(row: Row) -> tuple[mpf, mpf]:
    parts = []
    for x, other in (row[:2], row[2:]):
        n = x + other
        z = mpmath.sqrt(2) * mpmath.erfinv(2 * x / n - 1)
        parts.append((z, 2 * mpmath.pi * (x / n) * (other / n) * mpmath.exp(z**2) / n))
    return parts[0][0] - parts[1][0], parts[0][1] + parts[1][1]


def scaled(answer: tuple[mpf, mpf], factor: mpf) -> tuple[mpf, mpf]:
    return answer[0] * factor, answer[1] * factor**2


def rates(measure: str, row: Row) -> tuple[mpf, mpf]:
    x1, t1, x2, t2 = row
    if measure == "IRR":
        return mpmath.log(x1 / t1) - mpmath.log(x2 / t2), 1 / x1 + 1 / x2
    if measure == "IRD":
        return x1 / t1 - x2 / t2, x1 / t1**2 + x2 / t2**2
    return mpmath.sqrt(x1 / t1) - mpmath.sqrt(x2 / t2), 1 / (4 * t1) + 1 / (4 * t2)


def pairs(measure: str, row: Row) -> tuple[mpf, mpf]:
    a, b, c, d = row
    n = sum(row)
    if measure == "MPRD":
        return (b - c) / n, (b + c) / n**2 - (b - c) ** 2 / n**3
    if measure == "MPRR":
        return mpmath.log((a + b) / (a + c)), (b + c) / ((a + b) * (a + c))
    if measure == "MPORC":
        return mpmath.log(b / c), 1 / b + 1 / c
    if measure == "MPPETO":
        return 2 * (b - c) / (b + c), 4 / (b + c)
    e1, f1, e2, f2 = a + b, c + d, a + c, b + d
    v = 1 / e1 + 1 / f1 + 1 / e2 + 1 / f2 - 2 * n * (a * d - b * c) / (e1 * f1 * e2 * f2)
    return mpmath.log(e1 * f2 / (f1 * e2)), v


def margins(row: Row) -> tuple[mpf, mpf]:
    a, b, c, d, r = row
    v1, v2 = 1 / a + 1 / b, 1 / c + 1 / d
    return mpmath.log(a * d / (b * c)), v1 + v2 - 2 * r * mpmath.sqrt(v1 * v2)


ARMS: dict[str, Callable[..., tuple[mpf, mpf]]] = {
    "RR": rr,
    "OR": odds,
    "PHI": phi,
    "ZPHI": zphi,
    "PETO": lambda row, _: peto(row),
    "AS": lambda row, _: arcsine(row),
    "YUQ": lambda row, _: yule(row, mpf(1)),
    "YUY": lambda row, _: yule(row, mpf(1) / 2),
    "PBIT": lambda row, _: probit(row),
    "OR2D": lambda row, vtype: scaled(odds(row, vtype), mpmath.sqrt(3) / mpmath.pi),
    "OR2DL": lambda row, vtype: scaled(odds(row, vtype), mpmath.sqrt(3) / mpmath.pi),
    "OR2DN": lambda row, vtype: scaled(odds(row, vtype), 1 / mpf("1.65")),
}


def formula(measure: str, row: Row, vtype: str, pooled: tuple[mpf, mpf]) -> Answer:
    """Compute one row, None where its effect or its variance does not exist or the variance is 0."""
    try:
        if measure in ARMS:
            y, v = ARMS[measure](row, vtype)
        elif measure == "RD":
            y, v = rd(row, vtype, pooled)
        elif KIND[measure] == "rates":
            y, v = rates(measure, row)
        else:
            y, v = margins(row) if measure == "MPORM" else pairs(measure, row)
    except ZeroDivisionError:
        return None
    real = all(isinstance(x, mpf) and mpmath.isfinite(x) for x in (y, v))
    return (y, v) if real and v > mpf(10) ** -(DIGITS - 10) else None


# ---------------------------------------------------------------- the policies for zero counts, said again


def counts(measure: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (row[0], row[2]) if KIND[measure] == "rates" else row[:4]


def nothing_happened(measure: str, row: tuple[Any, ...]) -> bool:
    """Tell rows in which everybody has the same outcome, or where there are no events at all."""
    if KIND[measure] == "rates":
        return row[0] == row[2] == 0
    if KIND[measure] == "pairs":
        return row[1] == row[2] == 0 and 0 in (row[0], row[3])
    return row[0] == row[2] == 0 or row[1] == row[3] == 0


def left_out(measure: str, row: tuple[Any, ...], zeros: str) -> bool:
    if zeros == "drop00":
        return nothing_happened(measure, row)
    if zeros != "RevMan" or measure in KEPT:
        return False
    return row[1] == row[2] == 0 if measure in {"MPORC", "MPPETO"} else nothing_happened(measure, row)


def is_corrected(measure: str, rows: list[tuple[float, ...]], i: int, zeros: str) -> bool:
    has_zero = [0 in counts(measure, row) for row in rows]
    if zeros == "RevMan":  # of ratios of risks, too, all rows with a zero: see test_effect_sizes.py
        alone = formula(measure, tuple(mpf(x) for x in rows[i]), "LS", (mpf(0), mpf(0))) if measure in KIND else None
        return has_zero[i] and (measure == "RR" or alone is None) and not left_out(measure, rows[i], zeros)
    if zeros in {"metafor", "drop00"}:
        return has_zero[i] and measure not in PLAIN and not left_out(measure, rows[i], zeros)
    return {"none": False, "all": True, "if0all": any(has_zero)}.get(zeros, has_zero[i])


def add(measure: str, row: tuple[float, ...], zeros: str) -> Row:
    cells = [mpf(x) for x in row]
    kind = KIND[measure]
    one, two = (cells[1], cells[3]) if kind == "rates" else (cells[0] + cells[1], cells[2] + cells[3])
    shares = (one / (one + two), two / (one + two)) if zeros == "treatment-arm" else (mpf(1) / 2, mpf(1) / 2)
    if kind == "rates":
        return (cells[0] + shares[0], cells[1], cells[2] + shares[1], cells[3])
    return (cells[0] + shares[0], cells[1] + shares[0], cells[2] + shares[1], cells[3] + shares[1], *cells[4:])


def exact(measure: str, rows: list[tuple[float, ...]], zeros: str, vtype: str) -> list[Answer]:
    """Compute all rows of a table with 50 digits under a policy."""
    with mpmath.workdps(DIGITS):
        done: list[Row | None] = []
        for i, row in enumerate(rows):
            if any(np.isnan(row)) or left_out(measure, row, zeros):
                done.append(None)
            else:
                done.append(
                    add(measure, row, zeros) if is_corrected(measure, rows, i, zeros) else tuple(mpf(x) for x in row)
                )
        kept = [row for row in done if row is not None]
        a, b, c, d = (sum(row[j] for row in kept) for j in range(4))
        pooled = (a / (a + b), c / (c + d)) if measure == "RD" else (mpf(0), mpf(0))
        return [None if row is None else formula(measure, row, vtype, pooled) for row in done]


def distance(found: Computed, i: int, true: Any) -> tuple[float, float]:
    """Return how far a row is off: the effect by its size or its standard error, the variance by its size."""
    y, v = mpf(true[0]), mpf(true[1])
    return (
        float(abs(mpf(float(found.yi[i])) - y) / max(abs(y), mpmath.sqrt(v))),
        float(abs(mpf(float(found.vi[i])) / v - 1)),
    )


# ---------------------------------------------------------------- pinned blocks

BLOCKS = PINNED["blocks"]
FIVE = PINNED["metafor51"]["blocks"]


def name(block: dict[str, Any]) -> str:
    return "-".join([block["measure"], block["group"], *block["options"].values()])


def rows(block: dict[str, Any]) -> list[tuple[float, ...]]:
    if "kind" in block:
        return rows_of(block["kind"], PINNED["tables"][block["kind"]][block["group"]])
    return rows_of("arms", PINNED["metafor51"]["tables"][block["group"]])


@pytest.mark.parametrize("block", [*BLOCKS, *FIVE], ids=name)
def test_a_block_agrees_with_metafor(block: dict[str, Any]) -> None:
    measure, table = block["measure"], rows(block)
    found = ours(measure, table, **block["options"])
    tolerance = CLOSED
    if block["group"] == "huge":
        tolerance = HUGE.get(measure, HUGE_ELSE)
    elif measure == "ZTET":
        tolerance = ITERATIVE
    for i, theirs in enumerate(zip(block["yi"], block["vi"], strict=True)):
        if (
            KIND[measure] == "pairs"
            and block["options"]["zeros"] == "drop00"
            and not nothing_happened(measure, table[i])
        ):
            a, b, c, d = table[i]
            assert (theirs == (None, None)) == (a == c == 0 or b == d == 0)  # the row that metafor leaves out wrongly
            assert found.defined[i]
            if theirs == (None, None):
                continue
        known = None not in theirs and theirs[1] > 0
        assert found.defined[i] == known, (table[i], theirs)
        if known:
            assert max(distance(found, i, theirs)) <= tolerance, (table[i], theirs)


@pytest.mark.parametrize("block", [b for b in [*BLOCKS, *FIVE] if b["measure"] != "ZTET"], ids=name)
def test_a_block_is_exact(block: dict[str, Any]) -> None:
    check_exact(block["measure"], rows(block), block["options"])


def check_exact(measure: str, table: list[tuple[float, ...]], options: dict[str, str]) -> None:
    found = ours(measure, table, **options)
    zeros = options.get("zeros", "metafor")
    for i, true in enumerate(exact(measure, table, zeros, options.get("vtype", "LS"))):
        assert found.defined[i] == (true is not None), (table[i], true)
        if true is not None:
            assert max(distance(found, i, true)) <= TIGHT, (table[i], true)
            assert found.corrected[i] == is_corrected(measure, table, i, zeros)


GRID = [
    (measure, group, zeros, vtype)
    for kind, measures in KINDS.items()
    for measure in measures
    for group in PINNED["tables"][kind]
    for zeros in POLICIES
    if not (kind == "pairs" and zeros == "treatment-arm")
    for vtype in {"RD": ("LS", "H0", "UB", "AV"), "PHI": ("CS", "ST"), "ZPHI": ("CS", "ST")}.get(
        measure, ("LS", "H0") if "vtype" in option_names(measure) else ("LS",)
    )
]


@pytest.mark.parametrize(("measure", "group", "zeros", "vtype"), GRID)
def test_what_metafor_lacks_is_exact_too(measure: str, group: str, zeros: str, vtype: str) -> None:
    options = {"zeros": zeros} | ({"vtype": vtype} if "vtype" in option_names(measure) else {})
    check_exact(measure, rows_of(KIND[measure], PINNED["tables"][KIND[measure]][group]), options)


def test_the_grid_cannot_shrink() -> None:
    assert PINNED["meta"] == {"R": "4.2.2", "metafor": "3.8-1"}
    assert PINNED["metafor51"]["meta"]["metafor"] == "5.1-12"
    assert len(BLOCKS) >= 600
    assert len(FIVE) >= 27
    assert len(GRID) >= 900
    assert {b["measure"] for b in BLOCKS} == set(KIND) - {"ZPHI", "RTET", "ZTET"}
    assert Counter(b["measure"] for b in FIVE) >= Counter(ZPHI=11, ZTET=6, RR=2, OR=2, RD=2, OR2DN=2, OR2DL=2)
    numbers = sum(x is not None for b in [*BLOCKS, *FIVE] for x in (*b["yi"], *b["vi"]))
    assert numbers >= 9000
    assert {b["options"]["zeros"] for b in BLOCKS} == set(POLICIES) - {"RevMan", "treatment-arm"}


# ---------------------------------------------------------------- the tetrachoric correlation

TABLES = [
    (4, 119, 11, 128), (135, 15, 40, 10), (400, 12, 1, 20), (505, 87886, 499, 87892),
    (3, 9999997, 5, 9999995), (9999990, 10, 7, 9999993), (1, 9999999, 9999998, 2), (1, 10, 10, 9999979),
]  # fmt: skip


def normal(x: mpf) -> mpf:
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def cut(below: mpf, above: mpf) -> mpf:
    return mpmath.sqrt(2) * mpmath.erfinv((below - above) / (below + above))


def lower_quadrant(h: mpf, k: mpf, r: mpf) -> mpf:
    """P(X < h, Y < k) as the integral of P(Y < k | X = x), which is another way than the package takes."""
    s = mpmath.sqrt(1 - r * r)
    bends = [k / r + j * s / abs(r) for j in (-30, -8, -3, -1, 0, 1, 3, 8, 30)]
    points = {mpf(-14), *(x for x in (h - 6, h - 3, h - 1, h, *bends) if -14 < x <= h)}
    return mpmath.quad(lambda x: mpmath.npdf(x) * normal((k - r * x) / s), sorted(points))


@pytest.mark.parametrize("table", TABLES)
def test_the_tetrachoric_correlation_is_exact(table: tuple[int, int, int, int]) -> None:
    found = tetrachoric(*(np.array([float(x)]) for x in table))
    with mpmath.workdps(30):
        cells = a, b, c, d = tuple(mpf(x) for x in table)
        n, h, k = sum(cells), cut(a + b, c + d), cut(a + c, b + d)
        start = mpf(float(found.z[0]))
        z = mpmath.findroot(
            lambda z: lower_quadrant(h, k, mpmath.tanh(z)) - a / n,
            (start, start * (1 + mpf(10) ** -7)), solver="secant", tol=1e-40,
        )  # fmt: skip
        r, s = mpmath.tanh(z), 1 / mpmath.cosh(z)
        u1, u2 = normal((k - r * h) / s), normal((h - r * k) / s)
        density = mpmath.exp(-(h * h - 2 * r * h * k + k * k) / (2 * s * s)) / (2 * mpmath.pi * s)
        gradient = (1 - u1 - u2, -u1, -u2, mpf(0))
        mean = sum(x * g for x, g in zip(cells, gradient, strict=True)) / n
        v = sum(x * (g - mean) ** 2 for x, g in zip(cells, gradient, strict=True)) / (n * density) ** 2
        for number, true in zip(
            (found.rho, found.variance, found.z, found.variance_z), (r, v, z, v / s**4), strict=True
        ):
            assert float(abs(mpf(float(number[0])) / true - 1)) <= TETRACHORIC


def test_the_tetrachoric_correlation_of_halves_is_a_sine() -> None:
    # cuts at the medians: P = 1/4 + asin(rho)/(2 pi) (Sheppard 1899)
    a = np.array([1.0, 26.0, 40.0, 25.0, 49.0])
    found = tetrachoric(a, 50 - a, 50 - a, a)
    np.testing.assert_allclose(found.rho, np.sin(2 * np.pi * (a / 100 - 0.25)), rtol=1e-13, atol=1e-16)


def test_the_variance_of_the_tetrachoric_correlation_is_the_delta_method() -> None:
    # numerical gradient by the cells; the mean of the gradient over the cells is 0, since rho knows only proportions
    cells = np.array([30.0, 12.0, 7.0, 51.0])
    step = 1e-4
    gradient = np.array(
        [
            np.subtract(*(tetrachoric(*(cells + sign * step * unit)[:, None]).rho[0] for sign in (1, -1))) / (2 * step)
            for unit in np.eye(4)
        ]
    )
    assert (cells * gradient).sum() == pytest.approx(0, abs=1e-9)
    assert tetrachoric(*cells[:, None]).variance[0] == pytest.approx((cells * gradient**2).sum(), rel=1e-7)


# ---------------------------------------------------------------- rules

COUNT = st.integers(1, 3000)
FOUR = st.tuples(COUNT, COUNT, COUNT, COUNT)
SAME = 1e-11


def swapped(measure: str, row: tuple[float, ...]) -> tuple[float, ...]:
    a, b, c, d, *rest = row
    return (a, c, b, d) if KIND[measure] == "pairs" else (c, d, a, b, *rest)


@pytest.mark.parametrize("measure", KIND)
@given(row=FOUR)
def test_a_swap_of_the_arms_turns_the_effect(measure: str, row: tuple[int, ...]) -> None:
    given_row = tuple(map(float, row)) + ((0.3,) if measure == "MPORM" else ())
    both = [ours(measure, [r], zeros="none") for r in (given_row, swapped(measure, given_row))]
    np.testing.assert_allclose(both[1].yi, -both[0].yi, rtol=SAME, atol=1e-14)
    np.testing.assert_allclose(both[1].vi, both[0].vi, rtol=SAME)


@pytest.mark.parametrize("measure", sorted(set(KIND) - {"PETO"}))
@given(row=FOUR)
def test_twice_the_people_is_half_of_the_variance(measure: str, row: tuple[int, ...]) -> None:
    rest = (0.3,) if measure == "MPORM" else ()
    one, two = (ours(measure, [tuple(factor * float(x) for x in row) + rest], zeros="none") for factor in (1, 2))
    np.testing.assert_allclose(two.yi, one.yi, rtol=SAME, atol=1e-14)
    np.testing.assert_allclose(two.vi, one.vi / 2, rtol=SAME)


@given(row=FOUR)
def test_the_variance_of_peto_is_hypergeometric(row: tuple[int, ...]) -> None:
    n = sum(row)
    one, two = (ours("PETO", [tuple(factor * float(x) for x in row)], zeros="none") for factor in (1, 2))
    np.testing.assert_allclose(two.vi / one.vi, (2 * n - 1) / (n - 1) / 4, rtol=SAME)


@pytest.mark.parametrize("measure", KIND)
def test_effects_are_continuous(measure: str) -> None:
    # measures are differentiable in the cells, so a millionth of a person is a millionth of a change
    base = (30.0, 12.0, 7.0, 51.0) + ((0.3,) if measure == "MPORM" else ())
    table = [base, *((*base[:j], base[j] + 1e-6, *base[j + 1 :]) for j in range(4))]
    found = ours(measure, table, zeros="none")
    assert np.abs(found.yi - found.yi[0]).max() < 1e-6
    assert np.abs(found.vi / found.vi[0] - 1).max() < 1e-6


def test_the_tetrachoric_correlation_is_continuous_where_its_route_changes() -> None:
    # through no association (the sign turns) and through the angle at which the two integrals are equal
    for start in (40.0, 25.0):
        a = start + np.linspace(-0.5, 0.5, 101)
        rho = tetrachoric(a, 50 - a, 50 - a, a).rho
        np.testing.assert_allclose(rho, np.sin(2 * np.pi * (a / 100 - 0.25)), rtol=1e-12, atol=1e-15)


EDGES = [
    (0.0, 0.0, 3.0, 4.0), (0.0, 0.0, 0.0, 0.0), (np.nan, 1.0, 2.0, 3.0), (-1.0, 4.0, 2.0, 3.0), (np.inf, 1.0, 1.0, 1.0),
]  # fmt: skip


@pytest.mark.parametrize("zeros", POLICIES)
@pytest.mark.parametrize("measure", [m for m in KIND if KIND[m] in {"arms", "margins"}])
def test_what_is_no_table_is_undefined(measure: str, zeros: str) -> None:
    table = [row + ((0.1,) if measure == "MPORM" else ()) for row in EDGES]
    found = ours(measure, table, zeros=zeros)
    assert not found.defined.any()
    assert not found.corrected.any()


@pytest.mark.parametrize("zeros", POLICIES)
@pytest.mark.parametrize("measure", KIND)
def test_any_small_table_is_defined_with_its_variance_or_not_at_all(measure: str, zeros: str) -> None:
    if KIND[measure] == "pairs" and zeros == "treatment-arm":
        with pytest.raises(OptionError, match="treatment-arm"):
            ours(measure, [(1.0, 2.0, 3.0, 4.0)], zeros=zeros)
        return
    grid = [(a, b, c, d) for a in (0.0, 1.0, 7.0) for b in (0.0, 2.0) for c in (0.0, 1.0, 5.0) for d in (0.0, 3.0)]
    table = [row + ((0.1,) if measure == "MPORM" else ()) for row in grid]
    given_columns = arguments(KIND[measure], table)
    before = [column.copy() for column in given_columns]
    found = MEASURES[measure].function(*given_columns, zeros=zeros)
    np.testing.assert_array_equal(before, given_columns)
    np.testing.assert_array_equal(np.isfinite(found.yi), found.defined)
    np.testing.assert_array_equal(np.isfinite(found.vi), found.defined)
    assert (found.vi[found.defined] > 0).all()
    assert not (found.corrected & ~found.defined).any()
    if zeros != "if0all":
        alone = [ours(measure, [row], zeros=zeros) for row in table]
        np.testing.assert_array_equal([x.yi[0] for x in alone], found.yi)
        np.testing.assert_array_equal([x.vi[0] for x in alone], found.vi)


def test_the_treatment_arm_correction_leaves_a_study_without_events_at_a_ratio_of_one() -> None:
    # Sweeting et al. 2004: the constant correction pulls such studies towards the larger arm, this one does not
    uneven = [(0.0, 100.0, 0.0, 300.0)]
    for measure in ("RR", "OR", "RD"):
        assert ours(measure, uneven, zeros="treatment-arm").yi[0] == pytest.approx(0, abs=1e-15)
    assert ours("RR", uneven, zeros="metafor").yi[0] > 1


@pytest.mark.parametrize("measure", ["PHI", "ZPHI", "RR", "OR", "RD", "OR2D", "OR2DL", "OR2DN"])
def test_the_variance_of_a_preset_is_the_usual_one(measure: str) -> None:
    table = [(12.0, 30.0, 7.0, 44.0)]
    usual, revman = (ours(measure, table, vtype=word) for word in ("LS", "RevMan"))
    np.testing.assert_array_equal((usual.yi, usual.vi), (revman.yi, revman.vi))
    with pytest.raises(OptionError, match="vtype='nonsense'"):
        ours(measure, table, vtype="nonsense")


@cache
def conventions() -> dict[str, tuple[str, ...]]:
    return {key: tuple(about(key).conventions) for key in KIND}


@pytest.mark.parametrize("measure", KIND)
def test_every_convention_is_described(measure: str) -> None:
    assert set(conventions()[measure]) == set(option_names(measure))
    words = set(about(measure).conventions["zeros"].choices)
    assert words == COMBINED | set(POLICIES) - ({"treatment-arm"} if KIND[measure] == "pairs" else set())
    assert raw_roles(measure)
    back = {"log": "exp"}.get(about(measure).scale, "tanh" if measure in {"ZPHI", "ZTET"} else "identity")
    assert about(measure).back == back
    for zeros in words:
        assert about(measure).conventions["zeros"].choices[zeros].sentence


def test_pairs_from_their_margins() -> None:
    # with the phi coefficient of the paired table, MPORM is MPOR
    table = [(92.0, 86.0, 160.0, 612.0), (5.0, 9.0, 2.0, 30.0)]
    r = ours("PHI", table).yi
    a, b, c, d = map(np.array, zip(*table, strict=True))
    n = a + b + c + d
    one, two = ours("MPOR", table), MEASURES["MPORM"].function(a + b, n, a + c, n, r)
    np.testing.assert_allclose(two.yi, one.yi, rtol=1e-13)
    np.testing.assert_allclose(two.vi, one.vi, rtol=1e-13)
