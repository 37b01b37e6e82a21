"""Box-Cox and log-normal conversions: against 30-digit quadrature, known distributions and a printed example."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metaback.stats.conversions import five_numbers, outputs
from metaback.stats.conversions import five_numbers_transformed as transformed

QUADRATURE = 1e-10  # the double exponential rule, behind a root found to the last digit
CLOSED = 1e-12  # a handful of roundings
SIMULATED = 0.04  # printed means and SDs are averages of random numbers; three standard errors of 10 000 draws
N = np.nan


def one(*numbers: float) -> list[np.ndarray]:
    return [np.array([float(x)]) for x in numbers]


def wan(n: float) -> tuple[mp.mpf, mp.mpf]:
    """Return the widths of range and interquartile range, and with them Wan's SD."""
    n = mp.mpf(n)

    def normal(p: mp.mpf) -> mp.mpf:
        return mp.sqrt(2) * mp.erfinv(2 * p - 1)

    return 2 * normal((n - mp.mpf("0.375")) / (n + mp.mpf("0.25"))), 2 * normal(
        (3 * n / 4 - mp.mpf("0.125")) / (n + mp.mpf("0.25"))
    )


def exact_box_cox(row: tuple[float, ...]) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
    """Compute the method from its definition: root or minimum, Luo, Wan, and moments by mpmath's own quadrature."""
    n = mp.mpf(row[5])
    a, q1, _, q3, b = (None if np.isnan(x) else mp.mpf(x) / mp.mpf(row[2]) for x in row[:5])

    def f(x: mp.mpf, power: mp.mpf) -> mp.mpf:
        return mp.log(x) if power == 0 else (x**power - 1) / power

    def gap(low: mp.mpf, high: mp.mpf, power: mp.mpf) -> mp.mpf:
        return f(high, power) + f(low, power)

    pairs = [pair for pair in ((a, b), (q1, q3)) if pair[0] is not None]
    roots = [mp.findroot(lambda p, pair=pair: gap(*pair, p), (-0.7, 0.9)) for pair in pairs]
    if len(pairs) == 2:
        power = mp.findroot(lambda p: mp.diff(lambda s: sum(gap(*pair, s) ** 2 for pair in pairs), p), sum(roots) / 2)
    else:
        power = roots[0]
    xi, eta = wan(row[5])
    outer = None if a is None else (f(a, power) + f(b, power)) / 2
    inner = None if q1 is None else (f(q1, power) + f(q3, power)) / 2
    if inner is None:
        centre, sd = 4 / (4 + n ** mp.mpf("0.75")) * outer, (f(b, power) - f(a, power)) / xi
    elif outer is None:
        centre, sd = (mp.mpf("0.7") + mp.mpf("0.39") / n) * inner, (f(q3, power) - f(q1, power)) / eta
    else:
        w = mp.mpf("2.2") / (mp.mpf("2.2") + n ** mp.mpf("0.75"))
        centre = w * outer + (mp.mpf("0.7") - mp.mpf("0.72") / n ** mp.mpf("0.55")) * inner
        sd = ((f(b, power) - f(a, power)) / xi + (f(q3, power) - f(q1, power)) / eta) / 2
    edge = abs((1 + power * centre) / (power * sd))
    reach = min(edge, mp.mpf(14)) if power > 0 else min(edge * mp.mpf("0.6"), mp.mpf(14))

    def moment(k: int) -> mp.mpf:
        points = mp.linspace(-reach, reach, 25)
        return mp.quad(lambda u: mp.exp(-u * u / 2) * (1 + power * (centre + sd * u)) ** (k / power), points)

    mass, first, second = moment(0), moment(1), moment(2)
    mean = first / mass
    return mp.mpf(row[2]) * mean, mp.mpf(row[2]) * mp.sqrt(second / mass - mean**2), power


@pytest.mark.parametrize(
    "row",
    [
        (2, N, 4, N, 9, 100),
        (N, 4, 6, 8.5, N, 20),
        (N, 12.5, 20, 31, N, 61),
        (1, 4, 6, 8.5, 12, 80),
        (2, 4, 6, 10, 17, 45),
        (100, N, 130, N, 150, 30),
        (1, N, 6, N, 10, 12),
    ],
)
def test_box_cox_is_its_definition(row: tuple[float, ...]) -> None:
    out = transformed.box_cox(*one(*row))
    with mp.workdps(30):
        mean, sd, power = exact_box_cox(row)
        assert abs(out.power[0] - power) < QUADRATURE
        assert abs(out.mean[0] / mean - 1) < QUADRATURE
        assert abs(out.sd[0] / sd - 1) < QUADRATURE


def test_box_cox_of_estmeansd() -> None:
    # README of estmeansd: bc.mean.sd(min.val = 2, med.val = 4, max.val = 9, n = 100) after set.seed(1)
    out = transformed.box_cox(*one(2, N, 4, N, 9, 100))
    assert out.mean[0] == pytest.approx(4.210971, abs=SIMULATED)
    assert out.sd[0] == pytest.approx(1.337348, abs=SIMULATED)


def test_log_normal_numbers_have_the_power_0() -> None:
    rows = [np.array([x]) for x in np.exp(1.5 + 0.4 * np.array([-2.0, -0.7, 0.0, 0.7, 2.0]))]
    out = transformed.box_cox(*rows, np.array([50.0]))
    assert out.power[0] == pytest.approx(0, abs=1e-14)
    xi, eta = (float(x) for x in wan(50))
    variance = ((1.6 / xi + 0.56 / eta) / 2) ** 2
    assert out.mean[0] == pytest.approx(np.exp(1.5 + variance / 2), rel=CLOSED)
    assert out.sd[0] == pytest.approx(np.exp(1.5 + variance / 2) * np.sqrt(np.expm1(variance)), rel=CLOSED)


