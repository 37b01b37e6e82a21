"""Predicted true effects of studies and rows that depend on each other; R's numbers are in tests/reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.errors import OptionError
from metaback.postestimation.study_blups import StudyBlups
from metaback.result import Result

CLIMBED = 1e-6  # two searches that end within the tolerance of the climb


def table(seed: int = 1, studies: int = 9, outcomes: int = 3, spread: float = 0.3) -> pd.DataFrame:
    """Return trials with several outcomes of the same people, the last with one."""
    rng = np.random.default_rng(seed)
    study = np.append(np.repeat(np.arange(studies), outcomes), studies)
    v = rng.uniform(0.02, 0.08, study.size)
    y = 0.3 + rng.normal(0, spread, studies + 1)[study] + rng.normal(0, np.sqrt(v))
    return pd.DataFrame({"study": [f"Study {i}" for i in study], "yi": y, "vi": v})


def predicted(res: Result) -> StudyBlups:
    """Return its predictions."""
    found = res.blup()
    assert isinstance(found, StudyBlups)
    return found


def test_studies_are_predicted_as_by_multilevel() -> None:
    """As a new effect's study that is known: the same point, standard error and limits."""
    frame = table().sample(frac=1, random_state=3)
    res = mb.pool(frame)
    found = predicted(res).studies
    assert list(found.labels) == list(dict.fromkeys(frame["study"]))
    es = mb.sampling_covariance(mb.effect_sizes(frame)).with_effects()
    asked = pd.DataFrame({"study": list(found.labels)})
    wanted = mb.multilevel(es, "CHE").predict(asked, known="study", of="study")
    for name in ("estimate", "se", "ci_low", "ci_high"):
        np.testing.assert_allclose(found.to_frame()[name], wanted[name], rtol=CLIMBED, err_msg=name)


def test_predictions_lie_between_the_mean_and_what_a_study_found() -> None:
    """The weights of the mean and of the rows sum to 1; of a study with one row they are those of its variances."""
    frame = table()
    res = mb.pool(frame)
    found = predicted(res)
    part = found.studies
    np.testing.assert_allclose(part.estimate, part.shrinkage * found.mean.point + (1 - part.shrinkage) * part.own)
    assert ((found.studies.shrinkage > 0) & (found.studies.shrinkage < 1)).all()
    assert (found.se[:-1] > 0).all()
    between, within = res.components_ci()["estimate"]
    alone = within + frame["vi"].iloc[-1]
    assert found.studies.shrinkage[-1] == pytest.approx(alone / (alone + between), rel=CLIMBED)
    np.testing.assert_allclose((found.studies.ci_high + found.studies.ci_low) / 2, found.studies.estimate)


def test_no_variance_predicts_the_mean_everywhere() -> None:
    found = predicted(mb.pool(table(seed=4, spread=0.0).assign(yi=lambda frame: 0.3 + 0.01 * frame["vi"])))
    np.testing.assert_allclose(found.estimate, found.mean.point, atol=1e-9)
    np.testing.assert_allclose(found.shrinkage, 1.0)
    np.testing.assert_allclose(found.se, found.mean.se, rtol=CLIMBED)
    assert (found.random_effects()["estimate"].abs() < 1e-9).all()


def test_rows_that_were_not_pooled_have_no_prediction() -> None:
    frame = table()
    frame.loc[4, "vi"] = np.nan
    found = predicted(mb.pool(frame))
    assert np.isnan(found.estimate[4])
    assert np.isnan(found.to_frame()["own"][4])
    alone = predicted(mb.pool(frame.drop(index=4)))
    np.testing.assert_allclose(np.delete(found.estimate, 4), alone.estimate, rtol=CLIMBED)
    assert found.random_effects()["term"].value_counts().to_dict() == {"within studies": 27, "between studies": 10}


def test_the_natural_scale_takes_the_people_of_a_study() -> None:
    """A double arcsine of a study comes back with the harmonic mean of the sizes of its rows."""
    frame = pd.DataFrame({
        "study": [f"S{i // 2}" for i in range(12)],
        "outcome": ["a", "b"] * 6,
        "n": np.arange(40, 52),
        "events": [8, 14, 10, 21, 5, 9, 16, 17, 11, 9, 20, 25],
    })  # fmt: skip
    found = predicted(mb.pool(frame, measure="PFT"))
    for part in (found, found.studies):
        shown = part.to_frame(transform="natural")
        numbers = shown[["ci_low", "estimate", "ci_high"]].to_numpy()
        assert (np.diff(numbers, axis=1) > 0).all()
        assert ((numbers >= 0) & (numbers <= 1)).all()
    assert found.to_frame(transform="natural")["own"].tolist() == pytest.approx(frame["events"] / frame["n"])


def test_words() -> None:
    found = predicted(mb.pool(table()))
    shown = repr(found)
    assert "10 studies: from" in shown
    assert "28 rows: from" in shown
    assert repr(found.studies).startswith("Predicted true effects of 10 studies, with 95% intervals")
    with pytest.raises(OptionError, match="one study"):
        mb.pool(table().iloc[:3]).blup()
