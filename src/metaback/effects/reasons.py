"""Why a row has no effect, and what would give it one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from metaback.data.roles import normal_name
from metaback.data.trials import Trials
from metaback.effects.routes import Draft, Floats
from metaback.numbers import as_given
from metaback.stats.measures import MEASURES, about, raw_roles

CORRELATIONS = ("r", "r_1", "r_2")
ARM_COLUMNS = frozenset({"treatment", "arm", "group", "condition", "intervention", "allocation"})


def explain(draft: Draft, trials: Trials, inputs: Mapping[str, Floats], key: str) -> None:
    """Say why a row has no effect.

    inputs: role -> (k,) numbers of the table and what was derived from them.
    """
    roles = raw_roles(key)
    open_rows = [i for i in np.flatnonzero(draft.open()).tolist() if not draft.reasons[i]]
    if not open_rows:
        return
    named = trials.texts("measure")
    effect, se = trials.numbers("effect"), trials.numbers("se")
    limits = np.isfinite(trials.numbers("ci_low")) & np.isfinite(trials.numbers("ci_high"))
    brings = np.isfinite(effect) | np.isfinite(trials.numbers("yi"))
    other = _other_measures(trials, open_rows if key == "GEN" else ())
    hint = _paired_hint(trials, key)
    for i in open_rows:
        blank = [role for role in roles if not _has(inputs, role, i)]
        if brings[i] and named[i].upper() not in ("", key):
            draft.reasons[i] = f"it brings {named[i]}, and the pool is of {key}"
        elif np.isfinite(effect[i]) and np.isfinite(se[i]):
            draft.reasons[i] = (
                f"a standard error beside {key} may be of the ratio or of its log; give its interval, or yi and sei"
            )
        elif brings[i] and not np.isfinite(effect[i]) and limits[i]:
            draft.reasons[i] = "its limits do not lie around its effect; check their scale and that of the effect"
        elif brings[i]:
            draft.reasons[i] = "its effect has neither an interval nor a standard error"
        elif roles and len(blank) < len(roles):
            draft.reasons[i] = _not_given(inputs, blank, about(key).kind, i) + hint
        else:
            draft.reasons[i] = f"no effect and no raw numbers are given{other.get(i, '')}"


def _paired_hint(trials: Trials, key: str) -> str:
    """Say how to name the columns of one group before and after, where they have the names of two-arm tables."""
    names = {normal_name(column) for column in trials.frame.columns}
    if about(key).kind != "paired means" or "mean_1" in trials.roles or not {"mean_pre", "mean_post"} <= names:
        return ""
    return "; name the two measurements of one group mean_1 sd_1 and mean_2 sd_2 (effects are 1 less 2)"


def _has(inputs: Mapping[str, Floats], role: str, i: int) -> bool:
    """Tell whether a row has a number."""
    return role in inputs and bool(np.isfinite(inputs[role][i]))


def _not_given(inputs: Mapping[str, Floats], blank: Sequence[str], kind: str, i: int) -> str:
    """Say what a row lacks, and how to go on without it."""
    lacks = f"{', '.join(blank)} not given"
    missing = [role for role in blank if role in CORRELATIONS]
    if missing and len(missing) == len(blank) and kind in ("paired means", "pre-post"):
        return (
            f"{' and '.join(missing)} not given and not solvable from the SD, SE, CI, t, F or P of the change; "
            "give it, or assume one with r=0.5"
        )
    arms = [role.removeprefix("sd_change") for role in blank if role.startswith("sd_change")]
    if len(arms) == len(blank) and all(_has(inputs, f"sd_{w}{arm}", i) for arm in arms for w in ("pre", "post")):
        return f"{lacks}; with the SDs before and after a correlation gives it: fill r_1 and r_2, or assume r=0.5"
    no_count = [a for a in ("_1", "_2", "") if f"events{a}" in blank and _has(inputs, f"percent{a}", i)]
    for arm in (arm for arm in no_count if _has(inputs, f"n{arm}", i)):
        percent, n = (as_given(float(inputs[f"{role}{arm}"][i])) for role in ("percent", "n"))
        return f"{lacks}; percent{arm} = {percent} is the percentage of no whole number of {n} people"
    unsigned = [role for role in ("p", "f_value") if _has(inputs, role, i)]
    if unsigned and "mean_1" in blank and "mean_2" in blank and not _has(inputs, "sign", i):
        return f"{lacks}; {unsigned[0]} gives the size of d and not its sign: fill a column sign with 1 or -1"
    return lacks


def _other_measures(trials: Trials, rows: Sequence[int]) -> dict[int, str]:
    """Say which measures rows without a named one have the numbers for, and what to do with a table of arms."""
    if not rows:
        return {}
    needs = {key: frozenset(roles) for key in MEASURES if (roles := raw_roles(key))}
    wanted = frozenset[str]().union(*needs.values()) & trials.roles.keys()
    filled = {role: np.isfinite(trials.numbers(role)) for role in wanted}
    long = bool(ARM_COLUMNS & {normal_name(column) for column in trials.frame.columns})
    words: dict[frozenset[str], str] = {}
    told: dict[int, str] = {}
    for i in rows:
        own = frozenset(role for role, known in filled.items() if known[i])
        if own not in words:
            words[own] = _measure_words([key for key, roles in needs.items() if roles <= own], long=long and bool(own))
        told[i] = words[own]
    return told


def _measure_words(found: Sequence[str], *, long: bool) -> str:
    """Name measures that can be asked for, and `contrasts` where rows may be arms."""
    others = f" or another of {', '.join(found[1:])}" if len(found) > 1 else ""
    one = f" of a comparison; for those of one group say measure={found[0]!r}{others}" if found else ""
    return f"{one}; if each row is one arm, make pairs of them with contrasts()" if long else one
