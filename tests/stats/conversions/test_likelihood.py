"""Maximum likelihood (MLN) and log-normal estimators from five numbers: definitions in 30 digits, simulated bias."""

from __future__ import annotations

import json
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from metaback.errors import OptionError
from metaback.stats.conversions import five_numbers_transformed as transformed
from metaback.stats.conversions import outputs

FILE = json.loads((Path(__file__).parents[2] / "reference" / "mln.json").read_text(encoding="utf-8"))
EXACT = 1e-10  # roots to the last digit, then quadrature
CLOSED = 1e-12  # a handful of roundings
SEARCH = 1e-7  # R's search without slopes finds a maximum to the square root of the last digit
PRINTED = 5e-7  # half of the last printed digit
N = np.nan
ROWS = [
    (2, N, 6, N, 14, 20),
    (10, N, 20, N, 27, 50),
    (N, 10, 20, 27, N, 51),
    (N, 12.5, 20, 28, N, 62),
    (2, 4, 6, 10, 14, 20),
    (5, 10, 20, 27, 36, 7),
    (80, 93, 100, 108, 121, 63),
]


def one(*numbers: float) -> list[np.ndarray]:
    return [np.array([float(x)]) for x in numbers]


def normal(p: mp.mpf) -> mp.mpf:
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


def luo_wan_shi(y: list[mp.mpf | None], n: mp.mpf, *, wan: bool) -> tuple[mp.mpf, mp.mpf]:
    """Return Luo's mean and the SD of Wan, or of Shi where all five are there and `wan` is false."""
    xi = 2 * normal((n - mp.mpf("0.375")) / (n + mp.mpf("0.25")))
    eta = 2 * normal((3 * n / 4 - mp.mpf("0.125")) / (n + mp.mpf("0.25")))
    a, q1, m, q3, b = y
    if q1 is None:
        w = 4 / (4 + n ** mp.mpf("0.75"))
        return w * (a + b) / 2 + (1 - w) * m, (b - a) / xi
    if a is None:
        w = mp.mpf("0.7") + mp.mpf("0.39") / n
        return w * (q1 + q3) / 2 + (1 - w) * m, (q3 - q1) / eta
    v, w = mp.mpf("2.2") / (mp.mpf("2.2") + n ** mp.mpf("0.75")), mp.mpf("0.7") - mp.mpf("0.72") / n ** mp.mpf("0.55")
    share = mp.mpf("0.5") if wan else 1 / (1 + mp.mpf("0.07") * n ** mp.mpf("0.6"))
    mean = v * (a + b) / 2 + w * (q1 + q3) / 2 + (1 - v - w) * m
    return mean, share * (b - a) / xi + (1 - share) * (q3 - q1) / eta


class Exact:
    """The likelihood of the numbers themselves, from its definition."""

    def __init__(self, row: tuple[float, ...]) -> None:
        self.n = mp.mpf(row[5])
        self.x = [None if np.isnan(v) else mp.mpf(v) for v in row[:5]]
        ranks = [1, *(mp.floor(self.n * q / 4 + 1) for q in (1, 2, 3)), self.n]
        self.points = [(x, rank) for x, rank in zip(self.x, ranks, strict=True) if x is not None]

    def y(self, power: mp.mpf) -> list[mp.mpf | None]:
        return [None if x is None else (x**power - 1) / power for x in self.x]

    def loglik(self, power: mp.mpf, mean: mp.mpf, sd: mp.mpf) -> mp.mpf:
        total, before, last = mp.mpf(0), mp.mpf(0), mp.mpf(0)
        for x, rank in self.points:
            z = ((x**power - 1) / power - mean) / sd
            total += mp.log(mp.npdf(z) / sd) + (power - 1) * mp.log(x)
            now = mp.ncdf(z)
            total += (rank - last - 1) * mp.log(now - before) if rank - last > 1 else 0
            before, last = now, rank
        beyond = self.n - last
        return total + (beyond * mp.log(1 - before) if beyond else 0)

    def profile(self, power: mp.mpf) -> mp.mpf:
        return self.loglik(power, *luo_wan_shi(self.y(power), self.n, wan=True))

    def fit(self) -> tuple[mp.mpf, mp.mpf, mp.mpf]:
        """Return mean and SD of the data, and the power."""
        grid = [mp.mpf(i) / 8 + mp.mpf("0.01") for i in range(41)]
        start = max(grid, key=self.profile)
        power = mp.findroot(lambda p: mp.diff(self.profile, p), (start, start + mp.mpf("0.01")))
        mean, sd = luo_wan_shi(self.y(power), self.n, wan=True)
        slopes = [
            lambda m, s: mp.diff(lambda x: self.loglik(power, x, s), m),
            lambda m, s: mp.diff(lambda x: self.loglik(power, m, x), s),
        ]
        mean, sd = mp.findroot(slopes, (mean, sd))
        reach = min((1 + power * mean) / (power * sd), mp.mpf(13))

        def moment(k: int) -> mp.mpf:
            points = mp.linspace(-reach, reach, 17)
            return mp.quad(lambda u: mp.exp(-u * u / 2) * (1 + power * (mean + sd * u)) ** (k / power), points)

        mass, first, second = moment(0), moment(1), moment(2)
        return first / mass, mp.sqrt(second / mass - (first / mass) ** 2), power


