"""Measures from means and SDs against metafor's `escalc`, 50-digit arithmetic and what has been published.

measures_means.json holds answers of metafor 3.8-1 (made by generate_measures_means.R) and, for codes and options that
it does not know, of 5.1-12. Every code with every option is also computed with 50 digits from the formulas of the
papers (`EXACT`), on all tables of both. Known disagreements with metafor are asserted, not left out:

- its J is a difference of log-gammas, which loses up to 8 digits at 1e7 people: table "huge";
- SMDH with vtype "LS2" in 3.8-1 has variances where a fourth power is needed, so that it depends on the unit;
- a variance of 0 is a row without an effect here, and 0 there;
- one row without an effect makes all rows NA there under vtype "AV"; here the mean is of the rows that have one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from metaback.errors import OptionError
from metaback.stats.measures import MEASURES, Computed, about, raw_roles
from metaback.stats.measures.family import option_names
from metaback.stats.measures.pre_post import unbiased_correlation
from metaback.stats.measures.small_samples import log_of_ratio, small_sample_factor, unbiased_share

CLOSED = 1e-10  # closed forms; an effect near 0 is measured against its standard error
LOG_GAMMA = 4e-8  # what differences of log-gammas leave of metafor's J, its square and 1 - (df - 2)/(df J^2)
TIGHT = 2e-13  # the same formula in 50 digits: the rounding of some ten operations on inputs that are doubles
SAME = 1e-12  # one quantity by two routes in double precision
DIGITS = 50
PINNED = json.loads((Path(__file__).parent / "measures_means.json").read_text(encoding="utf-8"))
NEWER = PINNED["metafor_5.1-12"]
THEIRS = {
    "mean_1": "m1i", "sd_1": "sd1i", "n_1": "n1i", "mean_2": "m2i", "sd_2": "sd2i", "n_2": "n2i",
    "n": "ni", "r": "ri", "auc": "ai",
}  # fmt: skip
BEFORE_4_6 = {("SMDH", "LS"), ("SMD1H", "LS"), ("SMCRH", "LS")}  # what these meant in 3.8-1 is "metafor3" here
UNIT_BOUND = ("SMDH", "LS2")

Row = Mapping[str, mpf]
Exact = tuple[mpf, mpf] | None


def compute(key: str, table: Mapping[str, Any], **options: str) -> Computed:
    """Compute a measure from columns under the package's names."""
    return MEASURES[key].function(*(np.array(table[role], dtype=float) for role in raw_roles(key)), **options)


def ours(table: Mapping[str, Any]) -> dict[str, list[float]]:
    """Give the columns of a pinned table the package's names."""
    return {
        role: [np.nan if value is None else float(value) for value in table[name]]
        for role, name in THEIRS.items()
        if name in table
    }


def agree(found: float, true: float, scale: float, tolerance: float) -> bool:
    return abs(found - true) <= tolerance * max(abs(true), scale)


# ---------------------------------------------------------------- metafor 3.8-1

CASES = PINNED["cases"]


def case_id(case: Mapping[str, Any]) -> str:
    return "-".join(str(case[name]) for name in ("design", "table", "measure", "vtype"))


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_metafor_3_agrees(case: Mapping[str, Any]) -> None:
    key, vtype = case["measure"], case["vtype"]
    options = {"vtype": "metafor3" if (key, vtype) in BEFORE_4_6 else vtype} if "vtype" in option_names(key) else {}
    done = compute(key, ours(PINNED["data"][case["design"]][case["table"]]), **options)
    uses_factor = key in {"SMD", "SMDH", "SMD1", "SMD1H", "SMCC", "SMCR", "SMCRH"}
    tolerance = LOG_GAMMA if case["table"] == "huge" and uses_factor else CLOSED
    for i, (yi, vi) in enumerate(zip(case["yi"], case["vi"], strict=True)):
        if yi is None or vi in {None, 0}:
            assert not done.defined[i] or (vtype in {"AV", "AVHO"} and case["table"] == "zero")
            continue
        assert done.defined[i]
        assert agree(done.yi[i], yi, vi**0.5, tolerance)
        if (key, vtype) != UNIT_BOUND:
            assert agree(done.vi[i], vi, 0.0, tolerance)


def test_the_variance_ls2_of_smdh_in_metafor_3_depends_on_the_unit() -> None:
    table = ours(PINNED["data"]["two"]["ordinary"])
    case = next(c for c in CASES if (c["table"], c["measure"], c["vtype"]) == ("ordinary", *UNIT_BOUND))
    s1, s2, n1, n2 = (np.array(table[role]) for role in ("sd_1", "sd_2", "n_1", "n_2"))
    g, a = np.array(case["yi"]), (s1**2 + s2**2) / 2
    second_powers = (s1**2 / n1 + s2**2 / n2) / a + g**2 * (s1**2 / n1 + s2**2 / n2) / (8 * a**2)
    np.testing.assert_allclose(case["vi"], second_powers, rtol=CLOSED)
    assert not np.allclose(compute("SMDH", table, vtype="LS2").vi, case["vi"], rtol=1e-3)


def test_the_grid_of_metafor_3_cannot_shrink() -> None:
    assert PINNED["versions"]["metafor"].startswith("3.8")
    assert len(CASES) >= 136
    assert {case["table"] for case in CASES} == {"ordinary", "tiny", "zero", "huge"}
    assert len({(case["measure"], case["vtype"]) for case in CASES}) >= 34
    assert sum(v is not None for case in CASES for v in case["vi"]) >= 560


# ---------------------------------------------------------------- metafor 5.1


