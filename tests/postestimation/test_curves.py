"""Profile curves: heights in 50 digits, where they cross the cut, and the words."""

from __future__ import annotations

from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest

from metaback.effects.effect_sizes import EffectSizes
from metaback.errors import OptionError
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.curves import profile

Make = Callable[..., EffectSizes]

YI, VI = [0.1, 0.5, -0.3, 0.9, 0.2], [0.02, 0.03, 0.05, 0.04, 0.1]
SEARCHED = 1e-7  # limits are found by bisection and golden sections on a flat top


def test_the_curve_of_the_mean_in_50_digits(make: Make) -> None:
    found = profile(analyse(make(YI, VI), resolve_spec("metafor", tau2="ML")), of="mean", values=[-0.1, 0.3, 0.6])
    with mp.workdps(50):
        y, v = [mp.mpf(a) for a in YI], [mp.mpf(a) for a in VI]
        for mean, tau2, loglik in zip(found.values, found.tau2, found.loglik, strict=True):

            def score(t: mp.mpf, at: float = mean) -> mp.mpf:
                return sum(((b - at) ** 2 / (a + t) - 1) / (a + t) for a, b in zip(v, y, strict=True))

            best = mp.findroot(score, tau2)
            top = (
                -sum(mp.log(2 * mp.pi * (a + best)) + (b - mean) ** 2 / (a + best) for a, b in zip(v, y, strict=True))
                / 2
            )
            assert loglik == pytest.approx(float(top), rel=1e-13)
            assert tau2 == pytest.approx(float(best), rel=SEARCHED)


@pytest.mark.parametrize("tau2", ["REML", "ML", "DL"])
def test_the_curve_of_tau2_crosses_the_cut_at_the_limits(make: Make, tau2: str) -> None:
    analysis = analyse(make(YI, VI), resolve_spec("metafor", tau2=tau2))
    found = profile(analysis)
    assert found.likelihood == ("ML" if tau2 == "ML" else "REML")
    assert (found.loglik <= found.top + 1e-12).all()
    at = profile(analysis, values=[found.high, found.peak])
    np.testing.assert_allclose(at.loglik, [found.cut, found.top], rtol=1e-9)
    assert found.low == 0 or profile(analysis, values=[found.low]).loglik[0] == pytest.approx(found.cut, rel=1e-9)


def test_the_curve_of_the_mean_crosses_the_cut_at_its_limits(make: Make) -> None:
    analysis = analyse(make(YI, VI), resolve_spec("metafor", ci="PL"))
    found = profile(analysis, of="mean")
    mean = analysis.overall.mean
    assert (found.low, found.high) == (mean.lower, mean.upper)
    at = profile(analysis, of="mean", values=[found.low, found.high])
    np.testing.assert_allclose(at.loglik, found.cut, rtol=SEARCHED)
    assert "Profile of the mean (ML)" in repr(found)
    assert list(found.to_frame()) == ["mean", "loglik", "drop", "tau2"]


def test_mean_and_interval_stand_at_each_tau2(make: Make) -> None:
    found = profile(analyse(make(YI, VI), resolve_spec("metafor")), values=[0.07])
    alone = analyse(make(YI, VI), resolve_spec("metafor", tau2=0.07)).overall.mean
    np.testing.assert_allclose(
        [found.estimate[0], found.ci_low[0], found.ci_high[0]], [alone.point, alone.lower, alone.upper], rtol=1e-12
    )


def test_what_has_no_profile_is_refused(make: Make) -> None:
    analysis = analyse(make(YI, VI), resolve_spec("metafor"))
    for words, match in (
        ({"of": "tau"}, "tau2"),
        ({"values": [-0.1]}, "at least 0"),
        ({"values": []}, "finite numbers"),
    ):
        with pytest.raises(OptionError, match=match):
            profile(analysis, **words)
    for bad in (
        analyse(make([0.3], [0.1]), resolve_spec("metafor")),
        analyse(make(YI, VI), resolve_spec(model="equal")),
    ):
        with pytest.raises(OptionError, match="two or more effects"):
            profile(bad)


def test_two_studies_and_no_heterogeneity(make: Make) -> None:
    for yi in ([0.3, 0.7], [0.2, 0.2]):
        found = profile(analyse(make(yi, [0.04, 0.09]), resolve_spec("metafor")))
        assert np.isfinite(found.loglik).all()
        assert found.low == 0


def test_one_value_is_enough_and_words_are_none(make: Make) -> None:
    analysis = analyse(make([1e-5, 5e-5, 9e-5], [1e-10] * 3), resolve_spec("cochrane"))
    assert profile(analysis, values=1e-9).values.tolist() == [1e-9]
    for bad in ("a", [], [[1.0]], np.nan):
        with pytest.raises(OptionError, match="one or more finite numbers"):
            profile(analysis, values=bad)  # type: ignore[arg-type]
    assert "0.0000 [" not in repr(profile(analysis))
    assert "(analysis scale)" in repr(profile(analysis, of="mean"))
