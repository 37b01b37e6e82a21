"""Leave-one-out: places, reasons, studies, what flips, and the edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.leave_one_out import leave_one_out

Make = Callable[..., EffectSizes]

SAME = 1e-12  # the same kernel, in a batch and alone


def test_each_pool_is_the_pool_of_the_other_rows(make: Make) -> None:
    yi, vi = [0.1, 0.5, np.nan, 0.9, -0.2, 0.4], [0.02, 0.03, np.nan, 0.05, 0.04, 0.02]
    spec = resolve_spec("cochrane")
    found = leave_one_out(analyse(make(yi, vi), spec))
    assert found.reasons == ("", "", "not pooled: not given", "", "", "")
    assert np.isnan(found.pools.estimate[2])
    for i in (0, 1, 3, 4, 5):
        rest = [j for j in range(6) if j != i]
        alone = analyse(make([yi[j] for j in rest], [vi[j] for j in rest]), spec).overall
        here = found.pools
        mean, spread = alone.mean, alone.heterogeneity
        expected = [mean.point, mean.se, mean.lower, mean.upper, mean.p_value, alone.prediction.lower, spread.tau2]
        mine = [here.estimate, here.se, here.ci_low, here.ci_high, here.p_value, here.pi_low, here.tau2]
        np.testing.assert_allclose([column[i] for column in mine], expected, rtol=SAME)
        np.testing.assert_allclose(
            [here.i2[i], here.q[i], here.q_p[i]], [spread.i2_tau2, spread.q, spread.q_p], rtol=SAME
        )


@pytest.mark.parametrize(
    "choices", [{"ci": "KR"}, {"ci": "HC"}, {"ci": "PL"}, {"pi": "HK"}, {"model": "IVhet"}, {"tau2": 0.1}]
)
def test_rules_models_and_given_tau2_are_kept(make: Make, choices: dict) -> None:
    yi, vi = [0.1, 0.5, 0.9, -0.2, 0.4], [0.02, 0.03, 0.05, 0.04, 0.02]
    spec = resolve_spec("cochrane", **choices)
    found = leave_one_out(analyse(make(yi, vi), spec)).pools
    alone = analyse(make(yi[1:], vi[1:]), spec).overall
    np.testing.assert_allclose(
        [found.estimate[0], found.ci_low[0], found.ci_high[0]],
        [alone.mean.point, alone.mean.lower, alone.mean.upper],
        rtol=SAME,
    )


def test_weights_of_the_user_are_kept(make: Make) -> None:
    yi, vi, w = [0.1, 0.5, 0.9], [0.02, 0.03, 0.05], [1.0, 2.0, 3.0]
    spec = resolve_spec("cochrane", weights="w", ci="Wald", pi="none")
    found = leave_one_out(analyse(make(yi, vi, moderators={"w": np.array(w)}), spec))
    assert found.pools.estimate[0] == pytest.approx((2 * 0.5 + 3 * 0.9) / 5, rel=SAME)


def test_rows_of_a_study_leave_together(make: Make) -> None:
    clusters = np.array([0, 0, 1, 2])
    effects = make([0.1, 0.2, 0.5, 0.9], [0.02, 0.02, 0.03, 0.05], clusters=clusters, labels=("A", "A", "B", "C"))
    analysis = analyse(effects, resolve_spec("metafor"))
    found = leave_one_out(analysis, by="study")
    assert found.labels == ("A", "B", "C")
    assert found.pools.k.tolist() == [2, 3, 3]
    by_row = leave_one_out(analysis)
    assert by_row.labels == ("A (row 2)", "A (row 3)", "B", "C")
    assert found.pools.estimate[1] == by_row.pools.estimate[2]


def test_what_flips_is_said(make: Make) -> None:
    effects = make([0.0, 0.05, -0.05, 1.2], [0.01, 0.01, 0.01, 0.01])
    same = analyse(effects, resolve_spec("metafor", model="equal"))
    found = leave_one_out(same)
    assert found.flips.tolist() == [False, False, False, True]
    assert found.sentences == ("Without study 3 the 95% interval includes no effect: 0.00 [−0.11, 0.11].",)
    assert found.sentences[0] in repr(found)


def test_one_study_leaves_nothing_and_two_leave_one(make: Make) -> None:
    one = leave_one_out(analyse(make([0.3], [0.04]), resolve_spec("cochrane")))
    assert np.isnan(one.pools.estimate).all()
    assert one.reasons == ("no effect is left",)
    assert "nothing is left" in repr(one)
    two = leave_one_out(analyse(make([0.3, 0.7], [0.04, 0.09]), resolve_spec("cochrane")))
    assert two.pools.estimate.tolist() == [0.7, 0.3]
    np.testing.assert_allclose(two.pools.se, [0.3, 0.2], rtol=SAME)
    assert np.isnan(two.pools.tau2).all()


def test_an_unknown_word_is_told(make: Make) -> None:
    with pytest.raises(OptionError, match="did you mean 'study'"):
        leave_one_out(analyse(make([0.3, 0.7], [0.04, 0.09]), resolve_spec("cochrane")), by="stud")


def test_the_frame_is_tidy_and_comes_back_to_ratios(make: Make) -> None:
    found = leave_one_out(analyse(make([0.1, 0.5, 0.9], [0.02, 0.03, 0.05], measure="RR"), resolve_spec("cochrane")))
    plain, natural = found.to_frame(), found.to_frame(transform="natural")
    assert list(plain.columns[:8]) == ["left_out", "estimate", "se", "statistic", "df", "p_value", "ci_low", "ci_high"]
    np.testing.assert_allclose(natural["estimate"], np.exp(plain["estimate"]))
    assert (set(plain["scale"]), set(natural["scale"])) == ({"log"}, {"natural"})
    with pytest.raises(OptionError):
        found.to_frame(transform="percent")


def test_measures_without_a_value_of_no_effect_flip_nothing(make: Make) -> None:
    found = leave_one_out(analyse(make([-2.0, 0.1, 0.2, -3.0], [0.02] * 4, measure="PLO"), resolve_spec("cochrane")))
    assert not found.flips.any()
    assert np.isnan(found.pools.p_value).all()


def test_the_values_of_a_column_leave_together(make: Make) -> None:
    yi, vi = [0.1, 0.5, 0.7, 0.9, -0.2, 0.4], [0.02, 0.03, 0.04, 0.05, 0.04, 0.02]
    place = np.array(["x", "y", "x", None, "y", ""], dtype=object)
    spec = resolve_spec("metafor")
    found = leave_one_out(analyse(make(yi, vi, moderators={"place": place}), spec), by="place")
    assert found.labels == ("x", "y", "(not stated)")
    for label, rest in zip(found.labels, ([1, 3, 4, 5], [0, 2, 3, 5], [0, 1, 2, 4]), strict=True):
        alone = analyse(make([yi[j] for j in rest], [vi[j] for j in rest]), spec).overall
        i = found.labels.index(label)
        assert found.pools.estimate[i] == pytest.approx(alone.mean.point, rel=SAME)
    assert "without place " in repr(found)
    with pytest.raises(OptionError, match=r"by='plac' is not known \(did you mean 'place'"):
        leave_one_out(analyse(make(yi, vi, moderators={"place": place}), spec), by="plac")


def test_small_effects_are_written_with_the_digits_that_tell_them_apart(make: Make) -> None:
    yi, vi = np.array([0.1, 0.4, -0.2, 0.9, 0.3, 0.35]), np.array([0.02, 0.05, 0.03, 0.04, 0.06, 0.01])
    found = leave_one_out(analyse(make(yi * 1e-4, vi * 1e-8), resolve_spec("cochrane")))
    assert "0.00 [0.00, 0.00]" not in repr(found)
    assert "0.000039 [0.000003, 0.000076]" in repr(found)
