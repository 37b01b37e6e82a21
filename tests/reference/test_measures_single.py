"""Correlations, proportions, rates, means and alphas of one group against metafor and 50-digit values.

measures_single.json holds the answers of metafor 3.8-1 and, where that version lacks a measure, those of 5.1-12.
Every case is compared twice: with metafor (CLOSED) and with the formula of the paper in 50 digits (TIGHT), which
shares no code with the package. What metafor calls to="only0" is zeros="metafor" here. A row that metafor gives a
variance of 0 has no effect here. The known disagreements stand in tests of their own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from metaback.errors import OptionError
from metaback.stats.measures import MEASURES, Computed, about, raw_roles
from metaback.stats.measures.correlations import (
    correlation_from_t,
    r2_from_f,
    r2_from_p,
    semipartial_from_t,
    t_from_p,
)
from metaback.stats.measures.family import option_names
from metaback.stats.transforms import TRANSFORMS, back

HERE = Path(__file__).parent
CLOSED = 1e-10  # closed forms; an effect near 0 is measured against its standard error
TIGHT = 2e-13  # the same formula in 50 digits: only the rounding of a few operations may be lost
NEAR_ONE = 2e-12  # r within 0.001 of 1 or t and p as inputs: their own rounding is magnified up to a thousandfold
DIGITS = 50
ZEROS = {"only0": "metafor", "all": "all", "none": "none"}
ROLES = {"xi": "events", "ni": "n", "ti": "time", "mi": "mean", "sdi": "sd", "ri": "r", "ai": "alpha", "r2i": "r2"}
PARTIAL = {"PCOR", "ZPCOR", "SPCOR", "ZSPCOR"}
CORRELATIONS = {"COR", "UCOR", "ZCOR", *PARTIAL}
DETERMINATIONS = {"R2", "ZR2", "R2F", "ZR2F"}
ALPHAS = {"ARAW", "AHW", "ABT"}
PROPORTIONS = {"PR", "PLN", "PLO", "PRZ", "PAS", "PFT"}
RATES = {"IR", "IRLN", "IRS", "IRFT"}
MEANS = {"MN", "MNLN", "CVLN", "SDLN", "SMN"}
COVERED = CORRELATIONS | DETERMINATIONS | ALPHAS | PROPORTIONS | RATES | MEANS

FILE = json.loads((HERE / "measures_single.json").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = {case["id"]: case for case in FILE["cases"]}
COMPARED = list(CASES)
OLD_DF = {"PCOR/LS", "PCOR/AV", "ZPCOR"}  # 3.8-1 counts one more predictor than 5.1


def floats(values: list[float | None]) -> np.ndarray:
    """Turn a column with gaps into an array with nan."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def options(case: dict[str, Any]) -> dict[str, str]:
    """Translate the options of a case."""
    given = case["options"]
    named = {"vtype": given["vtype"]} if "vtype" in given else {}
    if "zeros" in option_names(case["measure"]):
        named["zeros"] = ZEROS[given.get("to", "only0")]
    if case["measure"] == "ZR2F":
        named["vtype"] = "metafor5"
    return named


def columns(case: dict[str, Any]) -> dict[str, np.ndarray]:
    """Give the inputs the package's names; test statistics become correlations."""
    given = {name: floats(values) for name, values in case["inputs"].items()}
    measure = case["measure"]
    if measure in ALPHAS:
        return {"alpha": given["ai"], "items": given["mi"], "n": given["ni"]}
    if measure in CORRELATIONS | DETERMINATIONS:
        found = {
            "n": given["ni"],
            "r2": given.get("r2i", given["ni"]),
            "predictors": given.get("mi", given["ni"] * 0 + 1),
        }
        if measure in CORRELATIONS:
            found["r"] = correlations_of(given, found, semi="SPCOR" in measure)
        return {role: found[role] for role in raw_roles(measure)}
    return {ROLES[name]: values for name, values in given.items()}


def correlations_of(given: dict[str, np.ndarray], found: dict[str, np.ndarray], *, semi: bool) -> np.ndarray:
    """Take r where it is given, else from t, else from the signed P value."""
    gaps = np.full(found["n"].shape, np.nan)
    t = given.get("ti", gaps)
    t = np.where(np.isnan(t), t_from_p(given.get("pi", gaps), found["n"] - found["predictors"] - 1), t)
    if semi:
        other = semipartial_from_t(t, found["n"], found["predictors"], found["r2"])
    else:
        other = correlation_from_t(t, found["n"], found["predictors"])
    r = given.get("ri", gaps)
    return np.where(np.isnan(r), other, r)


