"""What a finding changes: every alternative is the pool that one would get by mending the table by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.checks.findings import Change, Finding, Joint, Proposal
from metaback.data.read import read_trials
from metaback.effects.choices import EffectChoices
from metaback.effects.compute import effect_sizes
from metaback.models.pool import fit_pool
from metaback.models.specs import PoolSpec
from metaback.postestimation.consequences import LEFT_OUT, Asked, Consequence, consequences, joint_effect

CLIMBED = 2e-6  # two searches that end within the tolerance of the climb
SAME = 1e-9  # both are iterated to 1e-12; the masked batch takes another path through the sums


def table() -> pd.DataFrame:
    """Return six trials with means and SDs, the fourth of which is far away."""
    return pd.DataFrame(
        {
            "study": list("ABCDEF"),
            "n_1": [20, 25, 18, 30, 22, 40],
            "mean_1": [30.0, 28.0, 35.0, 10.0, 31.0, 29.0],
            "sd_1": [12.0, 14.0, 11.0, 3.0, 13.0, 12.5],
            "n_2": [20, 24, 19, 30, 21, 41],
            "mean_2": [36.0, 33.0, 38.0, 40.0, 36.0, 34.0],
            "sd_2": [13.0, 12.0, 12.0, 3.5, 12.0, 13.0],
        }
    )


def asked(frame: pd.DataFrame, places: tuple[int, ...] | None = None, **words: str) -> Asked:
    """Return one pool of a whole table, whose rows stand at some places of a larger one."""
    trials = read_trials(frame)
    fitted = fit_pool(effect_sizes(trials, measure="SMD"), PoolSpec(**words))  # type: ignore[arg-type]
    return Asked("the pool", trials, places or tuple(range(len(frame))), fitted, EffectChoices())


def finding(*rows: int, proposals: tuple[Proposal, ...] = (), whole: bool = False) -> Finding:
    """Return a finding about some rows."""
    return Finding("rule", "warning", rows, "says", "fix", proposals=proposals, whole=whole)


def numbers(found: Consequence, name: str) -> tuple[float, float, float, float]:
    """Return mean, limits and tau2 of an alternative."""
    (variant,) = [variant for variant in found.alternatives if variant.name == name]
    assert variant.mean is not None
    return variant.mean.point, variant.mean.lower, variant.mean.upper, variant.tau2


def by_hand(frame: pd.DataFrame, **words: str) -> tuple[float, float, float, float]:
    """Pool a table as a user would."""
    res = mb.pool(frame, measure="SMD", **words)  # type: ignore[arg-type]
    assert res.heterogeneity.tau2 is not None
    return res.estimate.point, *res.ci, res.heterogeneity.tau2


@pytest.mark.parametrize("words", [{}, {"tau2": "DL", "ci": "Wald"}, {"tau2": "PM", "ci": "HKSJ"}])
def test_every_alternative_is_the_pool_of_the_mended_table(words: dict[str, str]) -> None:
    """Without the row, and with its cells changed, numbers are those of a pool of that table."""
    frame = table()
    changes = (Change(3, "sd_1", 16.4), Change(3, "sd_2", 19.2))
    found = consequences(asked(frame, **words), [finding(3, proposals=(Proposal("SDs", changes),))])[0][0]
    mended = frame.copy()
    mended.loc[3, ["sd_1", "sd_2"]] = [16.4, 19.2]
    np.testing.assert_allclose(numbers(found, "SDs"), by_hand(mended, **words), rtol=SAME, atol=SAME)
    np.testing.assert_allclose(numbers(found, LEFT_OUT), by_hand(frame.drop(3), **words), rtol=SAME, atol=SAME)
    assert found.as_is.mean is not None
    assert found.as_is.mean.point == pytest.approx(by_hand(frame, **words)[0], rel=SAME)
    moves = [abs(variant.mean.point - found.as_is.mean.point) for variant in found.alternatives if variant.mean]
    assert found.shift == pytest.approx(max(moves) / found.as_is.mean.se, rel=SAME)


def test_rows_taken_together_enter_as_one_effect() -> None:
    """Two rows with a covariance become their generalised mean, with its variance."""
    of = asked(table())
    vi = of.fitted.effects.vi
    cov = np.array([[vi[0], 0.05], [0.05, vi[1]]])
    joint = Joint((0, 1), tuple(map(tuple, cov.tolist())))
    found = consequences(of, [finding(0, 1, proposals=(Proposal("one effect", joint=(joint,)),))])[0][0]
    y, v = joint_effect(of.fitted.effects.yi[:2], cov)
    rest = of.fitted.effects
    plain = pd.DataFrame({"yi": [y, *rest.yi[2:]], "vi": [v, *rest.vi[2:]]})
    res = mb.pool(plain, measure="GEN")
    point, lower, upper, _ = numbers(found, "one effect")
    np.testing.assert_allclose([point, lower, upper], [res.estimate.point, *res.ci], rtol=SAME)


def test_places_are_those_of_the_whole_table() -> None:
    """A pool of rows 10 to 15 finds its row by its place; a finding about other rows has no consequence."""
    places = tuple(range(10, 16))
    found = consequences(asked(table(), places), [finding(13), finding(3), finding(13, 2)])
    assert sorted(found) == [0, 2]
    np.testing.assert_allclose(numbers(found[0][0], LEFT_OUT), by_hand(table().drop(3)), rtol=SAME, atol=SAME)
    assert found[2][0].alternatives[0].k == 5


def test_edges() -> None:
    """All rows cannot be left out; a whole finding has no `without`; a change that leaves no effect is left away."""
    of = asked(table())
    assert consequences(of, [finding(*range(6))]) == {}
    assert consequences(of, [finding(1, whole=True)]) == {}
    broken = Proposal("no SD", (Change(1, "sd_1", -1.0), Change(1, "sd_2", float("nan"))))
    ((found,),) = consequences(of, [finding(1, proposals=(broken,))]).values()
    assert [variant.name for variant in found.alternatives] == [LEFT_OUT]


def test_a_turned_conclusion_is_told() -> None:
    """The interval includes no effect with one outlying row, and excludes it without."""
    frame = table()
    frame.loc[3, ["mean_1", "mean_2"]] = [40.0, 10.0]
    ((found,),) = consequences(asked(frame), [finding(3)]).values()
    assert found.turns
    assert found.as_is.mean is not None
    assert found.as_is.mean.lower < 0 < found.as_is.mean.upper


def test_a_measure_without_no_effect_has_no_conclusion_to_turn() -> None:
    """A share above one half has a logit above 0; that its interval leaves 0 says nothing about an effect."""
    frame = pd.DataFrame({"study": list("ABCD"), "events": [30, 28, 33, 5], "n": [40, 40, 40, 40]})
    trials = read_trials(frame)
    fitted = fit_pool(effect_sizes(trials, measure="PLO"), PoolSpec())
    of = Asked("the pool", trials, (0, 1, 2, 3), fitted, EffectChoices())
    ((found,),) = consequences(of, [finding(3)]).values()
    (without,) = found.alternatives
    assert found.as_is.mean is not None
    assert without.mean is not None
    assert found.as_is.mean.lower < 0 < without.mean.lower
    assert not found.turns


@pytest.mark.parametrize("columns", [["study", "n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2"]])
def test_a_role_that_the_table_lacks_becomes_a_column(columns: list[str]) -> None:
    """A proposal may give a standard error where the table has none."""
    frame = table()[columns]
    frame.loc[2, ["sd_1", "sd_2"]] = [np.nan, np.nan]
    changes = (Change(2, "se_1", 11 / 18**0.5), Change(2, "se_2", 12 / 19**0.5))
    of = asked(frame)
    assert of.fitted.effects.k == 5
    found = consequences(of, [finding(2, 1, proposals=(Proposal("SEs", changes),))])[0][0]
    np.testing.assert_allclose(numbers(found, "SEs"), by_hand(table()), rtol=SAME, atol=SAME)


def test_joint_effect_of_no_covariance_is_nothing() -> None:
    """A covariance that is not positive definite gives no effect."""
    y, v = joint_effect(np.array([1.0, 2.0]), np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert np.isnan(y)
    assert np.isnan(v)


@pytest.mark.parametrize("independent", [False, True])
def test_the_pool_beside_a_finding_is_the_answer(independent: bool) -> None:
    """Its number is that of the request, by the working model of dependent rows or not."""
    table = pd.DataFrame(
        {
            "study": ["Ito", "Ito", "Lund", "Okafor"], "outcome": "pain", "weeks": [8, 26, 8, 8],
            "yi": [0.5, 0.3, 0.1, 0.9], "vi": [0.04, 0.05, 0.03, 0.06],
        }
    )  # fmt: skip
    result = mb.pool(table, independent=independent)
    (part,) = (p for found in result.checks if found.finding.rule == "several-rows" for p in found.consequences)
    assert part.as_is.name == "as the table stands"
    assert part.as_is.mean is not None
    assert part.as_is.mean.point == pytest.approx(result.estimate.point, rel=CLIMBED)
    assert part.as_is.mean.se == pytest.approx(result.estimate.se, rel=CLIMBED)


def repeated() -> pd.DataFrame:
    """Return the six trials, the second and the fifth of them with a second scale of the same people."""
    more = table().iloc[[1, 4]].assign(mean_1=[27.0, 30.0], mean_2=[31.0, 36.5])
    return pd.concat([table().assign(instrument="VAS"), more.assign(instrument="NRS")], ignore_index=True)


def by_model(found: Consequence, name: str, frame: pd.DataFrame) -> None:
    """Hold an alternative against the pool of a table that is mended by hand."""
    wanted = by_hand(frame, mixed_scores="scales of pain")
    np.testing.assert_allclose(numbers(found, name), wanted, rtol=CLIMBED, atol=CLIMBED)


def test_alternatives_of_dependent_rows_are_those_of_the_working_model() -> None:
    """Rows that leave, a study that is cut, and a corrected row: each is the default pool of the mended table."""
    frame, off = repeated(), 4
    trials = read_trials(frame)
    effects = effect_sizes(trials, measure="SMD", mixed_scores="scales of pain")
    of = Asked("the pool", trials, tuple(range(8)), fit_pool(effects, PoolSpec()), EffectChoices())
    changes = (Change(off, "sd_1", 6.5), Change(off, "sd_2", 7.0))
    found = consequences(of, [finding(off, 3, proposals=(Proposal("SDs", changes),)), finding(1)])
    rest = frame.drop(index=[3, 4])
    by_model(found[0][0], LEFT_OUT, rest)
    by_model(found[1][0], LEFT_OUT, frame.drop(index=1))
    mended = frame.copy()
    mended.loc[off, ["sd_1", "sd_2"]] = [6.5, 7.0]
    by_model(found[0][0], "SDs", mended)
    assert found[0][0].as_is.name == "as the table stands"


def test_a_covariance_that_the_effects_bring_says_nothing_of_rows_that_enter() -> None:
    """Rows that leave are answered by the model with it; where a corrected row enters, rows count as independent."""
    frame = repeated()
    trials = read_trials(frame)
    effects = mb.sampling_covariance(effect_sizes(trials, measure="SMD", mixed_scores="scales of pain")).with_effects()
    of = Asked("the pool", trials, tuple(range(8)), fit_pool(effects, PoolSpec()), EffectChoices())
    by_model(consequences(of, [finding(1)])[0][0], LEFT_OUT, frame.drop(index=1))
    entering = finding(1, proposals=(Proposal("SD", (Change(1, "sd_1", 6.5),)),))
    assert consequences(of, [entering])[0][0].as_is.name == "as the table stands, rows as independent"
