"""The report of a model of dependent effects: files, numbers, words; the same bytes twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metaback as mb


def table(studies: int = 12) -> pd.DataFrame:
    """Return three effects in each study; a name of a study is hostile."""
    rng = np.random.default_rng(1)
    study = np.repeat(np.arange(studies), 3)
    v = rng.uniform(0.01, 0.06, study.size)
    y = 0.2 + rng.normal(size=studies)[study] * 0.3 + rng.normal(size=study.size) * np.sqrt(v + 0.04)
    names = ["<script>alert(1)</script>" if s == 1 else f"S{s}" for s in study]
    return pd.DataFrame({"study": names, "x": study % 3 / 2.0, "yi": y, "vi": v})


@pytest.fixture(name="che", scope="module")
def three_levels() -> mb.Multilevel:
    """Return a model with one mean."""
    return mb.multilevel(table(), "CHE", measure="GEN")


def test_a_model_with_one_mean_has_a_page_with_its_forest(che: mb.Multilevel, tmp_path: Path) -> None:
    folder = che.report(tmp_path / "report")
    page, text = ((folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    mean = che.estimate
    assert f"The mean effect of 36 effects in 12 clusters is {mean.point:.2f}" in page
    assert "<script>alert" not in page
    assert (folder / "figures" / "forest.svg").exists()
    assert "As if independent" in text
    assert "95% prediction interval of a new effect −" in text
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert record["schema"] == "metaback/multilevel"
    ends = che.components_ci()
    assert record["components"][0]["ci"] == pytest.approx([ends["ci_low"][0], ends["ci_high"][0]], rel=1e-9)
    assert record["provenance"]["options"]["rho"] == 0.6
    stored = pd.read_csv(folder / "tables" / "coefficients.csv")
    assert stored["estimate"][0] == pytest.approx(mean.point, rel=1e-11)


def test_two_runs_give_the_same_bytes(che: mb.Multilevel, tmp_path: Path) -> None:
    one, two = che.report(tmp_path / "one"), che.report(tmp_path / "two")
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 16
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)


def test_moderators_have_a_joint_test_and_no_forest(che: mb.Multilevel, tmp_path: Path) -> None:
    fit = che.update(formula="~ x")
    folder = fit.report(tmp_path / "report")
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert f"Effects against x (36 effects in 12 clusters): {fit.moderators}." in text.replace("\\", "")
    assert not (folder / "figures").exists()


def test_components_by_moments_have_no_intervals(che: mb.Multilevel, tmp_path: Path) -> None:
    fit = che.update(random="CORR")
    folder = fit.report(tmp_path / "report")
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "Variance components, by moments" in text
    assert "profile likelihood" not in text
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert "ci" not in record["components"][0]
    assert record["components"][0]["estimate"] == pytest.approx(fit.components["estimate"][0], rel=1e-11)


def test_a_mean_that_cannot_be_judged_has_a_page_all_the_same(tmp_path: Path) -> None:
    fit = mb.multilevel(table(studies=2), "~ 1 | study", measure="GEN", df="residual")
    assert (fit.report(tmp_path / "two") / "report.md").exists()
    alone = mb.multilevel(table(studies=1), "~ 1 | study/effect", measure="GEN")
    assert (alone.report(tmp_path / "one") / "report.md").exists()


def test_rows_name_their_cluster_and_keep_every_digit(tmp_path: Path) -> None:
    frame = table().assign(lab=np.repeat(["east", "west", "north"], 12))
    frame.loc[5, "yi"] = np.nan
    fit = mb.multilevel(frame, "~ 1 | lab/study", formula="~ x", measure="GEN")
    folder = fit.report(tmp_path / "report")
    rows = pd.read_csv(folder / "tables" / "rows.csv")
    assert rows["effect"].to_numpy() == pytest.approx(frame["yi"].to_numpy(), rel=1e-11, nan_ok=True)
    used = rows["effect"].notna()
    assert rows["se"][used].to_numpy() == pytest.approx(np.sqrt(frame["vi"][used].to_numpy()), rel=1e-11)
    beta = fit.to_frame()["estimate"].to_numpy()
    assert rows["expected"][used].to_numpy() == pytest.approx(
        (beta[0] + beta[1] * frame["x"][used]).to_numpy(), rel=1e-10
    )
    assert rows["cluster"][used].tolist() == frame["lab"][used].tolist()
    assert rows["cluster"].isna()[5]
    assert "left out" in rows["remark"][5]
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "| Study | Lab | Row | Effect | SE | Expected | Remark |" in text
