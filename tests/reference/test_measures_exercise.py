"""Measures that exercise research needs and no other program has, in 50 digits from the formulas of their papers.

Besides: the heterozygosity of metafor 3.8-1 (`escalc(measure="REH")`), and the codes of metafor 5.1 against ours.
"""

from __future__ import annotations

from collections.abc import Mapping

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mpf

from metaback.stats.measures import MEASURES, Computed, about, raw_roles
from metaback.stats.measures.family import option_names

TIGHT = 2e-13  # the same formula in 50 digits: the rounding of some ten operations on inputs that are doubles
SAME = 1e-12  # one quantity by two routes in double precision
PRINTED = 1e-4  # four decimals
DIGITS = 50
ROWS: list[dict[str, float]] = [
    {"n_1": 40, "mean_1": 3.1, "sd_1": 2.0, "n_2": 38, "mean_2": 4.6, "sd_2": 2.2},
    {"n_1": 2, "mean_1": 55.25, "sd_1": 11.5, "n_2": 3, "mean_2": 43.0, "sd_2": 0.0},
    {"n_1": 2e7, "mean_1": 7.0000001, "sd_1": 1.3, "n_2": 1.9e7, "mean_2": 7.0, "sd_2": 1.29},
    {"n_1": 12, "mean_1": 1e-6, "sd_1": 3e-7, "n_2": 15, "mean_2": 4e-7, "sd_2": 5e-7},
]
UNITS = [
    {"scale_low": 0.0, "scale_high": 10.0, "sd_reference": 2.5, "mid": 1.5},
    {"scale_low": 0.0, "scale_high": 100.0, "sd_reference": 17.0, "mid": 8.0},
    {"scale_low": -3.0, "scale_high": 24.0, "sd_reference": 1.4, "mid": 1.8},
    {"scale_low": 0.0, "scale_high": 1e-5, "sd_reference": 2e-6, "mid": 3e-7},
]
ADJUSTED = [
    {"mean_adj_1": 103.0, "mean_adj_2": 100.0, "sd_1": 5.5, "sd_2": 4.5, "sd_residual": 5.5, "r_covariate": 0.7},
    {"mean_adj_1": 1.0, "mean_adj_2": 9.0, "sd_1": 3.0, "sd_2": 2.0, "sd_residual": 2.4, "r_covariate": -0.3},
    {"mean_adj_1": 0.0, "mean_adj_2": 0.5, "sd_1": 1.0, "sd_2": 1.1, "sd_residual": 0.2, "r_covariate": 0.98},
    {"mean_adj_1": 5.0, "mean_adj_2": 5.0, "sd_1": 1.0, "sd_2": 1.1, "sd_residual": 1.0, "r_covariate": 0.0},
]
SIZES = [{"n_1": 50.0, "n_2": 50.0}, {"n_1": 3.0, "n_2": 2.0}, {"n_1": 2e7, "n_2": 31.0}, {"n_1": 9.0, "n_2": 200.0}]
CHANGES = [
    {"mean_pre_1": 40.0, "sd_pre_1": 10.0, "mean_post_1": 46.0, "sd_post_1": 11.0, "n_1": 25.0, "r_1": 0.8,
     "mean_pre_2": 41.0, "sd_pre_2": 9.0, "mean_post_2": 42.0, "sd_post_2": 10.0, "n_2": 24.0, "r_2": 0.75},
    {"mean_pre_1": 2.5, "sd_pre_1": 0.3, "mean_post_1": 0.01, "sd_post_1": 0.02, "n_1": 2.0, "r_1": -0.9,
     "mean_pre_2": 2.5, "sd_pre_2": 0.3, "mean_post_2": 2.5, "sd_post_2": 0.3, "n_2": 2.0, "r_2": 1.0},
    {"mean_pre_1": 1e8, "sd_pre_1": 1e6, "mean_post_1": 1e8 + 1, "sd_post_1": 1.1e6, "n_1": 2e7, "r_1": 0.99,
     "mean_pre_2": 1e8, "sd_pre_2": 1e6, "mean_post_2": 1e8 + 2, "sd_post_2": 1e6, "n_2": 1e7, "r_2": 0.0},
]  # fmt: skip


