"""Whole-number scores, and last digits."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pandas as pd
import pytest

from metaback.checks.integers import possible_mean, possible_sd, tail_bound


def _ones(k: int) -> Any:
    return np.ones(k)


def test_the_example_of_brown_and_heathers() -> None:
    """A mean of 5.19 cannot come from 28 people with whole numbers, and can from 32 (Brown & Heathers 2017)."""
    fits = possible_mean(np.array([5.19, 5.19]), 2 * _ones(2), np.array([28.0, 32.0]), _ones(2))
    assert fits.tolist() == [False, True]


# The table pigs5 of the R package scrutiny 0.4.0 with its verdicts, as its tests print them: mean, SD, n, both fit.
PIGS = [
    ("7.22", "5.30", 38, False),
    ("4.74", "6.55", 31, True),
    ("5.23", "2.55", 35, False),
    ("2.57", "2.57", 30, True),
    ("6.77", "2.18", 33, False),
    ("2.68", "2.59", 34, True),
    ("7.01", "6.68", 35, False),
    ("7.38", "3.65", 32, True),
    ("3.14", "5.32", 33, False),
    ("6.89", "4.18", 37, True),
    ("5.00", "2.18", 31, True),
    ("0.24", "6.43", 34, True),
]


def test_means_and_sds_as_scrutiny_judges_them() -> None:
    """Eleven rows agree; the third (5.23, 2.55, 35) fits here because an SD with divisor n is allowed for.

    With divisor n - 1 its sum of squares could only be 1178, which is even, and its sum 183 is odd; with n it is 1185.
    """
    mean, sd = (np.array([float(row[i]) for row in PIGS]) for i in (0, 1))
    n, two = np.array([float(row[2]) for row in PIGS]), 2 * _ones(len(PIGS))
    fits = possible_mean(mean, two, n, _ones(len(PIGS))) & possible_sd(sd, mean, (two, two), n, _ones(len(PIGS)))
    assert np.flatnonzero(fits != np.array([row[3] for row in PIGS])).tolist() == [2]


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("items", [1, 2])
@pytest.mark.parametrize("ddof", [0, 1])
def test_no_real_scores_are_called_impossible(n: int, items: int, ddof: int) -> None:
    """Every set of scores from 0 to 6 fits, with either divisor, at one, two and three decimals."""
    data = np.array(list(combinations_with_replacement(range(7), n)), dtype=float) / items
    mean, sd = data.mean(axis=1), data.std(axis=1, ddof=ddof)
    k = len(data)
    for digits in (1, 2, 3):
        by, size, share = digits * _ones(k), n * _ones(k), items * _ones(k)
        assert possible_mean(mean.round(digits), by, size, share).all()
        assert possible_sd(sd.round(digits), mean.round(digits), (by, by), size, share).all()


def test_impossible_sds_are_those_that_no_scores_have() -> None:
    """For 5 people with a mean of 2.4 only SDs of real score sets fit, apart from those of unreachable sums."""
    data = np.array(list(combinations_with_replacement(range(-8, 13), 5)), dtype=float)
    data = data[data.sum(axis=1) == 12]
    real = {round(float(x), 2) for d in (0, 1) for x in data.std(axis=1, ddof=d)}
    tried = np.round(np.arange(0.5, 4.0, 0.01), 2)
    k = tried.size
    fits = possible_sd(tried, 2.4 * _ones(k), (2 * _ones(k), 2 * _ones(k)), 5 * _ones(k), _ones(k))
    assert set(np.round(tried[fits], 2).tolist()) == {x for x in real if 0.5 <= x < 3.995}


def _scores(k: int = 8, seed: int = 3) -> pd.DataFrame:
    """Return a table of Roland-Morris scores with two decimals, made from whole numbers."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for i in range(k):
        row: dict[str, Any] = {"study": f"S{i}", "outcome": "disability", "instrument": "RMDQ"}
        for arm in "12":
            scores = rng.integers(0, 25, int(rng.integers(11, 30)))
            row |= {
                f"n_{arm}": len(scores),
                f"mean_{arm}": scores.mean().round(2),
                f"sd_{arm}": scores.std(ddof=1).round(2),
            }
        rows.append(row)
    return pd.DataFrame(rows).assign(higher_is_better=False)


