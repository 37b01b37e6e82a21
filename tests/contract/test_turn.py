"""What every measure says of reading its outcome the other way round, held against its own function."""

from __future__ import annotations

import numpy as np
import pytest

from metaback.stats.measures import MEASURES, about, raw_roles

SAME = 1e-12  # the same formula in other numbers
TOP = 100.0  # scores are reflected about the middle of a scale from 0 to 100
NO_OTHER_SIDE = {"IRD": "a rate of non-events does not exist; its difference is that of means of counts"}
TURNED = [key for key in MEASURES if about(key).turn != "none" and raw_roles(key) and key not in NO_OTHER_SIDE]
CHOICES = [
    (key, {name: word})
    for key in TURNED
    for name, convention in about(key).conventions.items()
    for word in convention.choices
]
# Exponential scores, which are not exponential when reversed: the variance of 1 - AUC is still that of the AUC.
ONE_SIDED_MODELS = ({"vtype": "HanleyMcNeil"},)
COMPARED = ("ROM", "ROMC", "CVR", "CVRC")
RNG = np.random.default_rng(7)
K = 8


def drawn(role: str) -> np.ndarray:
    """Return plausible numbers of a role, with zero counts among them."""
    stem = role.removesuffix("_1").removesuffix("_2")
    if stem == "n":
        return RNG.integers(30, 60, K).astype(float)
    if stem == "events" or stem.startswith("pairs"):
        return RNG.permutation([0.0, 3.0, 5.0, 8.0, 11.0, 14.0, 9.0, 2.0]) + (stem != "events")
    if stem.startswith("mean"):
        return RNG.uniform(40, 60, K)
    if stem in {"r", "alpha", "r_covariate"}:
        return RNG.uniform(0.2, 0.7, K)
    if stem in {"r2", "auc"}:
        return RNG.uniform(0.55, 0.8, K)
    known = {"predictors": 3.0, "items": 8.0, "scale_low": 0.0, "scale_high": TOP, "sd_reference": 11.0, "mid": 7.0}
    return np.full(K, known[stem]) if stem in known else RNG.uniform(6, 12, K)


def reversed_outcome(key: str, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the numbers of the same people when the outcome is counted the other way round."""
    out = dict(values)
    for role, column in values.items():
        if role.startswith("mean_change"):
            out[role] = -column
        elif role.startswith("mean"):
            out[role] = TOP - column
        elif role.startswith("events") and role.replace("events", "n") in values:
            out[role] = values[role.replace("events", "n")] - column
        elif role.startswith("pairs_"):
            out[role] = values["pairs_" + role[6:].translate(str.maketrans("12", "21"))]
        elif role == "auc":
            out[role] = 1 - column
        elif role == "r" and about(key).kind == "none":
            out[role] = -column
    return out


def both(key: str, options: dict[str, str]) -> tuple[np.ndarray, ...]:
    """Compute a measure as it is and the other way round."""
    values = {role: drawn(role) for role in raw_roles(key)}
    turned = reversed_outcome(key, values)
    one, other = (MEASURES[key].function(*(v[role] for role in raw_roles(key)), **options) for v in (values, turned))
    return one.yi, one.vi, other.yi, other.vi


@pytest.mark.parametrize(("key", "options"), [*((key, {}) for key in TURNED), *CHOICES], ids=str)
def test_an_outcome_that_is_read_the_other_way_round_gives_what_the_measure_says(
    key: str, options: dict[str, str]
) -> None:
    y, v, y_turned, v_turned = both(key, options)
    assert np.isfinite(y).any()
    way = about(key).turn
    if way == "counts":
        assert not np.allclose(y_turned, -y, equal_nan=True, rtol=1e-3)
        return
    expected = {"sign": -y, "complement": 1 - y, "same": y}[way]
    np.testing.assert_allclose(y_turned, expected, rtol=SAME, atol=SAME)
    if options not in ONE_SIDED_MODELS:
        np.testing.assert_allclose(v_turned, v, rtol=1e-10)


@pytest.mark.parametrize("key", COMPARED)
def test_what_cannot_be_turned_would_not_be_itself_with_another_sign(key: str) -> None:
    y, _, y_turned, _ = both(key, {})
    assert about(key).turn == "none"
    assert not np.allclose(y_turned, -y, rtol=1e-3)


def test_a_comparison_of_groups_can_be_turned_unless_it_is_known_why_not() -> None:
    untold = {key for key in MEASURES if about(key).turn == "none"}
    compared = {key for key in untold if {"mean_2", "mean_pre_2", "events_2"} & set(raw_roles(key))}
    assert compared == {*COMPARED, "IRR", "IRSD", "PCMD", "ROMCD"}  # ratios of means, and rates
