"""Crossed random effects against sparse rma.mv of metafor 3.8-1 by all ways of computing: `dependent/crossed.json`.

Each model goes through `mb.multilevel` by whole blocks, by a whole inverse of the levels, and by eliminating them in an
order. The answers of R are checked against the definition of the likelihood first, without the package.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.postestimation.multilevel_pool import as_pool
from metaback.stats.mixed import crossed, crossed_order, crossed_predicted, problem

FILE: dict[str, Any] = json.loads((Path(__file__).parent / "dependent/crossed.json").read_text(encoding="utf-8"))
MODELS: dict[str, Any] = FILE["models"]
CASES = [(key, method) for key in MODELS for method in ("REML", "ML")]

LOGLIK = 1e-8  # issue 8
ESTIMATE = 1e-6  # issue 8, in standard errors for coefficients and relative for variances and standard errors
DEFINED = 1e-9  # two programs that sum the same terms in another order
# what computes a likelihood in each way, and the terms that are taken out of the blocks meanwhile
SLOW = "blocks"
WAYS = {"blocks": ("sums_of", ()), "inverse": ("_whole", (0, 1)), "order": ("_sparsely", (0, 1))}


def table_of(name: str) -> pd.DataFrame:
    frame = pd.DataFrame(FILE["tables"][name])
    return frame.assign(study=frame["paper"], row=np.arange(1, len(frame) + 1))


def test_the_models_cannot_shrink() -> None:
    assert {key: (len(table_of(model["table"])), len(model["groups"])) for key, model in MODELS.items()} == {
        "two": (400, 2),
        "two and rows": (400, 3),
        "three": (80, 3),
    }
    assert all(set(model["fits"]) == {"REML", "ML"} for model in MODELS.values())


@pytest.mark.parametrize(("key", "method"), CASES)
def test_what_r_answers_follows_from_the_definition_and_is_a_peak(key: str, method: str) -> None:
    model = MODELS[key]
    frame, fit, reml = table_of(model["table"]), model["fits"][method], method == "REML"
    y, X = frame["yi"].to_numpy(), np.ones((len(frame), 1))
    if "x" in model["mods"]:
        X = np.column_stack([X, frame["x"]])
    S = [np.equal.outer(frame[name].to_numpy(), frame[name].to_numpy()) * 1.0 for name in model["groups"]]
    M = np.diag(frame["vi"]) + sum(s * part for s, part in zip(fit["sigma2"], S, strict=True))
    W = np.linalg.inv(M)
    cov = np.linalg.inv(X.T @ W @ X)
    P = W - W @ X @ cov @ X.T @ W
    value = np.linalg.slogdet(M)[1] + y @ P @ y + (len(y) - reml * X.shape[1]) * math.log(2 * math.pi)
    value -= reml * (np.linalg.slogdet(cov)[1] + np.linalg.slogdet(X.T @ X)[1])
    assert -value / 2 == pytest.approx(fit["loglik"], rel=DEFINED)
    assert fit["loglik"] >= fit["run"] - DEFINED * abs(fit["run"])
    slopes = [(y @ P @ part @ P @ y - ((P if reml else W) * part).sum()) / 2 for part in S]
    assert min(fit["sigma2"]) > 0.01
    assert np.abs(slopes).max() < 1e-9


def forced(way: str, patch: pytest.MonkeyPatch) -> Counter[str]:
    """Have every likelihood computed in one way, and count how often each was."""
    used: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        true = getattr(module, name)

        def count(*given: Any, **named: Any) -> Any:
            used[name] += 1
            return true(*given, **named)

        patch.setattr(module, name, count)

    for module, name in ((problem, "sums_of"), (crossed, "_whole"), (crossed, "_sparsely")):
        counted(module, name)
    for module in (problem, crossed_predicted):
        patch.setattr(module, "taken_out", lambda *_: WAYS[way][1])
    patch.setattr(problem, "too_quick", lambda _: way != "order")
    if way == "order":
        patch.setattr(problem, "operations", lambda *_: np.inf)
        patch.setattr(crossed_order, "SMALL", 4)
        patch.setattr(crossed_order, "SHARE", 0.5)
    return used


@pytest.mark.parametrize(
    ("key", "method", "way"),
    [
        pytest.param(key, method, way, marks=pytest.mark.slow if method == "ML" or way == SLOW else ())
        for key, method in CASES
        for way in WAYS
    ],
)
def test_a_crossed_model_agrees_with_rma_mv_in_every_way(
    key: str, method: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS[key]
    theirs = model["fits"][method]
    used = forced(way, monkeypatch)
    random = [f"~ 1 | {'effect' if name == 'row' else name}" for name in model["groups"]]
    effects = mb.effect_sizes(table_of(model["table"]), measure="GEN")
    fit = mb.multilevel(effects, random, formula=model["mods"].replace("~1", "~ 1"), method=method)
    assert set(used) == {WAYS[way][0]}
    gain = fit.loglik - theirs["loglik"]
    assert gain > -LOGLIK
    assert gain < LOGLIK, "higher than the climb in R: its entry is no peak"
    np.testing.assert_allclose(fit.components["estimate"], theirs["sigma2"], rtol=ESTIMATE)
    beta, se = np.atleast_1d(theirs["beta"]), np.atleast_1d(theirs["se"])
    point, spread = (np.array([getattr(one, name) for one in fit.coefficients.values()]) for name in ("point", "se"))
    np.testing.assert_allclose(point, beta, rtol=0, atol=ESTIMATE * se.min())
    np.testing.assert_allclose(spread, se, rtol=ESTIMATE)
    np.testing.assert_allclose(fit.cov, np.atleast_2d(theirs["vb"]), rtol=0, atol=ESTIMATE * se.max() ** 2)
    assert fit.heterogeneity.q == pytest.approx(theirs["QE"], rel=ESTIMATE)
    for group, expected in theirs.get("ranef", {}).items():
        found = fit.blup("effect" if group == "row" else group).to_frame().set_index("level")
        names = [f"index {int(level) - 1}" if group == "row" else level for level in expected["level"]]
        assert len(found) == len(names)
        for column in ("estimate", "se"):
            np.testing.assert_allclose(found.loc[names, column], expected[column], rtol=0, atol=ESTIMATE)


def test_weights_and_predictions_of_known_levels_do_not_depend_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    effects = mb.effect_sizes(table_of("small"), measure="GEN")
    fit = mb.multilevel(effects, ["~ 1 | paper", "~ 1 | lab", "~ 1 | effect"])
    rows = pd.DataFrame({"lab": ["l001", "l002"]})
    found: list[tuple[np.ndarray, pd.DataFrame]] = []
    for out in ((), (0, 1), (1,)):
        monkeypatch.setattr(crossed_predicted, "taken_out", lambda *_, out=out: out)
        found.append((as_pool(fit.analysis).analysis.overall.weights, fit.predict(rows, known=["lab"])))
    for weights, frame in found[1:]:
        np.testing.assert_allclose(weights, found[0][0], rtol=DEFINED)
        columns = ["estimate", "se"]
        np.testing.assert_allclose(frame[columns], found[0][1][columns], rtol=DEFINED)
