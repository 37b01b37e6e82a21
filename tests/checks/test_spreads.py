"""Rules about standard deviations against those of the other trials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.stats.spreads import BETWEEN, CENTRES, FAR, SHARES, USUAL_BETWEEN, WIDTH, read_spreads

EXACT = 1e-9  # a number that is made of cells by one product or root
GRID = 0.02  # a probability from 8 x 25 nodes against that from 80 x 601: near 1/2, where it turns fastest
SDS = ["sd_1", "sd_2"]
CLEAN_SEEDS = range(10)


def _times_root_n(table: pd.DataFrame, row: int, power: float) -> None:
    """Multiply both SDs of a row by n^power."""
    for arm in "12":
        table.loc[row, f"sd_{arm}"] = table.loc[row, f"sd_{arm}"] * float(table.loc[row, f"n_{arm}"]) ** power


def test_se_as_sd_finds_the_row_and_what_it_would_be(found: Any, means_table: Any) -> None:
    table = means_table()
    right = table.loc[3, SDS].astype(float).tolist()
    _times_root_n(table, 3, -0.5)
    (finding,) = found("se-as-sd", table)
    assert finding.rows == (3,)
    assert [cell.role for cell in finding.cells] == SDS
    values = [change.value for change in finding.proposals[0].changes]
    assert values == pytest.approx(right, abs=EXACT)
    assert finding.severity == "warning"
    assert "AuthorD 2003" in finding.says
    assert "the other 7 rows of pain, VAS 0-100" in finding.says


def _pre_post(table: pd.DataFrame, seed: int = 5) -> pd.DataFrame:
    """Return the table with its means and SDs as those at the end, and others at the start."""
    rng = np.random.default_rng(seed)
    names = {f"{stem}_{arm}": f"{stem}_post_{arm}" for stem in ("mean", "sd") for arm in "12"}
    made = table.rename(columns=names)
    for arm in "12":
        made[f"mean_pre_{arm}"] = (made["mean_post_2"] + rng.normal(0, 2, len(made))).round(1)
        made[f"sd_pre_{arm}"] = (made[f"sd_post_{arm}"] * np.exp(rng.normal(0, 0.08, len(made)))).round(1)
    return made


def _as_standard_errors(table: pd.DataFrame, row: int, *stems: str) -> list[float]:
    """Divide the SDs of a row by sqrt(n) and return what they were."""
    right: list[float] = []
    for stem in stems:
        for arm in "12":
            right.append(float(table.loc[row, f"{stem}_{arm}"]))
            table.loc[row, f"{stem}_{arm}"] = right[-1] / float(table.loc[row, f"n_{arm}"]) ** 0.5
    return right


@pytest.mark.parametrize("stems", [("sd_pre",), ("sd_post",), ("sd_pre", "sd_post")])
def test_se_as_sd_reads_the_sds_at_the_start_and_at_the_end(
    found: Any, means_table: Any, stems: tuple[str, ...]
) -> None:
    """A row is one finding, with the cells and the right numbers of all its suspected SDs."""
    table = _pre_post(means_table())
    assert found("se-as-sd", table) == ()
    right = _as_standard_errors(table, 3, *stems)
    (finding,) = found("se-as-sd", table)
    assert finding.rows == (3,)
    assert [cell.role for cell in finding.cells] == [f"{stem}_{arm}" for stem in stems for arm in "12"]
    assert [change.value for change in finding.proposals[0].changes] == pytest.approx(right, abs=EXACT)
    assert finding.severity == "warning"
    assert ("SDs at the start, " in finding.says) == ("sd_pre" in stems)
    assert ("SDs at the end, " in finding.says) == ("sd_post" in stems)
    assert f"probability{stems[0][2:]}" in finding.evidence


def test_the_mirror_and_the_misfit_read_them_too(found: Any, means_table: Any) -> None:
    table = _pre_post(means_table())
    for arm in "12":
        table.loc[3, f"sd_post_{arm}"] *= float(table.loc[3, f"n_{arm}"]) ** 0.5
        table.loc[5, f"sd_pre_{arm}"] *= 40
    assert [finding.rows for finding in found("sd-as-se", table)] == [(3,)]
    assert [finding.rows for finding in found("sd-outlying", table)] == [(5,)]


def test_a_printed_statistic_proves_nothing_of_sds_at_start_and_end(found: Any, means_table: Any) -> None:
    """What is printed beside them may be the test of the change, so it makes no error of a suspicion."""
    table = _pre_post(means_table())
    right = _as_standard_errors(table, 3, "sd_post")
    n = table.loc[3, ["n_1", "n_2"]].astype(float).to_numpy()
    pooled = float((((n - 1) * np.square(right)).sum() / (n.sum() - 2)) ** 0.5)
    table.loc[3, "t"] = (table.loc[3, "mean_post_1"] - table.loc[3, "mean_post_2"]) / pooled / (1 / n).sum() ** 0.5
    assert [finding.severity for finding in found("se-as-sd", table)] == ["warning"]


def test_changes_do_not_split_the_sds_at_the_start(found: Any, means_table: Any) -> None:
    """A type of scores is that of the final column; SDs at the start are one kind, whatever is pooled."""
    table = _pre_post(means_table()).assign(score_type=["final", "change"] * 4)
    right = _as_standard_errors(table, 3, "sd_pre")
    (finding,) = found("se-as-sd", table)
    assert [change.value for change in finding.proposals[0].changes] == pytest.approx(right, abs=EXACT)
    assert "the other 7 rows" in finding.says


@pytest.mark.parametrize("rows", [(3,), (1, 5), (0, 2, 4)])
def test_several_standard_errors_do_not_hide_each_other(found: Any, means_table: Any, rows: tuple[int, ...]) -> None:
    table = means_table(12)
    for row in rows:
        _times_root_n(table, row, -0.5)
    assert [finding.rows for finding in found("se-as-sd", table)] == [(row,) for row in rows]


def test_a_huge_difference_makes_it_an_error(found: Any, means_table: Any) -> None:
    table = means_table()
    _times_root_n(table, 3, -0.5)
    table.loc[3, "mean_1"] = table.loc[3, "mean_2"] - 20  # one SD, four SEs
    (finding,) = found("se-as-sd", table)
    assert finding.severity == "error"
    assert abs(finding.evidence["d"]) > 3


def test_a_printed_statistic_makes_it_an_error(found: Any, means_table: Any) -> None:
    """A t that the true SDs give is the proof; a t that the SEs give is none."""
    table = means_table()
    _times_root_n(table, 3, -0.5)
    n_1, n_2, sd_1, sd_2, mean_1, mean_2 = (
        float(table.loc[3, f"{stem}_{arm}"]) for stem in ("n", "sd", "mean") for arm in "12"
    )
    pooled = (((n_1 - 1) * sd_1**2 + (n_2 - 1) * sd_2**2) / (n_1 + n_2 - 2)) ** 0.5
    t = (mean_1 - mean_2) / pooled / (1 / n_1 + 1 / n_2) ** 0.5
    table["t"] = np.nan
    table.loc[3, "t"] = t
    assert [finding.severity for finding in found("se-as-sd", table)] == ["warning"]
    table.loc[3, "t"] = t / ((n_1 + n_2) / 2) ** 0.5
    (finding,) = found("se-as-sd", table)
    assert finding.severity == "error"
    assert finding.evidence["implied_sd"] == pytest.approx(pooled * ((n_1 + n_2) / 2) ** 0.5)


def test_half_the_usual_sd_is_not_suspected(found: Any, means_table: Any) -> None:
    """The near miss: an SD that is small, yet twice what an SE would be."""
    table = means_table()
    table.loc[3, SDS] = table.loc[3, SDS].astype(float).to_numpy() * 0.55
    for key in ("se-as-sd", "sd-as-se", "sd-outlying"):
        assert found(key, table) == ()


def test_another_unit_is_left_to_the_rule_of_units(found: Any, means_table: Any) -> None:
    """Means and SDs a quarter of the usual ones, in arms of 16 people: SDs that would fit as SEs, means that do not."""
    table = means_table()
    table.loc[3, ["n_1", "n_2"]] = 16
    table.loc[3, [*SDS, "mean_1", "mean_2"]] = table.loc[3, [*SDS, "mean_1", "mean_2"]].astype(float).to_numpy() / 4
    assert found("se-as-sd", table) == ()


def test_sd_as_se_is_the_mirror(found: Any, means_table: Any) -> None:
    table = means_table()
    right = table.loc[3, SDS].astype(float).tolist()
    _times_root_n(table, 3, 0.5)
    (finding,) = found("sd-as-se", table)
    assert finding.rows == (3,)
    assert [change.value for change in finding.proposals[0].changes] == pytest.approx(right, abs=EXACT)
    assert found("se-as-sd", table) == ()
    assert found("sd-outlying", table) == ()


def test_a_column_of_ses_that_holds_an_sd(found: Any, means_table: Any) -> None:
    """A row without SDs is judged by its SEs; where one of these is an SD, the SE that it hides is proposed."""
    table = means_table()
    for arm in "12":
        table[f"se_{arm}"] = np.nan
        table.loc[3, f"se_{arm}"] = table.loc[3, f"sd_{arm}"]
        table.loc[3, f"sd_{arm}"] = np.nan
    (finding,) = found("sd-as-se", table)
    assert [change.role for change in finding.proposals[0].changes] == ["se_1", "se_2"]
    expected = [float(table.loc[3, f"se_{arm}"] / table.loc[3, f"n_{arm}"] ** 0.5) for arm in "12"]
    assert [change.value for change in finding.proposals[0].changes] == pytest.approx(expected, abs=EXACT)


def test_a_spread_that_fits_nothing(found: Any, means_table: Any) -> None:
    table = means_table()
    table.loc[3, SDS] = table.loc[3, SDS].astype(float).to_numpy() * 40
    (finding,) = found("sd-outlying", table)
    assert finding.rows == (3,)
    assert "times larger" in finding.says
    assert found("sd-as-se", table) == ()


def test_outcomes_instruments_and_changes_are_not_compared(run: Any, means_table: Any) -> None:
    """SDs of changes are smaller; so are those of another instrument."""
    table = pd.concat([means_table(4), means_table(4, sd=2, mean=5, seed=1)], ignore_index=True)
    table["study"] = [f"S{i}" for i in range(8)]
    table.loc[4:, "instrument"] = "NRS 0-10"
    outcome = run("se-as-sd", table)
    assert outcome.findings == ()
    assert outcome.examined == 8


def test_few_rows_are_passed_over_with_words(run: Any, means_table: Any) -> None:
    outcome = run("se-as-sd", means_table(3))
    assert outcome.examined == 0
    assert outcome.passed_over == ("fewer than 4 studies to compare in pain, VAS 0-100 (3)",)


def test_one_row_blank_and_zero_sds_are_no_trouble(run: Any, means_table: Any) -> None:
    assert run("se-as-sd", means_table(1)).examined == 0
    table = means_table()
    table.loc[1, "sd_1"] = np.nan
    table.loc[2, "sd_2"] = 0.0
    outcome = run("se-as-sd", table)
    assert outcome.examined == 6
    assert outcome.passed_over == ("2 rows without usable numbers of people and SDs",)


def test_rows_of_quite_other_outcomes_are_not_compared(run: Any, means_table: Any) -> None:
    """A column of outcomes is missing and SDs range over four powers of ten: there is nothing to compare."""
    table = means_table(20)
    factors = 10.0 ** np.linspace(-2, 2, 20)
    for role in (*SDS, "mean_1", "mean_2"):
        table[role] = table[role] * factors
    outcome = run("sd-outlying", table)
    assert outcome.findings == ()
    assert outcome.examined == 0
    assert outcome.passed_over == ("SDs too far apart to be of one outcome and instrument in pain, VAS 0-100",)


def test_without_sds_the_rule_is_passed_over(run: Any, means_table: Any) -> None:
    table = means_table().drop(columns=SDS)
    table["effect"], table["se"] = 0.1, 0.2
    assert "no column" in run("se-as-sd", table).passed_over[0]


def test_one_group_with_a_standard_error(found: Any) -> None:
    """A table of single means needs no second arm; the sentence is about one SD."""
    table = pd.DataFrame({"study": [f"S{i}" for i in range(8)], "n": 36, "mean": 50.0, "sd": 20.0})
    table["sd"] += np.arange(8) - 4.0
    table.loc[3, "sd"] = 19.0 / 6
    (finding,) = found("se-as-sd", table, measure="MN")
    assert finding.proposals[0].changes[0].value == pytest.approx(19.0)
    assert "a standard error it belongs to an SD of 19.0" in finding.says


@pytest.mark.parametrize("key", ["se-as-sd", "sd-as-se", "sd-outlying"])
def test_clean_tables_have_no_finding(run: Any, means_table: Any, key: str) -> None:
    for seed in CLEAN_SEEDS:
        outcome = run(key, means_table(seed=seed))
        assert outcome.findings == ()
        assert outcome.examined == 8


# ---------------------------------------------------------------- the kernel


def _by_quadrature(x: np.ndarray, h: np.ndarray, df: np.ndarray) -> list[np.ndarray]:
    """Integrate the same mixture for one group without differences of means on a grid that is ten times finer.

    The prior of ln s has the same weights; the nodes of s are those of the kernel, which are part of its definition.
    """
    middles = np.median(x) + np.linspace(-3, 3, 1201)
    prior = np.exp(-0.5 * (np.log(BETWEEN / USUAL_BETWEEN) / WIDTH) ** 2)
    rest = 1 - sum(SHARES.values())
    parts = np.zeros((3, x.size))
    total = 0.0
    for s, weight in zip(BETWEEN, prior, strict=True):
        for m in middles:
            sd = np.sqrt(s * s + 1 / (2 * df))
            densities = np.array(
                [
                    rest * np.exp(-0.5 * ((x - m) / sd) ** 2) / sd,
                    SHARES["se"] * np.exp(-0.5 * ((x + h - m) / sd) ** 2) / sd,
                    SHARES["root"] * np.exp(-0.5 * ((x - h - m) / sd) ** 2) / sd,
                    SHARES["other"] * np.exp(-0.5 * ((x - m) / FAR) ** 2) / FAR,
                ]
            )
            both = weight * np.prod(densities.sum(axis=0))
            total += both
            parts += both * densities[1:] / densities.sum(axis=0)
    return list(parts / total)


@pytest.mark.parametrize("last", [1.6, 1.9, 2.4, 4.6, 6.5])
def test_probabilities_are_those_of_a_fine_integral(last: float) -> None:
    """The grid is coarse, but the integrand is smooth; the hardest values lie between two readings."""
    x = np.array([3.0, 2.8, 3.2, 3.1, 2.7, last])
    h, df = np.full(6, 1.35), np.full(6, 28.0)
    found = read_spreads(x, h, df, np.full(6, np.nan), np.zeros(6, dtype=np.intp))
    for mine, fine in zip((found.se, found.root, found.other), _by_quadrature(x, h, df), strict=True):
        np.testing.assert_allclose(mine, fine, atol=GRID)


def test_probabilities_do_not_depend_on_units_order_or_other_groups() -> None:
    rng = np.random.default_rng(5)
    x, h, df, d = rng.normal(3, 0.6, 14), rng.uniform(1, 1.7, 14), rng.uniform(15, 60, 14), rng.normal(0.5, 0.8, 14)
    group = np.repeat([0, 1], 7).astype(np.intp)
    found = read_spreads(x, h, df, d, group)
    moved = read_spreads(x + 5, h, df, -d, group)
    np.testing.assert_allclose(moved.se, found.se, atol=EXACT)
    np.testing.assert_allclose(moved.middle, found.middle + 5, atol=EXACT)
    turn = rng.permutation(14)
    np.testing.assert_allclose(read_spreads(x[turn], h[turn], df[turn], d[turn], group[turn]).root, found.root[turn])
    alone = read_spreads(x[:7], h[:7], df[:7], d[:7], group[:7])
    np.testing.assert_allclose(alone.other, found.other[:7], atol=EXACT)
    assert CENTRES.size == 25
