"""The reference files of dependent effects are whole: their grid cannot shrink, and they agree with each other.

Nothing of the package is imported here: the numbers of R are checked against the definition of the likelihood and
against printed results before any code is held against them.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

FOLDER = Path(__file__).parent / "dependent"
METHODS = ("REML", "ML")
# no fewer than these: a case is never dropped because it fails
SETS, MODELS, FITS = 35, 141, 282
CLUSTERED, WORKING, COVARIANCES, AGGREGATES, PRINTED = 46, 74, 25, 21, 22
STRUCTURES = {
    *("UN", "CS", "HCS", "DIAG", "ID", "AR", "HAR", "CAR", "GEN", "GDIAG"),
    *("SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH"),
}
MEGABYTES = 3.0
HIGHEST = 1e-9  # of a log-likelihood: two programs that sum the same terms in another order
LIKELIHOOD = 1e-9  # the same, relative to 1 + |log-likelihood|
KINDS = {"CR0", "CR1", "CR1p", "CR1S", "CR2", "CR3"}

Numbers = NDArray[np.float64]


@cache
def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def fitted() -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    models = load("fits")["models"]
    return [(name, method, model, model["fits"][method]) for name, model in models.items() for method in METHODS]


def test_the_grid_of_models_and_data_sets_cannot_shrink() -> None:
    models = load("fits")["models"]
    assert len(load("data")["sets"]) >= SETS
    assert len(models) >= MODELS
    assert sum(len(model["fits"]) for model in models.values()) >= FITS
    assert {structure for model in models.values() for structure in model["struct"] or []} >= STRUCTURES
    assert {model["set"] for model in models.values()} <= set(load("data")["sets"])


def test_the_other_grids_cannot_shrink() -> None:
    assert len(load("clubsandwich")["cases"]) >= CLUSTERED
    assert len(load("robumeta")["cases"]) >= WORKING
    assert len(load("covariances")["covariances"]) >= COVARIANCES
    assert len(load("covariances")["aggregates"]) >= AGGREGATES
    assert len(load("published")["results"]) >= PRINTED


def test_the_files_stay_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.glob("*.json")) < MEGABYTES * 1e6


def test_every_fit_has_its_numbers() -> None:
    for name, method, _, fit in fitted():
        assert "error" not in fit, (name, method)
        for key in ("loglik", "beta", "se", "vb", "QE"):
            assert np.isfinite(np.asarray(fit[key], dtype=float)).all(), (name, method, key)
        assert any(key in fit for key in ("sigma2", "tau2")) or fit["winner"] == "default", (name, method)


def test_no_optimiser_of_r_found_a_higher_likelihood() -> None:
    for name, method, _, fit in fitted():
        runs = [fit["default"], *(fit["runs"] or {}).values()] if isinstance(fit["runs"], dict) else [fit["default"]]
        highest = max((run["loglik"] for run in runs if "loglik" in run), default=-math.inf)
        assert fit["loglik"] >= highest - HIGHEST * (1 + abs(highest)), (name, method)


def nested(model: dict[str, Any]) -> bool:
    return bool(model["random"]) and not model["struct"] and "X" in model


def covariance(model: dict[str, Any], sigma2: list[float]) -> Numbers:
    data = load("data")["sets"][model["set"]]
    out = np.diag(np.asarray(data["columns"]["vi"], dtype=float))
    for block in data["V"] or []:
        out[np.ix_(block["rows"], block["rows"])] = block["V"]
    terms = [re.sub(r"\s", "", text).split("|")[1].split("/") for text in model["random"]]
    groups = [path[: depth + 1] for path in terms for depth in range(len(path))]
    for variance, names in zip(sigma2, groups, strict=True):
        labels = list(zip(*(data["columns"][name] for name in names), strict=True))
        known = (data["R"] or {}).get(names[0]) if len(names) == 1 else None
        if known is None:
            out += variance * np.array([[a == b for b in labels] for a in labels])
        else:
            full = np.array([row + [0.0] * (len(known["lower"]) - len(row)) for row in known["lower"]])
            full = full + np.tril(full, -1).T
            place = [known["labels"].index(label[0]) for label in labels]
            out += variance * full[np.ix_(place, place)]
    return out


def log_likelihood(y: Numbers, x: Numbers, m: Numbers, method: str) -> float:
    w = np.linalg.inv(m)
    information = x.T @ w @ x
    residual = y - x @ np.linalg.solve(information, x.T @ w @ y)
    value = -0.5 * (np.linalg.slogdet(m)[1] + residual @ w @ residual)
    free = len(y)
    if method == "REML":
        free -= x.shape[1]
        value += 0.5 * (np.linalg.slogdet(x.T @ x)[1] - np.linalg.slogdet(information)[1])
    return float(value - 0.5 * free * math.log(2 * math.pi))


def test_likelihoods_of_crossed_and_nested_models_follow_from_the_data() -> None:
    seen = 0
    for name, method, model, fit in fitted():
        if not nested(model):
            continue
        y = np.asarray(load("data")["sets"][model["set"]]["columns"]["yi"], dtype=float)
        got = log_likelihood(y, np.asarray(model["X"], dtype=float), covariance(model, fit["sigma2"]), method)
        assert got == pytest.approx(fit["loglik"], rel=LIKELIHOOD, abs=LIKELIHOOD), (name, method)
        seen += 1
    assert seen >= 40


def printed_unit(value: float) -> float:
    """Return one unit of the last printed digit, for numbers that were rounded twice."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    assert isinstance(exponent, int)
    return 1.01 * 10.0**exponent


