"""Conversions against 50-digit arithmetic, where digits are easily lost and where nothing else exists."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from metaback.stats.conversions import arms, effects, five_numbers, pre_post_r, spread
from metaback.stats.conversions.family import t_from_p, z_from_p

CLOSED = 1e-12  # a handful of roundings
QUANTILE = 2e-13  # scipy's inverses, over df from 0.5 to 1e9 and p from 1e-300 to 1 - 1e-6
ITERATED = 1e-8  # the minimum is found as a root of the slope; gamma's slope is a difference of quantiles
N = np.nan


def one(*numbers: float) -> list[np.ndarray]:
    return [np.array([float(x)]) for x in numbers]


def two_sided(t: mp.mpf, df: float) -> mp.mpf:
    df = mp.mpf(df)
    return mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + t * t), regularized=True)


@pytest.mark.parametrize("df", [0.5, 1, 2, 3, 3.5, 10, 45, 49, 51, 200, 1000, 1e6])
@pytest.mark.parametrize("p", [1e-300, 1e-100, 1e-20, 1e-5, 0.008, 0.49, 0.5, 0.9, 0.999999])
def test_t_behind_a_p_value(df: float, p: float) -> None:
    (t,) = t_from_p(*one(p, df))
    if df == 0.5 and p < 1e-150:  # t would be about 1e600
        assert np.isnan(t)
        return
    with mp.workdps(50):
        exact = mp.mpf(p)
        x = mp.mpf(float(t))
        slope = (two_sided(x * (1 + mp.mpf(10) ** -15), df) - two_sided(x, df)) / (x * mp.mpf(10) ** -15)
        assert abs((two_sided(x, df) - exact) / slope / x) < QUANTILE


@pytest.mark.parametrize("p", [1e-300, 1e-50, 0.008, 0.5, 0.999, 1 - 1e-9])
def test_z_behind_a_p_value(p: float) -> None:
    (z,) = z_from_p(*one(p))
    with mp.workdps(50):
        x = mp.mpf(float(z))
        found = mp.erfc(x / mp.sqrt(2))
        density = 2 * mp.npdf(x)
        assert abs((found - mp.mpf(p)) / density / x) < QUANTILE


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.5000000001), (1.0, 1.0 + 1e-13), (1e-200, 1e200), (0.33, 1.22)])
def test_narrow_and_wide_intervals_of_ratios(low: float, high: float) -> None:
    (sei,) = effects.log_effect_from_ci(*one(low, low, high)).sei
    with mp.workdps(50):
        z = mp.sqrt(2) * mp.erfinv(1 - (1 - mp.mpf(0.95)))
        exact = mp.log(mp.mpf(high) / mp.mpf(low)) / (2 * z)
        assert abs(mp.mpf(float(sei)) / exact - 1) < CLOSED


@pytest.mark.parametrize("r", [1 - 1e-12, 0.999, 0.3, 0.0, -0.7, -1 + 1e-12])
@pytest.mark.parametrize("sds", [(6.4, 7.1), (5.0, 5.0), (1e-150, 2e-150), (1e160, 3e150)])
def test_the_sd_of_a_change_that_is_almost_parallel(r: float, sds: tuple[float, float]) -> None:
    (found,) = spread.sd_change_from_r(*one(*sds, r))
    with mp.workdps(400):
        a, b = mp.mpf(sds[0]), mp.mpf(sds[1])
        exact = mp.sqrt(a * a + b * b - 2 * mp.mpf(r) * a * b)
        assert abs(mp.mpf(float(found)) / exact - 1) < CLOSED


@pytest.mark.parametrize("change", [0.7000001, 1.0, 4.5, 9.6, 13.4999])
@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e200])
def test_r_at_both_ends_of_its_domain(change: float, unit: float) -> None:
    sds = [x * unit for x in (6.4, 7.1, change)]
    (found,) = pre_post_r.r_from_sds(*one(*sds))
    with mp.workdps(50):
        a, b, c = (mp.mpf(x) for x in sds)
        exact = (a * a + b * b - c * c) / (2 * a * b)
        assert abs(mp.mpf(float(found)) - exact) < 1e-15 * 4  # r itself: four roundings near 1


@pytest.mark.parametrize("odds_ratio", [1e-12, 0.01, 0.999999999, 1.0, 1.0000001, 3.0, 1e9])
@pytest.mark.parametrize("margins", [(122, 118, 56), (10, 990, 995), (100000, 3, 50), (7, 7, 13)])
def test_the_table_of_an_odds_ratio(odds_ratio: float, margins: tuple[int, int, int]) -> None:
    n_1, n_2, e = margins
    out = arms.counts_from_odds_ratio(*one(odds_ratio, *margins))
    with mp.workdps(60):
        o = mp.mpf(odds_ratio)
        low, high = max(0, e - n_2), min(n_1, e)
        a = mp.findroot(
            lambda x: x * (n_2 - e + x) - o * (n_1 - x) * (e - x), (low, high), solver="anderson", tol=1e-90
        )
        assert abs(float(out.unrounded_1[0]) - a) <= CLOSED * max(1, abs(a))


def quantiles(family: str, shape: mp.mpf, p: list[mp.mpf]) -> list[mp.mpf]:
    if family == "log-normal":
        return [mp.exp(shape * mp.sqrt(2) * mp.erfinv(2 * x - 1)) for x in p]
    if family == "Weibull":
        return [mp.exp(shape * mp.log(-mp.log(1 - x))) for x in p]
    a = 1 / shape**2
    start = [a * (1 - 1 / (9 * a) + mp.sqrt(2) * mp.erfinv(2 * x - 1) / (3 * mp.sqrt(a))) ** 3 for x in p]
    found = [
        mp.findroot(lambda q, x=x: mp.gammainc(a, 0, q, regularized=True) - x, s) for x, s in zip(p, start, strict=True)
    ]
    return [q / a for q in found]


def moments(family: str, scale: mp.mpf, u: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    if family == "log-normal":
        mean = scale * mp.exp(u * u / 2)
        return mean, mean * mp.sqrt(mp.expm1(u * u))
    if family == "gamma":
        return scale, scale * u
    mean = scale * mp.gamma(1 + u)
    return mean, mp.sqrt(scale**2 * mp.gamma(1 + 2 * u) - mean**2)


@pytest.mark.parametrize(
    "row",
    [
        (2, N, 4, N, 9, 100),
        (2, N, 6, N, 14, 20),
        (N, 4, 6, 10, N, 20),
        (2, 4, 6, 14, 20, 20),
        (100, 110, 118, 125, 131, 30),
    ],
)
def test_quantile_estimation_is_at_the_minimum(row: tuple[float, ...]) -> None:
    out = five_numbers.quantile_estimation(*one(*row))
    family, n = str(out.family[0]), row[5]
    with mp.workdps(30):
        q = [mp.mpf(x) for x in row[:5] if not np.isnan(x)]
        levels = (mp.mpf(1) / n, mp.mpf(1) / 4, mp.mpf(1) / 2, mp.mpf(3) / 4, 1 - mp.mpf(1) / n)
        p = [x for x, value in zip(levels, row[:5], strict=True) if not np.isnan(value)]
        if family == "normal":
            z = [mp.sqrt(2) * mp.erfinv(2 * x - 1) for x in p]
            z_bar, q_bar = sum(z) / len(z), sum(q) / len(q)
            sd = sum((a - z_bar) * (b - q_bar) for a, b in zip(z, q, strict=True)) / sum((a - z_bar) ** 2 for a in z)
            mean = q_bar - sd * z_bar
        else:

            def best(u: mp.mpf) -> mp.mpf:
                h = quantiles(family, u, p)
                return sum(a * b for a, b in zip(q, h, strict=True)) / sum(b * b for b in h)

            def loss(u: mp.mpf) -> mp.mpf:
                h, s = quantiles(family, u, p), best(u)
                return sum((a - s * b) ** 2 for a, b in zip(q, h, strict=True))

            guess = {"gamma": out.sd / out.mean, "log-normal": np.sqrt(np.log1p((out.sd / out.mean) ** 2))}
            start = mp.mpf(float(guess.get(family, out.sd / out.mean)[0]))
            u = mp.findroot(lambda x: mp.diff(loss, x), start if family != "Weibull" else 0.8 * start, tol=1e-20)
            mean, sd = moments(family, best(u), u)
        assert float(abs(out.mean[0] / mean - 1)) < ITERATED
        assert float(abs(out.sd[0] / sd - 1)) < ITERATED
