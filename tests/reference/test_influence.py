"""Questions asked of a fit against metafor: leave-one-out, cumulative, influence, Baujat, BLUPs, profile and GOSH."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.postestimation.influence import Influence
from metaback.postestimation.subsets import Subsets
from metaback.result import Result

FOUND = json.loads((Path(__file__).parent / "metafor_influence.json").read_text(encoding="utf-8"))
CASES, REGRESSIONS = FOUND["cases"], FOUND["regressions"]
WAYS = {
    "DL": {"tau2": "DL", "ci": "Wald"},
    "REML": {"tau2": "REML", "ci": "Wald"},
    "ML": {"tau2": "ML", "ci": "HKSJ"},
    "KNHA": {"tau2": "REML", "ci": "HKSJ"},
    "EE": {"model": "equal", "ci": "Wald"},
}
ITERATED = 1e-8  # the promise; closed forms are nearer
SMALL = 1e-9  # what is 0 but for rounding, in units of the largest number of its column: metafor subtracts fits
ERRORS = 4.0  # Monte Carlo standard errors
NOTHING = 1e-10  # a tau2 of 0 is up to 1e-11 in metafor
MOVED = ("rstudent", "dffits", "cook", "cov_ratio", "tau2_deleted", "q_deleted", "hat", "weight", "rstandard")
THEIRS = ("rstudent", "dffits", "cook.d", "cov.r", "tau2.del", "QE.del", "hat", "weight", "rstandard")
POOLS = {
    "estimate": "estimate",
    "se": "se",
    "p_value": "pval",
    "ci_low": "ci.lb",
    "ci_high": "ci.ub",
    "q": "Q",
    "tau2": "tau2",
    "i2": "I2",
    "h2": "H2",
}


def frame(case: dict) -> pd.DataFrame:
    columns = {"yi": case["yi"], "se": np.sqrt(case["vi"])}
    return pd.DataFrame(columns | ({"x": case["x"]} if "x" in case else {}))


def pooled(name: str, way: str) -> Result:
    return mb.pool(frame(CASES[name]), effect="yi", se="se", preset="metafor", **WAYS[way])


def near(mine: np.ndarray, theirs: list, tolerance: float = ITERATED) -> None:
    """Hold numbers to those of metafor; it has none where its scoring of a refit does not end."""
    expected = np.array([np.nan if value is None else value for value in theirs], dtype=float)
    known = np.isfinite(expected)
    assert np.isfinite(mine[known]).all()
    scale = np.abs(expected[known]).max(initial=0.0)
    np.testing.assert_allclose(mine[known], expected[known], rtol=tolerance, atol=max(SMALL * scale, NOTHING))


# Without this row the likelihood has two peaks, and metafor's scoring ends at the lower one.
OTHER_PEAK = {("dat.egger2001", "ML"): 13}
PAIRS = [(name, way) for name in CASES for way in WAYS if "error" not in CASES[name]["ways"][way]]


def without_other_peaks(name: str, way: str) -> dict:
    """Return what metafor says, without the numbers of a refit that ends at the lower of two peaks."""
    found = copy.deepcopy(CASES[name]["ways"][way])
    if (name, way) in OTHER_PEAK:
        i = OTHER_PEAK[name, way]
        for part in (found, found["leave1out"], found["baujat"]):
            for column in part.values():
                if isinstance(column, list) and len(column) == len(CASES[name]["yi"]):
                    column[i] = [None] if isinstance(column[i], list) else None
    return found


@pytest.mark.parametrize(("name", "way"), OTHER_PEAK)
def test_the_other_peak_is_the_lower_one(name: str, way: str) -> None:
    i = OTHER_PEAK[name, way]
    table = frame(CASES[name]).drop(index=i)
    theirs = CASES[name]["ways"][way]["leave1out"]["tau2"][i]
    mine, other = (mb.pool(table, effect="yi", se="se", ci="Wald", tau2=tau2) for tau2 in ("ML", theirs))
    assert mine.fit_statistics.ml.loglik > other.fit_statistics.ml.loglik


def same_pools(mine: Subsets, theirs: dict, several: np.ndarray) -> None:
    for key, column in POOLS.items():
        if column not in theirs:
            continue
        values = getattr(mine, key)
        if key == "h2" and "tau2" not in theirs:  # equal effects: none here, Q / (k - 1) there
            continue
        if key in ("tau2", "i2", "h2"):  # a single study has none here, and 0 there
            values = np.where(several, values, {"h2": 1.0}.get(key, 0.0))
        near(values, theirs[column])
    near(np.where(several, mine.q_p, 1.0), theirs["Qp"])


def test_the_grid_cannot_shrink() -> None:
    assert len(CASES) >= 15
    assert len(PAIRS) >= 74
    assert len(REGRESSIONS) == 3


def complete(name: str, *path: str) -> bool:
    """Tell whether metafor has every number of a quantity of a data set, in each of the ways that have it."""
    found: list[bool] = []
    for way in CASES[name]["ways"].values():
        part = way
        for key in path:
            part = part.get(key, {}) if isinstance(part, dict) else {}
        columns = list(part.values()) if isinstance(part, dict) else [part]
        found += [value is not None for column in columns for value in np.ravel(np.array(column, dtype=object))]
    return bool(found) and all(found)


@pytest.mark.parametrize(
    "path",
    [("leave1out",), ("cumul",), ("blup",), ("profile",), *((column,) for column in (*THEIRS, "dfbetas", "flagged"))],
)
def test_every_question_has_ten_data_sets_without_a_gap(path: tuple[str, ...]) -> None:
    assert sum(complete(name, *path) for name in CASES) >= 10


def test_gosh_has_every_subset_of_its_data_sets() -> None:
    sizes = [(min(7, len(case["yi"])), case["gosh"]) for case in CASES.values()]
    assert (
        sum(all(len(column) == 2**k - 1 and None not in column for column in found.values()) for k, found in sizes)
        >= 10
    )


@pytest.mark.parametrize(("name", "way"), PAIRS)
def test_leave_one_out(name: str, way: str) -> None:
    found = pooled(name, way).leave_one_out()
    same_pools(found.pools, without_other_peaks(name, way)["leave1out"], found.pools.k > 1)


@pytest.mark.parametrize(("name", "way"), PAIRS)
def test_cumulative(name: str, way: str) -> None:
    found = pooled(name, way).cumulative(order="precision")
    same_pools(found.pools, CASES[name]["ways"][way]["cumul"], found.pools.k > 1)


def diagnosed(found: Influence, theirs: dict) -> None:
    for mine, column in zip(MOVED, THEIRS, strict=True):
        if mine == "tau2_deleted" and np.isnan(found.tau2_deleted).all():
            assert set(theirs[column]) == {0}  # equal effects
            continue
        near(getattr(found, mine), theirs[column])
    for mine, column in zip(
        found.dfbetas.T, np.array(theirs["dfbetas"], dtype=float).reshape(found.dfbetas.shape).T, strict=True
    ):
        near(mine, column.tolist())
    assert [a for a, b in zip(found.influential, theirs["flagged"], strict=True) if b is not None] == [
        b for b in theirs["flagged"] if b is not None
    ]


@pytest.mark.parametrize(("name", "way"), PAIRS)
def test_influence(name: str, way: str) -> None:
    diagnosed(pooled(name, way).influence(), without_other_peaks(name, way))


@pytest.mark.parametrize(("name", "way"), PAIRS)
def test_baujat(name: str, way: str) -> None:
    found, theirs = pooled(name, way).baujat(), without_other_peaks(name, way)["baujat"]
    near(found.heterogeneity, theirs["x"])
    near(found.influence, theirs["y"])


@pytest.mark.parametrize(("name", "way"), [pair for pair in PAIRS if pair[1] != "EE"])
def test_blup(name: str, way: str) -> None:
    found, theirs = pooled(name, way).blup(), CASES[name]["ways"][way]["blup"]
    for mine, column in (("estimate", "pred"), ("se", "se"), ("ci_low", "pi.lb"), ("ci_high", "pi.ub")):
        near(getattr(found, mine), theirs[column])


@pytest.mark.parametrize(("name", "way"), [pair for pair in PAIRS if pair[1] in ("ML", "REML")])
def test_profile(name: str, way: str) -> None:
    theirs = CASES[name]["ways"][way]["profile"]
    found = pooled(name, way).profile(values=theirs["tau2"])
    near(found.loglik, theirs["ll"])
    near(found.estimate, theirs["beta"])


@pytest.mark.parametrize("name", list(CASES))
def test_gosh(name: str) -> None:
    case = CASES[name]
    few = {"yi": case["yi"][:7], "vi": case["vi"][:7]}
    found = mb.pool(frame(few), effect="yi", se="se", preset="metafor").gosh()
    k = len(found.labels)
    code = sum(found.includes(i).astype(int) << i for i in range(k))
    theirs = pd.DataFrame(case["gosh"]).set_index("code").loc[code]
    assert (found.size == theirs["k"]).all()
    several = found.size > 1
    near(found.estimate, theirs["estimate"].tolist())
    near(found.q, theirs["QE"].tolist())
    near(np.where(several, found.tau2, 0.0), theirs["tau2"].tolist())
    near(np.where(several, found.i2, 0.0), theirs["I2"].tolist())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if len(case["yi"]) >= 9])
def test_random_gosh_is_within_its_error_of_all_subsets(name: str) -> None:
    few = {"yi": CASES[name]["yi"][:12], "vi": CASES[name]["vi"][:12]}
    fit = mb.pool(frame(few), effect="yi", se="se", preset="revman5")
    every, drawn = fit.gosh(), fit.gosh(n=2 ** len(few["yi"]) - 2)
    assert (every.exact, drawn.exact) == (True, False)
    for column in ("estimate", "i2", "q"):
        mine, true = getattr(drawn, column), getattr(every, column)
        error = np.nanstd(true) / np.sqrt(np.isfinite(mine).sum())
        assert abs(np.nanmean(mine) - np.nanmean(true)) <= ERRORS * error, column


@pytest.mark.parametrize("way", ["DL", "REML", "KNHA", "EE"])
@pytest.mark.parametrize("name", list(REGRESSIONS))
def test_influence_of_regressions(name: str, way: str) -> None:
    case = REGRESSIONS[name]
    fit = mb.regress(frame(case), "~ x", effect="yi", se="se", preset="metafor", **WAYS[way])
    diagnosed(fit.influence(), case["ways"][way])


def test_influence_with_weights_of_the_user() -> None:
    case = FOUND["weighted"]
    table = frame(case).assign(w=np.arange(1.0, 14.0))
    found = mb.pool(table, effect="yi", se="se", preset="metafor", tau2="DL", weights="w").influence()
    diagnosed(found, case["found"])