def computed(case: dict[str, Any]) -> Computed:
    """Compute a case with the measure's function."""
    given = columns(case)
    arguments = [given[role] for role in raw_roles(case["measure"])]
    return MEASURES[case["measure"]].function(*arguments, **options(case))


def theirs(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return metafor's effects and variances, nan where the package has no effect by its rule."""
    yi, vi = floats(case["yi"]), floats(case["vi"])
    bad = ~(np.isfinite(yi) & np.isfinite(vi) & (vi > 0))
    yi, vi = np.where(bad, np.nan, yi), np.where(bad, np.nan, vi)
    if case["id"] in OLD_DF:
        df = floats(case["inputs"]["ni"]) - floats(case["inputs"]["mi"])
        with np.errstate(divide="ignore"):
            vi = np.where(df > 2, 1 / (1 / vi - 1), np.nan) if case["measure"] == "ZPCOR" else vi * (df - 1) / df
        yi = np.where(np.isnan(vi), np.nan, yi)
    return yi, vi


def compare(yi: np.ndarray, vi: np.ndarray, true_y: np.ndarray, true_v: np.ndarray, tolerance: float) -> None:
    """Compare effects, on the scale of their standard error where they are near 0, and variances."""
    np.testing.assert_array_equal(np.isnan(yi), np.isnan(true_y))
    known = ~np.isnan(true_y)
    scale = np.maximum(np.abs(true_y), np.sqrt(true_v))[known]
    assert (np.abs(yi - true_y)[known] <= tolerance * scale).all(), np.abs(yi - true_y)[known] / scale
    np.testing.assert_allclose(vi[known], true_v[known], rtol=tolerance)


# ---------------------------------------------------------------- metafor


def unreliable(case: dict[str, Any]) -> np.ndarray:
    """Mark the rows whose digits metafor loses, each compared with 50 digits further down.

    UCOR with vtype "UB" is a difference of two numbers near 1, whose digits go when n is large or r near 1; the J of
    SMN is a difference of log-gammas. R2F and ZR2F leave out rho^2 below 0.0001, which is told where R^2 is small.
    """
    n = floats(case["inputs"]["ni"]) if "ni" in case["inputs"] else np.zeros(len(case["yi"]))
    if case["id"] == "UCOR/UB":
        return (n >= 2000) | (np.abs(floats(case["inputs"]["ri"])) > 0.98)
    if case["measure"] == "SMN":
        return n >= 700
    if case["measure"] in {"R2F", "ZR2F"}:
        return floats(case["inputs"]["r2i"]) < 0.2
    return np.zeros(n.shape, dtype=bool)


@pytest.mark.parametrize("key", COMPARED)
def test_metafor_agrees(key: str) -> None:
    case = CASES[key]
    done = computed(case)
    yi, vi = theirs(case)
    keep = ~unreliable(case)
    compare(done.yi[keep], done.vi[keep], yi[keep], vi[keep], CLOSED)
    np.testing.assert_array_equal(done.defined, ~np.isnan(done.yi))


def test_digits_that_metafor_loses() -> None:
    case = CASES["UCOR/UB"]
    row = case["inputs"]["ni"].index(1e6)
    true = exact(case)[1][row]
    assert abs(case["vi"][row] / true - 1) == pytest.approx(6.8e-11, rel=0.05)
    assert computed(case).vi[row] == pytest.approx(true, rel=TIGHT)
    row = case["inputs"]["ri"].index(0.999)
    true = exact(case)[1][row]
    assert abs(case["vi"][row] / true - 1) == pytest.approx(3.8e-9, rel=0.05)
    assert computed(case).vi[row] == pytest.approx(true, rel=TIGHT)
    case = CASES["SMN"]
    row = case["inputs"]["ni"].index(1e7)
    true = exact(case)[0][row]
    assert 1e-10 < abs(case["yi"][row] / true - 1) < 1e-7
    assert computed(case).yi[row] == pytest.approx(true, rel=TIGHT)


def test_partial_correlations_of_the_two_versions_differ_by_one_degree_of_freedom() -> None:
    case = CASES["PCOR/LS"]
    df = floats(case["inputs"]["ni"]) - floats(case["inputs"]["mi"])
    np.testing.assert_allclose(floats(case["vi"]) * (df - 1) / df, computed(case).vi, rtol=CLOSED)
    case = CASES["ZPCOR"]
    assert case["vi"][-1] == pytest.approx(1 / (40 - 1 - 1))
    assert computed(case).vi[-1] == pytest.approx(1 / (40 - 1 - 2))


def test_what_metafor_leaves_out_of_r2_with_fixed_predictors() -> None:
    case = CASES["es/R2F/aloe2013"]
    row = {role: mpf(float(values[-1])) for role, values in columns(case).items()}
    whole, cut = (exact_spread_of_rho2(row["r2"], row["n"], row["predictors"], least) for least in (0, 1e-4))
    assert abs(case["vi"][-1] / cut - 1) < 1e-7  # what is left is the tolerance of R's integrate()
    assert case["vi"][-1] / whole - 1 == pytest.approx(-2.65e-4, rel=0.01)
    assert computed(case).vi[-1] == pytest.approx(float(whole), rel=TIGHT)


def test_the_variance_of_z_of_metafor_has_the_slope_at_r2_and_ours_the_one_at_r() -> None:
    old, new = CASES["es/R2F/aloe2013"], CASES["es/ZR2F/aloe2013"]
    r2 = floats(old["inputs"]["r2i"])
    np.testing.assert_allclose(floats(new["vi"]), floats(old["vi"]) / (1 - r2**2) ** 2, rtol=CLOSED)
    given = [columns(new)[role] for role in raw_roles("ZR2F")]
    raw, usual = (MEASURES[key].function(*given) for key in ("R2F", "ZR2F"))
    np.testing.assert_allclose(usual.vi, raw.vi / (4 * r2 * (1 - r2) ** 2), rtol=TIGHT)
    # with many people it is what a simulation of R gives: the spread of artanh(R), here for the design of a study
    rng = np.random.default_rng(3)
    n, m, rho2 = 200, 3, 0.4
    among = rng.noncentral_chisquare(m, n * rho2 / (1 - rho2), 40_000)
    z = np.arctanh(np.sqrt(among / (among + rng.chisquare(n - m - 1, 40_000))))
    found = MEASURES["ZR2F"].function(np.array([rho2]), np.array([float(n)]), np.array([float(m)]))
    assert found.vi[0] == pytest.approx(z.var(), rel=0.05)  # 1% of simulation, 3% of R^2 being biased upwards


@pytest.mark.parametrize(
    ("r2", "n", "m"),
    [(0.0, 30, 3), (0.001, 40, 2), (0.3, 3, 1), (0.3, 10, 8), (0.9, 10, 3), (0.6, 40, 20), (0.5, 2000, 5)],
)
def test_r2_with_fixed_predictors_holds_its_digits_in_small_and_large_studies(r2: float, n: int, m: int) -> None:
    done = MEASURES["R2F"].function(np.array([r2]), np.array([float(n)]), np.array([float(m)]))
    true = exact_spread_of_rho2(mpf(r2), mpf(n), mpf(m))
    assert done.vi[0] == pytest.approx(float(true), rel=1e-12)


def test_r2_with_fixed_predictors_comes_to_its_limit() -> None:
    for r2, n in ((0.2, 1e7), (0.5, 1e7), (0.2, 2e7)):
        done = MEASURES["R2F"].function(np.array([r2]), np.array([n]), np.array([5.0]))
        limit = 2 * r2 * (2 - r2) * (1 - r2) ** 2 / n  # of the delta method; the next term is some 14/n
        assert done.vi[0] == pytest.approx(limit, rel=3e-6)
    assert not MEASURES["R2F"].function(np.array([0.5]), np.array([1e9]), np.array([5.0])).defined[0]


def test_the_grid_cannot_shrink() -> None:
    assert FILE["meta"]["metafor"] == "3.8-1"
    assert len(CASES) >= 74
    assert {case["measure"] for case in CASES.values()} == COVERED
    assert {case["version"] for case in CASES.values()} == {"3.8-1", "5.1.12"}
    known = {(case["measure"], case["options"].get("vtype")) for case in CASES.values()}
    for measure in COVERED - {"R2", "ZR2F"}:
        if "vtype" in option_names(measure):
            assert {(measure, word) for word in about(measure).conventions["vtype"].choices} <= known
    assert {("R2", None), ("R2", "AV"), ("R2", "AV2")} <= known  # LS2 is compared with 50 digits below
    assert sum(int((~np.isnan(theirs(CASES[key])[0])).sum()) for key in COMPARED) >= 660
    assert len(FILE["ways_back"]) >= 9


# ---------------------------------------------------------------- 50 digits


def exact_correlation(measure: str, vtype: str, row: dict[str, mpf], mean: dict[str, mpf]) -> tuple[mpf, mpf] | None:
    """Compute a correlation of two variables from the formulas of the papers."""
    r, n = row["r"], row["n"]
    if abs(r) > 1 or n <= (4 if measure == "UCOR" else 3):
        return None
    if measure == "ZCOR":
        return None if abs(r) == 1 else (mpmath.atanh(r), 1 / (n - 3))
    w = 1 - r**2
    y = olkin_pratt(r, n) if measure == "UCOR" else r
    at = mean["y"] if vtype == "AV" else y
    v = {
        "UB": lambda: y**2 - 1 + (n - 3) / (n - 2) * w * gauss(mpf(1), mpf(1), n / 2, w),
        "H0": lambda: w / (n - 2),
        "H0a": lambda: w / (n - 2),
        "H0b": lambda: 1 / n,
    }.get(vtype, lambda: (1 - at**2) ** 2 / (n - 1))()
    return (y, v) if v > 0 else None


def gauss(a: mpf, b: mpf, c: mpf, w: mpf) -> mpf:
    """Sum the hypergeometric series term by term where c makes it fast; mpmath turns it round and takes for ever."""
    if c < 30:
        return mpmath.hyp2f1(a, b, c, w)
    total, term, k = mpf(0), mpf(1), 0
    while abs(term) > mpf(10) ** (-DIGITS):
        total += term
        term *= (a + k) * (b + k) / ((c + k) * (k + 1)) * w
        k += 1
    return total


def olkin_pratt(r: mpf, n: mpf) -> mpf:
    """Compute the unbiased estimator of a correlation."""
    return r * gauss(mpf(1) / 2, mpf(1) / 2, (n - 2) / 2, 1 - r**2)


def exact_partial(measure: str, vtype: str, row: dict[str, mpf], mean: dict[str, mpf]) -> tuple[mpf, mpf] | None:
    """Compute a partial or semi-partial correlation."""
    r, n, m = row["r"], row["n"], row["predictors"]
    at = mean["r"] if vtype == "AV" else r
    if n - m <= (2 if measure == "ZPCOR" else 1):
        return None
    if measure == "PCOR":
        return r, (1 - at**2) ** 2 / (n - m)
    if measure == "ZPCOR":
        return mpmath.atanh(r), 1 / (n - m - 2)
    r2 = row["r2"]
    without = r2 - at**2
    v = (r2**2 - 2 * r2 + without + 1 - without**2) / n
    return (mpmath.atanh(r), v / (1 - r**2) ** 2) if measure == "ZSPCOR" else (r, v)


def exact_spread_of_rho2(r2: mpf, n: mpf, m: mpf, least: mpf | float = 0) -> mpf:
    """Integrate the likelihood of rho^2, given R^2 and m fixed predictors, over all rho^2 above the least."""
    with mpmath.workdps(30):
        least, step = mpmath.mpf(least), mpmath.sqrt((4 * r2 + 4 * m / n) / n) * (1 - r2) + 1 / n
        edges = {min(max(r2 + k * step, least), 1 - mpmath.mpf(10) ** -9) for k in range(-14, 15, 2)}

        def likelihood(rho2: mpf) -> mpf:
            half = n * rho2 / (1 - rho2) / 2
            return mpmath.exp(-half * (1 - r2)) * mpmath.hyp1f1((m + 1 - n) / 2, m / 2, -half * r2)

        points, top = sorted(edges | {least}), likelihood(r2)
        mass, mean = (mpmath.quad(lambda x, k=k: x**k * likelihood(x) / top, points) for k in (0, 1))
        return mpmath.quad(lambda x: (x - mean / mass) ** 2 * likelihood(x) / top, points) / mass


def exact_determination(measure: str, vtype: str, row: dict[str, mpf], mean: dict[str, mpf]) -> tuple[mpf, mpf]:
    """Compute a coefficient of determination."""
    r2, n, m = row["r2"], row["n"], row["predictors"]
    if measure in {"R2F", "ZR2F"}:
        v = exact_spread_of_rho2(r2, n, m)
        return (r2, v) if measure == "R2F" else (mpmath.atanh(mpmath.sqrt(r2)), v / (1 - r2**2) ** 2)
    if measure == "ZR2":
        return mpmath.log((1 + mpmath.sqrt(r2)) / (1 - mpmath.sqrt(r2))) / 2, 1 / n
    at = mean["r2"] if vtype.startswith("AV") else r2
    if vtype in {"LS2", "AV2"}:
        return r2, 4 * at * (1 - at) ** 2 * (n - m - 1) ** 2 / ((n**2 - 1) * (n + 3))
    return r2, 4 * at * (1 - at) ** 2 / n


def exact_proportion(measure: str, vtype: str, row: dict[str, mpf], mean: dict[str, mpf]) -> tuple[mpf, mpf] | None:
    """Compute a proportion from counts that have been corrected."""
    x, n = row["events"], row["n"]
    p = x / n
    if measure == "PAS":
        return mpmath.asin(mpmath.sqrt(p)), 1 / (4 * n)
    if measure == "PFT":
        both = (mpmath.asin(mpmath.sqrt(part / (n + 1))) for part in (x, x + 1))
        return sum(both) / 2, 1 / (4 * n + 2)
    if (x in {0, n}) and (measure in {"PLO", "PRZ"} or vtype != "AV" or (measure == "PLN" and x == 0)):
        return None
    q = mean["p"] if vtype == "AV" else p
    if measure == "PR":
        return p, q * (1 - q) / (n - 1 if vtype == "UB" else n)
    if measure == "PLN":
        return mpmath.log(p), 1 / (q * n) - 1 / n
    if measure == "PLO":
        return mpmath.log(p / (1 - p)), 1 / (q * n) + 1 / ((1 - q) * n)
    z = mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1)
    return z, 2 * mpmath.pi * mpmath.exp(z**2) * p * (1 - p) / n