def test_symmetric_numbers_have_the_power_1() -> None:
    out = transformed.box_cox(*one(80, 93, 100, 107, 120, 60))
    plain = five_numbers.luo_wan_shi(*one(80, 93, 100, 107, 120, 60))
    xi, eta = (float(x) for x in wan(60))
    assert out.power[0] == pytest.approx(1, abs=CLOSED)
    assert out.mean[0] == pytest.approx(100, rel=CLOSED)
    assert out.sd[0] == pytest.approx((40 / xi + 14 / eta) / 2, rel=CLOSED)
    assert plain.mean[0] == 100


@pytest.mark.parametrize(
    ("known", "tolerance"),
    [
        (stats.lognorm(0.5, scale=4), 0.002),
        (stats.norm(50, 8), 0.002),
        (stats.gamma(6), 0.02),  # no power makes it normal: near, not exact
        (stats.weibull_min(2), 0.02),
    ],
)
def test_quartiles_of_many_give_mean_and_sd_back(known: stats.rv_continuous, tolerance: float) -> None:
    quartiles = one(N, *known.ppf([0.25, 0.5, 0.75]), N, 1e6)
    out = transformed.box_cox(*quartiles)
    assert out.mean[0] == pytest.approx(known.mean(), rel=tolerance)
    assert out.sd[0] == pytest.approx(known.std(), rel=2 * tolerance)


def test_the_log_normal_method_is_exact_for_log_normal_data() -> None:
    known = stats.lognorm(0.8, scale=30)
    out = transformed.log_normal(*one(N, *known.ppf([0.25, 0.5, 0.75]), N, 1e7))
    assert out.mean[0] == pytest.approx(known.mean(), rel=1e-6)
    assert out.sd[0] == pytest.approx(known.std(), rel=1e-6)
    with mp.workdps(50):
        row = (2, N, 4, N, 9, 100)
        low, m, high = (mp.log(x) for x in (2, 4, 9))
        w = 4 / (4 + mp.mpf(100) ** mp.mpf("0.75"))
        centre, s = w * (low + high) / 2 + (1 - w) * m, (high - low) / wan(100)[0]
        mean = mp.exp(centre + s**2 / 2)
        out = transformed.log_normal(*one(*row), correct="no")
        assert abs(out.mean[0] / mean - 1) < CLOSED
        assert abs(out.sd[0] / (mean * mp.sqrt(mp.expm1(s**2))) - 1) < CLOSED


@pytest.mark.parametrize(
    "row",
    [
        (0, N, 4, N, 9, 100),  # not above 0
        (-1, 2, 4, 6, 9, 100),
        (2, N, 1, N, 9, 100),  # out of order
        (2, N, 4, N, 9, 4),  # too few people
        (N, N, 4, N, N, 50),
        (2, N, 2, N, 9, 50),  # the median is the smallest value: no power makes that symmetric
    ],
)
def test_what_box_cox_cannot_do_is_nan(row: tuple[float, ...]) -> None:
    out = transformed.box_cox(*one(*row))
    assert np.isnan(out.mean[0])
    assert np.isnan(out.sd[0])
    assert out.scenario[0] == 0


def test_tails_without_moments_are_nan() -> None:
    # powers of -0.6 and below: the values become infinite a few SDs above the middle, and random numbers hide it
    for row in ((N, 12.5, 20, 38.8, N, 61), (N, 1, 1.3, 40, N, 30)):
        assert np.isnan(transformed.box_cox(*one(*row)).mean[0])
        assert np.isfinite(transformed.log_normal(*one(*row)).mean[0])


@settings(max_examples=20)
@given(
    st.lists(st.floats(0.05, 3), min_size=4, max_size=4),
    st.integers(5, 2000),
    st.sampled_from([2.0**-10, 8.0, 2.0**20]),
)
def test_a_change_of_unit_is_one(steps: list[float], n: int, unit: float) -> None:
    numbers = np.cumsum([0.5, *steps])
    for holes in ((), (0, 4), (1, 3)):
        row = [N if i in holes else x for i, x in enumerate(numbers)]
        first = transformed.box_cox(*one(*row, n))
        second = transformed.box_cox(*one(*(x * unit for x in row), n))
        for role, value in outputs("mean-sd-bc", first).items():
            np.testing.assert_allclose(outputs("mean-sd-bc", second)[role], value * unit, rtol=CLOSED)
        if np.isfinite(first.mean[0]):
            assert first.sd[0] > 0


@given(st.floats(1e-3, 1e6), st.floats(1e-4, 3))
def test_raw_and_log_scale_are_a_round_trip(mean: float, spread: float) -> None:
    logs = transformed.log_from_raw(*one(mean, spread * mean))
    back = transformed.raw_from_log(logs.mean_log, logs.sd_log)
    assert back.mean[0] == pytest.approx(mean, rel=CLOSED)
    assert back.sd[0] == pytest.approx(spread * mean, rel=CLOSED)


def test_raw_and_log_scale_against_50_digits() -> None:
    with mp.workdps(50):
        for mean, sd in ((4.2, 1.3), (100.0, 1e-3), (0.02, 0.5)):
            variance = mp.log1p((mp.mpf(sd) / mp.mpf(mean)) ** 2)
            out = transformed.log_from_raw(*one(mean, sd))
            assert abs(out.sd_log[0] / mp.sqrt(variance) - 1) < CLOSED
            assert abs(out.mean_log[0] - (mp.log(mean) - variance / 2)) < CLOSED * 10
