"""The distribution of Q, rules that need the data, and tails: 50-digit values, published examples, then invariants."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.special import chdtr, chdtrc, fdtrc

from metaback.stats.inference import (
    MEAN_RULES,
    PREDICTION_RULES,
    IntervalRequest,
    apply_whole,
    two_sided_p,
    whole_prediction,
    whole_rule,
)
from metaback.stats.intervals.beyond import normal_tail_probability
from metaback.stats.q_distribution import generalised_q, probability_below
from metaback.stats.resampling import permutation_p, sign_patterns
from metaback.stats.tau2 import TAU2_ESTIMATORS
from metaback.stats.tau2_interval import TAU2_INTERVALS, likelihood_set, q_profile
from metaback.stats.wls import Problems, prepare

DISTRIBUTION = 1e-12  # absolute, promised by probability_below
TAIL = 1e-8  # the promise for p values down to 1e-300
EQUIVARIANT = 1e-7  # limits found by iteration, on data scaled by 1e-4
DRAWN = 0.02  # Monte Carlo error of 25,000 draws at the 2.5% quantile, on the log scale: about 1.2 standard errors


def reml(part: Problems) -> np.ndarray:
    return TAU2_ESTIMATORS["REML"].function(part).value


REQUEST = IntervalRequest(0.95, reml, draws=199)
Y = np.array([[-0.9, -1.6, -0.2, -0.8, 0.3, -1.4, -0.3]])
V = np.array([[0.33, 0.19, 0.05, 0.02, 0.41, 0.008, 0.1]])
SEVEN = prepare(Y, V, np.ones(Y.shape, dtype=bool))
WHOLE = [key for key in MEAN_RULES if whole_rule(key)]
PREDICTED = [key for key in PREDICTION_RULES if whole_prediction(key)]


def exact_below(weights: np.ndarray, q: float) -> float:
    """Return P(sum weight chi2_1 <= q) with 40 digits by Talbot's inversion of the Laplace transform."""
    with mpmath.workdps(40):
        parts = [mpmath.mpf(float(w)) for w in weights]

        def transform(s: mpmath.mpf) -> mpmath.mpf:
            return mpmath.fprod(1 / mpmath.sqrt(1 + 2 * s * w) for w in parts) / s

        return float(mpmath.invertlaplace(transform, mpmath.mpf(q), method="talbot", degree=50))


@pytest.mark.parametrize("tau2", [0.0, 0.3, 20.0])
@pytest.mark.parametrize("share", [0.2, 1.0, 3.0])
@pytest.mark.parametrize("power", [1.0, 0.5])
def test_the_distribution_of_q_with_forty_digits(tau2: float, share: float, power: float) -> None:
    a = SEVEN.v**-power
    ones = np.ones((7, 1))
    matrix = np.diag(a[:, 0]) - a @ a.T / a.sum()
    root = np.sqrt(SEVEN.v[:, 0] + tau2)
    assert matrix @ ones == pytest.approx(0, abs=1e-9)
    eigenvalues = np.linalg.eigvalsh(root[:, None] * matrix * root)[1:]
    q = share * eigenvalues.sum()
    found = probability_below(SEVEN, a, np.array([tau2]), np.array([q]))[0]
    assert found == pytest.approx(exact_below(eigenvalues, q), abs=DISTRIBUTION)


@pytest.mark.parametrize("k", [2, 3, 12, 100, 1000, 3000])
def test_with_equal_variances_q_is_chi_square(k: int) -> None:
    same = prepare(np.zeros((1, k)), np.full((1, k), 0.3), np.ones((1, k), dtype=bool))
    for share in (0.05, 0.9, 1.0, 1.1, 2.0, 20.0):
        q = share * (k - 1)
        found = probability_below(same, 1 / same.v, np.zeros(1), np.array([q]))[0]
        assert found == pytest.approx(chdtr(k - 1, q), abs=DISTRIBUTION)


def test_a_design_of_ones_is_a_mean() -> None:
    designed = prepare(Y, V, np.ones(Y.shape, dtype=bool), np.ones((1, 7, 1)))
    q = generalised_q(SEVEN, 1 / SEVEN.v)
    np.testing.assert_allclose(generalised_q(designed, 1 / designed.v), q, rtol=1e-12)
    one, other = (probability_below(p, 1 / p.v, np.array([0.2]), q) for p in (SEVEN, designed))
    assert one[0] == pytest.approx(other[0], abs=DISTRIBUTION)