def newer_call(case: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Name the package's measure and options for a call of 5.1: there ROM is corrected unless told otherwise."""
    key, options = case["measure"], dict(case["options"])
    if case["data"] == "edgeAUC":
        return "AUC", {"vtype": "normal"}
    if key == "ROM":
        options["correct"] = "no" if options.get("correct") is False else "yes"
    return key, {name: word for name, word in options.items() if name in option_names(key)}


@pytest.mark.parametrize("case", NEWER["cases"], ids=lambda case: case["id"])
def test_metafor_5_agrees(case: Mapping[str, Any]) -> None:
    key, options = newer_call(case)
    done = compute(key, ours(NEWER["data"][case["data"]]), **options)
    for i, (yi, vi) in enumerate(zip(case["yi"], case["vi"], strict=True)):
        if yi is None or vi is None:
            assert not done.defined[i]
        else:
            assert done.defined[i]
            assert agree(done.yi[i], yi, vi**0.5, CLOSED)
            assert agree(done.vi[i], vi, 0.0, CLOSED)


def test_the_grid_of_metafor_5_cannot_shrink() -> None:
    assert NEWER["versions"]["metafor"] == "5.1.12"
    assert len(NEWER["cases"]) >= 65
    assert {case["measure"] for case in NEWER["cases"]} == {
        "AUCCN", "AUCN", "CLESCN", "CLESN", "ROM", "SMCC", "SMCR", "SMCRP", "SMCRPH", "SMD", "SMD1", "SMDH",
        "ZBIS", "ZPB",
    }  # fmt: skip


# ---------------------------------------------------------------- the formulas of the papers in 50 digits


def exact_factor(df: mpf) -> mpf | None:
    if df <= 1:
        return None
    return mpmath.gammaprod([df / 2], [(df - 1) / 2]) / mpmath.sqrt(df / 2)


def standardised(d: mpf, base: mpf, size: mpf, df: mpf, vtype: str, correct: str) -> Exact:
    """Compute Hedges' g and its variances of Hedges 1982, 1983 and Borenstein 2009, and that under no effect."""
    j = exact_factor(df)
    if j is None or (vtype == "H0" and df <= 2):
        return None
    c = j if correct == "yes" else mpf(1)
    return c * d, {
        "LS": base + (c * d) ** 2 / (2 * size),
        "LS2": c**2 * (base + d**2 / (2 * size)),
        "UB": (base + (1 - (df - 2) / (df * j**2)) * (j * d) ** 2) * (c / j) ** 2,
        "H0": c**2 * base * df / (df - 2) if df > 2 else None,
    }[vtype]


def pooled(x: Row) -> mpf:
    return ((x["n_1"] - 1) * x["sd_1"] ** 2 + (x["n_2"] - 1) * x["sd_2"] ** 2) / (x["n_1"] + x["n_2"] - 2)


def inverse(x: Row) -> mpf:
    return 1 / x["n_1"] + 1 / x["n_2"]


def exact_md(x: Row, vtype: str) -> Exact:
    unpooled = x["sd_1"] ** 2 / x["n_1"] + x["sd_2"] ** 2 / x["n_2"]
    return x["mean_1"] - x["mean_2"], pooled(x) * inverse(x) if vtype == "HO" else unpooled


def exact_smd(x: Row, vtype: str, correct: str) -> Exact:
    total = x["n_1"] + x["n_2"]
    if pooled(x) == 0:
        return None
    d = (x["mean_1"] - x["mean_2"]) / mpmath.sqrt(pooled(x))
    if vtype == "RevMan":
        g = d * (1 - mpf(3) / (4 * total - 9)) if correct == "yes" else d
        return g, total / (x["n_1"] * x["n_2"]) + g**2 / (2 * (total - mpf(3.94)))
    return standardised(d, inverse(x), total, total - 2, vtype, correct)


def exact_smd1(x: Row, vtype: str, correct: str) -> Exact:
    if x["sd_2"] == 0:
        return None
    d = (x["mean_1"] - x["mean_2"]) / x["sd_2"]
    return standardised(d, inverse(x), x["n_2"], x["n_2"] - 1, vtype, correct)


def exact_smd1h(x: Row, vtype: str, correct: str) -> Exact:
    j = exact_factor(x["n_2"] - 1)
    if j is None or x["sd_2"] == 0:
        return None
    g = (j if correct == "yes" else 1) * (x["mean_1"] - x["mean_2"]) / x["sd_2"]
    less = 0 if vtype == "metafor3" else 1
    b1, b2 = x["n_1"] - less, x["n_2"] - less
    return g, x["sd_1"] ** 2 / (x["sd_2"] ** 2 * b1) + 1 / b2 + g**2 / (2 * b2)


def exact_smdh(x: Row, vtype: str, correct: str) -> Exact:
    s2 = (x["sd_1"] ** 2 + x["sd_2"] ** 2) / 2
    if s2 == 0:
        return None
    j = exact_factor(x["n_1"] + x["n_2"] - 2) if correct == "yes" else mpf(1)
    g = j * (x["mean_1"] - x["mean_2"]) / mpmath.sqrt(s2)
    less_a, less_b = {"LS": (1, 1), "metafor3": (1, 1), "LS2": (0, 0), "LS3": (1, 0)}[vtype]
    v = g**2 * sum(x[f"sd_{i}"] ** 4 / (x[f"n_{i}"] - less_a) for i in (1, 2)) / (8 * s2**2)
    v += sum(x[f"sd_{i}"] ** 2 / (x[f"n_{i}"] - less_b) for i in (1, 2)) / s2
    return g, v * j**2 if vtype == "metafor3" else v


def exact_rom(x: Row, vtype: str, correct: str) -> Exact:
    if x["mean_1"] * x["mean_2"] <= 0:
        return None
    q1, q2 = (x[f"sd_{i}"] ** 2 / (x[f"n_{i}"] * x[f"mean_{i}"] ** 2) for i in (1, 2))
    v = {
        "LS": q1 + q2,
        "LS2": q1 + q2 + (q1**2 + q2**2) / 2,
        "HO": pooled(x) * (1 / (x["n_1"] * x["mean_1"] ** 2) + 1 / (x["n_2"] * x["mean_2"] ** 2)),
    }[vtype]
    return mpmath.log(x["mean_1"] / x["mean_2"]) + ((q1 - q2) / 2 if correct == "yes" else 0), v


def exact_vr(x: Row, correct: str) -> Exact:
    if x["sd_1"] * x["sd_2"] == 0:
        return None
    h1, h2 = (1 / (2 * (x[f"n_{i}"] - 1)) for i in (1, 2))
    return mpmath.log(x["sd_1"] / x["sd_2"]) + (h1 - h2 if correct == "yes" else 0), h1 + h2


def exact_cvr(x: Row, correct: str) -> Exact:
    spread, means = exact_vr(x, correct), exact_rom(x, "LS", "no")
    if spread is None or means is None or x["mean_1"] < 0:
        return None
    return spread[0] - means[0], spread[1] + means[1]


def cohen(x: Row) -> tuple[mpf, mpf, mpf] | None:
    """Return Cohen's d, its variance and the number that turns it into a point-biserial correlation."""
    if pooled(x) == 0:
        return None
    total = x["n_1"] + x["n_2"]
    d = (x["mean_1"] - x["mean_2"]) / mpmath.sqrt(pooled(x))
    return d, inverse(x) + d**2 / (2 * total), (total - 2) * inverse(x)


def exact_rpb(x: Row, vtype: str) -> Exact:
    if (found := cohen(x)) is None:
        return None
    d, v, h = found
    r, total = d / mpmath.sqrt(d**2 + h), x["n_1"] + x["n_2"]
    pq = x["n_1"] * x["n_2"] / total**2
    cross = (1 - r**2) ** 2 * (1 - 3 * r**2 / 2 + r**2 / (4 * pq)) / total
    return r, h**2 / (h + d**2) ** 3 * v if vtype == "ST" else cross


def fisher(found: Exact) -> Exact:
    if found is None or abs(found[0]) >= 1:
        return None
    return mpmath.atanh(found[0]), found[1] / (1 - found[0] ** 2) ** 2


def exact_rbis(x: Row) -> Exact:
    if (found := exact_rpb(x, "ST")) is None:
        return None
    total = x["n_1"] + x["n_2"]
    p, q = x["n_1"] / total, x["n_2"] / total
    z = mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * p)
    f = mpmath.npdf(z)
    r = mpmath.sqrt(p * q) / f * found[0]
    cut = max(min(r, mpf(1)), mpf(-1))
    inner = mpf(3) / 2 + (1 - p * z / f) * (1 + q * z / f)
    return r, (p * q / f**2 - inner * cut**2 + cut**4) / (total - 1)


