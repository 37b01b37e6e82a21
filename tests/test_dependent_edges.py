"""Pools and models of dependent effects at their edges: one study, impossible words, groupings that were forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metaback as mb


def table(studies: int = 8, rows: int = 3) -> pd.DataFrame:
    """Return effects in studies, with a moderator."""
    rng = np.random.default_rng(4)
    study = np.repeat(np.arange(studies), rows)
    y = 0.3 + 0.3 * rng.normal(size=studies)[study] + 0.2 * rng.normal(size=study.size)
    return pd.DataFrame({"study": [f"S{s}" for s in study], "x": rng.normal(size=study.size), "yi": y, "vi": 0.04})


@pytest.fixture(name="alone", scope="module")
def one_study() -> mb.Result:
    """Return the pool of one study with several rows."""
    return mb.pool(table(1))


def test_one_study_with_several_rows_leaves_nothing_without_it(alone: mb.Result) -> None:
    found = alone.leave_one_out()
    assert found.labels == ("S0",)
    assert np.isnan(found.pools.estimate).all()
    assert found.reasons == ("no effect is left",)
    rows = alone.leave_one_out(by="row")
    assert np.isfinite(rows.pools.estimate).all()


def test_one_study_with_several_rows_has_a_report(alone: mb.Result, tmp_path: Path) -> None:
    folder = alone.report(tmp_path / "report")
    assert "S0" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_study_that_no_random_effect_holds_together_is_told() -> None:
    words = "share no random effect"
    rows = table()
    for random in ("~ 1 | effect", "~ 1 | x"):
        assert next(note for note in mb.multilevel(rows, random).notes if words in note).startswith(
            "The true effects of 8 studies with several rows share no random effect"
        )
    held = [mb.multilevel(rows, "~ 1 | study"), mb.multilevel(rows, "~ x | study", struct="CAR")]
    held.append(mb.multilevel(rows.assign(lab="L"), ["~ 1 | effect", "~ 1 | study:lab"]))
    assert not [note for fit in held for note in fit.notes if words in note]


def test_a_robust_variance_by_study_protects_what_no_random_effect_holds_together() -> None:
    told = [
        any("share no random effect" in note for note in fit.notes)
        for fit in (
            mb.multilevel(table(), "~ 1 | effect", robust="CR2", cluster="study"),
            mb.multilevel(table(), "~ 1 | effect", robust="CR2"),
            mb.multilevel(table(), "~ 1 | effect", robust="CR2", cluster="effect"),
        )
    ]
    assert told == [False, False, True]


def test_a_random_effect_that_is_no_text_is_refused() -> None:
    for random in (None, 5):
        with pytest.raises(mb.OptionError, match=f"random={random} is no formula; write e.g. random='~ 1"):
            mb.multilevel(table(), random)  # type: ignore[arg-type]


def test_a_sweep_takes_any_list_of_numbers_and_nothing_else() -> None:
    fit = mb.multilevel(table(), "CHE")
    assert fit.sweep(np.array([0.2, 0.5])).rho == fit.sweep([0.2, 0.5]).rho == (0.2, 0.5)  # type: ignore[arg-type]
    for rho in (0.3, "a", ["a"]):
        with pytest.raises(mb.OptionError, match="is no list of numbers; give the correlations"):
            fit.sweep(rho)  # type: ignore[arg-type]


def test_one_cluster_leaves_nothing_to_leave_out_and_says_why() -> None:
    rows = table()
    crossed = rows.assign(rater=[f"R{i % 2}" for i in range(len(rows))])
    with pytest.raises(mb.OptionError, match="at least two clusters, but all rows belong together"):
        mb.multilevel(crossed, ["~ 1 | study", "~ 1 | rater"]).leave_one_out()
    with pytest.raises(mb.OptionError, match="at least two clusters, but there is one study"):
        mb.multilevel(table(1)).leave_one_out()


def test_a_range_of_0_is_profiled_as_no_correlation() -> None:
    rng = np.random.default_rng(0)
    rows = table().assign(lat=rng.uniform(0, 50, 24), lon=rng.uniform(0, 50, 24), world="W")
    fit = mb.multilevel(rows, "~ lat + lon | world", struct="SPGAU")
    place = next(part.name for part in fit.analysis.components if part.kind == "range")
    alone = mb.multilevel(rows, "~ 1 | effect").loglik
    found = fit.profile(place, [0.0, 1e-9]).to_frame()["loglik"]
    assert found.to_numpy() == pytest.approx([alone, alone], abs=1e-9)  # one peak, climbed to 1e-12


def test_a_negative_correlation_that_cannot_be_is_refused_by_a_pool() -> None:
    """Three rows correlate by -1/2 or more; the nearest matrix was taken, which is all but singular: Q was 4e7."""
    rows = {"study": np.repeat(list("ABCDE"), 3), "yi": np.linspace(-1, 1, 15) ** 2, "vi": np.linspace(0.1, 0.3, 15)}
    with pytest.raises(mb.DataError, match=r"of A \(.*\) is not positive definite at rho = −0\.6"):
        mb.pool(pd.DataFrame(rows), rho=-0.6)
    assert mb.pool(pd.DataFrame(rows), rho=-0.4).heterogeneity.q < 100


def test_moderators_are_tested_together_without_naming_them() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"yi": rng.normal(size=20), "vi": 0.1, "x": rng.normal(size=20), "z": rng.normal(size=20)})
    fit = mb.regress(frame, "~ x + z")
    assert fit.joint_test() == fit.moderators
    assert mb.regress(frame, "~ 1").joint_test() is None