@pytest.mark.parametrize("key", ["BJ", "J"])
def test_limits_solve_their_equations(key: str) -> None:
    found = TAU2_INTERVALS[key].function(SEVEN, np.zeros(1), 0.95)
    a = 1 / SEVEN.v if key == "BJ" else SEVEN.v**-0.5
    q = generalised_q(SEVEN, a)
    assert found.lower[0] > 0
    for limit, p in ((found.lower, 0.975), (found.upper, 0.025)):
        assert probability_below(SEVEN, a, limit, q)[0] == pytest.approx(p, abs=1e-11)


def test_with_equal_variances_three_intervals_are_one() -> None:
    same = prepare(Y, np.full(Y.shape, 0.1), np.ones(Y.shape, dtype=bool))
    expected = np.concatenate(q_profile(same, 0.95))
    for key in ("QP", "BJ", "J"):
        found = TAU2_INTERVALS[key].function(same, np.zeros(1), 0.95)
        np.testing.assert_allclose([found.lower[0], found.upper[0]], expected, rtol=1e-9)


@pytest.mark.parametrize("key", tuple(TAU2_INTERVALS))
def test_limits_of_tau2_scale_and_know_edges(key: str) -> None:
    rule = TAU2_INTERVALS[key].function
    small = prepare(Y * 1e-4, V * 1e-8, np.ones(Y.shape, dtype=bool))
    one, other = rule(SEVEN, reml(SEVEN), 0.95), rule(small, reml(small), 0.95)
    np.testing.assert_allclose(other.upper, one.upper * 1e-8, rtol=EQUIVARIANT)
    np.testing.assert_allclose(other.lower, one.lower * 1e-8, rtol=EQUIVARIANT, atol=1e-16)
    masks = np.array([[True, False, False], [True, True, False], [True, True, True]])
    few = prepare(np.array([[0.3, 0.9, 0.1], [0.3, 0.9, 0.1], [0.5, 0.5, 0.5]]), np.full((3, 3), 0.1), masks)
    found = rule(few, np.zeros(3), 0.95)
    assert np.isnan(found.upper[0])  # one study
    assert 0 <= found.lower[1] <= found.upper[1] < np.inf
    assert np.isnan(found.upper[2]) == (key in {"QP", "BJ", "J"})  # equal effects: the set is empty


def test_a_set_in_two_pieces_is_told() -> None:
    two = prepare(np.array([[-2.1, 0.7, 0.9]]), np.array([[1.322, 0.002, 0.004]]), np.ones((1, 3), dtype=bool))
    assert likelihood_set(two, 0.5, reml=True).pieces[0] == 2
    assert likelihood_set(two, 0.95, reml=True).pieces[0] == 1


@pytest.mark.parametrize("key", WHOLE)
def test_rules_of_the_mean_turn_with_the_effects(key: str) -> None:
    rule = whole_rule(key)
    assert rule is not None
    turned = prepare(-Y, V, np.ones(Y.shape, dtype=bool))
    one, other = (apply_whole(rule, part, reml(part), REQUEST) for part in (SEVEN, turned))
    assert one.lower[0] < one.point[0] < one.upper[0]
    assert other.point[0] == pytest.approx(-one.point[0], rel=1e-9)
    if not key.startswith(("boot", "pboot")):  # samples are not mirror images
        assert other.lower[0] == pytest.approx(-one.upper[0], rel=EQUIVARIANT)
        inside = one.lower[0] <= 0 <= one.upper[0]
        assert inside == (one.p[0] > 0.05)


@pytest.mark.parametrize("key", WHOLE)
def test_one_study_has_its_own_interval(key: str) -> None:
    rule = whole_rule(key)
    assert rule is not None
    one = prepare(np.array([[0.4]]), np.array([[0.04]]), np.ones((1, 1), dtype=bool))
    found = apply_whole(rule, one, np.zeros(1), REQUEST)
    half = 0.2 * 1.959963984540054
    assert (found.lower[0], found.upper[0]) == (pytest.approx(0.4 - half), pytest.approx(0.4 + half))


def test_kenward_roger_by_hand() -> None:
    # w = 1, 1/2: sums 3/2, 5/4, 9/8 of w, w^2, w^3 over two studies
    two = prepare(np.array([[0.0, 1.0]]), np.array([[1.0, 2.0]]), np.ones((1, 2), dtype=bool))
    rule = whole_rule("KR")
    assert rule is not None
    found = apply_whole(rule, two, np.zeros(1), REQUEST)
    w1, w2, w3 = 1.5, 1.25, 1.125
    pp = w2 - 2 * w3 / w1 + (w2 / w1) ** 2
    variance = 1 / w1 + 2 * (2 / pp) * (w3 - w2**2 / w1) / w1**2
    assert found.se[0] ** 2 == pytest.approx(variance, rel=1e-12)
    assert found.df[0] == pytest.approx(pp * (w1 / w2) ** 2, rel=1e-12)


