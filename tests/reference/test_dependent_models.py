"""`mb.multilevel` against rma.mv of metafor 3.8-1: every model of `dependent/fits.json`, from table to estimates.

The log-likelihood agrees to 1e-8, or ours is higher; coefficients, standard errors and components to 1e-6; degrees of
freedom by containment are the same. What differs is named here with its cause, which README.md tells.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.levels import Multilevel
from metaback.stats.blocks import BlockMatrix, blocks_of, gathered

HERE = Path(__file__).parent / "dependent"
SETS: dict[str, Any] = json.loads((HERE / "data.json").read_text(encoding="utf-8"))["sets"]
FITS: dict[str, Any] = json.loads((HERE / "fits.json").read_text(encoding="utf-8"))
MODELS: dict[str, Any] = FITS["models"]

LOGLIK = 1e-8  # issue 8
ESTIMATE = 1e-6  # issue 8, in standard errors for coefficients and relative for standard errors
COMPONENT = 1e-5  # of the largest component: the likelihood is flat there, and rma.mv's last step is rounded

DISTANCES_ONLY = "maire2019 | SP"  # distances over water, which no coordinates give; random= takes coordinates
HIGHER = {  # ours is higher than the best of rma.mv and of the climb in R, by kinks of the likelihood
    ("spatial_made | SPLIN", "REML"),
    ("spatial_made | SPLIN", "ML"),
    ("spatial_made | SPLIN by region", "ML"),
}
# rma.mv ends where the matrix of random effects has a negative eigenvalue; within the model the maximum is `climb`.
OUTSIDE = {("fine1993 | CS", "REML")}
# tau2 of a level that one study alone has leaves the likelihood flat, so its coefficient is not told.
FLAT = {
    ("assink2016 | deltype DIAG", "REML"),
    ("assink2016 | deltype HCS", "REML"),
    ("assink2016 | deltype UN", "REML"),
}
# A column with random slopes varies between the levels of these; rma.mv counts its values within levels.
SLOPES = ("GEN", "GDIAG")
ONE_REGION = "spatial_made | SP"  # all rows in one level: rma.mv takes 1 df, here the places count

CASES = [
    pytest.param(key, method, id=f"{key}-{method}", marks=pytest.mark.slow if method == "ML" else ())
    for key, model in MODELS.items()
    for method in model["fits"]
    if model["random"] and not key.startswith(DISTANCES_ONLY)
]


def listed(value: Any) -> list[Any]:
    """Return a list, whatever R made of a single value."""
    return value if isinstance(value, list) else [value]


def names_in(text: str) -> list[str]:
    """Return the columns that a formula names."""
    return [word for word in re.findall(r"[A-Za-z_][\w.]*", text) if word != "factor"]


def effects_of(name: str, wanted: list[str]) -> tuple[mb.EffectSizes, BlockMatrix | None]:
    """Return the effects of a data set with some of its columns, and their V where it is not diagonal."""
    data = SETS[name]
    frame = pd.DataFrame({column: data["columns"][column] for column in dict.fromkeys(["yi", "vi", *wanted])})
    if "study" not in frame:
        frame = frame.assign(study=[f"S{i}" for i in range(len(frame))])
    effects = mb.effect_sizes(frame, measure="GEN")
    if not data["V"]:
        return effects, None
    whole, label = np.zeros((len(frame), len(frame))), np.zeros(len(frame), dtype=np.intp)
    for number, block in enumerate(data["V"]):
        rows = np.array(listed(block["rows"]))
        whole[np.ix_(rows, rows)] = np.array(block["V"]).reshape(rows.size, rows.size)
        label[rows] = number
    return effects, gathered(blocks_of(label), whole)


def known_of(name: str, wanted: list[str]) -> dict[str, pd.DataFrame] | None:
    """Return the known correlations of a data set as named frames."""
    out: dict[str, pd.DataFrame] = {}
    for term, stored in (SETS[name].get("R") or {}).items():
        if term in wanted:
            whole = np.eye(len(stored["labels"]))
            for i, row in enumerate(stored["lower"]):
                for j, value in enumerate(listed(row)):
                    whole[i, j] = whole[j, i] = value
            out[term] = pd.DataFrame(whole, index=stored["labels"], columns=stored["labels"])
    return out or None


def fixed_of(model: dict[str, Any], random: list[str]) -> dict[str, float]:
    """Return the components that the model holds, by our names."""
    intercepts: list[str] = []
    for text in random:
        if text.startswith("~ 1"):
            groups = text.split("|")[1].strip().split("/")
            intercepts += ["/".join(groups[: i + 1]) for i in range(len(groups))]
    out: dict[str, float] = {}
    for kind, values in (model["fixed"] or {}).items():
        for i, value in enumerate(listed(values)):
            if value is None:
                continue
            inner = (
                " | ".join(names_in(next(text for text in random if not text.startswith("~ 1")))[:2])
                if kind != "sigma2"
                else ""
            )
            if kind == "sigma2":
                out[f"sigma2 {intercepts[i]}"] = value
            elif kind == "tau2":
                out[f"tau2 {model['inner_levels'][i]} ({inner})"] = value
            else:
                out["rho"] = value
    return out


def fit_of(key: str, method: str, **choices: Any) -> Multilevel:
    """Fit a model of the grid through the public verb."""
    model = MODELS[key]
    random = listed(model["random"])
    if model["set"] == "spatial_made":
        random = [text.replace("~ place |", "~ x + y |") for text in random]
    formula = model["mods"].replace("factor(", "C(")
    wanted = [name for text in [*random, formula] for name in names_in(text) if name != "C"]
    effects, V = effects_of(model["set"], wanted)
    struct = None if model["struct"] is None else listed(model["struct"])
    known = known_of(model["set"], wanted)
    held = fixed_of(model, listed(model["random"]))
    return mb.multilevel(
        effects, random, formula=formula, struct=struct, V=V, R=known, method=method, fixed=held, **choices
    )


def plain(name: str) -> str:
    """Write the name of a coefficient so that ours and R's are the same."""
    short = re.sub(r"\[T\.|\[|\]|factor|C(?=\()|\(|\)", "", name)
    return "intrcpt" if short == "Intercept" else short