def exact_odds(x: Row, factor: mpf) -> Exact:
    return None if (found := cohen(x)) is None else (factor * found[0], factor**2 * found[1])


def exact_cles(x: Row, vtype: str) -> Exact:
    v1, v2 = (pooled(x), pooled(x)) if vtype == "HO" else (x["sd_1"] ** 2, x["sd_2"] ** 2)
    if v1 + v2 == 0:
        return None
    z = (x["mean_1"] - x["mean_2"]) / mpmath.sqrt(v1 + v2)
    less_c, less_b = {"LS": (1, 1), "LS2": (0, 0), "LS3": (1, 0), "H0": (1, 1), "HO": (0, 0)}[vtype]
    first = (v1 / (x["n_1"] - less_b) + v2 / (x["n_2"] - less_b)) / (v1 + v2)
    second = (v1**2 / (x["n_1"] - less_c) + v2**2 / (x["n_2"] - less_c)) / (2 * (v1 + v2) ** 2)
    if vtype == "HO":
        second = 1 / (2 * (x["n_1"] + x["n_2"]))
    at = mpf(0) if vtype == "H0" else z
    return mpmath.ncdf(z), mpmath.npdf(at) ** 2 * (first + at**2 * second)


def exact_auc(x: Row, vtype: str) -> Exact:
    y, m, n = x["auc"], x["n_1"], x["n_2"]
    if vtype == "H0":
        return y, (1 / m + 1 / n + 1 / (m * n)) / 12
    if y in {0, 1}:
        return None
    if vtype == "normal":
        z = mpmath.sqrt(2) * mpmath.erfinv(2 * y - 1)
        return y, mpmath.npdf(z) ** 2 * ((1 / m + 1 / n) / 2 + z**2 / (2 * (m + n)))
    a, b = (m - 1, n - 1) if vtype == "HanleyMcNeil" else ((m + n) / 2 - 1,) * 2
    q1, q2 = y / (2 - y), 2 * y**2 / (1 + y)
    return y, (y * (1 - y) + a * (q1 - y**2) + b * (q2 - y**2)) / (m * n)


def change(x: Row) -> mpf:
    return x["sd_1"] ** 2 + x["sd_2"] ** 2 - 2 * x["r"] * x["sd_1"] * x["sd_2"]