def compute(key: str, row: Mapping[str, float], **options: str) -> Computed:
    return MEASURES[key].function(*(np.array([float(row[role])]) for role in raw_roles(key)), **options)


def agrees(done: Computed, yi: mpf, vi: mpf, tolerance: float = TIGHT) -> None:
    assert done.defined[0]
    assert abs(done.vi[0] / vi - 1) <= tolerance
    assert abs(done.yi[0] - yi) <= tolerance * max(abs(yi), mpmath.sqrt(vi))


def exact(row: Mapping[str, float]) -> dict[str, mpf]:
    return {role: mpf(value) for role, value in row.items()}


def factor(df: mpf) -> mpf:
    return mpmath.gammaprod([df / 2], [(df - 1) / 2]) / mpmath.sqrt(df / 2)


# ---------------------------------------------------------------- known units


@pytest.mark.parametrize("row", [a | b for a, b in zip(ROWS, UNITS, strict=True)])
@pytest.mark.parametrize("vtype", ["LS", "HO"])
def test_differences_in_known_units(row: dict[str, float], vtype: str) -> None:
    with mpmath.workdps(DIGITS):
        x = exact(row)
        v = x["sd_1"] ** 2 / x["n_1"] + x["sd_2"] ** 2 / x["n_2"]
        if vtype == "HO":
            df = x["n_1"] + x["n_2"] - 2
            pooled = ((x["n_1"] - 1) * x["sd_1"] ** 2 + (x["n_2"] - 1) * x["sd_2"] ** 2) / df
            v = pooled * (1 / x["n_1"] + 1 / x["n_2"])
        y = x["mean_1"] - x["mean_2"]
        units = {"POMP": (x["scale_high"] - x["scale_low"]) / 100, "SMDE": x["sd_reference"], "MIDU": x["mid"]}
        for key, unit in units.items():
            agrees(compute(key, row, vtype=vtype), y / unit, v / unit**2)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("POMP", {"scale_high": 0.0}),
        ("POMP", {"scale_high": -1.0}),
        ("POMP", {"scale_high": 1.4}),  # a difference of 1.5 does not fit on it
        ("SMDE", {"sd_reference": 0.0}),
        ("SMDE", {"sd_reference": -2.0}),
        ("MIDU", {"mid": 0.0}),
        ("MIDU", {"mid": -1.5}),
        ("POMP", {"sd_1": 0.0, "sd_2": 0.0}),
        ("MIDU", {"n_1": 0.0}),
    ],
)
def test_a_unit_that_is_none_gives_no_effect(key: str, change: dict[str, float]) -> None:
    assert compute(key, ROWS[0] | UNITS[0]).defined[0]
    assert not compute(key, ROWS[0] | UNITS[0] | change).defined[0]


@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_a_rescaled_instrument_gives_the_same_percent(unit: float, shift: float) -> None:
    row = ROWS[0] | UNITS[0]
    moved = {name: row[name] * unit + shift for name in ("mean_1", "mean_2", "scale_low", "scale_high")}
    scaled = {name: row[name] * unit for name in ("sd_1", "sd_2", "sd_reference", "mid")}
    for key in ("POMP", "SMDE", "MIDU"):
        one, other = compute(key, row), compute(key, row | moved | scaled)
        np.testing.assert_allclose(other.yi, one.yi, rtol=1e-9)
        np.testing.assert_allclose(other.vi, one.vi, rtol=1e-9)


# ---------------------------------------------------------------- analysis of covariance


