"""The command that pools every group of a long table agrees with the call, and refuses what it cannot mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.cli import main

pytest.importorskip("pyarrow")


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """Write a long table of five groups, one of which is bad."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"gene": np.repeat(list("abcde"), 6), "yi": rng.normal(size=30), "vi": rng.uniform(0.1, 1, 30)}
    )
    frame.loc[8, "vi"] = 0.0
    frame["sei"], frame["site"] = np.sqrt(frame.vi), "s"
    frame.to_parquet(tmp_path / "big.parquet")
    return tmp_path / "big.parquet"


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run the command and return its exit code and what it printed."""
    with pytest.raises(SystemExit) as end:
        main(words)
    captured = capsys.readouterr()
    return int(end.value.code or 0), captured.out, captured.err


def test_results_are_those_of_the_call(big: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = big.with_name("results.parquet")
    words = ["--by", "gene", "--out", str(out), "--tau2", "DL", "--ci", "Wald", "--workers", "1"]
    code, shown, _ = told(["pool", str(big), *words], capsys)
    assert code == 0
    assert "5 rows, without numbers: 1 impossible_numbers" in shown
    expected = mb.pool_many(big, by="gene", tau2="DL", ci="Wald")
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected, check_dtype=False, check_exact=True)


@pytest.mark.parametrize("by", [["--by", "gene,site"], ["--by", "gene", "--by", "site"]])
def test_several_keys_and_standard_errors_are_named(
    big: Path, capsys: pytest.CaptureFixture[str], by: list[str]
) -> None:
    out = big.with_name("results.parquet")
    words = [*by, "--se", "sei", "--out", str(out), "--workers", "1", "-q"]
    assert told(["pool", str(big), *words], capsys) == (0, "", "")
    assert pd.read_parquet(out).columns[:3].tolist() == ["gene", "site", "k"]


def test_studies_and_a_common_tau2_of_subgroups_are_those_of_the_call(
    big: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_parquet(big).assign(arm=list("aab") * 10, trial=[f"T{i % 4}" for i in range(30)])
    table = big.with_name("arms.parquet")
    frame.to_parquet(table)
    out = big.with_name("results.parquet")
    words = ["--subgroups", "arm", "--subgroup-tau2", "common", "--study", "trial", "--workers", "1", "-q"]
    assert told(["pool", str(table), "--by", "gene", "--out", str(out), *words], capsys) == (0, "", "")
    expected = mb.pool_many(frame, by="gene", subgroups="arm", study="trial", subgroup_tau2="common")
    pd.testing.assert_frame_equal(pd.read_parquet(out), expected, check_dtype=False)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--out", "r.parquet"], "name the columns of the groups"),
        (["--out", "r.parquet", "--by", "gene", "--measure", "SMD"], "--measure is for reports"),
        (["--out", "r.parquet", "--by", "gene", "--r", "0.5"], "--r is for reports"),
        (["--by", "gene", "--workers", "2"], "--out RESULTS.parquet"),
        (["--out", "r.parquet", "--by", "gene", "--scheduler", "tcp://h:1"], "engine='dask'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    big: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(big.parent)
    code, _, errors = told(["pool", str(big), *words], capsys)
    assert code == 2
    assert sentence in errors
    assert [path.name for path in big.parent.iterdir()] == ["big.parquet"]


def test_the_table_itself_is_not_written_over(big: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = big.read_bytes()
    code, _, errors = told(["pool", str(big), "--by", "gene", "--out", str(big)], capsys)
    assert code == 2
    assert "the table itself" in errors
    assert big.read_bytes() == before