@pytest.mark.parametrize("row", ROWS)
def test_the_likeliest_power_and_normal_distribution_are_those_of_the_definition(row: tuple[float, ...]) -> None:
    out = transformed.unknown_non_normal(*one(*row))
    with mp.workdps(30):
        mean, sd, power = Exact(row).fit()
        assert abs(out.power[0] - power) < EXACT
        assert abs(out.mean[0] / mean - 1) < EXACT
        assert abs(out.sd[0] / sd - 1) < EXACT


def test_the_example_of_estmeansd_to_its_printed_digits() -> None:
    # README of estmeansd: mln.mean.sd(min.val = 2, med.val = 4, max.val = 9, n = 100) after set.seed(1) and two others
    assert FILE["simulated_mean"] == pytest.approx(4.195238, abs=PRINTED)
    assert FILE["simulated_sd"] == pytest.approx(1.294908, abs=PRINTED)
    assert FILE["slope"] < 0  # of the likelihood at the power 0: there the maximum is, and the numbers are log-normal
    assert FILE["slope"] + FILE["slope_of_variables"] < 0
    mean = np.exp(FILE["location"] + FILE["scale"] ** 2 / 2)
    sd = mean * np.sqrt(np.expm1(FILE["scale"] ** 2))
    for criterion in ("likelihood", "estmeansd"):
        out = transformed.unknown_non_normal(*one(2, N, 4, N, 9, 100), criterion=criterion)
        assert out.power[0] == 0
        assert out.mean[0] == pytest.approx(mean, rel=SEARCH)
        assert out.sd[0] == pytest.approx(sd, rel=SEARCH)


def test_the_criterion_of_estmeansd_depends_on_the_unit_and_the_likelihood_does_not() -> None:
    numbers = np.array([10.0, 20.0, 27.0])
    sds = {}
    for criterion in ("likelihood", "estmeansd"):
        for unit in (1.0, 0.01):
            q1, median, q3 = numbers * unit
            out = transformed.unknown_non_normal(*one(N, q1, median, q3, N, 50), criterion=criterion)
            sds[criterion, unit] = out.sd[0] / unit
    assert sds["likelihood", 1.0] == pytest.approx(sds["likelihood", 0.01], rel=EXACT)
    assert sds["estmeansd", 1.0] == pytest.approx(18.4956, abs=1e-4)  # both by a search without slopes, to 4 decimals
    assert sds["estmeansd", 0.01] == pytest.approx(2.1222, abs=2e-4)
    with pytest.raises(OptionError, match="criterion='paper' is not known"):
        transformed.unknown_non_normal(*one(N, 10, 20, 27, N, 50), criterion="paper")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("known", "tolerance"),
    [(stats.lognorm(0.5, scale=4), 0.002), (stats.norm(50, 8), 0.002), (stats.gamma(6), 0.02)],
)
def test_quartiles_of_many_give_mean_and_sd_back(known: stats.rv_continuous, tolerance: float) -> None:
    out = transformed.unknown_non_normal(*one(N, *known.ppf([0.25, 0.5, 0.75]), N, 1e6))
    assert out.mean[0] == pytest.approx(known.mean(), rel=tolerance)
    assert out.sd[0] == pytest.approx(known.std(), rel=2 * tolerance)


@pytest.mark.parametrize(
    "row",
    [
        (0, N, 4, N, 9, 100),  # not above 0
        (2, N, 1, N, 9, 100),  # out of order
        (2, N, 4, N, 9, 4),  # too few people
        (N, N, 4, N, N, 50),
        (2, N, 2, N, 9, 50),  # 24 people between 2 and 2: no density does that
    ],
)
def test_what_it_cannot_do_is_nan(row: tuple[float, ...]) -> None:
    out = transformed.unknown_non_normal(*one(*row))
    assert np.isnan(out.mean[0])
    assert np.isnan(out.sd[0])
    assert out.scenario[0] == 0


