"""What happens at the edges: impossible, degenerate and contradictory numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from metaback.stats.conversions import arms, effects, five_numbers, pre_post_r, spread

N = np.nan


def one(*numbers: float) -> list[np.ndarray]:
    return [np.array([float(x)]) for x in numbers]


def none(found: np.ndarray) -> bool:
    return bool(np.isnan(found).all())


def test_a_level_in_percent_is_not_taken_for_a_share() -> None:
    assert none(spread.sd_from_ci(*one(1, 2, 20), level=95))
    assert none(effects.se_from_ci(*one(1, 2), level=95))


def test_levels_may_differ_by_row() -> None:
    both = spread.sd_from_ci(
        np.array([1.0, 1.0]), np.array([2.0, 2.0]), np.array([20.0, 20.0]), level=np.array([0.9, 0.99])
    )
    assert both[0] == spread.sd_from_ci(*one(1, 2, 20), level=0.9)[0]
    assert both[1] == spread.sd_from_ci(*one(1, 2, 20), level=0.99)[0]


def test_limits_in_the_wrong_order_are_no_interval() -> None:
    assert none(spread.sd_from_ci(*one(2, 1, 20)))
    assert none(effects.log_effect_from_ci(*one(1, 2, 0.5)).sei)
    assert none(effects.log_effect_from_ci(*one(3, 0.5, 2)).yi)  # the effect outside its interval


def test_a_p_of_0_or_1_says_nothing_about_the_spread() -> None:
    assert none(effects.se_from_p(*one(2, 0)))
    assert none(effects.se_from_p(*one(2, 1)))
    assert none(spread.pooled_sd_from_p(*one(2, 0, 10, 10)))
    assert effects.d_from_p(*one(1, 10, 10, 1))[0] == 0


def test_a_p_of_1e_300_keeps_its_digits() -> None:
    assert effects.se_from_p(*one(1, 1e-300))[0] == pytest.approx(1 / 37.06578788077213, rel=1e-12)
    assert np.isfinite(spread.pooled_sd_from_p(*one(1, 1e-300, 10, 10)))


def test_the_smallest_samples() -> None:
    assert spread.pooled_sd_from_t(*one(2, 1, 1, 2))[0] == pytest.approx(2 / np.sqrt(1.5))
    assert none(spread.pooled_sd_from_t(*one(2, 1, 1, 1)))
    assert none(spread.sd_from_se(*one(1, 1)))
    assert none(five_numbers.luo_wan_shi(*one(1, 2, 3, 4, 5, 4)).mean)


@pytest.mark.parametrize("change", [0.69, 13.51])
def test_sds_that_no_correlation_brings_together(change: float) -> None:
    assert none(pre_post_r.r_from_sds(*one(6.4, 7.1, change)))


def test_r_of_exactly_1_and_minus_1() -> None:
    assert pre_post_r.r_from_sds(*one(2, 5, 3))[0] == 1
    assert pre_post_r.r_from_sds(*one(2, 5, 7))[0] == -1
    assert pre_post_r.r_from_sds(*one(3, 3, 0))[0] == 1
    assert pre_post_r.r_from_sds(*one(0.1, 0.3, 0.3 - 0.1))[0] == 1  # the last digit


def test_an_absent_arm_is_masked_and_a_missing_number_is_not_forgiven() -> None:
    n, mean, sd = np.array([[10.0, 20.0, N]]), np.array([[5.0, 8.0, N]]), np.array([[2.0, 3.0, N]])
    assert none(arms.combine_means(n, mean, sd).mean)
    out = arms.combine_means(n, mean, sd, arms=np.array([[True, True, False]]))
    assert out.mean[0] == 7
    assert none(arms.combine_means(n, mean, sd, arms=np.zeros((1, 3), dtype=bool)).n)
    assert arms.combine_counts(n / 5, n, arms=np.array([[True, True, False]])).events[0] == 6


def test_an_arm_of_one_needs_no_sd() -> None:
    out = arms.combine_means(np.array([[1.0, 1.0]]), np.array([[2.0, 4.0]]), np.array([[N, N]]))
    assert (out.mean[0], out.sd[0]) == (3.0, pytest.approx(np.sqrt(2)))


def test_a_percentage_that_no_count_gives() -> None:
    assert none(arms.events_from_percent(*one(33, 10)).events)
    assert none(arms.events_from_percent(*one(33.4, 12), decimals=1).events)
    assert arms.events_from_percent(*one(33.3, 12), decimals=1).events[0] == 4
    assert arms.events_from_percent(*one(12, 8)).events[0] == 1  # 12.5, a half rounded down
    assert arms.events_from_percent(*one(13, 8)).events[0] == 1  # and up
    assert none(arms.events_from_percent(*one(101, 100)).events)
    assert none(arms.events_from_percent(*one(50, 10.5)).events)


def test_tables_with_empty_margins_or_empty_cells() -> None:
    assert arms.counts_from_odds_ratio(*one(3, 10, 10, 0)).events_1[0] == 0
    assert arms.counts_from_odds_ratio(*one(3, 10, 10, 20)).events_1[0] == 10
    assert arms.counts_from_odds_ratio(*one(0, 10, 10, 5)).events_1[0] == 0
    assert arms.counts_from_odds_ratio(*one(0, 10, 10, 13)).events_1[0] == 3
    assert none(arms.counts_from_odds_ratio(*one(1, 10, 10, 21)).events_1)
    assert none(arms.counts_from_risk_ratio(*one(50, 10, 100, 40)).events_1)  # needs more events than people
    assert none(arms.counts_from_chi2(*one(0, 10, 10, 5)).events_1)
    assert arms.counts_from_chi2(*one(0, 10, 10, 6), yates=False).events_1[0] == 3


def test_the_fullest_scenario_is_taken_and_order_is_checked() -> None:
    full = five_numbers.luo_wan_shi(*one(2, 4, 6, 10, 14, 20))
    quartiles = five_numbers.luo_wan_shi(*one(N, 4, 6, 10, 14, 20))
    assert (full.scenario[0], quartiles.scenario[0]) == (3, 2)
    assert quartiles.sd[0] == spread.sd_from_iqr(*one(4, 10, 20))[0]
    assert none(five_numbers.luo_wan_shi(*one(5, 4, 6, 10, 14, 20)).mean)
    assert none(five_numbers.luo_wan_shi(*one(N, 4, 6, 10, 9, 20)).mean)  # one that is not used is out of order
    assert none(five_numbers.luo_wan_shi(*one(2, 4, N, 10, 14, 20)).sd)


def test_equal_numbers() -> None:
    flat = one(3, 3, 3, 3, 3, 20)
    assert (five_numbers.luo_wan_shi(*flat).mean[0], five_numbers.luo_wan_shi(*flat).sd[0]) == (3, 0)
    assert none(five_numbers.skewness_test(*flat).statistic)
    assert none(five_numbers.quantile_estimation(*flat).mean)


def test_the_skewness_test_holds_its_level() -> None:
    rng = np.random.default_rng(20)
    x = np.quantile(rng.standard_normal((20000, 41)), [0, 0.25, 0.5, 0.75, 1], axis=1)
    n, lost = np.full(20000, 41.0), np.full(20000, N)
    for row in ((x[0], lost, x[2], lost, x[4]), (lost, x[1], x[2], x[3], lost), tuple(x)):
        assert 0.035 < five_numbers.skewness_test(*row, n).skewed.mean() < 0.06


def test_quantile_estimation_finds_the_family_and_its_parameters() -> None:
    p = np.array([1 / 50, 0.25, 0.5, 0.75, 1 - 1 / 50])
    lognormal = np.exp(1 + 0.5 * np.array([ndtri(x) for x in p]))
    weibull = 3 * (-np.log1p(-p)) ** (1 / 2.5)
    normal = -5 + 2 * np.array([ndtri(x) for x in p])
    uniform = p  # beta(1, 1)
    for row, family, mean in (
        (lognormal, "log-normal", np.exp(1.125)),
        (weibull, "Weibull", 3 * 0.8872638175030753),
        (normal, "normal", -5),
        (uniform, "beta", 0.5),
    ):
        out = five_numbers.quantile_estimation(*one(*row, 50))
        assert out.family[0] == family
        assert out.mean[0] == pytest.approx(mean, rel=1e-8)


def test_quantile_estimation_of_negative_numbers_is_normal() -> None:
    out = five_numbers.quantile_estimation(*one(-1, 0, 2, 9, 40, 60))
    assert out.family[0] == "normal"


def test_quantile_estimation_is_the_same_in_a_batch_and_for_mixed_scenarios() -> None:
    rows = np.array(
        [
            [2, N, 4, N, 9, 100],
            [N, 4, 6, 10, N, 20],
            [2, 4, 6, 14, 20, 20],
            [N, N, N, N, N, 9],
            [0.1, 0.2, 0.3, 0.45, 0.8, 50],
        ]
    )
    whole = five_numbers.quantile_estimation(*rows.T)
    for i, row in enumerate(rows):
        alone = five_numbers.quantile_estimation(*row[:, None])
        np.testing.assert_allclose(alone.mean[0], whole.mean[i], rtol=1e-12)
        assert alone.family[0] == whole.family[i]
    assert whole.family[3] == ""