def exact_smcc(x: Row, vtype: str, correct: str) -> Exact:
    if change(x) == 0:
        return None
    d = (x["mean_1"] - x["mean_2"]) / mpmath.sqrt(change(x))
    return standardised(d, 1 / x["n"], x["n"], x["n"] - 1, vtype, correct)


def gauss(c: mpf, x: mpf) -> mpf:
    """Sum 2F1(1/2, 1/2; c; x), term by term, because mpmath does not converge for c in the millions."""
    k, term, total = 0, mpf(1), mpf(1)
    while term > mpf(10) ** -DIGITS:
        term *= x * (k + mpf(0.5)) ** 2 / ((c + k) * (k + 1))
        total, k = total + term, k + 1
    return total


def exact_smcr(x: Row, vtype: str, correct: str) -> Exact:
    r, n = x["r"], x["n"]
    if x["sd_1"] == 0 or (vtype == "UB" and n <= 3):
        return None
    if vtype == "UB" and r != 0:
        r = r * gauss((n - 2) / 2, 1 - r**2)
    return standardised((x["mean_1"] - x["mean_2"]) / x["sd_1"], 2 * (1 - r) / n, n, n - 1, vtype, correct)


def exact_smcrh(x: Row, vtype: str, correct: str) -> Exact:
    j = exact_factor(x["n"] - 1)
    if x["sd_1"] == 0 or j is None:
        return None
    c = j if correct == "yes" else mpf(1)
    g = c * (x["mean_1"] - x["mean_2"]) / x["sd_1"]
    v = (change(x) / x["sd_1"] ** 2 + g**2 / 2) / (x["n"] - 1)
    return g, v * c**2 if vtype == "metafor3" else v


def exact_smcrp(x: Row, correct: str, *, equal: bool) -> Exact:
    r, s2, j = x["r"], (x["sd_1"] ** 2 + x["sd_2"] ** 2) / 2, exact_factor(2 * (x["n"] - 1) / (1 + x["r"] ** 2))
    if s2 == 0 or j is None:
        return None
    g = (j if correct == "yes" else 1) * (x["mean_1"] - x["mean_2"]) / mpmath.sqrt(s2)
    if equal:
        return g, 2 * (1 - r) / x["n"] + g**2 * (1 + r**2) / (4 * x["n"])
    fourth = x["sd_1"] ** 4 + x["sd_2"] ** 4 + 2 * (r * x["sd_1"] * x["sd_2"]) ** 2
    return g, (change(x) / s2 + g**2 * fourth / (8 * s2**2)) / (x["n"] - 1)


def exact_romc(x: Row, correct: str) -> Exact:
    if x["mean_1"] * x["mean_2"] <= 0:
        return None
    c1, c2 = x["sd_1"] / x["mean_1"], x["sd_2"] / x["mean_2"]
    y = mpmath.log(x["mean_1"] / x["mean_2"]) + ((c1**2 - c2**2) / (2 * x["n"]) if correct == "yes" else 0)
    return y, (c1**2 + c2**2 - 2 * x["r"] * c1 * c2) / x["n"]


def exact_vrc(x: Row) -> Exact:
    if x["sd_1"] * x["sd_2"] == 0:
        return None
    return mpmath.log(x["sd_1"] / x["sd_2"]), (1 - x["r"] ** 2) / (x["n"] - 1)


def exact_cvrc(x: Row) -> Exact:
    spread, means = exact_vrc(x), exact_romc(x, "no")
    if spread is None or means is None or x["mean_1"] < 0 or abs(x["r"]) == 1:
        return None
    return spread[0] - means[0], spread[1] + means[1]


def exact_clesc(x: Row) -> Exact:
    a = x["sd_1"] ** 2 + x["sd_2"] ** 2
    if a == 0:
        return None
    z = (x["mean_1"] - x["mean_2"]) / mpmath.sqrt(a)
    fourth = x["sd_1"] ** 4 + x["sd_2"] ** 4 + 2 * (x["r"] * x["sd_1"] * x["sd_2"]) ** 2
    return mpmath.ncdf(z), mpmath.npdf(z) ** 2 * (change(x) / a + z**2 * fourth / (2 * a**2)) / (x["n"] - 1)


def arm(x: Row, i: int) -> tuple[mpf, mpf, mpf, mpf]:
    return x[f"mean_post_{i}"] - x[f"mean_pre_{i}"], x[f"sd_pre_{i}"], x[f"n_{i}"], x[f"r_{i}"]


def morris(d: mpf, base: mpf, df: mpf) -> tuple[mpf, mpf]:
    """Compute g and the variance of a noncentral t times c, equation 25 of Morris 2008 for two groups."""
    c = 1 - mpf(3) / (4 * df - 1)
    return c * d, c**2 * df / (df - 2) * (base + (c * d) ** 2) - (c * d) ** 2


def exact_dppc1(x: Row) -> Exact:
    if min(x["n_1"], x["n_2"]) <= 3 or x["sd_pre_1"] * x["sd_pre_2"] == 0:
        return None
    (g1, v1), (g2, v2) = (morris(gain / sd, 2 * (1 - r) / n, n - 1) for gain, sd, n, r in (arm(x, 1), arm(x, 2)))
    return g1 - g2, v1 + v2


def exact_smcrd(x: Row, correct: str) -> Exact:
    parts = [
        None if sd == 0 else standardised(gain / sd, 2 * (1 - r) / n, n, n - 1, "LS", correct)
        for gain, sd, n, r in (arm(x, 1), arm(x, 2))
    ]
    return None if parts[0] is None or parts[1] is None else (parts[0][0] - parts[1][0], parts[0][1] + parts[1][1])