def exact_rate(measure: str, _: str, row: dict[str, mpf], __: dict[str, mpf]) -> tuple[mpf, mpf] | None:
    """Compute a rate from counts that have been corrected."""
    x, t = row["events"], row["time"]
    if measure == "IRS":
        return mpmath.sqrt(x / t), 1 / (4 * t)
    if measure == "IRFT":
        return (mpmath.sqrt(x / t) + mpmath.sqrt((x + 1) / t)) / 2, 1 / (4 * t)
    if x == 0:
        return None
    return (x / t, x / t**2) if measure == "IR" else (mpmath.log(x / t), 1 / x)


def exact_mean(measure: str, _: str, row: dict[str, mpf], __: dict[str, mpf]) -> tuple[mpf, mpf] | None:
    """Compute a mean or a spread."""
    sd, n = row["sd"], row["n"]
    if sd == 0 or n <= {"SMN": 2, "CVLN": 1, "SDLN": 1}.get(measure, 0):
        return None
    half = 1 / (2 * (n - 1)) if n > 1 else mpf(0)
    if measure == "SDLN":
        return mpmath.log(sd) + half, half
    m = row["mean"]
    if measure == "MN":
        return m, sd**2 / n
    if measure == "SMN":
        x = (n - 1) / 2
        g = m / sd * mpmath.gammaprod([x], [x - mpf(1) / 2]) / mpmath.sqrt(x)
        return g, 1 / n + g**2 / (2 * n)
    if measure == "MNLN":
        return mpmath.log(m), sd**2 / (n * m**2)
    return mpmath.log(sd / m) + half, half + sd**2 / (n * m**2)


