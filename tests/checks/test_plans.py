"""Rules about what is asked of the pools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.checks.plans import few_studies_wald, no_prediction_interval, own_weights, too_few_studies
from metaback.checks.quick_pools import mean_interval, prediction_limits, quick_pools, usable, whole_pools
from metaback.checks.scene import Plan, Pooled, Scene
from metaback.data.read import read_trials
from metaback.models.specs import resolve_spec

SEEDS = (1, 2, 3, 4)
KEYS = ("own-weights", "few-studies-wald", "no-prediction-interval", "too-few-studies", "heterogeneity-ignored")
TIGHT = 1e-9  # the same estimator on the same numbers


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_default_plan_has_no_finding(run: Any, means_table: Any, key: str, seed: int) -> None:
    """Nothing is said of the defaults, and all rows are looked at."""
    outcome = run(key, means_table(seed=seed))
    assert outcome.findings == ()
    assert outcome.examined == 8


@pytest.mark.parametrize("key", KEYS)
def test_a_single_effect_is_passed_over(run: Any, key: str) -> None:
    """With k = 1 there is no plan to judge."""
    outcome = run(key, pd.DataFrame({"study": ["A"], "yi": [0.1], "vi": [0.1]}))
    assert outcome.findings == ()
    assert outcome.examined == 0
    assert outcome.passed_over


def _spread_out(k: int = 6) -> pd.DataFrame:
    """Return effects that differ by more than chance."""
    return pd.DataFrame(
        {"study": [f"S{i}" for i in range(k)], "yi": np.linspace(-0.5, 1.5, k), "vi": np.linspace(0.04, 0.08, k)}
    )


# Length of stay after strokes, Normand 1999 (`dat.normand1999` of metadat): n, mean and SD of both arms.
NORMAND = (
    (155, 55, 47, 156, 75, 64),
    (31, 27, 7, 32, 29, 4),
    (75, 64, 17, 71, 119, 29),
    (18, 66, 20, 18, 137, 48),
    (8, 14, 8, 13, 18, 11),
    (57, 19, 7, 52, 18, 4),
    (34, 52, 45, 33, 41, 34),
    (110, 21, 16, 183, 31, 27),
    (60, 30, 27, 52, 23, 20),
)

# ---------------------------------------------------------------- weights


def test_weights_are_told_for_what_they_are(found: Any, means_table: Any) -> None:
    """Equal weights and numbers of people (up to a factor) are warnings, others information."""
    table = means_table()
    total = table["n_1"] + table["n_2"]
    for weights, severity, kind in ((1.0, "warning", "equal"), (total / total.sum(), "warning", "people")):
        (finding,) = found("own-weights", table.assign(w=weights), spec={"weights": "w"})
        assert (finding.severity, finding.evidence["kind"]) == (severity, kind)
    (finding,) = found("own-weights", table.assign(w=np.arange(1.0, 9)), spec={"weights": "w"})
    assert (finding.severity, finding.evidence["kind"]) == ("information", "own")


# ---------------------------------------------------------------- intervals


def test_wald_with_few_trials_shows_the_other_interval(found: Any, scene_of: Any) -> None:
    """The intervals in the finding are those of the package's own pool."""
    table = _spread_out()
    (finding,) = found("few-studies-wald", table, spec={"preset": "revman5"})
    assert finding.severity == "warning"
    pool = scene_of(table, spec={"preset": "revman5"}).pools[0]
    for rule in ("Wald", "HKSJ"):
        low, high = mean_interval(whole_pools([pool])[0], rule)
        right = mb.pool(table, preset="revman5", ci=rule).estimate
        assert (low, high) == pytest.approx((right.lower, right.upper), rel=TIGHT)
        assert f"[{low:.2f}, {high:.2f}]".replace("-", "\u2212") in finding.says


def test_the_stroke_units_are_those_of_metafor(found: Any, scene_of: Any) -> None:
    """`rma(method="DL")` of metafor 3.8-1 with z and test="knha", its prediction by hand: to the digits printed."""
    table = pd.DataFrame(NORMAND, columns=["n_1", "mean_1", "sd_1", "n_2", "mean_2", "sd_2"])
    table.insert(0, "study", [f"Trial {i}" for i in range(1, 10)])
    words = {"measure": "MD", "spec": {"preset": "revman5"}}
    (quick,) = whole_pools(scene_of(table, **words).pools[:1])
    assert quick.tau2[0] == pytest.approx(205.4094, abs=5e-5)
    assert quick.mean[0] == pytest.approx(-13.98172, abs=5e-6)
    assert mean_interval(quick, "Wald") == pytest.approx((-24.02987, -3.933578), abs=5e-6)
    assert mean_interval(quick, "HKSJ") == pytest.approx((-34.12883, 6.16539), abs=5e-6)
    assert prediction_limits(quick) == pytest.approx((-49.08244, 21.119), abs=5e-5)
    (finding,) = found("few-studies-wald", table, **words)
    assert "[\u221224.03, \u22123.93], by HKSJ [\u221234.13, 6.17]" in finding.says