def exact_dppc2(x: Row, vtype: str) -> Exact:
    (gain1, sd1, n1, r1), (gain2, sd2, n2, r2) = arm(x, 1), arm(x, 2)
    s2, base, total = pooled({"n_1": n1, "sd_1": sd1, "n_2": n2, "sd_2": sd2}), 2 * (1 - r1) / n1, n1 + n2
    base += 2 * (1 - r2) / n2
    if s2 == 0 or total <= 4:
        return None
    d = (gain1 - gain2) / mpmath.sqrt(s2)
    return morris(d, base, total - 2) if vtype == "Morris" else standardised(d, base, total, total - 2, "LS", "yes")


def exact_dppc3(x: Row) -> Exact:
    (gain1, sd1, n1, r1), (gain2, sd2, n2, r2) = arm(x, 1), arm(x, 2)
    df = n1 + n2 - 2
    s2 = ((n1 - 1) * (sd1**2 + x["sd_post_1"] ** 2) + (n2 - 1) * (sd2**2 + x["sd_post_2"] ** 2)) / (2 * df)
    if s2 == 0:
        return None
    g = (1 - mpf(3) / (4 * (2 * n1 + 2 * n2 - 4) - 1)) * (gain1 - gain2) / mpmath.sqrt(s2)
    share = ((n1 - 1) * (1 + r1**2) + (n2 - 1) * (1 + r2**2)) / (4 * df**2)
    return g, 2 * (1 - r1) / n1 + 2 * (1 - r2) / n2 + g**2 * share


def as_values(x: Row) -> Row:
    return {"n_1": x["n_1"], "n_2": x["n_2"]} | {
        f"{stem}_{i}": x[f"{stem}_change_{i}"] for stem in ("mean", "sd") for i in (1, 2)
    }


BOTH = ("yes", "no")
SAMPLES = ("ST", "CS")
NORMAL = ("LS", "LS2", "LS3", "HO", "H0")
COX = mpf(1.65)  # the double nearest to 1.65, as in the package
EXACT: dict[str, tuple[Callable[..., Exact], dict[str, tuple[str, ...]]]] = {
    "MD": (exact_md, {"vtype": ("LS", "RevMan", "HO")}),
    "SMD": (exact_smd, {"vtype": ("LS", "RevMan", "LS2", "UB", "H0"), "correct": BOTH}),
    "SMDH": (exact_smdh, {"vtype": ("LS", "LS2", "LS3", "metafor3"), "correct": BOTH}),
    "SMD1": (exact_smd1, {"vtype": ("LS", "LS2", "UB", "H0"), "correct": BOTH}),
    "SMD1H": (exact_smd1h, {"vtype": ("LS", "metafor3"), "correct": BOTH}),
    "ROM": (exact_rom, {"vtype": ("LS", "LS2", "HO"), "correct": BOTH}),
    "VR": (exact_vr, {"correct": BOTH}),
    "CVR": (exact_cvr, {"correct": BOTH}),
    "RPB": (exact_rpb, {"vtype": SAMPLES}),
    "ZPB": (lambda x, vtype: fisher(exact_rpb(x, vtype)), {"vtype": SAMPLES}),
    "RBIS": (exact_rbis, {}),
    "ZBIS": (lambda x: fisher(exact_rbis(x)), {}),
    "D2OR": (lambda x: exact_odds(x, mpmath.pi / mpmath.sqrt(3)), {}),
    "D2ORL": (lambda x: exact_odds(x, mpmath.pi / mpmath.sqrt(3)), {}),
    "D2ORN": (lambda x: exact_odds(x, COX), {}),
    "CLESN": (exact_cles, {"vtype": NORMAL}),
    "AUCN": (exact_cles, {"vtype": NORMAL}),
    "CLES": (exact_auc, {"vtype": ("Newcombe", "HanleyMcNeil", "normal", "H0")}),
    "AUC": (exact_auc, {"vtype": ("Newcombe", "HanleyMcNeil", "normal", "H0")}),
    "MC": (lambda x: (x["mean_1"] - x["mean_2"], change(x) / x["n"]), {}),
    "SMCC": (exact_smcc, {"vtype": ("LS", "LS2", "UB"), "correct": BOTH}),
    "SMCR": (exact_smcr, {"vtype": ("LS", "LS2", "UB"), "correct": BOTH}),
    "SMCRH": (exact_smcrh, {"vtype": ("LS", "metafor3"), "correct": BOTH}),
    "SMCRP": (lambda x, correct: exact_smcrp(x, correct, equal=True), {"correct": BOTH}),
    "SMCRPH": (lambda x, correct: exact_smcrp(x, correct, equal=False), {"correct": BOTH}),
    "ROMC": (exact_romc, {"correct": BOTH}),
    "VRC": (exact_vrc, {}),
    "CVRC": (exact_cvrc, {}),
    "CLESCN": (exact_clesc, {}),
    "AUCCN": (exact_clesc, {}),
    "DPPC1": (exact_dppc1, {}),
    "SMCRD": (exact_smcrd, {"correct": BOTH}),
    "DPPC2": (exact_dppc2, {"vtype": ("Morris", "LS")}),
    "DPPC3": (exact_dppc3, {}),
    "MDCH": (lambda x, vtype: exact_md(as_values(x), vtype), {"vtype": ("LS", "HO")}),
    "SMDCH": (
        lambda x, vtype, correct: exact_smd(as_values(x), vtype, correct),
        {"vtype": ("LS", "LS2", "UB", "H0"), "correct": BOTH},
    ),
}
OVER_ROWS = {("SMD", "AV"), ("SMD1", "AV"), ("ROM", "AV"), ("ROM", "AVHO")}  # held by metafor's answers