def exact_alpha(measure: str, _: str, row: dict[str, mpf], __: dict[str, mpf]) -> tuple[mpf, mpf]:
    """Compute Cronbach's alpha as it is or transformed."""
    a, m, n = row["alpha"], row["items"], row["n"]
    if measure == "AHW":
        v = 18 * m * (n - 1) * (1 - a) ** (mpf(2) / 3) / ((m - 1) * (9 * n - 11) ** 2)
        return 1 - (1 - a) ** (mpf(1) / 3), v
    v = 2 * m / ((m - 1) * (n - 2))
    return (a, v * (1 - a) ** 2) if measure == "ARAW" else (-mpmath.log(1 - a), v)


FORMULAS = {
    **dict.fromkeys(CORRELATIONS - PARTIAL, exact_correlation), **dict.fromkeys(PARTIAL, exact_partial),
    **dict.fromkeys(DETERMINATIONS, exact_determination), **dict.fromkeys(PROPORTIONS, exact_proportion),
    **dict.fromkeys(RATES, exact_rate), **dict.fromkeys(MEANS, exact_mean), **dict.fromkeys(ALPHAS, exact_alpha),
}  # fmt: skip


def corrected(row: dict[str, mpf], zeros: str) -> dict[str, mpf]:
    """Add a half to counts by the policy."""
    x = row["events"]
    if "n" in row:
        hit = zeros == "all" or (zeros == "metafor" and x in {0, row["n"]})
        return {"events": x + mpf(hit) / 2, "n": row["n"] + hit}
    return {**row, "events": x + mpf(zeros == "all" or (zeros == "metafor" and x == 0)) / 2}