@pytest.mark.parametrize("row", [a | b for a in ADJUSTED for b in SIZES])
def test_adjusted_differences(row: dict[str, float]) -> None:
    with mpmath.workdps(DIGITS):
        x = exact(row)
        total, w = x["n_1"] + x["n_2"], 1 / x["n_1"] + 1 / x["n_2"]
        difference, left = x["mean_adj_1"] - x["mean_adj_2"], 1 - x["r_covariate"] ** 2
        agrees(compute("MDA", row), difference, x["sd_residual"] ** 2 * w)
        pooled = ((x["n_1"] - 1) * x["sd_1"] ** 2 + (x["n_2"] - 1) * x["sd_2"] ** 2) / (total - 2)
        units = {
            "SMDA": (mpmath.sqrt(pooled), left * w, total - 2),
            "SMDAW": (x["sd_residual"] / mpmath.sqrt(left), left * w, total - 3),
            "SMDAR": (x["sd_residual"], w, total - 3),
        }
        for key, (unit, base, df) in units.items():
            d = difference / unit
            for correct in ("yes", "no"):
                c = factor(df) if correct == "yes" else mpf(1)
                agrees(compute(key, row, correct=correct), c * d, base + (c * d) ** 2 / (2 * total))
                agrees(compute(key, row, correct=correct, vtype="LS2"), c * d, c**2 * (base + d**2 / (2 * total)))


def test_without_a_covariate_the_adjusted_difference_is_hedges_g() -> None:
    row = {"mean_adj_1": 3.1, "mean_adj_2": 4.6, "r_covariate": 0.0, **ROWS[0]}
    one, other = compute("SMDA", row), compute("SMD", row)
    np.testing.assert_allclose((one.yi, one.vi), (other.yi, other.vi), rtol=SAME)


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("MDA", {"sd_residual": 0.0}),
        ("MDA", {"n_1": 1.0, "n_2": 2.0}),
        ("SMDA", {"sd_1": 0.0, "sd_2": 0.0}),
        ("SMDA", {"r_covariate": 1.2}),
        ("SMDA", {"r_covariate": np.nan}),
        ("SMDAW", {"r_covariate": 1.0}),
        ("SMDAW", {"sd_residual": 0.0}),
        ("SMDAR", {"n_1": 2.0, "n_2": 2.0}),
        ("SMDAR", {"sd_residual": 0.0}),
    ],
)
def test_what_has_no_adjusted_effect(key: str, change: dict[str, float]) -> None:
    assert compute(key, ADJUSTED[0] | SIZES[0]).defined[0]
    assert not compute(key, ADJUSTED[0] | SIZES[0] | change).defined[0]


# ---------------------------------------------------------------- relative changes


@pytest.mark.parametrize("row", CHANGES)
def test_relative_changes(row: dict[str, float]) -> None:
    with mpmath.workdps(DIGITS):
        x = exact(row)
        percent, logs = [], []
        for i in ("1", "2"):
            pre, post, n, r = (x[f"{name}_{i}"] for name in ("mean_pre", "mean_post", "n", "r"))
            s_pre, s_post = x[f"sd_pre_{i}"], x[f"sd_post_{i}"]
            # the gradient of 100 (post/pre - 1) and of log(post/pre), times the covariance of the two means
            for slope_post, slope_pre, value, parts in (
                (100 / pre, -100 * post / pre**2, 100 * (post / pre - 1), percent),
                (1 / post, -1 / pre, mpmath.log(post / pre), logs),
            ):
                v = (slope_post * s_post) ** 2 + (slope_pre * s_pre) ** 2
                parts.append((value, (v + 2 * slope_post * slope_pre * r * s_post * s_pre) / n))
        for key, parts in (("PCMD", percent), ("ROMCD", logs)):
            tolerance = 2e-10 if x["r_2"] == 1 else 2e-12  # q sd_pre and sd_post nearly cancel: rounding of q
            agrees(compute(key, row), parts[0][0] - parts[1][0], parts[0][1] + parts[1][1], tolerance)


