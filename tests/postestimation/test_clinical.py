"""What a pooled effect means for people: numbers, sources of what is not in the effect, and edges."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.effects.effect_sizes import Context, EffectSizes
from metaback.effects.instruments import Instrument
from metaback.errors import OptionError
from metaback.models.plans import InstrumentFacts
from metaback.models.specs import resolve_spec
from metaback.postestimation.analysis import analyse
from metaback.postestimation.clinical import (
    absolute_effect,
    control_risk,
    information_size,
    median_sd,
    people_better,
    reference_sd,
    settings_beyond,
    shared_mid,
    thresholds,
)
from metaback.postestimation.summary import Analysis

Make = Callable[..., EffectSizes]
LAST_BITS = 1e-13  # of a pooled effect that the test takes as given
SPREAD = {"yi": [-0.9, -0.5, -0.2, 0.1], "vi": [0.02, 0.03, 0.02, 0.04]}


def pooled(make: Make, spec: dict[str, str] | None = None, **fields: object) -> Analysis:
    """Pool four effects that differ."""
    numbers = {name: fields.pop(name, values) for name, values in SPREAD.items()}
    return analyse(make(numbers["yi"], numbers["vi"], **fields), resolve_spec(**(spec or {})))


def arms(sd: list[float], n: int = 20) -> dict[str, object]:
    """Return inputs with the same SD in both arms."""
    k = len(sd)
    return {"sd_1": np.array(sd), "sd_2": np.array(sd), "n_1": np.full(k, n * 1.0), "n_2": np.full(k, n * 1.0)}


def named(*names: str) -> dict[str, object]:
    """Return a column of instruments."""
    return {"instrument": np.array(names, dtype=object)}


@pytest.mark.parametrize(("measure", "mean"), [("RR", math.log(0.75)), ("OR", math.log(0.73)), ("RD", -0.062)])
def test_the_risks_of_a_pool_of_one(measure: str, mean: float, make: Make) -> None:
    """One effect with its interval: the limits are those of the effect, carried over, in 50 digits."""
    se, baseline = 0.1, 0.3
    found = absolute_effect(pooled(make, yi=[mean], vi=[se**2], measure=measure), baseline)
    assert found is not None
    with mp.workdps(50):
        z = mp.sqrt(2) * mp.erfinv(mp.mpf("0.95"))
        for end, got in zip((0, -1, 1), (found.risk.point, found.risk.low, found.risk.high), strict=True):
            effect = mp.mpf(mean) + end * z * mp.mpf(se)
            p = mp.mpf(baseline)
            ratio = mp.e**effect
            risk = {"RR": p * ratio, "OR": p * ratio / (1 - p + p * ratio), "RD": p + effect}[measure]
            assert got == pytest.approx(float(risk), rel=LAST_BITS)
    assert found.difference.point == pytest.approx(found.risk.point - baseline)
    assert found.crosses == (found.difference.low <= 0 <= found.difference.high)
    assert not found.cut


def test_a_risk_that_cannot_be_is_cut_off_and_told(make: Make) -> None:
    """RR of about 3 at a baseline of 0.6; RD of -0.4 at 0.1."""
    high = absolute_effect(pooled(make, yi=[1.1], vi=[0.01], measure="RR"), 0.6)
    low = absolute_effect(pooled(make, yi=[-0.4], vi=[0.01], measure="RD"), 0.1)
    assert high is not None
    assert high.cut
    assert high.risk.high == 1
    assert high.difference.high == 0.4
    assert low is not None
    assert low.cut
    assert low.risk.low == 0


def test_ends_of_the_baseline(make: Make) -> None:
    """At 0 a ratio changes nothing and nobody is treated for anything; at 1 an odds ratio neither."""
    for measure, baseline in (("RR", 0.0), ("OR", 0.0), ("OR", 1.0)):
        found = absolute_effect(pooled(make, measure=measure), baseline)
        assert found is not None
        assert found.difference.point == 0
        assert math.isinf(found.number.point)
        assert found.crosses
    with pytest.raises(OptionError, match="between 0 and 1"):
        absolute_effect(pooled(make, measure="RR"), 1.2)
    assert absolute_effect(pooled(make, measure="SMD"), 0.2) is None


def test_shares_of_settings_add_up(make: Make) -> None:
    """Beyond the MID on both sides and between them are all settings; the first share is on the side of the mean."""
    found = settings_beyond(pooled(make, measure="SMD"), 0.3)
    null, above, below = found
    assert [part.direction for part in found] == ["below", "above", "below"]
    assert (null.threshold, above.threshold, below.threshold) == (0, 0.3, -0.3)
    assert below.point < null.point
    assert above.point + below.point < 1


def test_shares_of_a_ratio_are_symmetric_on_the_log_scale(make: Make) -> None:
    """A MID of 0.8 and one of 1.25 are the same."""
    analysis = pooled(make, measure="RR")
    assert thresholds(analysis, 0.8) == (0.8, 1.25) == thresholds(analysis, 1.25)
    assert settings_beyond(analysis)[0].threshold == 1
    with pytest.raises(OptionError, match=r"mid=1: RR needs a ratio above 0 other than 1"):
        thresholds(analysis, 1)
    with pytest.raises(OptionError, match="MD needs a difference above 0"):
        thresholds(pooled(make, measure="MD"), -2.0)


def test_no_shares_without_tau2_or_no_effect(make: Make) -> None:
    """One effect, equal effects, and means of one group."""
    assert settings_beyond(pooled(make, yi=[0.3], vi=[0.1], measure="SMD"), 0.3) == ()
    assert settings_beyond(pooled(make, {"model": "equal"}, measure="SMD"), 0.3) == ()
    assert settings_beyond(pooled(make, measure="MN"), 0.3) == ()


def test_the_described_sd_of_the_instrument_of_most_rows(make: Make) -> None:
    """Capitals do not matter; a MID comes along; an instrument without SD is passed over."""
    effects = make(**SPREAD, measure="SMD", moderators=named("ODI", "vas ", "VAS", "NRS"), inputs=arms([1, 2, 3, 4]))
    found = reference_sd(effects, {"ODI": Instrument(sd=12), "Vas": InstrumentFacts(sd=20, mid=15)})
    assert found is not None
    assert (found.sd, found.instrument, found.mid) == (20, "Vas", 15)
    found = reference_sd(effects, {"VAS": Instrument(mid=15), "ODI": Instrument(sd=12)})
    assert found is not None
    assert found.instrument == "ODI"


def test_the_median_sd_of_the_trials(make: Make) -> None:
    """Of the instrument that most rows with SDs name, without SDs of changes; the MID of it comes along."""
    inputs = arms([10, 14, 30, math.nan])
    effects = make(**SPREAD, measure="SMD", moderators=named("VAS", "VAS", "ODI", "ODI"), inputs=inputs)
    found = reference_sd(effects, {"vas": Instrument(mid=6)})
    assert found is not None
    assert (found.sd, found.instrument, found.mid) == (pytest.approx(12), "VAS", 6)
    assert "2 pooled rows" in found.source
    kinds = ("change", "change", "final", "final")
    found = reference_sd(
        make(**SPREAD, measure="SMD", moderators=named(*["VAS"] * 4), inputs=inputs, score_types=kinds), {}
    )
    assert found is not None
    assert found.sd == pytest.approx(30)


def test_no_reference_sd(make: Make) -> None:
    """No instrument in the table, no SDs, another measure: units would be a guess."""
    bare = make(**SPREAD, measure="SMD", inputs=arms([1, 2, 3, 4]))
    assert reference_sd(bare, {}) is None
    assert reference_sd(bare, {"A": Instrument(sd=1), "B": Instrument(sd=2)}) is None
    only = reference_sd(bare, {"A": Instrument(sd=3)})
    assert only is not None
    assert only.sd == 3
    assert reference_sd(make(**SPREAD, measure="SMD", moderators=named(*["VAS"] * 4)), {}) is None
    assert reference_sd(make(**SPREAD, measure="MD", moderators=named(*["VAS"] * 4), inputs=arms([1] * 4)), {}) is None


def test_the_mid_that_all_rows_share(make: Make) -> None:
    """Only where every pooled row names the one instrument, and in its units."""
    facts = {"VAS": Instrument(mid=15)}
    assert shared_mid(make(**SPREAD, measure="MD", moderators=named(*["vas"] * 4)), facts) == (15, "VAS")
    assert shared_mid(make(**SPREAD, measure="MD", moderators=named("vas", "vas", "vas", "")), facts) is None
    assert shared_mid(make(**SPREAD, measure="SMD", moderators=named(*["vas"] * 4)), facts) is None
    assert shared_mid(make(**SPREAD, measure="MD"), facts) is None


def test_people_who_fare_better_follow_the_direction(make: Make) -> None:
    """The same effect, where lower and where higher is better: the shares add up to one, and limits stay in order."""
    both = [
        people_better(pooled(make, measure="SMD", context=Context("pain", "a", "b", better)))
        for better in (False, True)
    ]
    assert both[0] is not None
    assert both[1] is not None
    for one, other in zip(both[0], both[1], strict=True):
        assert one.point + other.point == pytest.approx(1)
        assert one.low + other.high == pytest.approx(1)
        assert one.low < one.point < one.high
    assert both[0][0].point > 0.5  # the pooled effect is below 0
    assert people_better(pooled(make, measure="MD")) is None


def test_the_size_of_information(make: Make) -> None:
    """Risks from the baseline, SMD from the MID in SDs, MD from MID and SD; None without what is needed."""
    sizes = [
        information_size(pooled(make, measure="RR"), mid=0.9, baseline=0.2),
        information_size(pooled(make, measure="SMD"), mid=0.2),
        information_size(pooled(make, measure="MD"), mid=5.0, sd=10.0),
    ]
    # 1,812: R's power.prop.test(p1 = .2, p2 = .15, power = .8) gives 905.37 per group; the others: 2 (z sd / d)^2
    assert [None if size is None else size.needed for size in sizes] == [1812, 786, 126]
    assert information_size(pooled(make, measure="RR")) is None
    assert information_size(pooled(make, measure="RR"), baseline=0.0) is None
    assert information_size(pooled(make, measure="MD"), mid=5.0) is None
    assert information_size(pooled(make, measure="ROM"), mid=5.0) is None


def test_the_median_risk_of_arm_2(make: Make) -> None:
    """Of the pooled rows with counts."""
    inputs = {"events_2": np.array([1.0, 4, 9, math.nan]), "n_2": np.array([10.0, 10, 10, 10])}
    assert control_risk(make(**SPREAD, measure="RR", inputs=inputs)) == 0.4
    assert control_risk(make(**SPREAD, measure="RR")) is None
    assert median_sd(make(**SPREAD, measure="MD", inputs=arms([4, 6, 8, math.nan]))) == pytest.approx(6)
    assert median_sd(make(**SPREAD, measure="MD")) is None


def test_effects_of_one_study_have_no_share_of_settings() -> None:
    """Several rows of one study: nothing is known of how settings differ, and nothing may fail for that."""
    frame = pd.DataFrame({"study": "Ito 2014", "instrument": ["a", "b"], "yi": [0.4, 0.3], "vi": [0.03, 0.02]})
    res = mb.pool(frame)
    assert res.analysis.dependent
    assert settings_beyond(res.analysis, mid=0.2) == ()
