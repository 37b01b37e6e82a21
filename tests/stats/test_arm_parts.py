"""Covariances of effects with a common arm against the delta method in 50 digits, and against simulated trials."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.stats.measures import MEASURES
from metaback.stats.shared_arm import ASSUMED, EXACT, NEAR, arm_parts, pair_covariance

EXACTLY = 1e-13  # relative: a handful of operations in double precision
SIMULATED = 0.02  # four standard errors of a correlation over 100,000 pairs, with the bias of order 1/n of small arms
Arm = dict[str, float]


def _delta(f: Callable[..., mp.mpf], spreads: list[tuple[list[str], dict[str, mp.mpf]]], arms: list[Arm]) -> mp.matrix:
    """Return the covariance of f(arm 0, arm 2) and f(arm 1, arm 2) by the delta method, from 50-digit derivatives."""
    total = mp.matrix(2, 2)
    for place, (names, variances) in enumerate(spreads):
        for name in names:
            slopes = []
            for own in (0, 1):

                def moved(x: mp.mpf, own: int = own, place: int = place, name: str = name) -> mp.mpf:
                    changed = [dict(arm) for arm in arms]
                    changed[place][name] = x
                    return f(changed[own], changed[2])

                slopes.append(mp.diff(moved, mp.mpf(arms[place][name])))
            for a in (0, 1):
                for b in (0, 1):
                    total[a, b] += slopes[a] * slopes[b] * variances[name]
    return total


def _means(arms: list[Arm]) -> list[tuple[list[str], dict[str, mp.mpf]]]:
    """Return the variances of the mean and of the variance of each arm."""
    return [
        (["mean", "var"], {"mean": mp.mpf(a["var"]) / a["n"], "var": 2 * mp.mpf(a["var"]) ** 2 / (a["n"] - 1)})
        for a in arms
    ]


def _counts(arms: list[Arm]) -> list[tuple[list[str], dict[str, mp.mpf]]]:
    """Return the binomial variance of the events of each arm."""
    return [(["events"], {"events": mp.mpf(a["events"]) * (1 - mp.mpf(a["events"]) / a["n"])}) for a in arms]


def _rates(arms: list[Arm]) -> list[tuple[list[str], dict[str, mp.mpf]]]:
    """Return the Poisson variance of the events of each arm."""
    return [(["events"], {"events": mp.mpf(a["events"])}) for a in arms]


def _pooled(a: Arm, b: Arm) -> mp.mpf:
    return mp.sqrt(((a["n"] - 1) * a["var"] + (b["n"] - 1) * b["var"]) / (a["n"] + b["n"] - 2))


MEANS: list[Arm] = [
    {"n": 21, "mean": 12.5, "var": 9.0, "time": 40},
    {"n": 34, "mean": 10.75, "var": 9.0, "time": 55},
    {"n": 27, "mean": 9.5, "var": 9.0, "time": 80},
]
COUNTS: list[Arm] = [
    {"n": 40, "events": 12, "time": 40},
    {"n": 55, "events": 9, "time": 55},
    {"n": 70, "events": 30, "time": 80},
]
EFFECTS: dict[str, tuple[Callable[[Arm, Arm], mp.mpf], Callable[..., list[tuple[list[str], dict[str, mp.mpf]]]]]] = {
    "MD": (lambda a, b: a["mean"] - b["mean"], _means),
    "ROM": (lambda a, b: mp.log(a["mean"]) - mp.log(b["mean"]), _means),
    "SMD": (lambda a, b: (a["mean"] - b["mean"]) / _pooled(a, b), _means),
    "SMD1": (lambda a, b: (a["mean"] - b["mean"]) / mp.sqrt(b["var"]), _means),
    "VR": (lambda a, b: (mp.log(a["var"]) - mp.log(b["var"])) / 2, _means),
    "CVR": (
        lambda a, b: (mp.log(a["var"]) - mp.log(b["var"])) / 2 - mp.log(a["mean"]) + mp.log(b["mean"]),
        _means,
    ),
    "OR": (
        lambda a, b: mp.log(a["events"] / (a["n"] - a["events"])) - mp.log(b["events"] / (b["n"] - b["events"])),
        _counts,
    ),
    "RR": (lambda a, b: mp.log(a["events"] / a["n"]) - mp.log(b["events"] / b["n"]), _counts),
    "RD": (lambda a, b: a["events"] / a["n"] - b["events"] / b["n"], _counts),
    "AS": (lambda a, b: mp.asin(mp.sqrt(a["events"] / a["n"])) - mp.asin(mp.sqrt(b["events"] / b["n"])), _counts),
    "IRR": (lambda a, b: mp.log(a["events"] / a["time"]) - mp.log(b["events"] / b["time"]), _rates),
    "IRD": (lambda a, b: a["events"] / a["time"] - b["events"] / b["time"], _rates),
    "IRSD": (lambda a, b: mp.sqrt(a["events"] / a["time"]) - mp.sqrt(b["events"] / b["time"]), _rates),
}
CHOICES = {"SMD": {"vtype": "AV"}}  # reads what is not mean off the variance, whatever its convention


def _numbers(arms: list[Arm]) -> dict[str, np.ndarray]:
    """Return the numbers of two rows, arm 2 being the second arm of both, by role."""
    found: dict[str, np.ndarray] = {}
    for stem in ("n", "mean", "events", "time"):
        if stem in arms[0]:
            found[f"{stem}_1"] = np.array([arms[0][stem], arms[1][stem]], dtype=float)
            found[f"{stem}_2"] = np.full(2, float(arms[2][stem]))
    if "var" in arms[0]:
        found["sd_1"] = np.sqrt([arms[0]["var"], arms[1]["var"]])
        found["sd_2"] = np.full(2, np.sqrt(arms[2]["var"]))
    return found


@pytest.mark.parametrize("measure", EFFECTS)
def test_covariance_is_that_of_the_delta_method(measure: str) -> None:
    """Means and variances of normal arms, binomial and Poisson counts, in 50 digits."""
    with mp.workdps(50):
        effect, spreads = EFFECTS[measure]
        arms = MEANS if spreads is _means else COUNTS
        arms = [{name: mp.mpf(value) for name, value in arm.items()} for arm in arms]
        truth = _delta(effect, spreads(arms), arms)
        y = np.array([float(effect(arms[0], arms[2])), float(effect(arms[1], arms[2]))])
        v = np.array([float(truth[0, 0]), float(truth[1, 1])])
    if measure == "SMD1":  # of this measure the large-sample variance has n where the delta method has n - 1
        n = float(arms[2]["n"])
        v += y**2 * (1 / (2 * n) - 1 / (2 * (n - 1)))
    parts = arm_parts(measure, y, v, _numbers(arms), CHOICES.get(measure))
    assert parts.level.tolist() == [EXACT, EXACT]
    found = pair_covariance(parts, y, (np.array([0]), np.array([1])), (1, 1))
    wanted = float(truth[0, 1]) + (y[0] * y[1] * (1 / (2 * n) - 1 / (2 * (n - 1))) if measure == "SMD1" else 0.0)
    assert found[0] == pytest.approx(wanted, rel=EXACTLY)


def test_an_arm_that_is_first_here_and_second_there() -> None:
    """A against B and B against C: the mean of B goes in with both signs, so that MDs correlate negatively."""
    v = np.array([0.4, 0.5])
    numbers = {"n_1": np.array([10.0, 20.0]), "sd_1": np.array([1.0, 2.0]), "n_2": np.array([20.0, 10.0])}
    numbers["sd_2"] = np.sqrt(numbers["n_2"] * (v - numbers["sd_1"] ** 2 / numbers["n_1"]))
    parts = arm_parts("MD", np.ones(2), v, numbers)
    found = pair_covariance(parts, np.ones(2), (np.array([0]), np.array([1])), (1, 0))
    assert found[0] == pytest.approx(-np.sqrt(parts.mean[1, 0] * parts.mean[0, 1]), rel=EXACTLY)
    assert found[0] < 0


def test_simulated_trials_with_one_control_group() -> None:
    """100,000 trials of three arms: the correlation of their two Hedges g, one control group."""
    rng = np.random.default_rng(8)
    n, mean, size = (40, 60, 50), (1.0, 0.6, 0.0), 100_000
    m = [rng.normal(mu, 1 / np.sqrt(k), size) for mu, k in zip(mean, n, strict=True)]
    s2 = [rng.chisquare(k - 1, size) / (k - 1) for k in n]
    d = [(m[a] - m[2]) / np.sqrt(((n[a] - 1) * s2[a] + (n[2] - 1) * s2[2]) / (n[a] + n[2] - 2)) for a in (0, 1)]
    y = np.array(mean[:2])
    size_1, size_2 = np.array(n[:2], dtype=float), np.full(2, float(n[2]))
    v = 1 / size_1 + 1 / size_2 + y**2 / (2 * (size_1 + size_2))
    parts = arm_parts("SMD", y, v, {"n_1": size_1, "n_2": size_2})
    found = pair_covariance(parts, y, (np.array([0]), np.array([1])), (1, 1))[0] / np.sqrt(v[0] * v[1])
    assert found == pytest.approx(np.corrcoef(d)[0, 1], abs=SIMULATED)


@given(
    st.sampled_from(["MD", "SMD", "SMDH", "ROM", "OR", "RR", "PETO"]),
    st.lists(st.tuples(*[st.floats(2, 500)] * 4), min_size=1, max_size=5),
    st.floats(-3, 3),
)
def test_parts_add_up_and_make_a_possible_matrix(measure: str, rows: list[tuple[float, ...]], y: float) -> None:
    """Whatever is known: the parts of an effect are its variance, and one common arm never correlates beyond one."""
    n_1, n_2, spread, v = np.array(rows).T
    effects = np.full(v.size, y)
    numbers = {"n_1": n_1, "n_2": n_2, "sd_1": spread, "sd_2": spread, "mean_1": spread, "mean_2": spread}
    parts = arm_parts(measure, effects, v, numbers)
    np.testing.assert_allclose(parts.mean.sum(axis=0) + parts.scale.sum(axis=0), v, rtol=1e-12)
    i, j = np.triu_indices(v.size)
    cov = np.zeros((v.size, v.size))
    cov[i, j] = cov[j, i] = pair_covariance(parts, effects, (i, j), (1, 1))
    cov[np.diag_indices(v.size)] = v
    scale = np.sqrt(np.outer(v, v))
    assert np.linalg.eigvalsh(cov / scale)[0] >= -1e-12


def test_zero_cells_have_the_parts_of_what_was_added() -> None:
    """No events in one arm: 1/2 in every cell, as in the effect; in the other row nothing was added."""
    events_1, n_1, events_2, n_2 = np.array([0.0, 5.0]), np.array([20.0, 30.0]), np.full(2, 6.0), np.full(2, 25.0)
    v = np.array([1 / 0.5 + 1 / 20.5 + 1 / 6.5 + 1 / 19.5, 1 / 5 + 1 / 25 + 1 / 6 + 1 / 19])
    parts = arm_parts("OR", np.zeros(2), v, {"events_1": events_1, "n_1": n_1, "events_2": events_2, "n_2": n_2})
    assert parts.level.tolist() == [EXACT, EXACT]
    assert parts.mean[1] == pytest.approx([1 / 6.5 + 1 / 19.5, 1 / 6 + 1 / 19], rel=EXACTLY)


def test_what_is_not_known_is_near_or_assumed() -> None:
    """Sizes alone share a variance out by 1/n; without them each arm has one half."""
    v = np.array([0.3, 0.4])
    sized = arm_parts("GEN", np.ones(2), v, {"n_1": np.array([10.0, 30.0]), "n_2": np.array([20.0, 10.0])})
    assert sized.level.tolist() == [NEAR, NEAR]
    assert sized.mean == pytest.approx(np.array([[0.2, 0.1], [0.1, 0.3]]), rel=EXACTLY)
    bare = arm_parts("GEN", np.ones(2), v, {})
    assert bare.level.tolist() == [ASSUMED, ASSUMED]
    assert bare.mean == pytest.approx(np.array([v / 2, v / 2]), rel=EXACTLY)


@pytest.mark.parametrize("vtype", ["LS", "LS2", "UB", "RevMan", "H0", "AV"])
def test_conventions_of_the_variance_keep_their_parts(vtype: str) -> None:
    """Both arms in common give back the variance of every convention."""
    numbers = {"mean_1": [5.0, 4.0], "sd_1": [2.0, 2.5], "n_1": [12.0, 20.0], "mean_2": [3.0, 3.5], "sd_2": [2.0, 3.0]}
    numbers |= {"n_2": [14.0, 9.0]}
    arrays = {role: np.array(values) for role, values in numbers.items()}
    made = MEASURES["SMD"].function(**arrays, vtype=vtype)
    parts = arm_parts("SMD", made.yi, made.vi, arrays, {"vtype": vtype, "correct": "yes"})
    assert parts.level.tolist() == [EXACT, EXACT]
    same = np.arange(2)
    total = sum(pair_covariance(parts, made.yi, (same, same), (arm, arm)) for arm in (0, 1))
    assert total == pytest.approx(made.vi, rel=EXACTLY)
