"""The record of a model of dependent effects in the shape of pools, so that two reports can be held side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metaback.report.comparing import part_of, parts_of

SCHEMA = "metaback/multilevel"
COMPONENT = "component"  # the measure of variances and correlations, which have no value of no effect
ENDS = ("estimate", "ci_low", "ci_high")


def as_pools(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of one model with `comparisons`: one for each coefficient and each component, in its order.

    The rows of the table stand in the first. I2 and the sum of the variances go with a mean that has no moderators.
    Numbers are on the analysis scale.

    >>> found = as_pools({"measure": "SMD", "coefficients": [{"term": "Intercept", "estimate": 0.2, "k": 3}]})
    >>> found["comparisons"][0]["overall"]["mean"]["estimate"]
    0.2
    """
    coefficients, spread = parts_of(record, "coefficients"), part_of(record, "heterogeneity")
    alone = len(coefficients) == 1
    parts: list[dict[str, Any]] = []
    for one in coefficients:
        level = {"i2_tau2": spread.get("i2_total")} if alone else {}
        parts.append(_part(str(one["term"]), str(record.get("measure")), one.get("k"), one, level))
    for one in parts_of(record, "components"):
        low, high = one.get("ci") or (None, None)
        parts.append(_part(str(one["name"]), COMPONENT, one.get("levels"), one | {"ci_low": low, "ci_high": high}, {}))
    if parts:
        parts[0]["studies"] = parts_of(record, "studies")
    return {**record, "comparisons": parts}


def _part(name: str, measure: str, k: Any, numbers: Mapping[str, Any], spread: Mapping[str, Any]) -> dict[str, Any]:
    """Return one coefficient or component as a pool."""
    natural = {end: numbers.get(end) for end in ENDS}
    mean = {**natural, "p_value": numbers.get("p_value"), "natural": natural}
    overall = {"k": k, "mean": mean, "prediction": {}, "heterogeneity": dict(spread)}
    return {"title": name, "outcome": name, "measure": measure, "model": {}, "overall": overall, "studies": []}