def test_the_ratio_of_changes_is_the_difference_of_two_paired_log_ratios() -> None:
    row, done = CHANGES[0], compute("ROMCD", CHANGES[0])
    arms = [
        MEASURES["ROMC"].function(
            *(np.array([row[f"{name}_{i}"]]) for name in ("mean_post", "sd_post", "mean_pre", "sd_pre", "n", "r"))
        )
        for i in ("1", "2")
    ]
    np.testing.assert_allclose(done.yi, arms[0].yi - arms[1].yi, rtol=SAME)
    np.testing.assert_allclose(done.vi, arms[0].vi + arms[1].vi, rtol=SAME)


@pytest.mark.parametrize("change", [{"mean_pre_1": 0.0}, {"mean_pre_2": -4.0}, {"r_1": 1.1}, {"n_2": 1.0}])
@pytest.mark.parametrize("key", ["PCMD", "ROMCD"])
def test_what_has_no_relative_change(key: str, change: dict[str, float]) -> None:
    assert not compute(key, CHANGES[0] | change).defined[0]


def test_nobody_left_with_anything_is_a_change_of_100_percent_but_has_no_logarithm() -> None:
    row = CHANGES[0] | {"mean_post_1": 0.0, "sd_post_1": 0.5}
    assert compute("PCMD", row).defined[0]
    assert not compute("ROMCD", row).defined[0]


# ---------------------------------------------------------------- the formulas of Morris and Becker, side by side


def test_all_of_morris_and_becker_are_there() -> None:
    row = {**CHANGES[0], "sd_change_1": 6.0, "sd_change_2": 6.0, "mean_change_1": 6.0, "mean_change_2": 1.0}
    found = {key: compute(key, row).yi[0] for key in ("DPPC1", "DPPC2", "DPPC3", "SMCRD")}
    c = 1 - 3 / (4 * 24 - 1), 1 - 3 / (4 * 23 - 1)
    assert found["DPPC1"] == pytest.approx(c[0] * 6 / 10 - c[1] * 1 / 9, rel=SAME)  # Morris 2008, equation 4
    pooled = ((24 * 100 + 23 * 81) / 47) ** 0.5
    assert found["DPPC2"] == pytest.approx((1 - 3 / (4 * 47 - 1)) * 5 / pooled, rel=SAME)  # equation 8
    every = ((24 * (100 + 121) + 23 * (81 + 100)) / 94) ** 0.5
    assert found["DPPC3"] == pytest.approx((1 - 3 / (8 * 47 - 1)) * 5 / every, rel=SAME)  # equation 12
    exact_c = [float(factor(mpf(df))) for df in (24, 23)]
    assert found["SMCRD"] == pytest.approx(exact_c[0] * 6 / 10 - exact_c[1] * 1 / 9, rel=SAME)  # Becker 1988


# ---------------------------------------------------------------- heterozygosity


@pytest.mark.parametrize("counts", [(10, 22, 8), (1, 1, 1), (3000000, 17, 45), (98765, 123456789, 1234)])
def test_relative_excess_heterozygosity(counts: tuple[int, int, int]) -> None:
    row = dict(zip(("homozygotes_1", "heterozygotes", "homozygotes_2"), counts, strict=True))
    with mpmath.workdps(DIGITS):
        a, h, b = map(mpf, counts)
        agrees(compute("REH", row), mpmath.log(h / (2 * mpmath.sqrt(a * b))), 1 / h + (1 / a + 1 / b) / 4)


