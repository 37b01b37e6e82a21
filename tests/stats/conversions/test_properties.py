"""What every conversion must keep: round trips, shift, scale, order of rows, and what it makes of bad input."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from metaback.errors import OptionError
from metaback.stats.conversions import CONVERSIONS, arms, effects, five_numbers, needs, outputs, pre_post_r, spread
from metaback.stats.conversions.family import critical, z_from_p

TRIP = 1e-9  # two inversions of a quantile, each near 1e-13, times the conditioning of the example
SCALE = 1e-12  # powers of 2 and 10 apart from the last digit
BIBLIOGRAPHY = (Path(__file__).parents[3] / "references.bib").read_text(encoding="utf-8")
WIDE = {"combine-means", "combine-counts"}  # take (k, m)
TYPICAL = {
    "min": 1,
    "q1": 2,
    "median": 3,
    "q3": 5,
    "max": 9,
    "n": 40,
    "n_1": 30,
    "n_2": 20,
    "events": 7,
    "percent": 20,
    "comparisons": 2,
    "p": 0.03,
    "r": 0.4,
    "phi": 0.1,
    "chi2": 4,
    "odds_ratio": 2,
    "risk_ratio": 2,
    "ci_low": 1,
    "ci_high": 3,
    "f": 9,
    "effect": 2,
    "limit": 5,
    "se_change": 0.5,
    "mean_pre": 3,
    "mean_post": 4,
}
OPTIONS = {"delta": {"transform": "exp"}}

sds = st.floats(0.01, 1e4)
sizes = st.integers(2, 5000).map(float)
shifts = st.floats(-1e3, 1e3)
p_values = st.floats(-690.0, -1e-3).map(np.exp).map(float)
inside = st.floats(-0.999, 0.999)
units = st.sampled_from([1e-6, 0.1, 2.0, 1e6])


def one(*numbers: float) -> list[np.ndarray]:
    return [np.array([float(x)]) for x in numbers]


# ---------------------------------------------------------------- over the registry


def call(key: str, values: list[np.ndarray]) -> dict[str, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return outputs(key, CONVERSIONS[key].function(*values, **OPTIONS.get(key, {})))


def shaped(key: str, value: float, k: int = 1) -> np.ndarray:
    return np.full((k, 2) if key in WIDE else (k,), value)


@pytest.mark.parametrize("key", list(CONVERSIONS))
def test_an_entry_says_what_it_is(key: str) -> None:
    entry = CONVERSIONS[key]
    assert len(entry.title) > 3
    assert len(entry.facts["text"]) > 3
    assert entry.facts["gives"]
    assert all(re.search(rf"^@\w+{{{word},", BIBLIOGRAPHY, re.MULTILINE) for word in entry.cite)
    doc = inspect.getdoc(entry.function) or ""
    assert "Source:" in doc
    assert ">>>" in doc


def test_the_family_cannot_shrink() -> None:
    assert len(CONVERSIONS) >= 51


@pytest.mark.parametrize("key", list(CONVERSIONS))
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308, 5e-324])
def test_bad_input_gives_nan_and_no_warning(key: str, bad: float) -> None:
    names = needs(key)
    good = [shaped(key, 0.5) for _ in names]
    for place in range(len(names)):
        values = [*good]
        values[place] = shaped(key, bad)
        out = call(key, values)
        for value in out.values():
            assert value.shape == (1,)
            assert not np.isinf(value).any()
            five = names[:1] == ("min",)  # there a missing number leaves the others
            if np.isnan(bad) and not five:
                assert np.isnan(value).all()


@pytest.mark.parametrize("key", list(CONVERSIONS))
def test_rows_do_not_know_each_other(key: str) -> None:
    rng = np.random.default_rng(7)
    values = [shaped(key, float(TYPICAL.get(name, 2.0)), 6) for name in needs(key)]
    values = [v if v.ndim == 2 or np.all(v == np.floor(v)) else v * rng.uniform(0.9, 1, 6) for v in values]
    whole = call(key, values)
    assert all(np.isfinite(value).all() for value in whole.values()), key
    turned = call(key, [value[::-1] for value in values])
    for name, value in whole.items():
        np.testing.assert_array_equal(turned[name][::-1], value)
        np.testing.assert_allclose(
            [call(key, [v[i : i + 1] for v in values])[name][0] for i in range(6)], value, rtol=1e-14
        )
    assert all(part.size == 0 for part in call(key, [value[:0] for value in values]).values())


@pytest.mark.parametrize(
    ("function", "values", "option"),
    [
        (spread.sd_from_ci, 3, {"quantile": "z"}),
        (spread.pooled_sd_from_ci, 4, {"quantile": "z"}),
        (spread.sd_from_iqr, 3, {"factor": "1.35"}),
        (effects.d_from_log_odds, 2, {"method": "logit"}),
        (effects.log_odds_from_d, 2, {"method": "logit"}),
        (effects.delta_method, 2, {"transform": "ln"}),
    ],
)
def test_an_unknown_option_is_refused(function: object, values: int, option: dict) -> None:
    with pytest.raises(OptionError, match="use one of"):
        function(*one(*[1.0] * values), **option)


# ---------------------------------------------------------------- round trips


@given(sds, sizes)
def test_sd_se_sd(sd: float, n: float) -> None:
    assert spread.sd_from_se(spread.se_from_sd(*one(sd, n)), *one(n))[0] == pytest.approx(sd, rel=SCALE)


@given(st.floats(0.01, 30), sizes, sizes, st.sampled_from([-1.0, 1.0]))
def test_d_t_d(d: float, n_1: float, n_2: float, sign: float) -> None:
    groups = one(n_1, n_2)
    t = effects.t_from_d(*one(sign * d), *groups)
    assert effects.d_from_t(t, *groups)[0] == pytest.approx(sign * d, rel=SCALE)
    assert effects.d_from_f(t**2, *groups, *one(sign))[0] == pytest.approx(sign * d, rel=SCALE)


@given(st.floats(0.2, 5), p_values)
def test_se_p_se(se: float, p: float) -> None:
    effect = se * z_from_p(np.array([p]))
    back = effects.p_from_effect(effect, *one(se))
    assert np.log(back[0]) == pytest.approx(np.log(p), rel=TRIP)
    assert effects.se_from_p(effect, back)[0] == pytest.approx(se, rel=TRIP)


@given(inside, st.floats(0.001, 1))
def test_r_d_r(r: float, se: float) -> None:
    d = effects.d_from_r(*one(r, se))
    back = effects.r_from_d(d.yi, d.sei, *one(10, 10))
    assert back.yi[0] == pytest.approx(r, rel=TRIP, abs=1e-300)
    assert back.sei[0] == pytest.approx(se, rel=TRIP)


@given(sds, st.floats(0.2, 5), st.floats(-0.99, 0.99))
def test_r_sd_of_change_r(sd: float, ratio: float, r: float) -> None:
    before, after = one(sd, sd * ratio)
    change = spread.sd_change_from_r(before, after, *one(r))
    assert pre_post_r.r_from_sds(before, after, change)[0] == pytest.approx(r, abs=1e-13)


@given(st.floats(-3, 3), st.floats(0.001, 2), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_ratio_interval_ratio(yi: float, sei: float, level: float) -> None:
    z = critical(level)
    ratio = np.exp(np.array([[yi - z * sei], [yi], [yi + z * sei]]))
    out = effects.log_effect_from_ci(ratio[1], ratio[0], ratio[2], level=level)
    assert (out.yi[0], out.sei[0]) == (pytest.approx(yi, abs=1e-13), pytest.approx(sei, rel=TRIP))
    alone = effects.log_effect_from_limits(ratio[0], ratio[2], level=level)
    assert (alone.yi[0], alone.sei[0]) == (pytest.approx(yi, abs=1e-13), pytest.approx(sei, rel=TRIP))
    half = effects.log_effect_from_limit(ratio[1], ratio[0], level=level)
    assert half.sei[0] == pytest.approx(sei, rel=TRIP)


@pytest.mark.parametrize(
    ("there", "back", "low", "high"),
    [("log", "exp", 0.01, 50), ("logit", "expit", 0.001, 0.999), ("fisher", "tanh", -0.99, 0.99),
     ("sqrt", "square", 0.1, 9), ("reciprocal", "reciprocal", 0.1, 9), ("complement", "complement", 0.01, 0.99)],
)  # fmt: skip
@given(share=st.floats(0, 1), sei=st.floats(0.001, 1))
def test_delta_and_back(there: str, back: str, low: float, high: float, share: float, sei: float) -> None:
    y = low + share * (high - low)
    assume(y != 0)
    out = effects.delta_method(*one(y, sei), transform=there)
    again = effects.delta_method(out.yi, out.sei, transform=back)
    assert (again.yi[0], again.sei[0]) == (pytest.approx(y, rel=1e-11, abs=1e-300), pytest.approx(sei, rel=1e-11))


@pytest.mark.parametrize("name", list(effects.TRANSFORMS))
def test_slopes_are_those_of_the_functions(name: str) -> None:
    f, y = effects.TRANSFORMS[name], np.linspace(0.1, 0.9, 9)
    step = 1e-4
    slope = (8 * (f.value(y + step) - f.value(y - step)) - (f.value(y + 2 * step) - f.value(y - 2 * step))) / (
        12 * step
    )
    np.testing.assert_allclose(f.slope(y), slope, rtol=1e-9)
    assert (slope < 0).all() == f.decreasing


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_counts_associations_counts(n_1: int, n_2: int, data: st.DataObject) -> None:
    a = data.draw(st.integers(0, n_1))
    c = data.draw(st.integers(0, n_2))
    b, d, margins = n_1 - a, n_2 - c, one(n_1, n_2, a + c)
    wanted = [a, c]

    def check(out: arms.TwoArmCounts) -> None:
        assert [out.events_1[0], out.events_2[0]] == wanted

    if b * c > 0:
        check(arms.counts_from_odds_ratio(*one(a * d / (b * c)), *margins))
    if c > 0:
        check(arms.counts_from_risk_ratio(*one(a / n_1 / (c / n_2)), *margins))
    product = n_1 * n_2 * (a + c) * (b + d)
    if product > 0:
        phi = (a * d - b * c) / product**0.5
        check(arms.counts_from_phi(*one(phi), *margins))
        check(arms.counts_from_chi2(*one(np.sign(phi) * phi * phi * (n_1 + n_2)), *margins, yates=False))


@given(st.integers(1, 3000), st.data(), st.integers(0, 3))
def test_the_count_is_among_those_that_its_percentage_allows(n: int, data: st.DataObject, decimals: int) -> None:
    events = data.draw(st.integers(0, n))
    out = arms.events_from_percent(*one(round(100 * events / n, decimals), n), decimals=decimals)
    assert out.lowest[0] <= events <= out.highest[0]
    assert out.lowest[0] <= out.events[0] <= out.highest[0]
    if n < 100 * 10**decimals:
        assert out.lowest[0] == out.highest[0] == events


@given(st.lists(st.tuples(sizes, st.floats(-50, 50), st.floats(0, 20)), min_size=2, max_size=5), st.randoms())
def test_arms_combine_in_any_order_and_in_steps(groups: list[tuple[float, float, float]], random: object) -> None:
    def put(rows: list[tuple[float, float, float]]) -> arms.Arm:
        return arms.combine_means(*(np.array([column]) for column in zip(*rows, strict=True)))

    whole = put(groups)
    mixed = [*groups]
    random.shuffle(mixed)
    first = put(groups[:2])
    steps = put([(first.n[0], first.mean[0], first.sd[0]), *groups[2:], ]) if len(groups) > 2 else first  # fmt: skip
    for other in (put(mixed), steps):
        assert other.n[0] == whole.n[0]
        assert other.mean[0] == pytest.approx(whole.mean[0], rel=1e-10, abs=1e-10)
        assert other.sd[0] == pytest.approx(whole.sd[0], rel=1e-9, abs=1e-9)


# ---------------------------------------------------------------- shift and scale of five numbers

fives = st.lists(st.floats(0.5, 100), min_size=5, max_size=5).map(sorted)


@given(fives, st.integers(5, 2000).map(float), shifts, units)
def test_normal_estimators_move_with_the_data(row: list[float], n: float, shift: float, unit: float) -> None:
    base = five_numbers.luo_wan_shi(*one(*row, n))
    moved = five_numbers.luo_wan_shi(*one(*(unit * (x + shift) for x in row), n))
    reach = unit * (abs(shift) + 100)
    assert moved.mean[0] == pytest.approx(unit * (base.mean[0] + shift), abs=1e-12 * reach)
    assert moved.sd[0] == pytest.approx(unit * base.sd[0], abs=1e-12 * reach)
    assert row[0] - 1e-9 <= base.mean[0] <= row[4] + 1e-9
    turned = five_numbers.luo_wan_shi(*one(*(-x for x in reversed(row)), n))
    assert (turned.mean[0], turned.sd[0]) == (pytest.approx(-base.mean[0]), pytest.approx(base.sd[0]))


@given(st.lists(st.floats(1.5, 100), min_size=5, max_size=5, unique=True).map(sorted), units)
def test_quantile_estimation_moves_with_the_unit(row: list[float], unit: float) -> None:
    base = five_numbers.quantile_estimation(*one(*row, 50))
    scaled = [unit * x for x in row]
    assume(scaled[-1] >= 1)  # inside (0, 1) the beta distribution joins
    moved = five_numbers.quantile_estimation(*one(*scaled, 50))
    assert moved.loss[0] == pytest.approx(unit**2 * base.loss[0], rel=1e-7, abs=1e-18 * unit**2)
    if moved.family[0] == base.family[0]:  # two families can be as near as the last digit
        assert moved.mean[0] == pytest.approx(unit * base.mean[0], rel=1e-8)
        assert moved.sd[0] == pytest.approx(unit * base.sd[0], rel=1e-8)
