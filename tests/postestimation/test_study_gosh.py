"""GOSH of pools of dependent rows: each subset of the studies is the pool of the table with these studies alone."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

import metaback as mb
from metaback.errors import OptionError
from metaback.plots.gosh_data import gosh_data
from metaback.postestimation.study_gosh import study_gosh

CLIMBED = 1e-6  # two searches that end within the tolerance of the climb


def table(studies: int = 5, outcomes: int = 2, apart: float = 0.0) -> pd.DataFrame:
    """Return trials with several outcomes of the same people, the last with one; the first lies apart."""
    rng = np.random.default_rng(7)
    study = np.append(np.repeat(np.arange(studies), outcomes), studies)
    v = rng.uniform(0.02, 0.08, study.size)
    y = 0.3 + rng.normal(0, 0.2, studies + 1)[study] + rng.normal(0, np.sqrt(v)) + apart * (study == 0)
    return pd.DataFrame({"study": [f"Study {i}" for i in study], "yi": y, "vi": v})


def test_every_subset_is_the_pool_of_its_studies() -> None:
    frame = table(studies=3).sample(frac=1, random_state=2)
    found = mb.pool(frame).gosh()
    assert list(found.labels) == list(dict.fromkeys(frame["study"]))
    chosen = [pick for size in range(1, 5) for pick in itertools.combinations(found.labels, size)]
    assert found.exact
    assert len(chosen) == found.size.size
    for i, names in enumerate(chosen):
        part = frame[frame["study"].isin(names)]
        alone = mb.pool(part, ci="CR2")
        assert found.size[i] == len(part)
        assert [label for label in found.labels if found.includes(label)[i]] == list(names)
        assert found.estimate[i] == pytest.approx(alone.estimate.point, rel=CLIMBED, abs=CLIMBED)
        if len(names) == 1:
            assert np.isnan([found.tau2[i], found.i2[i]]).all()
        else:
            assert alone.tau2 is not None
            assert found.tau2[i] == pytest.approx(alone.tau2, rel=CLIMBED, abs=1e-8)
            assert found.q[i] == pytest.approx(alone.heterogeneity.q, rel=CLIMBED)
            assert found.i2[i] == pytest.approx(alone.heterogeneity.i2_tau2, rel=1e-5, abs=1e-5)


def test_draws_repeat_from_their_seed_and_tell_of_their_progress() -> None:
    res, heard = mb.pool(table(studies=11)), []
    found = study_gosh(res.analysis, n=300, rng=4, tell=lambda done, total: heard.append((done, total)))
    assert not found.exact
    assert found.seed == 4
    assert heard == [(250, 300), (300, 300)]
    same = res.gosh(n=300, rng=4)
    np.testing.assert_array_equal(found.estimate, same.estimate)
    assert repr(found).startswith("GOSH of 12 studies: 300 subsets, random (seed 4)")


def test_a_study_that_lies_apart_splits_the_cloud_and_the_figure_says_so() -> None:
    res = mb.pool(table(apart=9.0))
    found = res.gosh()
    assert found.splitting[0] == "Study 0"
    data = gosh_data(res.analysis, found)
    assert data.every == "all studies"
    assert data.split == "Study 0"
    assert data.footnotes[0].startswith("All 63 subsets of 6 studies, each pooled by the model of the analysis.")
    assert any("Not drawn: 6 subsets of one study, which have no τ²" in note for note in data.footnotes)
    assert data.whole[0] == res.estimate.point
    figure = res.figure("gosh", study="Study 1")
    assert "all studies" in {part.get_text() for part in figure.findobj(Text) if isinstance(part, Text)}


@pytest.mark.parametrize("n", [99, 50_001, 1.5])
def test_a_number_of_subsets_out_of_range_is_refused(n: float) -> None:
    with pytest.raises(OptionError, match="from 100 to 50,000"):
        mb.pool(table()).gosh(n=n)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"see gosh\(\)"):
        study_gosh(mb.pool(table(), independent=True).analysis)