def test_wald_is_fine_for_ten_or_without_spread(found: Any) -> None:
    """Ten effects, or a tau2 of 0, or a t quantile, are left."""
    words = {"preset": "revman5"}
    assert found("few-studies-wald", _spread_out(10), spec=words) == ()
    assert found("few-studies-wald", _spread_out().assign(yi=0.3), spec=words) == ()
    assert found("few-studies-wald", _spread_out(), spec=words | {"ci": "HKSJ"}) == ()


def test_a_missing_prediction_interval_is_shown(found: Any, run: Any, scene_of: Any) -> None:
    """The interval in the finding is that of the package; two effects have none."""
    (finding,) = found("no-prediction-interval", _spread_out(), spec={"pi": "none"})
    assert (finding.severity, finding.whole) == ("information", True)
    low, high = prediction_limits(whole_pools(scene_of(_spread_out()).pools[:1], Plan())[0])
    assert (low, high) == pytest.approx(mb.pool(_spread_out(), pi="t(k-1)", ci="Wald").pi, rel=TIGHT)
    outcome = run("no-prediction-interval", _spread_out(2), spec={"pi": "none"})
    assert (outcome.findings, outcome.passed_over) == (
        (),
        ("no pool of 3 effects, which a prediction interval needs",),
    )


# ---------------------------------------------------------------- models and numbers


def test_equal_effects_that_differ_are_a_warning(found: Any) -> None:
    """Information for "fixed", which means the mean of these trials; nothing where they agree."""
    (finding,) = found("heterogeneity-ignored", _spread_out(), spec={"model": "equal"})
    assert finding.severity == "warning"
    (finding,) = found("heterogeneity-ignored", _spread_out(), spec={"model": "fixed"})
    assert finding.severity == "information"
    assert found("heterogeneity-ignored", _spread_out().assign(yi=0.3), spec={"model": "equal"}) == ()


def test_small_subgroups_are_information(found: Any, means_table: Any) -> None:
    """Subgroups of one and two are named, with their numbers; three are enough; one stratum is no subgroup."""
    table = means_table().assign(stratum=["a"] * 5 + ["b"] * 2 + ["c"])
    (finding,) = found("too-few-studies", table)
    assert (finding.severity, finding.rows) == ("information", (5, 6, 7))
    assert "b (2), c (1)" in finding.says
    assert found("too-few-studies", table.assign(stratum=["a"] * 5 + ["b"] * 3)) == ()
    assert found("too-few-studies", table.assign(stratum="a").iloc[:2]) == ()


def _scene(table: pd.DataFrame, scene_of: Any, plan: Plan) -> Scene:
    """Return a scene with another plan."""
    seen = scene_of(table)
    return Scene(seen.trials, seen.pools, plan, seen.scales)