def grid(choices: Mapping[str, tuple[str, ...]]) -> list[dict[str, str]]:
    """Return all combinations of options."""
    found: list[dict[str, str]] = [{}]
    for name, words in choices.items():
        found = [{**options, name: word} for options in found for word in words]
    return found


EVERY = [(key, options) for key, (_, choices) in EXACT.items() for options in grid(choices)]
MORRIS = {
    "mean_pre_1": [30.6, 23.5, 0.5, 53.4, 35.6], "sd_pre_1": [15.0, 3.1, 0.1, 14.5, 4.7],
    "mean_post_1": [38.5, 26.8, 0.7, 75.9, 36.0], "sd_post_1": [11.6, 4.1, 0.1, 4.4, 4.6],
    "n_1": [20, 50, 9, 10, 14], "r_1": [0.47, 0.64, 0.77, 0.89, 0.44],
    "mean_pre_2": [23.1, 24.9, 0.6, 55.7, 34.8], "sd_pre_2": [13.8, 4.1, 0.2, 17.3, 3.1],
    "mean_post_2": [19.7, 25.3, 0.6, 60.7, 33.4], "sd_post_2": [14.8, 3.3, 0.2, 17.9, 6.9],
    "n_2": [20, 42, 9, 11, 14], "r_2": [0.47, 0.64, 0.77, 0.89, 0.44],
}  # fmt: skip
EDGES = {
    "mean_pre_1": [3.0, 3.0, 3.0, 3.0, 3.0], "sd_pre_1": [2.0, 2.0, 0.0, 1.0, 2.0],
    "mean_post_1": [5.0, 5.0, 5.0, 3.0, 3.1], "sd_post_1": [1.0, 1.0, 0.0, 1.0, 2.1],
    "n_1": [2, 4, 10, 3, 2e7], "r_1": [0.5, -0.3, 0.5, 1.0, 0.9],
    "mean_pre_2": [3.0, 3.5, 3.0, 3.0, 3.0], "sd_pre_2": [1.5, 1.0, 0.0, 2.0, 1.9],
    "mean_post_2": [4.0, 3.0, 5.0, 3.0, 3.0], "sd_post_2": [1.0, 1.5, 1.0, 1.0, 2.0],
    "n_2": [2, 4, 12, 3, 1e7], "r_2": [0.2, 0.6, 0.1, 0.0, 0.8],
}  # fmt: skip
CHANGES = [
    {"mean_change_1": [-2.0, 1.0, 3.0, 0.5], "sd_change_1": [3.0, 0.5, 0.0, 2.0], "n_1": [30, 3, 9, 1e6],
     "mean_change_2": [-0.5, 2.0, 3.0, 0.4], "sd_change_2": [2.5, 1.5, 0.0, 2.2], "n_2": [28, 2, 8, 2e6]}
]  # fmt: skip
AREAS = [{"auc": [0.5, 0.51, 0.99, 1.0, 0.2, 0.7], "n_1": [5, 2, 30, 10, 12, 40], "n_2": [5, 3, 200, 9, 14, 2]}]
TWO = [
    ours(table)
    for table in (*PINNED["data"]["two"].values(), *(NEWER["data"][n] for n in ("normand1999", "gibson2002")))
]
PAIRED = [
    ours(t) for t in (*PINNED["data"]["paired"].values(), *(NEWER["data"][n] for n in ("morris2008T", "edgeChg")))
]
TABLES = {"means": TWO, "paired means": PAIRED, "pre-post": [MORRIS, EDGES], "changes": CHANGES, "auc": AREAS}


@pytest.mark.parametrize(("key", "options"), EVERY, ids=lambda x: x if isinstance(x, str) else "-".join(x.values()))
def test_fifty_digits_agree(key: str, options: dict[str, str]) -> None:
    compared = 0
    for table in TABLES[about(key).kind]:
        done = compute(key, table, **options)
        for i in range(len(done.yi)):
            with mpmath.workdps(DIGITS):
                row = {role: mpf(values[i]) for role, values in table.items()}
                missing = any(mpmath.isnan(value) for value in row.values())
                true = None if missing else EXACT[key][0](row, **options)
                if true is None or true[1] <= 0:
                    assert not done.defined[i]
                    continue
                yi, vi = float(true[0]), float(true[1])
            if vi < 1e-300:
                continue
            assert done.defined[i]
            assert agree(done.yi[i], yi, vi**0.5, TIGHT), (i, done.yi[i], yi)
            assert agree(done.vi[i], vi, 0.0, conditioned(key)), (i, done.vi[i], vi)
            compared += 1
    assert compared >= 3


def conditioned(key: str) -> float:
    """Return the tolerance of a variance: phi(z)^2 loses a digit per factor of 10 in z^2."""
    return 100 * TIGHT if key in {"CLESN", "AUCN", "CLESCN", "AUCCN"} else TIGHT


def test_every_measure_and_option_of_these_files_is_held_by_digits_or_by_metafor() -> None:
    mine = {key for key in MEASURES if MEASURES[key].function.__module__.rpartition(".")[2] in FILES}
    assert mine == set(EXACT)
    for key in mine:
        held = {name: set(words) for name, words in EXACT[key][1].items()}
        for name, convention in about(key).conventions.items():
            assert set(convention.choices) - held[name] == {
                word for k, word in OVER_ROWS if k == key and name == "vtype"
            }
        assert set(option_names(key)) == set(about(key).conventions) == set(held)
    assert len(EVERY) >= 100