def test_heterozygosity_of_metafor() -> None:
    # escalc(measure="REH", ai=c(10,0), bi=c(22,4), ci=c(8,5)) of 3.8-1 prints 0.2069, 0.1017 and NA, NA
    done = compute("REH", {"homozygotes_1": 10, "heterozygotes": 22, "homozygotes_2": 8})
    assert (done.yi[0], done.vi[0]) == (pytest.approx(0.2069, abs=PRINTED), pytest.approx(0.1017, abs=PRINTED))
    for counts in ((0, 4, 5), (4, 0, 5), (4, 5, 0), (-1, 4, 5)):
        row = dict(zip(("homozygotes_1", "heterozygotes", "homozygotes_2"), counts, strict=True))
        assert not compute("REH", row).defined[0]


# ---------------------------------------------------------------- the codes of metafor 5.1

METAFOR_5_1 = [
    "RR", "OR", "RD", "AS", "PETO", "PHI", "ZPHI", "YUQ", "YUY", "RTET", "ZTET", "PBIT", "OR2D", "OR2DN", "OR2DL",
    "MPRD", "MPRR", "MPOR", "MPORC", "MPPETO", "MPORM", "IRR", "IRD", "IRSD", "MD", "SMD", "SMDH", "SMD1", "SMD1H",
    "ROM", "CVR", "VR", "RPB", "ZPB", "RBIS", "ZBIS", "D2OR", "D2ORN", "D2ORL", "COR", "UCOR", "ZCOR", "PCOR",
    "ZPCOR", "SPCOR", "ZSPCOR", "R2", "ZR2", "R2F", "ZR2F", "PR", "PLN", "PLO", "PRZ", "PAS", "PFT", "IR", "IRLN",
    "IRS", "IRFT", "MN", "SMN", "MNLN", "CVLN", "SDLN", "MC", "SMCC", "SMCR", "SMCRH", "SMCRP", "SMCRPH", "CLESCN",
    "AUCCN", "ROMC", "CVRC", "VRC", "ARAW", "AHW", "ABT", "REH", "CLES", "CLESN", "AUC", "AUCN", "HR", "HD", "GEN",
]  # fmt: skip
OWN = {
    "DPPC1", "DPPC2", "DPPC3", "SMCRD", "MDCH", "SMDCH", "POMP", "SMDE", "MIDU", "PCMD", "ROMCD",
    "MDA", "SMDA", "SMDAW", "SMDAR",
}  # fmt: skip


def test_every_code_of_metafor_is_here() -> None:
    assert len(METAFOR_5_1) == len(set(METAFOR_5_1)) == 87
    assert set(METAFOR_5_1) <= set(MEASURES)
    assert set(MEASURES) - set(METAFOR_5_1) == OWN


CHANGED_DEFAULTS = {
    # what 3.8-1 does when nothing is said, what 5.1 does; each is a word, and ours is one of the two
    "ROM": ({"correct": "no"}, {"correct": "yes"}),
    "ROMC": ({"correct": "no"}, {"correct": "yes"}),
    "SMDH": ({"vtype": "metafor3"}, {"vtype": "LS"}),
    "SMD1H": ({"vtype": "metafor3"}, {"vtype": "LS"}),
    "SMCRH": ({"vtype": "metafor3"}, {"vtype": "LS"}),
}


@pytest.mark.parametrize("key", tuple(CHANGED_DEFAULTS))
def test_where_metafor_changed_a_default_both_are_offered_by_name(key: str) -> None:
    row = CHANGES[0] | ROWS[0] | {"n": 20.0, "r": 0.5}
    old, new = (compute(key, row, **options) for options in CHANGED_DEFAULTS[key])
    assert (old.yi[0], old.vi[0]) != (new.yi[0], new.vi[0])
    usual = compute(key, row)
    assert (usual.yi[0], usual.vi[0]) in {(old.yi[0], old.vi[0]), (new.yi[0], new.vi[0])}
    name = next(iter(CHANGED_DEFAULTS[key][0]))
    assert name in option_names(key)
    assert {options[name] for options in CHANGED_DEFAULTS[key]} <= set(about(key).conventions[name].choices)
    text = MEASURES[key].function.__doc__ or ""
    assert "default" in text
    assert "metafor" in text