@pytest.mark.parametrize(("key", "method"), CASES)
def test_a_model_agrees_with_rma_mv(key: str, method: str) -> None:
    fit, theirs = fit_of(key, method), MODELS[key]["fits"][method]
    ours = {plain(name): estimate for name, estimate in fit.coefficients.items()}
    wanted = [plain(name) for name in listed(MODELS[key]["coefficients"])]
    assert sorted(ours) == sorted(wanted)
    gain = fit.loglik - theirs["loglik"]
    if (key, method) in OUTSIDE:
        assert fit.loglik == pytest.approx(theirs["climb"]["loglik"], abs=LOGLIK)
        return
    if (key, method) in HIGHER:
        assert gain > LOGLIK
        return
    assert abs(gain) < LOGLIK
    beta, se = np.array(listed(theirs["beta"])), np.array(listed(theirs["se"]))
    point, spread, df = (np.array([getattr(ours[name], part) for name in wanted]) for part in ("point", "se", "df"))
    told = np.isfinite(spread)
    assert told.all() != ((key, method) in FLAT)
    assert np.abs(point - beta)[told].max() < ESTIMATE * se.max()
    assert np.abs(spread / se - 1)[told].max() < ESTIMATE
    if not set(listed(MODELS[key]["struct"])) & set(SLOPES) and not key.startswith(ONE_REGION):
        expected = np.array(listed(theirs["t"]["df"]), dtype=float)
        # where levels - p is 0 or less rma.mv takes 1 df; here there is no interval, and a note
        expected[(expected == 1) & np.isnan(df)] = np.nan
        assert np.array_equal(df[told], expected[told], equal_nan=True)


SIGMA = [(key, method) for key, model in MODELS.items() for method, fit in model["fits"].items()
         if "sigma2" in fit and "tau2" not in fit and not key.endswith("confounded") and method == "REML"]  # fmt: skip


@pytest.mark.parametrize(("key", "method"), SIGMA)
def test_variances_of_intercepts_agree_with_rma_mv(key: str, method: str) -> None:
    fit = fit_of(key, method)
    theirs = np.array(listed(MODELS[key]["fits"][method]["sigma2"]))
    assert np.abs(fit.components["estimate"].to_numpy() - theirs).max() < COMPONENT * theirs.max() + 1e-12


def test_one_variance_that_stands_there_twice_is_told_as_a_sum() -> None:
    fit = fit_of("konstantopoulos2011 | confounded", "REML")
    right = MODELS["konstantopoulos2011 | three levels"]["fits"]["REML"]["sigma2"]
    assert fit.components["component"].tolist() == ["σ² study + district/school", "σ² district"]
    assert np.allclose(fit.components["estimate"], right[::-1], rtol=ESTIMATE)
    assert "cannot be told apart" in fit.notes[0]


RANEF = [(key, term) for key, model in MODELS.items() for term in (model["fits"]["REML"].get("ranef") or {})]


@pytest.mark.parametrize(("key", "term"), RANEF)
def test_predicted_random_effects_agree_with_ranef(key: str, term: str) -> None:
    fit, theirs = fit_of(key, "REML"), MODELS[key]["fits"]["REML"]["ranef"][term]
    frame = fit.blup(term.removeprefix("~").strip()).to_frame()
    assert len(frame) == len(theirs["blup"])
    assert np.allclose(np.sort(frame["estimate"]), np.sort(theirs["blup"]), atol=ESTIMATE)
    assert np.allclose(np.sort(frame["se"]), np.sort(theirs["se"]), atol=ESTIMATE)


@pytest.mark.parametrize("entry", FITS["lrt"], ids=lambda entry: entry["full"])
def test_likelihood_ratio_tests_agree_with_anova(entry: dict[str, Any]) -> None:
    full, reduced = (fit_of(entry[word], entry["method"]) for word in ("full", "reduced"))
    found = full.compare(reduced)
    assert found.df == entry["df"]
    assert found.statistic == pytest.approx(entry["LRT"], abs=1e-6)
    assert found.p_value == pytest.approx(entry["p"], rel=1e-6)


PROFILES = [
    (key, method, entry)
    for key, model in MODELS.items()
    for method, fit in model["fits"].items()
    for entry in (fit.get("profile") or [])
    if entry["component"] in ("sigma2", "tau2")
]


@pytest.mark.slow
@pytest.mark.parametrize(("key", "method"), sorted({(key, method) for key, method, _ in PROFILES}))
def test_profile_intervals_agree_with_the_climb_in_r(key: str, method: str) -> None:
    frame = fit_of(key, method).components_ci()
    for entry in (part for k, m, part in PROFILES if (k, m) == (key, method)):
        row = frame.iloc[entry["place"] - 1]
        low = 0.0 if entry["low"] is None else entry["low"]
        assert row["ci_low"] == pytest.approx(low, rel=1e-6, abs=1e-9)
        assert row["ci_high"] == pytest.approx(entry["high"], rel=1e-6)