def test_permutation_p_is_an_enumeration() -> None:
    signs, exact = sign_patterns(7, 10, 1)
    assert exact
    assert len({tuple(row) for row in signs.tolist()}) == 64
    p = permutation_p(Y[0], V[0], np.array([0.0]), REQUEST)[0]
    by_hand = 0
    observed = None
    for row in signs:
        part = prepare((row * Y[0])[None], V, np.ones(V.shape, dtype=bool))
        w = 1 / (V[0] + reml(part)[0])
        statistic = abs((w * row * Y[0]).sum() / w.sum() ** 0.5)
        observed = statistic if observed is None else observed
        by_hand += statistic >= observed * (1 - 1e-9)
    assert p == pytest.approx(by_hand / 64, abs=1e-12)
    rule = whole_rule("perm")
    assert rule is not None
    assert np.isinf(apply_whole(rule, SEVEN, reml(SEVEN), IntervalRequest(0.99, reml)).upper[0])  # 1/64 is above 0.01


@pytest.mark.parametrize("key", PREDICTED)
def test_prediction_holds_the_mean(key: str) -> None:
    rule = whole_prediction(key)
    assert rule is not None
    found = apply_whole(rule, SEVEN, reml(SEVEN), REQUEST)
    assert found.lower[0] < found.point[0] < found.upper[0]


def test_the_published_interval_from_the_confidence_distribution() -> None:
    # cisapride trials of Hartung & Knapp 2001; pimeta 1.1.4, vignette: odds ratio 4.141 [0.533, 33.692]
    events = np.array(
        [[15, 12, 29, 42, 14, 44, 14, 29, 10, 17, 38, 19, 21], [9, 1, 18, 31, 6, 17, 7, 23, 3, 6, 12, 22, 19]]
    )
    people = np.array([[16, 16, 34, 56, 22, 54, 17, 58, 14, 26, 44, 29, 38], [16, 16, 34, 56, 22, 55, 15, 58, 15, 27, 45, 30, 38]])  # fmt: skip  # noqa: E501
    a, b = events + 0.5, people - events + 0.5
    y, v = np.log(a[0] * b[1] / (a[1] * b[0])), (1 / a + 1 / b).sum(axis=0)
    part = prepare(y[None], v[None], np.ones((1, 13), dtype=bool))
    rule = whole_prediction("NNF")
    assert rule is not None
    found = apply_whole(rule, part, TAU2_ESTIMATORS["DL"].function(part).value, REQUEST)
    assert np.exp(found.point[0]) == pytest.approx(4.141, abs=5e-4)
    assert found.lower[0] == pytest.approx(np.log(0.533), abs=DRAWN)
    assert found.upper[0] == pytest.approx(np.log(33.692), abs=DRAWN)


def test_probability_beyond_at_its_edges() -> None:
    same = normal_tail_probability(0.2, 0.5, 0.04, 0.0, 0.01, 0.95)
    assert same.point == 1
    assert np.isnan(same.lower)
    half = normal_tail_probability(0.5, 0.5, 0.04, 0.25, 0.01, 0.95)
    assert half.point == 0.5
    assert half.se == pytest.approx(0.4 / np.sqrt(2 * np.pi))


@pytest.mark.parametrize("df", [1.0, 2.0, 7.0, 31.0])
@pytest.mark.parametrize("size", [1e-3, 1e-20, 1e-100, 1e-290])
def test_tails_of_t_chi_square_and_f_keep_their_digits(df: float, size: float) -> None:
    with mpmath.workdps(60):
        n = mpmath.mpf(df)

        def t_tail(t: float) -> mpmath.mpf:
            return mpmath.betainc(n / 2, 0.5, 0, n / (n + mpmath.mpf(t) ** 2), regularized=True)

        t = float(mpmath.sqrt(n) * mpmath.mpf(size) ** (-1 / n))
        if t < 1e150 and t_tail(t) > 1e-300:
            assert abs(two_sided_p(np.array([t]), np.array([df]))[0] / t_tail(t) - 1) < TAIL
            f = float(mpmath.mpf(t) ** 2)
            exact = mpmath.betainc(n / 2, 0.5, 0, n / (n + mpmath.mpf(f)), regularized=True)
            assert abs(fdtrc(1.0, df, f) / exact - 1) < TAIL
        x = -2 * float(mpmath.log(size))
        exact = mpmath.gammainc(n / 2, mpmath.mpf(x) / 2, regularized=True)
        assert abs(chdtrc(df, x) / exact - 1) < TAIL
