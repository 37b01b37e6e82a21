"""All that a table knows and a way can use: the numbers by role, with the arms in the order of the comparison."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from metaback.data.trials import Trials
from metaback.effects.ways import WAYS
from metaback.stats.measures import about

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
WITHIN = ("t", "f", "p")  # tests that are of the change where the raw numbers are two measurements of one group
BETWEEN = ("d", "f_value", "p", "sign", "t")
OF_CHANGE = ("sd_change", "se_change", "ci_low_change", "ci_high_change", "t_change", "f_change", "p_change")
SIGNED = ("t", "d", "sign", "md", "phi")  # what changes its sign with the arms
RATIOS = ("odds_ratio", "risk_ratio")  # what turns into its reciprocal
OF_WAYS = frozenset(role for way in WAYS for role in (*way.takes, *way.gives))
PRINTED = {"odds_ratio": "OR", "risk_ratio": "RR", "phi": "PHI"}


def known_numbers(trials: Trials, inputs: Mapping[str, Floats], key: str) -> dict[str, Floats]:
    """Return every number of the table that a way to a measure may take, by role, (k,) each.

    `inputs` (numbers that were completed already) win over the table. Printed effects become what ways call them where
    their measure is named: md with its limits and SE, an odds ratio, a risk ratio, phi. Where the raw numbers are two
    measurements of one group, its t, F and P are those of the change.
    """
    found = {role: trials.numbers(role) for role in trials.roles if role in OF_WAYS}
    found |= inputs
    kind = about(key).kind
    if kind == "paired means":
        _as_change(found)
    else:
        for role in OF_CHANGE:
            found.pop(role, None)
    if kind != "paired means" and key != "MPORM" and "n_1" in found:
        found.pop("n", None)
    return found | _printed(trials, key)


def _as_change(found: dict[str, Floats]) -> None:
    """Take the tests of a table of pairs for those of the change."""
    for word in WITHIN:
        role, own = f"{word}_change", "f_value" if word == "f" else word
        if own in found:
            before = found.get(role, np.full(found[own].shape, np.nan))
            found[role] = np.where(np.isnan(before), found[own], before)
    for role in BETWEEN:
        found.pop(role, None)
    if "n" in found:  # so that the SDs of both occasions can be derived like those of two arms
        found["n_1"] = found["n_2"] = found["n"]


def _printed(trials: Trials, key: str) -> dict[str, Floats]:
    """Return printed effects under the names that ways have for them."""
    if "effect" not in trials.roles or about(key).kind not in ("means", "counts"):
        return {}
    mean = trials.names("MD", *([""] if key == "MD" else []))
    columns = {"md": "effect", "md_low": "ci_low", "md_high": "ci_high", "md_se": "se"}
    found = {role: np.where(mean, trials.numbers(column), np.nan) for role, column in columns.items()}
    for role, word in PRINTED.items():
        of = trials.names(word, *([""] if key == word else []))
        found[role] = np.where(of, trials.numbers("effect"), np.nan)
    return {role: column for role, column in found.items() if np.isfinite(column).any()}


def swap_known(known: dict[str, Floats], flip: Bools) -> None:
    """Exchange the arms in some rows: their numbers change places, and what is told of their difference turns."""
    if not flip.any():
        return
    blank = np.full(flip.shape, np.nan)
    for role in {f"{role[:-2]}_1" for role in known if role.endswith(("_1", "_2"))}:
        other = f"{role[:-2]}_2"
        one, two = known.get(role, blank), known.get(other, blank)
        known[role], known[other] = np.where(flip, two, one), np.where(flip, one, two)
    if {"pairs_12", "pairs_21"} <= known.keys():
        one, two = known["pairs_12"], known["pairs_21"]
        known["pairs_12"], known["pairs_21"] = np.where(flip, two, one), np.where(flip, one, two)
    if "auc" in known:
        known["auc"] = np.where(flip, 1 - known["auc"], known["auc"])
    for role in (role for role in SIGNED if role in known):
        known[role] = np.where(flip, -known[role], known[role])
    if {"md_low", "md_high"} <= known.keys():
        low, high = known["md_low"], known["md_high"]
        known["md_low"], known["md_high"] = np.where(flip, -high, low), np.where(flip, -low, high)
    for role in (role for role in RATIOS if role in known):
        with np.errstate(divide="ignore"):
            known[role] = np.where(flip, 1 / known[role], known[role])
