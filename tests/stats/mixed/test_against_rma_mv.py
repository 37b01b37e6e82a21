"""The grid of data sets and models of `rma.mv`: the same likelihood or a higher one, and the same estimates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metaback.stats.blocks import BlockMatrix, blocks_of, diagonal, gathered
from metaback.stats.mixed import MixedFit, Term, fit_mixed

FOLDER = Path(__file__).parents[2] / "reference" / "dependent"
SETS: dict[str, Any] = json.loads((FOLDER / "data.json").read_text(encoding="utf-8"))["sets"]
MODELS: dict[str, Any] = json.loads((FOLDER / "fits.json").read_text(encoding="utf-8"))["models"]
BELOW = 1e-8  # how much lower than that of rma.mv a log-likelihood may be
LEVEL = 2e-8  # log-likelihoods closer than this are of one point, whose estimates must agree
ESTIMATE = 1e-6  # relative to the standard error, coefficients of one point
SPATIAL = ("SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH")
# Distances of places without coordinates: a Term has coordinates.
PLACES = {"maire2019 | SPGAU", "maire2019 | SPEXP"}
# Without all its variances at 0 or more, or a matrix of random effects that is none: the README says why.
OUTSIDE = {("fine1993 | CS", "REML")}
# Columns that the file does not have: they are made of factors there.
NO_COLUMNS = {key for key, model in MODELS.items() if model.get("X") is None and model["mods"] != "~ 1"}
KEYS = [(key, method) for key in MODELS if key not in PLACES | NO_COLUMNS for method in ("REML", "ML")]
# Many levels of unequal variances: seconds each; `tests/reference/test_dependent_models.py` has one of them.
LONG = {"dagostino1998 | HCS"}
CASES = [pytest.param(*case, marks=pytest.mark.slow) if case[0] in LONG else case for case in KEYS]


def _codes(values: list[Any]) -> np.ndarray:
    return np.unique(np.array([str(value) for value in values]), return_inverse=True)[1]


def _whole(known: dict[str, Any]) -> np.ndarray:
    """Return a matrix from the rows of its lower triangle."""
    n = len(known["labels"])
    out = np.zeros((n, n))
    lower = known["lower"]
    if isinstance(lower[0], list):
        for i, row in enumerate(lower):
            out[i, : len(row)] = row
    else:
        out[np.tril_indices(n)] = lower
    return np.where(out == 0, out.T, out)


def _terms(model: dict[str, Any], data: dict[str, Any]) -> list[Term]:
    """Return the terms that the formulas of a model name."""
    columns = data["columns"]
    terms: list[Term] = []
    structures = list(model["struct"] or [])
    for formula in model["random"] or []:
        left, right = (side.strip() for side in formula.lstrip("~ ").split("|"))
        if left == "1":
            path = ["" for _ in columns["yi"]]
            for name in right.split("/"):
                path = [f"{so_far}\t{value}" for so_far, value in zip(path, columns[name], strict=True)]
                known = (data["R"] or {}).get(name)
                if known is None:
                    terms.append(Term("ID0", _codes(path)))
                else:
                    at = {label: i for i, label in enumerate(known["labels"])}
                    outer = np.array([at[str(value)] for value in columns[name]])
                    terms.append(Term("ID0", outer, known=_whole(known)))
            continue
        key = structures.pop(0)
        terms.append(_inner(key, left, _codes(columns[right]), model, data, len(terms)))
    return terms


def _inner(key: str, left: str, outer: np.ndarray, model: dict[str, Any], data: dict[str, Any], place: int) -> Term:
    """Return the term of `left | outer` with a structure."""
    columns = data["columns"]
    values = columns[left]
    if key in {"GEN", "GDIAG"}:
        return Term(key, outer, Z=np.column_stack([np.ones(len(values)), np.array(values, dtype=float)]))
    if key in SPATIAL:
        return Term(key, outer, position=np.column_stack([columns["x"], columns["y"]]))
    if key == "CAR":
        return Term(key, outer, position=np.array(values, dtype=float)[:, None])
    levels = model["inner_levels"] if place == 0 or "inner_levels_2" not in model else model["inner_levels_2"]
    at = {str(level): i for i, level in enumerate(levels)}
    inner = np.array([at[str(value)] for value in values])
    L = len(levels)
    given = model["fixed"] or {}
    count = {"UN": (L, L * (L - 1) // 2), "CS": (1, 1), "HCS": (L, 1)}.get(key, (0, 0))
    fixed = [*_given(given.get("tau2"), count[0]), *_given(given.get("rho"), count[1])] if given else []
    return Term(key, outer, inner, L, fixed=tuple(fixed))


def _given(values: Any, count: int) -> list[float | None]:
    """Return given values, None for each that is estimated."""
    if values is None:
        return [None] * count
    values = values if isinstance(values, list) else [values]
    return [None if value in {None, "NA"} else float(value) for value in values] * (count // len(values))


def _problem(key: str) -> tuple[np.ndarray, np.ndarray, BlockMatrix, list[Term]]:
    """Return effects, columns, sampling covariances and terms of a model."""
    model = MODELS[key]
    data = SETS[model["set"]]
    y = np.array(data["columns"]["yi"], dtype=float)
    n = y.size
    X = np.ones((n, 1)) if model.get("X") is None else np.array(model["X"], dtype=float)
    if data["V"] is None:
        V = diagonal(blocks_of(np.arange(n)), np.array(data["columns"]["vi"], dtype=float))
    else:
        dense, label = np.zeros((n, n)), np.zeros(n, dtype=int)
        for i, block in enumerate(data["V"]):
            dense[np.ix_(block["rows"], block["rows"])] = block["V"]
            label[block["rows"]] = i
        V = gathered(blocks_of(label), dense)
    return y, X, V, _terms(model, data)


def _fit(key: str, method: str) -> tuple[MixedFit, dict[str, Any]]:
    return fit_mixed(*_problem(key), method), MODELS[key]["fits"][method]


def test_the_grid_is_whole() -> None:
    assert len(KEYS) >= 266


@pytest.mark.parametrize(("key", "method"), CASES)
def test_the_likelihood_is_that_of_rma_mv_or_higher(key: str, method: str) -> None:
    fit, reference = _fit(key, method)
    assert fit.status == 0
    if (key, method) in OUTSIDE:
        pytest.skip("the reference stands outside the model")
    assert fit.loglik >= reference["loglik"] - BELOW
    if abs(fit.loglik - reference["loglik"]) < LEVEL and fit.identifiable.all():
        np.testing.assert_allclose(fit.beta, reference["beta"], atol=ESTIMATE * max(reference["se"]) * 10)
