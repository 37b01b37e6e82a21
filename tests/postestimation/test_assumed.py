"""The assumed pre-post correlation: filled where it is needed, told, and varied in one batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.data.read import read_trials
from metaback.effects.compute import effect_sizes
from metaback.effects.effect_sizes import CorrelationGrid, EffectSizes
from metaback.errors import OptionError
from metaback.models.specs import PoolSpec, resolve_spec
from metaback.postestimation import assumed
from metaback.postestimation.analysis import analyse
from metaback.report.sections import section_blocks

TIGHT = 1e-8  # metafor's REML at threshold 1e-14 keeps about ten digits of tau2
EXACT = 1e-12
GRID = (0.3, 0.5, 0.7, 0.9)
# metafor 3.8-1: escalc(measure, m1i, m2i, sd1i, sd2i, ni, ri), then rma(yi, vi, method="REML", test="knha",
# control=list(threshold=1e-14, tol=1e-14, stepadj=.5, maxiter=10000)): beta, tau2, ci.lb, ci.ub
METAFOR = {
    ("SMCC", 0.3): (0.310621501774922, 0.0169044997610469, 0.0709338034225235, 0.550309200127321),
    ("SMCC", 0.5): (0.348004805136483, 0.0249557189544088, 0.0878803295681678, 0.608129280704798),
    ("SMCC", 0.7): (0.420377328776444, 0.0467131424719425, 0.110278411935053, 0.730476245617835),
    ("SMCC", 0.9): (0.659015445785166, 0.189432085629726, 0.132552753776085, 1.18547813779425),
    ("SMCR", 0.3): (0.340056383981163, 0.0265723884830976, 0.072500858864849, 0.607611909097478),
    ("SMCR", 0.5): (0.346687052451252, 0.0303478465061447, 0.0808961602535224, 0.612477944648982),
    ("SMCR", 0.7): (0.357173963730178, 0.0365304859099665, 0.0943720469900864, 0.619975880470269),
    ("SMCR", 0.9): (0.371864150839801, 0.0448001912347228, 0.11406010999755, 0.629668191682053),
    ("MC", 0.3): (1.94360821947673, 1.23517300437843, 0.321046996454319, 3.56616944249914),
    ("MC", 0.5): (1.98855509730709, 1.34592845092247, 0.374840022002648, 3.60227017261154),
    ("MC", 0.7): (2.05718250144129, 1.55194311426789, 0.452998663765853, 3.66136633911673),
    ("MC", 0.9): (2.15119349504309, 1.88293744654904, 0.556526791829337, 3.74586019825685),
    ("ROMC", 0.3): (0.0800185648081776, 0.00181757042109955, 0.0168270022419032, 0.143210127374452),
    ("ROMC", 0.5): (0.0818681228682058, 0.00200477324004877, 0.0192357907820007, 0.144500454954411),
    ("ROMC", 0.7): (0.0845221574322651, 0.00228951761974746, 0.0227881214438964, 0.146256193420634),
    ("ROMC", 0.9): (0.088041987717482, 0.00265805797467377, 0.0277435556649581, 0.148340419770006),
}
# escalc(measure="SMCC") with r = 0.7 where none is given
SMCC_Y = [
    0.53061317531832,
    0.144296559149477,
    0.820647060407484,
    0.613923760880286,
    0.0944426284240920,
    0.62476792677167,
]
SMCC_V = [
    0.0543226271862236,
    0.0297179631909173,
    0.0742628221598735,
    0.0440167108180258,
    0.0251114926257956,
    0.079677832077419,
]


def table(*, stated: bool = True) -> pd.DataFrame:
    """Return six groups before and after, two of them with their correlation."""
    frame = pd.DataFrame(
        {
            "study": list("ABCDEF"),
            "mean_1": [24.1, 22.5, 30.2, 27.7, 25.0, 21.9],
            "sd_1": [5.1, 4.8, 6.3, 5.9, 5.5, 4.4],
            "mean_2": [21.8, 21.9, 26.1, 24.0, 24.6, 19.5],
            "sd_2": [5.6, 4.5, 6.0, 6.4, 5.2, 4.9],
            "n": [21, 34, 18, 27, 40, 15],
        }
    )
    return frame.assign(r=[np.nan, 0.62, np.nan, 0.55, np.nan, np.nan]) if stated else frame


def effects(key: str, **options: Any) -> EffectSizes:
    """Compute the effects of the table."""
    return effect_sizes(read_trials(table()), measure=key, preset="metafor", **options)


@pytest.mark.parametrize("key", ["SMCC", "SMCR", "MC", "ROMC"])
def test_the_pools_of_a_grid_are_those_of_metafor(key: str) -> None:
    spec = resolve_spec("metafor", ci="HKSJ")
    found = assumed.assumed_r(effects(key, r=0.5, r_grid=GRID), spec)
    assert found is not None
    assert (found.r, found.rows, found.grid, found.k) == (0.5, 4, GRID, (6, 6, 6, 6))
    for r, mean, tau2 in zip(found.grid, found.means, found.tau2, strict=True):
        assert mean is not None
        values = (mean.point, tau2, mean.lower, mean.upper)
        np.testing.assert_allclose(values, METAFOR[key, r], rtol=TIGHT)


def test_the_effects_under_an_assumed_correlation_are_those_of_escalc() -> None:
    found = effects("SMCC", r=0.7)
    np.testing.assert_allclose(found.yi, SMCC_Y, rtol=EXACT)
    np.testing.assert_allclose(found.vi, SMCC_V, rtol=EXACT)
    assert found.grid is not None
    assert found.grid.rows.tolist() == [True, False, True, False, True, True]
    note = (
        "A pre-post correlation of r = 0.7 was assumed in 4 rows: A (index 0), C (index 2), E (index 4), F (index 5)."
    )
    assert note in found.notes


def test_the_grid_holds_the_main_result() -> None:
    analysis = analyse(effects("SMCC", r=0.6, r_grid=(0.3, 0.9)), PoolSpec())
    assert analysis.assumed is not None
    assert analysis.assumed.grid == (0.3, 0.6, 0.9)
    main = analysis.assumed.means[1]
    assert main is not None
    mean = analysis.overall.mean
    np.testing.assert_allclose((main.point, main.lower, main.upper), (mean.point, mean.lower, mean.upper), rtol=EXACT)


def test_the_grid_is_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []
    plain = assumed.fit_univariate

    def counted(y: Any, *rest: Any, **more: Any) -> Any:
        calls.append(y.shape)
        return plain(y, *rest, **more)

    monkeypatch.setattr(assumed, "fit_univariate", counted)
    assumed.assumed_r(effects("SMCC", r=0.5, r_grid=GRID), PoolSpec())
    assert calls == [(4, 6)]


def test_a_batch_is_a_loop_over_correlations() -> None:
    res = mb.pool(table(), measure="SMCC", r=0.5, r_grid=GRID)
    for r, estimate in zip(res.r_grid["r"], res.r_grid["estimate"], strict=True):
        assert mb.pool(table(), measure="SMCC", r=r).estimate.point == pytest.approx(estimate, rel=1e-11)


CHOICES = [
    {"model": "equal"},
    {"model": "fixed"},
    {"model": "IVhet"},
    {"weights": "n"},
    {"tau2": 0.04},
    {"tau2": "PM", "ci": "HKSJ"},
    {"ci": "KR"},
    {"ci": "HC"},
    {"ci": "PL", "tau2": "ML"},
    {"ci": "perm"},
]


@pytest.mark.parametrize("choices", CHOICES, ids=str)
def test_every_model_has_its_grid(choices: dict[str, Any]) -> None:
    res = mb.pool(table(), measure="SMCC", r=0.5, r_grid=GRID, **choices)
    again = mb.pool(table(), measure="SMCC", r=0.9, **choices)
    last = res.r_grid.iloc[-1]
    wanted = (again.estimate.point, again.estimate.se, *again.ci, again.p_value)
    np.testing.assert_allclose(
        last[["estimate", "se", "ci_low", "ci_high", "p_value"]].astype(float), wanted, rtol=1e-9
    )
    if again.tau2 is not None:
        assert last["tau2"] == pytest.approx(again.tau2, rel=1e-9)


def test_without_r_the_rows_stay_with_what_to_give() -> None:
    found = effects("SMCC")
    assert found.estimable.tolist() == [False, True, False, True, False, False]
    assert found.grid is None
    assert found.reasons[0].startswith("r not given")


def test_an_r_that_no_row_needs_is_told() -> None:
    stated = read_trials(table().assign(r=0.5))
    found = effect_sizes(stated, measure="SMCC", r=0.7, r_grid=GRID)
    assert found.grid is None
    assert "No row needed the assumed pre-post correlation r = 0.7." in found.notes
    assert any("No row needed" in note for note in effect_sizes(stated, measure="MC", r=0.7).notes)


def test_a_correlation_that_is_the_effect_is_never_assumed() -> None:
    frame = pd.DataFrame({"study": ["A", "B"], "r": [0.3, np.nan], "n": [20, 30]})
    found = effect_sizes(frame, measure="COR", r=0.5)
    assert found.estimable.tolist() == [True, False]


def test_both_groups_of_a_row_are_filled() -> None:
    row = {"n_1": 20, "mean_pre_1": 30, "sd_pre_1": 6, "mean_post_1": 36, "n_2": 21, "mean_pre_2": 31, "sd_pre_2": 6.5}
    frame = pd.DataFrame([{"study": "A", **row, "mean_post_2": 32, "r_1": np.nan, "r_2": np.nan}])
    found = effect_sizes(frame, measure="DPPC2", r=0.5)
    by_hand = effect_sizes(frame.assign(r_1=0.5, r_2=0.5), measure="DPPC2")
    assert (found.yi[0], found.vi[0]) == (by_hand.yi[0], by_hand.vi[0])


def test_the_sd_of_a_change_rests_on_it_too() -> None:
    row = {"n_1": 20, "mean_change_1": 6, "sd_pre_1": 6, "sd_post_1": 6.4, "n_2": 22, "mean_change_2": 1}
    frame = pd.DataFrame([{"study": "A", **row, "sd_pre_2": 6.5, "sd_post_2": 6.1}])
    v = (36 + 6.4**2 - 6 * 6.4) / 20 + (6.5**2 + 6.1**2 - 6.5 * 6.1) / 22  # sd^2 = a^2 + b^2 - 2 r a b at r = 0.5
    for key in ("MD", "MDCH"):
        found = effect_sizes(frame, measure=key, r=0.5)
        np.testing.assert_allclose((found.yi[0], found.vi[0]), (5, v), rtol=EXACT)
        assert found.grid is not None
        assert found.score_types == ("change",)
    assert effect_sizes(frame, measure="MDCH").k == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [({"r": 1.0}, "below 1"), ({"r": "half"}, "correlation"), ({"r_grid": (0.3, 0.5)}, "r_grid needs r")],
)
def test_a_wrong_correlation_is_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        effects("SMCC", **words)


def test_effects_that_are_computed_take_no_more_choices() -> None:
    with pytest.raises(
        OptionError, match=r"r=0\.7 is for a table; these are effects already: .* say it to effect_sizes"
    ):
        mb.pool(effects("SMCC", r=0.5), r=0.7)


# ---------------------------------------------------------------- what is told


def by_hand(points: list[float]) -> EffectSizes:
    """Return effects whose pool has the given points under its grid, each with a standard error of 0.1."""
    es = effect_sizes(pd.DataFrame([{"study": "A", "yi": points[0], "vi": 0.01}]), measure="SMCC")
    r = np.array([0.3, 0.5, 0.7])[: len(points)]
    grid = CorrelationGrid(0.3, np.array([True]), r, np.array(points)[:, None], np.full((len(points), 1), 0.01))
    return EffectSizes(**{name: getattr(es, name) for name in es.__slots__} | {"grid": grid})


def test_a_conclusion_that_changes_is_told() -> None:
    spec = resolve_spec("metafor")
    (note,) = [note for note in analyse(by_hand([0.1, 0.3, 0.4]), spec).overall.notes if "depends" in note]
    assert "the interval includes no effect for r = 0.3" in note
    assert "the interval lies above no effect for r = 0.5, 0.7" in note
    assert not any("depends" in note for note in analyse(by_hand([0.3, 0.4, 0.5]), spec).overall.notes)


def test_the_report_has_the_table_and_the_words() -> None:
    res = mb.pool(table(), measure="SMCC", r=0.5, r_grid=GRID)
    (shown,) = [b for b in section_blocks(res.analysis) if getattr(b, "caption", "").startswith("Pooled effect over")]
    assert [row[0] for row in shown.rows] == ["0.3", "0.5", "0.7", "0.9"]
    assert shown.strong == (1,)
    assert "4 effects rest" in shown.caption
    assert "r = 0.5 between the measurements before and after was assumed for 4 effects" in res.methods_text()
    assert "r = 0.3, 0.7, 0.9" in res.methods_text()
    record = res.to_dict()["assumed_r"]
    assert (record["r"], record["rows"], len(record["grid"])) == (0.5, 4, 4)
    assert list(res.r_grid.columns) == [
        *("r", "estimate", "se", "statistic", "df", "p_value", "ci_low", "ci_high", "tau2", "k", "scale")
    ]
    np.testing.assert_allclose(res.r_grid["estimate"][1], res.estimate.point, rtol=1e-11)


def test_a_result_without_an_assumption_has_an_empty_grid() -> None:
    res = mb.pool(table().assign(r=0.5), measure="SMCC")
    assert res.r_grid.empty
    assert "assumed_r" not in res.to_dict()


def test_a_table_without_any_correlation_can_be_pooled_with_an_assumed_one() -> None:
    res = mb.pool(table(stated=False), measure="SMCC", r=0.5)
    assert res.k == 6