FILES = {"means", "variability", "pre_post", "pre_post_groups", "from_means"}


# ---------------------------------------------------------------- what has been published


def test_morris_2008() -> None:
    # d_ppc1 of his five studies: page 368, table 1, as metafor's own test of that example has it, from which the
    # variances of SMCRD come too. d_ppc2 is what his equation 8 gives for them; no printed value was at hand.
    np.testing.assert_array_equal(compute("DPPC1", MORRIS).yi.round(2), [0.74, 0.95, 1.81, 1.15, 0.51])
    np.testing.assert_array_equal(compute("SMCRD", MORRIS).yi.round(2), [0.74, 0.95, 1.81, 1.15, 0.51])
    np.testing.assert_array_equal(compute("SMCRD", MORRIS).vi.round(4), [0.1138, 0.0426, 0.2833, 0.1458, 0.1667])
    np.testing.assert_array_equal(compute("DPPC2", MORRIS).yi.round(2), [0.77, 0.80, 1.20, 1.05, 0.44])


def test_smdh_smd1h_and_smcrh_since_metafor_4_6_are_those_before_without_their_factor() -> None:
    for key, table in (("SMDH", TWO[0]), ("SMCRH", PAIRED[0])):
        n = np.array(table["n"]) - 1 if key == "SMCRH" else np.array(table["n_1"]) + np.array(table["n_2"]) - 2
        new, old = compute(key, table), compute(key, table, vtype="metafor3")
        np.testing.assert_allclose(old.vi, new.vi * small_sample_factor(n) ** 2, rtol=SAME)
        np.testing.assert_array_equal(old.yi, new.yi)


def test_the_variance_of_dppc2_is_that_of_samples() -> None:
    # eq. 25 against 40 000 drawn studies: the factor and variance describe what they say, to Monte Carlo error
    rng = np.random.default_rng(5)
    n, r, gain, studies = 12, 0.6, 0.8, 40_000
    pre = rng.normal(size=(studies, 2, n))
    post = r * pre + (1 - r * r) ** 0.5 * rng.normal(size=pre.shape) + np.array([gain, 0.0])[:, None]
    table: dict[str, Any] = {"n_1": np.full(studies, n), "n_2": np.full(studies, n)}
    for i in (1, 2):
        one, two = pre[:, i - 1], post[:, i - 1]
        table |= {f"mean_pre_{i}": one.mean(1), f"sd_pre_{i}": one.std(1, ddof=1), f"mean_post_{i}": two.mean(1)}
        table |= {f"sd_post_{i}": two.std(1, ddof=1), f"r_{i}": np.full(studies, r)}
    for key in ("DPPC1", "DPPC2", "DPPC3"):
        done = compute(key, table)
        assert done.yi.mean() == pytest.approx(gain, abs=0.01)
        assert done.vi.mean() == pytest.approx(done.yi.var(), rel=0.06)


# ---------------------------------------------------------------- the shared pieces


def test_the_factor_and_the_unbiased_share_keep_their_digits() -> None:
    df = np.concatenate([1 + np.geomspace(1e-6, 1, 20), np.linspace(2, 400, 200), np.geomspace(400, 4e7, 100)])
    with mpmath.workdps(DIGITS):
        factor = [exact_factor(mpf(x)) for x in df]
        share = [1 - (mpf(x) - 2) / (mpf(x) * j**2) for x, j in zip(df, factor, strict=True)]
        np.testing.assert_allclose(small_sample_factor(df), [float(x) for x in factor], rtol=1e-13)
        np.testing.assert_allclose(unbiased_share(df), [float(x) for x in share], rtol=1e-12)
    assert np.isnan(unbiased_share(np.array([1.0, 0.0, np.nan]))).all()


def test_the_unbiased_correlation_keeps_its_digits() -> None:
    r, n = (
        a.ravel()
        for a in np.meshgrid([-0.999, -0.5, 0.1, 0.2, 0.77, 1.0], [4.0, 5.0, 9.0, 60.0, 200.0, 205.0, 1e4, 1e7])
    )
    with mpmath.workdps(DIGITS):
        true = [float(mpf(a) * gauss((mpf(b) - 2) / 2, 1 - mpf(a) ** 2)) for a, b in zip(r, n, strict=True)]
    np.testing.assert_allclose(unbiased_correlation(r, n), true, rtol=1e-12)
    np.testing.assert_array_equal(unbiased_correlation(np.zeros(2), np.array([4.0, 9.0])), 0.0)
    assert np.isnan(unbiased_correlation(np.array([0.5, 1.2]), np.array([3.0, 9.0]))).all()


def test_the_log_of_a_ratio_keeps_its_digits_near_1() -> None:
    one, two = np.array([1 + 2.0**-50, 3.0, 1e-300, -4.0]), np.array([1.0, 2.0, 1e300, -8.0])
    with mpmath.workdps(DIGITS):
        true = [float(mpmath.log(mpf(a) / mpf(b))) for a, b in zip(one[[0, 1, 3]], two[[0, 1, 3]], strict=True)]
    np.testing.assert_allclose(log_of_ratio(one, two)[[0, 1, 3]], true, rtol=1e-15)
    assert np.isnan(log_of_ratio(np.array([1.0, 0.0, 1.0, np.nan]), np.array([-1.0, 1.0, 0.0, 1.0]))).all()


# ---------------------------------------------------------------- properties

