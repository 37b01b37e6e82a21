"""Interval rules as their users meet them: every word makes a result that says what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models import specs
from metaback.models.specs import PoolSpec, resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.beyond import probability_beyond
from metaback.postestimation.notes import moderator_notes
from metaback.report.methods import methods_text
from metaback.report.text import summary_text
from metaback.stats.tau2_interval import TAU2_INTERVALS

Make = Callable[..., EffectSizes]
DATA = ([0.1, 0.9, -0.4, 0.5, 1.6, 0.2, 0.7], [0.05, 0.08, 0.06, 0.1, 0.07, 0.09, 0.2])


def test_the_words_are_the_keys() -> None:
    assert set(get_args(specs.Tau2Interval)) == set(TAU2_INTERVALS)


@pytest.mark.parametrize("ci", get_args(specs.MeanInterval))
@pytest.mark.parametrize("pi", ["none", "HK-PR"])
def test_every_rule_of_the_mean_makes_a_whole_result(make: Make, ci: str, pi: str) -> None:
    analysis = analyse(make(*DATA, by=["a", "a", "a", "a", "b", "b", "b"]), PoolSpec(ci=ci, pi=pi, draws=199))
    mean = analysis.overall.mean
    assert mean.lower < mean.point < mean.upper
    assert summary_text(analysis)
    assert methods_text(analysis.fitted.spec, analysis.fitted.effects)[0]
    assert sum(analysis.overall.weights) == pytest.approx(100)


@pytest.mark.parametrize("pi", ["HK", "HK-PR", "KR", "KR-PR", "NNF"])
def test_every_rule_of_prediction_needs_three_studies(make: Make, pi: str) -> None:
    found = analyse(make(*DATA), PoolSpec(pi=pi)).overall.prediction
    assert found is not None
    assert found.lower < found.point < found.upper
    assert analyse(make(DATA[0][:2], DATA[1][:2]), PoolSpec(pi=pi)).overall.prediction is None


@pytest.mark.parametrize("key", get_args(specs.Tau2Interval))
def test_limits_of_tau2_carry_over(make: Make, key: str) -> None:
    found = analyse(make(*DATA), PoolSpec(tau2_ci=key)).overall.heterogeneity
    assert found.tau2_low is not None
    assert found.tau2_high is not None
    assert found.tau_high == pytest.approx(found.tau2_high**0.5)
    assert found.i2_high == pytest.approx(100 * (1 - 1 / (found.h2_high or 1)))
    assert found.tau2_low <= (found.tau2 or 0) <= found.tau2_high


def test_what_is_peculiar_to_a_rule_is_told(make: Make) -> None:
    def notes(**spec: object) -> str:
        return " ".join(analyse(make(*DATA), PoolSpec(**spec)).overall.notes)

    assert "199 random samples, seed 7" in notes(ci="boot-BCa", draws=199, rng=7)
    assert "all 64 patterns of signs" in notes(ci="perm")
    assert "fixed-effect weights" in notes(ci="HC")
    assert "maximum likelihood estimate" in notes(ci="PL")


def test_a_model_without_tau2_refuses_rules_that_estimate_it() -> None:
    with pytest.raises(OptionError, match="ci='KR'"):
        resolve_spec(model="equal", ci="KR")
    with pytest.raises(OptionError, match="pi='NNF'"):
        resolve_spec(weights="w", pi="NNF")


def test_the_probability_of_an_effect_that_matters(make: Make) -> None:
    analysis = analyse(make(*DATA), PoolSpec())
    above, below = (probability_beyond(analysis, 0.5, direction=word) for word in ("above", "below"))
    assert above.point + below.point == pytest.approx(1)
    assert (above.lower or 0) + (below.upper or 0) == pytest.approx(1)
    assert str(above).startswith("P(true effect above 0.5) = 0.")
    assert "ten or more" in above.notes[0]
    with pytest.raises(OptionError, match="direction"):
        probability_beyond(analysis, 0.5, direction="beyond")
    with pytest.raises(OptionError, match="needs tau2"):
        probability_beyond(analyse(make(*DATA), PoolSpec(model="equal", ci="Wald", pi="none")), 0.5)


def test_few_studies_for_each_moderator_are_told() -> None:
    assert moderator_notes(20, 2) == ()
    assert moderator_notes(5, 0) == ()
    assert moderator_notes(19, 2)[0].startswith("19 studies for 2 moderators")


def test_a_threshold_that_is_no_number_is_named(make: Make) -> None:
    with pytest.raises(OptionError, match="threshold=nan: a number is needed"):
        probability_beyond(analyse(make(*DATA), PoolSpec()), float("nan"))