@pytest.mark.parametrize("seed", range(20))
def test_real_scores_are_clean(run: Any, seed: int) -> None:
    """Means and SDs of whole numbers are not told."""
    outcome = run("whole-number-scores", _scores(seed=seed))
    assert outcome.findings == ()
    assert outcome.examined >= 7  # a mean that happens to have no decimals cannot be judged


def test_a_mean_that_cannot_be_is_told_with_those_that_could(found: Any) -> None:
    """5.19 of 28 people: 5.18 and 5.21 could be."""
    table = _scores()
    table.loc[2, ["n_1", "mean_1"]] = [28, 5.19]
    (finding,) = found("whole-number-scores", table)
    assert finding.rows == (2,)
    assert (
        "the mean 5.19 of group 1 cannot come from whole-number scores of 28 people; 5.18 and 5.21 could"
        in finding.says
    )
    assert "(26, 27, 31 people would fit)" in finding.fix


def test_an_sd_that_cannot_be_is_told(found: Any) -> None:
    """The example of Allard 2018: mean 3.44 and SD 2.47 of 18 people fail by parity alone."""
    table = _scores()
    table.loc[5, ["n_2", "mean_2", "sd_2"]] = [18, 3.44, 2.47]
    (finding,) = found("whole-number-scores", table)
    assert finding.evidence["test"] == "GRIMMER"
    assert [cell.role for cell in finding.cells] == ["sd_2", "n_2"]


def test_scales_of_any_number_are_left_alone(run: Any, means_table: Any) -> None:
    """Millimetres of a line, percentages and averages are not taken for whole numbers."""
    table = means_table(10)
    for role in ("mean_1", "mean_2", "sd_1", "sd_2"):
        table[role] += np.linspace(0.01, 0.09, 10).round(2)
    outcome = run("whole-number-scores", table)
    assert outcome.findings == ()
    assert outcome.passed_over == ("no instrument is known to give whole numbers with decimals that could tell",)
    assert run("whole-number-scores", table.assign(instrument="NPRS")).passed_over[0].startswith("half of the means")
    assert run("whole-number-scores", table.assign(instrument="VAS or NPRS")).findings == ()


def test_an_unknown_instrument_is_known_by_its_other_means(found: Any) -> None:
    """Sixteen arms that all fit are no chance; one that does not is told, also where nobody knows the scale."""
    table = _scores().assign(instrument="our own score")
    assert found("whole-number-scores", table) == ()
    table.loc[2, ["n_1", "mean_1"]] = [28, 5.19]
    assert len(found("whole-number-scores", table)) == 1


def test_one_row_with_blanks_does_not_stop_the_rule(run: Any) -> None:
    """A blank SD is no finding, and k = 1 works."""
    table = _scores(1).assign(sd_1=np.nan)
    assert run("whole-number-scores", table).findings == ()


def test_the_bound_of_a_tail_is_above_the_tail() -> None:
    """P(X >= 9 of 10 at 0.5) is 11/1024; all hits are exact."""
    assert 11 / 1024 <= tail_bound(10, 9, 0.5) < 0.026
    assert abs(tail_bound(12, 12, 0.2) - 0.2**12) < 1e-20


def test_sds_that_all_end_on_0_or_5_are_an_information(found: Any, means_table: Any) -> None:
    """Sixteen SDs ending on 0 or 5 are told once, for the whole outcome; the original ones are not."""
    table = means_table(8)
    assert found("last-digits", table) == ()
    table["sd_1"], table["sd_2"] = (np.round(table[role] * 2) / 2 + 0.0 for role in ("sd_1", "sd_2"))
    table["sd_2"] = np.floor(table["sd_2"]) + 0.5
    (finding,) = found("last-digits", table)
    assert finding.severity == "information"
    assert finding.whole
    assert " sds of pain end on " in finding.says


@pytest.mark.parametrize("seed", range(10))
def test_last_digits_of_clean_tables_are_not_told(run: Any, means_table: Any, seed: int) -> None:
    """Random digits give nothing; too few numbers are passed over in words."""
    assert run("last-digits", means_table(20, seed=seed)).findings == ()
    assert "12 needed" in run("last-digits", means_table(3, seed=seed)).passed_over[0]