def exact(case: dict[str, Any], **changed: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute a case with 50 digits; nan where there is no effect."""
    given, measure = columns(case), case["measure"]
    chosen = {"vtype": "LS", "zeros": "none", **options(case), **changed}
    with mpmath.workdps(DIGITS):
        rows = [{role: mpf(float(values[i])) for role, values in given.items()} for i in range(len(case["yi"]))]
        rows = [corrected(row, chosen["zeros"]) if "events" in row else row for row in rows]
        whole = [not any(mpmath.isnan(value) for value in row.values()) for row in rows]
        mean = means_of([row for row, good in zip(rows, whole, strict=True) if good], measure)
        found = [FORMULAS[measure](measure, chosen["vtype"], row, mean) if good else None
                 for row, good in zip(rows, whole, strict=True)]  # fmt: skip
        pairs = [(np.nan, np.nan) if pair is None else (float(pair[0]), float(pair[1])) for pair in found]
    return np.array([y for y, _ in pairs]), np.array([v for _, v in pairs])


def means_of(rows: list[dict[str, mpf]], measure: str) -> dict[str, mpf]:
    """Compute the means that vtype "AV" plugs in."""
    if "events" in rows[0]:
        return {"p": sum(row["events"] for row in rows) / sum(row["n"] for row in rows)} if "n" in rows[0] else {}
    found = {}
    for name in {"r", "r2"} & rows[0].keys():
        found[name] = sum(row[name] * row["n"] for row in rows) / sum(row["n"] for row in rows)
    if "r" in rows[0]:
        able = [row for row in rows if row["n"] > 4] if measure == "UCOR" else rows
        values = [olkin_pratt(row["r"], row["n"]) if measure == "UCOR" else row["r"] for row in able]
        weights = [row["n"] for row in able]
        found["y"] = sum(y * n for y, n in zip(values, weights, strict=True)) / sum(weights)
    return found


@pytest.mark.parametrize("key", COMPARED)
def test_fifty_digits_agree(key: str) -> None:
    case = CASES[key]
    done = computed(case)
    compare(done.yi, done.vi, *exact(case), NEAR_ONE if case["measure"] in CORRELATIONS else TIGHT)


@pytest.mark.parametrize("vtype", ["LS", "LS2", "AV", "AV2"])
def test_every_variance_of_r2_is_its_formula(vtype: str) -> None:
    case = CASES["es/R2/aloe2013"]
    given = columns(case)
    done = MEASURES["R2"].function(*(given[role] for role in raw_roles("R2")), vtype=vtype)
    compare(done.yi, done.vi, *exact(case, vtype=vtype), TIGHT)


def test_the_unbiased_correlation_holds_its_digits_everywhere() -> None:
    n = np.array([5.0, 6, 7, 20, 101, 102, 103, 5e3, 1e6, 1e9, 1e12])
    for r in (0.0, 0.01, -0.3, 0.70710678, 0.8, -0.95, 0.999, 0.99999, 1 - 1e-9):
        rows = np.full(n.shape, r)
        for vtype in ("LS", "UB"):
            done = MEASURES["UCOR"].function(rows, n, vtype=vtype)
            with mpmath.workdps(DIGITS):
                true = [exact_correlation("UCOR", vtype, {"r": mpf(r), "n": mpf(float(m))}, {}) for m in n]
                yi, vi = (np.array([float(pair[i]) for pair in true]) for i in (0, 1))
            compare(done.yi, done.vi, yi, vi, NEAR_ONE)


@pytest.mark.parametrize(("n", "rho"), [(8, 0.4), (15, -0.7)])
def test_the_unbiased_correlation_and_its_variance_are_unbiased(n: int, rho: float) -> None:
    # expectations over the exact density of r (Hotelling 1953), by quadrature
    with mpmath.workdps(20):
        half, c = mpf(1) / 2, mpf(n)

        def density(r: mpf) -> mpf:
            falling = (1 - r**2) ** ((c - 4) / 2) * (1 - rho * r) ** (mpf(3) / 2 - c)
            return falling * mpmath.hyp2f1(half, half, c - half, (1 + rho * r) / 2)

        def mean(function: Any) -> mpf:
            return mpmath.quad(lambda r: function(r) * density(r), [-1, -0.5, 0, 0.5, 1])

        def variance(r: mpf) -> mpf:
            found = MEASURES["UCOR"].function(np.array([float(r)]), np.array([float(n)]), vtype="UB")
            return mpf(float(found.vi[0])) if found.defined[0] else mpf(0)

        total = mean(lambda r: r**0)
        first = mean(lambda r: olkin_pratt(r, c)) / total
        second = mean(lambda r: olkin_pratt(r, c) ** 2) / total
        assert float(first) == pytest.approx(rho, rel=1e-9)
        assert float(mean(variance) / total) == pytest.approx(float(second - first**2), rel=1e-7)


# ---------------------------------------------------------------- test statistics and edges


@pytest.mark.parametrize("df", [1.0, 5.0, 28.0, 1e4])
@pytest.mark.parametrize("p", [1e-300, 1e-20, 0.003, 0.5, 0.97])
def test_a_p_value_is_turned_into_its_t(p: float, df: float) -> None:
    t = float(t_from_p(np.array([-p]), np.array([df]))[0])
    assert t < 0
    with mpmath.workdps(DIGITS):
        nu = mpf(df)
        x = nu / (nu + mpf(t) ** 2)
        tail = mpmath.betainc(nu / 2, mpf(1) / 2, 0, x, regularized=True)
        assert float(tail) == pytest.approx(p, rel=1e-10)  # a p of 1e-300 has a slope of 700 in the logarithm


def test_the_printed_examples_of_the_documentation() -> None:
    # metafor's page on escalc: COR with pi=-0.07, ni=30 and PCOR with pi=-0.07, mi=5, ni=30
    p, n = np.array([-0.07]), np.array([30.0])
    assert round(float(correlation_from_t(t_from_p(p, n - 2), n)[0]), 4) == -0.3354
    assert round(float(correlation_from_t(t_from_p(p, n - 6), n, 5.0)[0]), 4) == -0.3610


def test_statistics_that_cannot_be_give_nan() -> None:
    n, m, r2 = np.array([30.0]), np.array([2.0]), np.array([0.3])
    assert np.isnan(t_from_p(np.array([1.2, 0.5]), np.array([5.0, 0.0]))).all()
    assert np.isinf(t_from_p(np.array([0.0]), np.array([5.0]))).all()
    assert np.isnan(correlation_from_t(np.array([1.0]), np.array([2.0]))).all()
    assert np.isnan(semipartial_from_t(np.array([1.0]), n, m, r2 + 1)).all()
    assert np.isnan(r2_from_f(np.array([-1.0]), n, m)).all()
    assert np.isnan(r2_from_p(np.array([1.5]), n, m)).all()
    f = np.array([4.0])
    assert correlation_from_t(np.sqrt(f), n)[0] ** 2 == pytest.approx(r2_from_f(f, n, np.array([1.0]))[0], rel=1e-14)


EDGES: dict[str, list[dict[str, float]]] = {
    "r": [
        {"r": 1.0},
        {"r": -1.0},
        {"r": 1.5},
        {"r": np.nan},
        {"n": 3.0},
        {"n": 0.0},
        {"predictors": 400.0},
        {"r2": 0.1},
    ],
    "r2": [{"r2": 1.0}, {"r2": -0.1}, {"r2": 1.1}, {"predictors": 0.0}, {"n": 2.0}, {"n": np.nan}],
    "events": [
        {"events": 60.0, "n": 50.0},
        {"events": -1.0},
        {"n": 0.0},
        {"time": 0.0},
        {"events": np.nan},
        {"n": np.inf},
    ],
    "sd": [{"sd": 0.0}, {"sd": -1.0}, {"n": 0.0}, {"sd": np.nan}],
    "alpha": [{"alpha": 1.0}, {"alpha": 1.2}, {"items": 1.0}, {"n": 1.0}, {"alpha": np.nan}],
}
ORDINARY = {"r": 0.5, "n": 50.0, "predictors": 3.0, "r2": 0.4, "events": 12.0, "time": 30.0, "mean": 5.0, "sd": 2.0,
            "alpha": 0.8, "items": 10.0}  # fmt: skip


@pytest.mark.parametrize("key", sorted(COVERED))
def test_edges_have_no_effect_and_raise_no_warning(key: str) -> None:
    roles = raw_roles(key)
    family = next(role for role in EDGES if role in roles)
    words = about(key).conventions
    choices = [{}, *({name: word} for name, convention in words.items() for word in convention.choices)]
    for chosen in choices:
        fine = MEASURES[key].function(*(np.array([ORDINARY[role]]) for role in roles), **chosen)
        assert fine.defined.all()
        for edge in EDGES[family]:
            if not edge.keys() <= set(roles):
                continue
            values = [np.array([ORDINARY[role], (ORDINARY | edge)[role]]) for role in roles]
            done = MEASURES[key].function(*values, **chosen)
            kept = {"COR": ("AV", "H0b"), "UCOR": ("AV",), "PCOR": ("AV",), "SPCOR": ("LS", "AV"), "R2": ("AV", "AV2")}
            tolerated = chosen.get("vtype", "") in kept.get(key, ()) and edge in ({"r": 1.0}, {"r": -1.0}, {"r2": 1.0})
            assert done.defined[0]
            assert tolerated or not done.defined[1], (chosen, edge)
            assert np.isnan(done.yi[1]) == np.isnan(done.vi[1]) == (not done.defined[1])


EXTREMES = np.array(
    [np.nan, np.inf, -np.inf, -5, -1, -0.3, -1e-300, 0, 1e-300, 0.2, 1 - 1e-16, 1, 2, 3, 5, 1e15, 1e200]
)


@pytest.mark.parametrize("key", sorted(COVERED))
def test_no_number_raises_a_warning_or_half_an_effect(key: str) -> None:
    rows = [axis.ravel() for axis in np.meshgrid(*[EXTREMES] * len(raw_roles(key)))]
    for chosen in [{}, *({name: word} for name, c in about(key).conventions.items() for word in c.choices)]:
        done = MEASURES[key].function(*rows, **chosen)
        np.testing.assert_array_equal(np.isfinite(done.yi), done.defined)
        np.testing.assert_array_equal(np.isfinite(done.vi), done.defined)
        assert (done.vi[done.defined] > 0).all()
        assert not (done.corrected & ~done.defined).any()


def test_zero_and_all_events() -> None:
    events, n = np.array([0.0, 10.0, 4.0]), np.array([10.0, 10.0, 10.0])
    for key in ("PR", "PLN", "PLO", "PRZ"):
        done = MEASURES[key].function(events, n)
        np.testing.assert_array_equal(done.corrected, [True, True, False])
        assert done.defined.all()
        np.testing.assert_array_equal(MEASURES[key].function(events, n, zeros="none").defined, [False, False, True])
        assert MEASURES[key].function(events, n, zeros="all").corrected.all()
    for key in ("PAS", "PFT"):
        assert MEASURES[key].function(events, n).defined.all()
    for key in ("IR", "IRLN"):
        np.testing.assert_array_equal(MEASURES[key].function(events, n).corrected, [True, False, False])
        np.testing.assert_array_equal(MEASURES[key].function(events, n, zeros="none").defined, [False, True, True])
    assert MEASURES["IRFT"].function(events, n).defined.all()


def test_the_mean_of_vtype_av_leaves_out_what_is_missing() -> None:
    r, n = np.array([0.2, np.nan, 0.5, 7.0]), np.array([20.0, 30.0, 40.0, 50.0])
    done = MEASURES["COR"].function(r, n, vtype="AV")
    mean = (0.2 * 20 + 0.5 * 40) / 60
    np.testing.assert_allclose(done.vi[[0, 2]], (1 - mean**2) ** 2 / np.array([19.0, 39.0]), rtol=TIGHT)
    np.testing.assert_array_equal(done.defined, [True, False, True, False])
    assert not MEASURES["COR"].function(r[1:2], n[1:2], vtype="AV").defined.any()


@pytest.mark.parametrize("key", sorted(COVERED))
def test_unknown_words_are_refused_and_the_way_back_exists(key: str) -> None:
    values = [np.array([ORDINARY[role]]) for role in raw_roles(key)]
    for name in option_names(key):
        assert name in about(key).conventions
        with pytest.raises(OptionError, match=f"{name}='nonsense'"):
            MEASURES[key].function(*values, **{name: "nonsense"})
    assert about(key).back in TRANSFORMS
    assert (about(key).scale == "log") == (about(key).back == "exp")


NATURAL = {
    "ZCOR": "r", "ZPCOR": "r", "ZSPCOR": "r", "ZR2": "r2", "AHW": "alpha", "ABT": "alpha", "MNLN": "mean",
    "COR": "r", "PCOR": "r", "SPCOR": "r", "R2": "r2", "R2F": "r2", "ZR2F": "r2", "ARAW": "alpha", "MN": "mean",
}  # fmt: skip


@pytest.mark.parametrize("key", sorted(NATURAL | dict.fromkeys(PROPORTIONS | RATES)))
def test_the_way_back_leads_to_the_number_of_the_study(key: str) -> None:
    roles = raw_roles(key)
    done = MEASURES[key].function(*(np.array([ORDINARY[role]]) for role in roles))
    size = ORDINARY["time"] if "time" in roles else ORDINARY["n"]
    found = back(about(key).back).inverse(done.yi, size)
    true = ORDINARY[NATURAL[key]] if key in NATURAL else ORDINARY["events"] / size
    assert float(found[0]) == pytest.approx(true, rel=TIGHT)


@pytest.mark.parametrize("case", FILE["ways_back"], ids=lambda case: case["key"])
def test_the_ways_back_of_r_agree(case: dict[str, Any]) -> None:
    size = None if case["size"] is None else floats(case["size"])
    found = back(case["key"]).inverse(floats(case["x"]), size)
    true = floats(case["value"])
    known = np.isfinite(true)
    assert known.sum() >= 6
    np.testing.assert_allclose(found[known], true[known], rtol=CLOSED, atol=1e-13)