def _two_moderators(k: int) -> pd.DataFrame:
    """Return k effects with a number and a factor of two levels."""
    return _spread_out(k).assign(weeks=np.arange(k) ** 1.5, kind=["a", "b"] * (k // 2) + ["a"] * (k % 2))


def _few(table: pd.DataFrame, formula: str, **words: Any) -> list[tuple[str, str]]:
    """Return what the check says of a regression on some moderators: severities and words."""
    frame = mb.check(table, moderators=formula, **words).to_frame()
    return frame.loc[frame["rule"] == "too-few-studies", ["severity", "says"]].values.tolist()


def test_many_moderators_are_a_warning() -> None:
    """19 studies are too few for two coefficients, 20 are enough; a formula is what asks for them."""
    ((severity, says),) = _few(_two_moderators(19), "~ weeks + kind")
    assert severity == "warning"
    assert "19 studies for 2 coefficients of moderators; about 20 are needed" in says
    assert _few(_two_moderators(20), "~ weeks + kind") == []
    assert _few(_two_moderators(19), "~ weeks") == []
    assert _few(_two_moderators(9), "~ 1") == []


def test_studies_are_counted_where_their_rows_depend_on_each_other() -> None:
    """20 rows of 10 studies bear one coefficient where they are modelled, and two where they count as studies."""
    table = _two_moderators(20).assign(study=[f"S{i // 2}" for i in range(20)])
    assert "10 studies for 2 coefficients" in _few(table, "~ weeks + kind")[0][1]
    assert _few(table, "~ weeks") == []
    assert _few(table, "~ weeks + kind", independent=True) == []


def test_only_rows_with_every_moderator_are_counted() -> None:
    """A row without its moderator is in no regression, so it bears no coefficient."""
    table = _two_moderators(12)
    table.loc[:2, "weeks"] = np.nan
    assert "9 studies for 1 coefficient of moderators" in _few(table, "~ weeks")[0][1]


def test_a_regression_that_cannot_be_made_is_told_with_its_reason() -> None:
    """A factor with one level, and more coefficients than rows, are findings, not failures."""
    assert "no regression: 2 rows cannot estimate 2 coefficients" in _few(_two_moderators(2), "~ weeks")[0][1]
    assert "explains no difference" in _few(_two_moderators(9).assign(kind="a"), "~ kind")[0][1]


def test_a_formula_that_cannot_be_read_is_refused_once() -> None:
    """An unknown column is told once for a table of seven comparisons, with those that there are."""
    found = mb.check(mb.load_dataset("backpain"), moderators="~ week")
    (problem,) = found.audit.refused
    assert problem.rule.startswith("formula='~ week': 'week' is not a column (did you mean 'weeks'?)")
    assert len(found) > 1


def test_regressions_and_models_are_checked_with_their_formula() -> None:
    """`.checks` of a regression and of a multilevel model knows their coefficients, and takes no strata as groups."""
    pain = mb.load_dataset("backpain").query("outcome == 'pain'")
    fits: tuple[Any, ...] = (
        mb.regress(pain, "~ weeks + stratum"),
        mb.multilevel(pain, "CHE", formula="~ weeks + stratum"),
    )
    for fit in fits:
        says = [one.finding.says for one in fit.checks if one.finding.rule == "too-few-studies"]
        assert says == ["the pool: 18 studies for 4 coefficients of moderators; about 40 are needed."]
        assert "shared-control" in {one.finding.rule for one in fit.checks}
    assert any("18 studies for 4 moderators" in note for note in fits[1].notes)


def test_without_pools_everything_is_passed_over() -> None:
    """A scene without effects has nothing to judge, in words."""
    empty = Scene(read_trials(_spread_out(3)))
    for rule in (own_weights, few_studies_wald, no_prediction_interval, too_few_studies):
        outcome = rule(empty)
        assert (outcome.findings, outcome.examined) == ((), 0)
        assert outcome.passed_over


def test_quick_pools_are_the_pools_of_the_package() -> None:
    """Mean, tau2 and Q agree with `pool`, also where a row is missing."""
    table = _spread_out()
    for tau2 in ("DL", "REML", "0.25"):
        spec = resolve_spec(tau2=float(tau2) if tau2[0] == "0" else tau2, ci="Wald")
        y, v = table["yi"].to_numpy()[None], table["vi"].to_numpy()[None]
        mask = np.ones(y.shape, dtype=bool)
        mask[0, 2] = False
        found = quick_pools(y, v, mask, tau2)
        right = mb.pool(table.drop(index=2), tau2=spec.tau2, ci="Wald").estimate
        assert found.mean[0] == pytest.approx(right.point, rel=TIGHT)
        assert np.sqrt(found.variance[0]) == pytest.approx(right.se, rel=TIGHT)


@pytest.mark.parametrize("tau2", ["DL", "REML", "0.25"])
def test_pools_of_all_sizes_are_those_made_alone(tau2: str) -> None:
    """Padding changes no pool, and they come in the order in which they were asked for."""
    rng = np.random.default_rng(4)
    pools: list[Pooled] = []
    for k in (2, 40, 3, 5, 2, 9, 33):
        flags = np.zeros(k + 1, dtype=bool)
        y, v = rng.normal(0.3, 0.5, k + 1), rng.uniform(0.01, 0.2, k + 1)
        y[k // 2] = np.nan
        pools.append(Pooled("", np.arange(k + 1), "MD", "linear", y, v, flags, flags))
    for pool, quick in zip(pools, whole_pools(pools, Plan(tau2=tau2)), strict=True):
        ok = usable(pool)
        alone = quick_pools(pool.yi[ok][None], pool.vi[ok][None], np.ones((1, int(ok.sum())), dtype=bool), tau2)
        for name in ("mean", "variance", "tau2", "q", "p", "q1", "df", "i2"):
            (found,), (expected,) = getattr(quick, name), getattr(alone, name)
            assert found == pytest.approx(expected, rel=TIGHT, abs=TIGHT), name
    assert whole_pools([]) == ()


def test_a_pool_without_variances_is_empty() -> None:
    """Rows without an effect or with a variance of 0 are not weighed."""
    flags = np.zeros(3, dtype=bool)
    pool = Pooled(
        "", np.arange(3), "MD", "linear", np.array([1.0, 2.0, np.nan]), np.array([0.0, 1.0, 1.0]), flags, flags
    )
    assert usable(pool).tolist() == [False, True, False]