def test_equal_numbers_of_neighbours_are_no_obstacle() -> None:
    out = transformed.unknown_non_normal(*one(3, 3, 4, 6, 6, 5))  # five people: nobody is between them
    assert np.isfinite([out.mean[0], out.sd[0]]).all()


@settings(max_examples=20)
@given(
    st.lists(st.floats(0.05, 3), min_size=4, max_size=4),
    st.integers(5, 2000),
    st.sampled_from([2.0**-10, 8.0, 2.0**20]),
)
def test_a_change_of_unit_is_one_and_rows_do_not_meet(steps: list[float], n: int, unit: float) -> None:
    numbers = np.cumsum([0.5, *steps])
    rows = [[N if i in holes else x for i, x in enumerate(numbers)] for holes in ((), (0, 4), (1, 3))]
    whole = transformed.unknown_non_normal(*np.array([*np.array(rows).T, np.full(3, float(n))]))
    for at, row in enumerate(rows):
        second = transformed.unknown_non_normal(*one(*(x * unit for x in row), n))
        for role, value in outputs("mean-sd-mln", second).items():
            np.testing.assert_allclose(value, outputs("mean-sd-mln", whole)[role][at : at + 1] * unit, rtol=EXACT)
        if np.isfinite(second.mean[0]):
            assert second.sd[0] > 0


# ---------------------------------------------------------------- log-normal data

SCENARIOS = {"range": (1, 3), "quartiles": (0, 4), "five": ()}
SHI = {  # A, B, a, b of the log-normal estimators
    "range": (lambda n: (mp.mpf("1.01") + mp.mpf("0.25") / mp.log(n) ** 2, 1 + mp.mpf("2.23") / mp.log(n) ** 2),
              ("0.565", "0.37")),
    "quartiles": (lambda n: (1 + mp.mpf("1.58") / n, 1 + mp.mpf("19.2") / n ** mp.mpf("1.2")), ("0.57", "0.75")),
    "five": (lambda n: (1 + mp.mpf("0.28") / mp.log(n) ** 2, 1 + mp.mpf("3.93") / n), ("0.405", "0.315")),
}  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("n", [5, 20, 400])
def test_the_log_normal_estimators_are_those_of_shi(scenario: str, n: int) -> None:
    row = [N if i in SCENARIOS[scenario] else x for i, x in enumerate((2.0, 4.0, 6.5, 11.0, 24.0))]
    out = transformed.log_normal(*one(*row, n))
    with mp.workdps(50):
        size = mp.mpf(n)
        logs = [None if np.isnan(x) else mp.log(mp.mpf(x)) for x in row]
        m, d = luo_wan_shi(logs, size, wan=False)
        divisors, (i, j) = SHI[scenario]
        big_a, big_b = divisors(size)
        v, w, i, j = d**2 / big_a, d**4 / big_b, mp.mpf(i), mp.mpf(j)
        mean = mp.exp(m + v / 2) / (1 + (i * v + j * w) / size)
        second = mp.exp(2 * m + 2 * v) / (1 + (4 * i * v + 16 * j * w) / size)
        variance = second - mp.exp(2 * m + v) / (1 + (4 * i * v + 4 * j * w) / size)
        assert abs(out.mean[0] / mean - 1) < CLOSED
        assert abs(out.sd[0] / mp.sqrt(variance) - 1) < CLOSED


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_the_corrections_take_the_bias_out(scenario: str, sigma: float) -> None:
    n, draws = 25, 10_000
    x = np.sort(np.exp(sigma * np.random.default_rng(1).standard_normal((draws, n))), axis=1)
    five = [x[:, i] if at not in SCENARIOS[scenario] else np.full(draws, N) for at, i in enumerate((0, 6, 12, 18, 24))]
    out, plain = (transformed.log_normal(*five, np.full(draws, float(n)), correct=word) for word in ("yes", "no"))
    mean = np.exp(sigma**2 / 2)
    variance = mean**2 * np.expm1(sigma**2)
    off = {name: (o.mean.mean() / mean - 1, np.mean(o.sd**2) / variance - 1) for name, o in
           (("yes", out), ("no", plain))}  # fmt: skip
    assert abs(off["yes"][0]) < 0.02  # 0.1 to 0.8% in 40 000 draws; three standard errors of 10 000 are 1.5%
    assert abs(off["yes"][1]) < 0.2  # up to 7%, three standard errors 12%
    assert off["no"][0] > 0.005
    assert off["no"][1] > 0.08  # 11 to 240%


def test_the_correction_has_two_words() -> None:
    with pytest.raises(OptionError, match="correct='maybe' is not known"):
        transformed.log_normal(*one(2, N, 4, N, 9, 100), correct="maybe")  # pyright: ignore[reportArgumentType]
