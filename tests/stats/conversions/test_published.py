"""Worked examples as they are printed, to the digits that are printed."""

from __future__ import annotations

import numpy as np
import pytest

from metaback.stats.conversions import arms, effects, five_numbers, pre_post_r, spread


def one(*numbers: float) -> list[np.ndarray]:
    return [np.array([float(x)]) for x in numbers]


def near(found: np.ndarray, printed: float, unit: float) -> None:
    """A printed number is right when it is the rounding of the computed one, or off by the rounding of its inputs."""
    assert found.shape == (1,)
    assert abs(found[0] - printed) <= unit * (0.5 + 1e-9)


# Cochrane Handbook 5.1, section 7.7.3 (6.5.2 of version 6)


def test_handbook_p_value_to_t_to_se_to_sd() -> None:
    # MD 3.8, P = 0.008, 25 and 22 people: t 2.78, SE 1.37, SD 4.69 (the SD is computed from the rounded 1.37)
    near(spread.se_from_p_t(*one(3.8, 0.008, 45)), 1.37, 0.01)
    near(spread.pooled_sd_from_se(*one(1.37, 25, 22)), 4.69, 0.01)
    near(spread.pooled_sd_from_p(*one(3.8, 0.008, 25, 22)), 4.69, 0.03)


def test_handbook_confidence_interval_of_a_mean() -> None:
    # section 7.7.3.2: n = 25, divisor 2 x 2.0639 = 4.128
    near(spread.sd_from_ci(*one(0, 4.128, 25)), 5.0, 0.01)


@pytest.mark.parametrize(("level", "divisor"), [(0.90, 3.29), (0.95, 3.92), (0.99, 5.15)])
def test_handbook_divisors_of_large_samples(level: float, divisor: float) -> None:
    near(effects.se_from_ci(*one(0, divisor), level=level), 1.0, 0.01)


def test_handbook_crossover_example() -> None:
    # section 16.4.6.4: SDs 2.38 and 2.21, n = 10, r = 0.68: SE of the mean difference 0.583
    near(spread.se_from_sd(spread.sd_change_from_r(*one(2.38, 2.21, 0.68)), *one(10)), 0.583, 0.001)
    near(pre_post_r.r_from_se_change(*one(2.38, 2.21, 10, 0.583)), 0.68, 0.01)


# Altman & Bland 2011, BMJ 343:d2090


def test_altman_and_bland_difference() -> None:
    # zinc 49% v 32%, P = 0.032: 17 percentage points, 95% CI 1.4 to 32.6; their z is an approximation (2.141)
    se = spread.sd_from_se(effects.se_from_p(*one(17, 0.032)), *one(4)) / 2
    near(17 - 1.96 * se, 1.4, 0.2)  # 1.46; with their z 1.44
    near(17 + 1.96 * se, 32.6, 0.2)  # 32.54; with their z 32.56


def test_altman_and_bland_ratio() -> None:
    # relative risk 0.30, P = 0.034: 95% CI 0.10 to 0.90 (0.91 with the exact quantile is 0.913)
    out = effects.log_effect_from_p(*one(0.30, 0.034))
    near(np.exp(out.yi - 1.96 * out.sei), 0.10, 0.01)
    near(np.exp(out.yi + 1.96 * out.sei), 0.90, 0.03)


# Borenstein et al. 2009, chapter 7


def test_borenstein_odds_ratio_d_and_r() -> None:
    d = effects.d_from_log_odds(*one(0.9069, 0.0676**0.5))
    near(d.yi, 0.5000, 0.0001)
    near(d.sei**2, 0.0205, 0.0001)
    odds = effects.log_odds_from_d(*one(0.5, 0.0205**0.5))
    near(odds.yi, 0.9069, 0.0001)
    near(odds.sei**2, 0.0676, 0.0004)  # from the rounded 0.0205: 0.0674
    d = effects.d_from_r(*one(0.5, 0.0058**0.5))
    near(d.yi, 1.1547, 0.0001)
    near(d.sei**2, 0.0550, 0.0001)
    r = effects.r_from_d(*one(1.1547, 0.0550**0.5, 1, 1))
    near(r.yi, 0.5000, 0.0001)
    near(r.sei**2, 0.0058, 0.0001)


