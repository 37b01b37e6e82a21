"""Numbers of a row as they would be under another reading: times a factor, or with the arms the other way round."""

from __future__ import annotations

import numpy as np

from metaback.checks.findings import Change
from metaback.checks.scene import Pooled, Scene

# Numbers that two arms have: what changes places where the effect of a row has the wrong sign.
SWAPPED = ("mean", "median", "mean_pre", "mean_post", "mean_change", "mean_adj")
COUNTED = ("events", "nonevents", "percent", "n", "time")
EFFECTS = ("effect", "ci_low", "ci_high", "yi")  # in the units of the effect
WIDTHS = ("se", "sei")
SIGNED = ("d", "t", "sign", "r")  # numbers whose sign is that of the effect
IN_UNITS = (
    *("mean", "sd", "se", "median", "min", "q1", "q3", "max", "iqr", "mad", "mean_ci_low", "mean_ci_high"),
    *("mean_pre", "sd_pre", "mean_post", "sd_post", "mean_change", "sd_change", "se_change", "mean_adj"),
)


def in_other_units(scene: Scene, place: int, factor: float) -> tuple[Change, ...]:
    """Return all numbers of a row that are in the units of its scores, times a factor.

    place: row, 0 for the first; factor: positive. Its effect and limits count as well, because a caller asks for
    measures in the units of the scores only.
    """
    roles = [f"{stem}{arm}" for stem in IN_UNITS for arm in ("_1", "_2")]
    return _times(scene, place, (*roles, "mean", "sd", "sd_residual", "se", *EFFECTS, "sei"), factor)


def scaled_effect(scene: Scene, place: int, factor: float) -> tuple[Change, ...]:
    """Return a ready-made effect on a linear scale, with its limits and standard error, times a positive factor."""
    changes = _times(scene, place, (*EFFECTS, *WIDTHS), factor)
    return changes + _times(scene, place, ("vi",), factor**2)


def _times(scene: Scene, place: int, roles: tuple[str, ...], factor: float) -> tuple[Change, ...]:
    """Multiply those numbers of a row that are there."""
    known = ((role, float(scene.numbers(role)[place])) for role in dict.fromkeys(roles) if scene.has(role))
    return tuple(Change(place, role, value * factor) for role, value in known if np.isfinite(value))


def turned_round(scene: Scene, pool: Pooled, place: int) -> tuple[Change, ...]:
    """Return the numbers of a row that give its effect the other sign.

    Means (or counts with numbers of people) of both arms change places where the effect was computed from them; of a
    ready-made effect the sign changes, of a ratio the effect becomes its inverse, and the limits change places.
    """
    if bool(pool.computed[np.flatnonzero(pool.places == place)[0]]):
        for stems in (SWAPPED, COUNTED):
            changes = [change for stem in stems for change in _arms_swapped(scene, place, stem)]
            if any(not change.role.startswith(("n_", "time")) for change in changes):
                return tuple(changes)
        return _times(scene, place, SIGNED, -1.0)
    values = {role: float(scene.numbers(role)[place]) for role in EFFECTS}
    low, high = values["ci_high"], values["ci_low"]
    mended = {"effect": values["effect"], "ci_low": low, "ci_high": high}
    turned = {role: 1 / value if pool.scale == "log" else -value for role, value in mended.items() if value}
    turned["yi"] = -values["yi"]
    return tuple(Change(place, role, value) for role, value in turned.items() if np.isfinite(value))


def _arms_swapped(scene: Scene, place: int, stem: str) -> tuple[Change, ...]:
    """Let one number of both arms change places, where both have it."""
    one, two = (float(scene.numbers(f"{stem}_{arm}")[place]) for arm in "12")
    if not np.isfinite(one + two):
        return ()
    return Change(place, f"{stem}_1", two), Change(place, f"{stem}_2", one)


def arms_exchanged(scene: Scene, place: int) -> tuple[Change, ...]:
    """Return all numbers of both arms of a row in each other's place."""
    stems = dict.fromkeys((*SWAPPED, *COUNTED, *IN_UNITS))
    return tuple(change for stem in stems for change in _arms_swapped(scene, place, stem))