@pytest.mark.parametrize("result", [r for r in load("published")["results"] if "model" in r], ids=lambda r: r["name"])
def test_printed_results_agree_with_the_fits(result: dict[str, Any]) -> None:
    fit = load("fits")["models"][result["model"]]["fits"][result["method"]]
    for key in ("beta", "se", "sigma2", "tau2", "rho"):
        for place, value in enumerate(result.get(key, [])):
            within = result.get("within", {}).get(key, printed_unit(value))
            assert fit[key][place] == pytest.approx(value, abs=within), key


@pytest.mark.parametrize("result", [r for r in load("published")["results"] if "case" in r], ids=lambda r: r["name"])
def test_printed_results_agree_with_robumeta(result: dict[str, Any]) -> None:
    case = load("robumeta")["cases"][result["case"]]
    for key, own in (("beta", "b"), ("se", "se"), ("df", "df"), ("p", "p")):
        for place, value in enumerate(result[key]):
            assert case[own][place] == pytest.approx(value, abs=printed_unit(value)), key
    for key in ("tau2", "omega2", "I2"):
        if key in result:
            assert case[key] == pytest.approx(result[key], abs=printed_unit(result[key]))


def test_every_kind_of_robust_variance_is_there_or_refused_in_words() -> None:
    for name, case in load("clubsandwich")["cases"].items():
        if "error" in case:
            continue
        assert set(case["types"]) == KINDS, name
        for kind, entry in case["types"].items():
            assert "error" in entry or len(entry["vcov"]) == len(case["beta"]), (name, kind)


WIDER = [("UN", "HCS"), ("HCS", "CS"), ("HCS", "DIAG"), ("CS", "ID"), ("DIAG", "ID"), ("HAR", "AR"), ("AR", "ID")]
# rma.mv ends where the matrix of the random effects is not positive semi-definite, 5.6e-7 above the others
BEYOND = {("fine1993", "CS", "REML")}


@pytest.mark.parametrize(("wide", "narrow"), WIDER)
def test_a_structure_with_more_parameters_is_never_less_likely(wide: str, narrow: str) -> None:
    models = load("fits")["models"]
    seen = 0
    for name in load("data")["sets"]:
        pair = [models.get(f"{name} | {label}") for label in (wide, narrow)]
        if pair[0] is None or pair[1] is None or pair[0]["mods"] != pair[1]["mods"]:
            continue
        for method in METHODS:
            if (name, narrow, method) in BEYOND:
                continue
            high, low = (model["fits"][method]["loglik"] for model in pair if model)
            assert high >= low - HIGHEST * (1 + abs(low)), (name, method)
            seen += 1
    assert seen >= 2