# The manual of metafor 4: outputs as printed for conv.wald; for conv.2x2 and conv.fivenum, what its text says of them


def test_manual_of_conv_wald() -> None:
    out = effects.log_effect_from_ci(*one(0.64, 0.33, 1.22))
    near(out.yi, -0.4463, 0.0001)
    near(out.sei**2, 0.1113, 0.0001)
    near(effects.log_effect_from_p(*one(0.64, 0.17)).sei ** 2, 0.1058, 0.0001)


def test_manual_of_conv_2x2() -> None:
    # "demonstration that the reconstruction works": 36/86, 20/98 from OR 2.05, phi 0.15, chi-square 4.61
    for out in (
        arms.counts_from_odds_ratio(*one(2.05, 122, 118, 56)),
        arms.counts_from_phi(*one(0.15, 122, 118, 56)),
        arms.counts_from_chi2(*one(4.61, 122, 118, 56)),
    ):
        assert (out.events_1[0], out.events_2[0]) == (36, 20)
    # ten times as large: "slight inaccuracy in row 3 due to rounding" (the text does not say which count comes out)
    assert arms.counts_from_odds_ratio(*one(2.05, 1220, 1180, 560)).events_1[0] == 360
    assert arms.counts_from_phi(*one(0.15, 1220, 1180, 560)).events_1[0] == 361
    # a guessed margin that is not compatible: undefined there as well
    assert arms.counts_from_phi(*one(0.54, 200, 200, 248)).events_1[0] == 176
    assert np.isnan(arms.counts_from_phi(*one(0.54, 200, 200, 50)).events_1[0])
    # the sign of chi-square
    chi2 = 200 * (abs(40 * 40 - 60 * 60) - 100) ** 2 / 1e8
    assert arms.counts_from_chi2(*one(-round(chi2, 2), 100, 100, 100)).events_1[0] == 40
    assert arms.counts_from_chi2(*one(round(chi2, 2), 100, 100, 100)).events_1[0] == 60


def test_manual_of_conv_fivenum_tests_for_skewness() -> None:
    # "none of the tests are significant" for cases 1-3; with q3 = 14 and max = 20 case 3 is
    nan = np.nan
    rows = [(2, nan, 6, nan, 14, 20), (nan, 4, 6, 10, nan, 20), (2, 4, 6, 10, 14, 20), (2, 4, 6, 14, 20, 20)]
    out = five_numbers.skewness_test(*(np.array(column, dtype=float) for column in zip(*rows, strict=True)))
    assert out.skewed.tolist() == [False, False, False, True]


# Wan et al. 2014, tables 1 and 2: expected ranges of n normal values, by integration; the formulas approximate them


@pytest.mark.parametrize(("n", "xi"), [(2, 1.128), (5, 2.326), (10, 3.078), (25, 3.931), (50, 4.498)])
def test_wan_table_1(n: int, xi: float) -> None:
    found = spread.normal_width(*one(n), quartiles=False)[0]
    assert found == pytest.approx(xi, abs=0.02 if n > 5 else 0.06)


@pytest.mark.parametrize(("q", "eta"), [(1, 0.990), (2, 1.144), (3, 1.206), (50, 1.340)])
def test_wan_table_2(q: int, eta: float) -> None:
    assert spread.normal_width(*one(4 * q + 1), quartiles=True)[0] == pytest.approx(eta, abs=0.006)


def test_large_sample_factor_of_the_interquartile_range() -> None:
    near(spread.sd_from_iqr(*one(0, 1.35, 1e9)), 1.0, 0.002)
    assert spread.sd_from_iqr(*one(0, 1.35, 50), factor="large-n")[0] == 1.0


# estmeansd (README): qe.mean.sd(min.val = 2, med.val = 4, max.val = 9, n = 100)


def test_quantile_estimation_of_estmeansd() -> None:
    nan = np.nan
    out = five_numbers.quantile_estimation(*one(2, nan, 4, nan, 9, 100))
    # printed 4.347284 and 1.502171; its optimiser (L-BFGS-B, default tolerance) stops 4e-6 before the minimum
    assert out.mean[0] == pytest.approx(4.347284, rel=1e-5)
    assert out.sd[0] == pytest.approx(1.502171, rel=1e-5)
    assert out.family[0] == "log-normal"