ONE_SIDED = {"SMD1", "SMD1H", "SMCR", "SMCRH"}  # the SD of one group or time is the unit
PROBABILITIES = {"CLES", "AUC", "CLESN", "AUCN", "CLESCN", "AUCCN"}  # no effect is 1/2
IN_UNITS = {"MD", "MC", "MDCH"}
RATIOS = {"ROM", "CVR", "ROMC", "CVRC"}  # a shift changes them
PLAIN = {kind: tables[0] for kind, tables in TABLES.items()}
TURN = {"1": "2", "2": "1"}


def altered(key: str, change_one: Callable[[str, np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
    table = PLAIN[about(key).kind]
    return {role: change_one(role, np.array(values, dtype=float)) for role, values in table.items()}


def assert_same(found: Computed, yi: np.ndarray, vi: np.ndarray) -> None:
    np.testing.assert_allclose(found.yi, yi, rtol=SAME, atol=1e-14)
    np.testing.assert_allclose(found.vi, vi, rtol=SAME)


@pytest.mark.parametrize(("key", "options"), [(k, o) for k, o in EVERY if k not in ONE_SIDED])
def test_swapping_turns_the_effect(key: str, options: dict[str, str]) -> None:
    table = PLAIN[about(key).kind]
    swapped = {role[:-1] + TURN[role[-1]] if role[-1] in TURN else role: values for role, values in table.items()}
    if "auc" in swapped:
        swapped["auc"] = [1 - value for value in table["auc"]]
    one, two = compute(key, table, **options), compute(key, swapped, **options)
    assert_same(two, 1 - one.yi if key in PROBABILITIES else -one.yi, one.vi)


@pytest.mark.parametrize(("key", "options"), [(k, o) for k, o in EVERY if about(k).kind != "auc"])
@pytest.mark.parametrize("factor", [1e-3, 60.0])
def test_a_change_of_unit(key: str, options: dict[str, str], factor: float) -> None:
    scaled = altered(key, lambda role, x: x * factor if role.startswith(("mean", "sd")) else x)
    one, power = compute(key, PLAIN[about(key).kind], **options), 1 if key in IN_UNITS else 0
    assert_same(compute(key, scaled, **options), one.yi * factor**power, one.vi * factor ** (2 * power))


@pytest.mark.parametrize(("key", "options"), [(k, o) for k, o in EVERY if k not in RATIOS and about(k).kind != "auc"])
def test_a_shift_of_the_origin(key: str, options: dict[str, str]) -> None:
    moved = altered(key, lambda role, x: x + 8 if role.startswith("mean") else x)
    one = compute(key, PLAIN[about(key).kind], **options)
    two = compute(key, moved, **options)
    np.testing.assert_allclose(two.yi, one.yi, rtol=1e-11, atol=1e-13)  # 0.7 + 8 - (0.5 + 8) is not 0.7 - 0.5
    np.testing.assert_allclose(two.vi, one.vi, rtol=1e-11)


@pytest.mark.parametrize(("key", "options"), EVERY)
def test_rows_do_not_know_each_other_and_inputs_stay(key: str, options: dict[str, str]) -> None:
    table = {role: np.array(values, dtype=float) for role, values in PLAIN[about(key).kind].items()}
    before = {role: values.copy() for role, values in table.items()}
    whole = compute(key, table, **options)
    for i in range(len(whole.yi)):
        alone = compute(key, {role: values[i : i + 1] for role, values in table.items()}, **options)
        np.testing.assert_array_equal((alone.yi[0], alone.vi[0]), (whole.yi[i], whole.vi[i]))
    np.testing.assert_equal(table, before)


@pytest.mark.parametrize(("key", "vtype"), sorted(OVER_ROWS))
def test_a_variance_from_all_rows_leaves_out_rows_without_an_effect(key: str, vtype: str) -> None:
    table = {role: np.array(values, dtype=float) for role, values in TWO[0].items()}
    more = {
        role: np.append(values, [np.nan, 0.0 if role in {"sd_1", "sd_2", "mean_2"} else 5.0])
        for role, values in table.items()
    }
    one, two = compute(key, table, vtype=vtype), compute(key, more, vtype=vtype)
    np.testing.assert_allclose(two.vi[:-2], one.vi, rtol=SAME)
    assert not two.defined[-2:].any()
    none = compute(key, {role: np.full(2, np.nan) for role in table}, vtype=vtype)
    assert not none.defined.any()


BAD = {
    "n": [0.0, 1.0, -3.0, np.nan], "r": [1.5, -1.5, np.inf, np.nan], "sd": [np.nan], "mean": [np.nan, np.inf],
    "auc": [1.5, -0.1, np.nan],
}  # fmt: skip


@pytest.mark.parametrize(("key", "options"), EVERY + [(key, {"vtype": word}) for key, word in sorted(OVER_ROWS)])
def test_bad_numbers_leave_a_row_without_an_effect_and_without_a_warning(key: str, options: dict[str, str]) -> None:
    for role in raw_roles(key):
        for value in BAD[role.split("_")[0]]:
            table = altered(key, lambda name, x: np.full_like(x, value) if name == role else x)  # noqa: B023
            done = compute(key, table, **options)
            if role.startswith("n") and value == 1 and key not in {"CVR", "VR"}:
                continue  # one person in a group is enough for some
            assert not done.defined.any(), (role, value)
            assert np.isnan(done.yi).all()
            assert np.isnan(done.vi).all()


@pytest.mark.parametrize("key", [key for key in EXACT if option_names(key)])
def test_an_unknown_word_is_refused(key: str) -> None:
    for name in option_names(key):
        with pytest.raises(OptionError, match=f"{name}='nonsense'"):
            compute(key, PLAIN[about(key).kind], **{name: "nonsense"})
