"""Influence, GOSH, profile, orchard and forests of pools: what they hold is what was found, and texts stay apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import metaback as mb
from metaback.errors import EstimationError, OptionError
from metaback.plots.forest_data import forest_data
from metaback.plots.gosh import draw_gosh, draw_gosh_figure
from metaback.plots.gosh_data import FEW, gosh_data
from metaback.plots.influence import draw_influence, draw_influence_figure
from metaback.plots.influence_data import influence_data
from metaback.plots.orchard import draw_orchard, draw_orchard_figure
from metaback.plots.orchard_data import orchard_data
from metaback.plots.profile import draw_profile, draw_profile_figure
from metaback.plots.profile_data import profile_data
from metaback.plots.save import figure_bytes, svg_text
from metaback.plots.subset_forest import draw_cumulative, draw_leave_one_out
from metaback.plots.subset_forest_data import cumulative_forest_data, in_layout, leave_one_out_forest_data
from metaback.postestimation.crossings import crossings
from metaback.postestimation.curves import profile
from metaback.postestimation.number_styles import NUMBER_STYLES, p_cell

LIKE_METAFOR = 1e-6  # relative: metafor 3.8-1 printed 12 digits; it iterated to 1e-14, limits to 1e-13
ROOT = 1e-9  # relative: two ways to the root of one curve, each flat to the last digits
Clear = Callable[[Figure], None]
# dat.bcg of metadat, log risk ratios of escalc
BCG = {
    "yi": [
        -0.88931133392020545, -1.5853886572014306, -1.3480731482996933, -1.4415511900213054, -0.21754732221129558,
        -0.78611558581886398, -1.6208982235983918, 0.011952333523840508, -0.4694176487381494, -1.3713448034727844,
        -0.33935882833839059, 0.44591340057137874, -0.017313948216879815,
    ],
    "vi": [
        0.32558476500396133, 0.19458112139814385, 0.41536796536796539, 0.020010031902247573, 0.051210172169630863,
        0.0069056184559087574, 0.22301724757231517, 0.0039615792978177295, 0.056434210463248966, 0.07302479361302891,
        0.01241221397155972, 0.53250584520015276, 0.071404659683986293,
    ],
    "year": [1948, 1949, 1960, 1977, 1973, 1953, 1973, 1980, 1968, 1961, 1974, 1969, 1976],
}  # fmt: skip


def bcg(**choices: object) -> mb.Result:
    table = pd.DataFrame({"study": [f"Trial {i + 1}" for i in range(13)], "measure": "RR", **BCG})
    return mb.pool(table, preset="metafor", **choices)


def drawn(k: int, *, long: bool = False, by: bool = False) -> mb.Result:
    rng = np.random.default_rng(k)
    name = "A consortium with a name that no column can hold <b>&amp; $x_1$ \u202e, trial {}" if long else "Author {}"
    table = pd.DataFrame(
        {
            "study": [name.format(i) for i in range(k)],
            "yi": rng.normal(0.3, 0.4, k),
            "sei": rng.uniform(0.1, 0.5, k),
            "year": 1990 + np.arange(k),
            "kind": [("strength", "aerobic", "motor_control")[i % 3] for i in range(k)],
        }
    )
    return mb.pool(table, by="kind" if by else None)


# ---------------------------------------------------------------- influence


def test_influence_holds_the_numbers_of_metafor() -> None:
    data = influence_data(bcg().analysis)
    panels = {panel.key: panel for panel in data.panels}
    expected = {
        "rstudent": (-1.45120066425, 1.45008052457), "cook": (0.229481639116, 0.199177591739),
        "tau2_deleted": (0.262758148091, 0.273182929387),
    }  # fmt: skip
    for key, values in expected.items():
        assert panels[key].values[[3, 7]] == pytest.approx(values, rel=LIKE_METAFOR)
    assert panels["q_deleted"].values[7] == pytest.approx(67.9858114991, rel=LIKE_METAFOR)
    assert panels["hat"].values[7] == pytest.approx(0.101894390371, rel=LIKE_METAFOR)
    assert not data.influential.any()


def test_influence_lines_are_those_of_the_rules() -> None:
    panels = {panel.key: panel for panel in influence_data(bcg().analysis).panels}
    assert panels["dffits"].lines == pytest.approx((-3 / np.sqrt(12), 3 / np.sqrt(12)))
    assert panels["cook"].lines == pytest.approx((0.454936423119573,))  # qchisq(0.5, df = 1)
    assert panels["hat"].lines == pytest.approx((3 / 13,))
    assert panels["weight"].reference == pytest.approx(100 / 13)
    assert panels["cov_ratio"].lines == ()


def test_a_flagged_row_is_marked_and_told() -> None:
    table = pd.DataFrame({"study": list("ABCDEFGH"), "yi": [0.1, 0.12, 0.08, 0.11, 0.09, 0.1, 0.13, 2.0], "sei": 0.1})
    data = influence_data(mb.pool(table).analysis)
    assert data.outlying.tolist() == [False] * 7 + [True]
    rstudent = data.panels[0]
    assert rstudent.beyond.tolist() == [False] * 7 + [True]
    assert any("H is" in note for note in data.footnotes)
    assert "H is" in data.alt


def test_influence_of_one_study_says_that_nothing_is_left() -> None:
    data = influence_data(drawn(1).analysis)
    assert "nothing is left without it" in data.footnotes[0]
    assert not np.isfinite(data.panels[0].values).any()


def test_influence_takes_no_axes() -> None:
    ax = Figure().add_subplot()
    with pytest.raises(OptionError, match="several panels"):
        draw_influence_figure(drawn(3).analysis, ax=ax)


# ---------------------------------------------------------------- GOSH


def test_every_subset_is_in_one_cell_of_the_cloud() -> None:
    res = drawn(12)
    found = res.gosh()
    data = gosh_data(res.analysis, found, study="Author 3")
    assert found.size.size == 2**12 - 1 > FEW
    counted = sum(int(cloud.counts.sum()) for cloud in data.clouds)
    assert counted + data.beyond == 2**12 - 1 - 12  # single effects have no I2
    assert sum(cloud.size for cloud in data.clouds) == 2**12 - 1 - 12
    assert data.clouds[0].size == 2**11 - 1
    assert data.points.size == 0
    cloud = data.clouds[0]
    for share, height in zip((0.5, 0.95), cloud.outlines, strict=True):
        inside = cloud.smooth[cloud.smooth >= height].sum() / cloud.smooth.sum()
        assert share <= inside <= share + 0.02


def test_the_splitting_study_is_named() -> None:
    table = pd.DataFrame({"study": list("ABCDEFG"), "yi": [0.1, 0.15, 0.05, 0.12, 0.08, 0.1, 2.5], "sei": 0.1})
    res = mb.pool(table)
    data = gosh_data(res.analysis, res.gosh())
    assert data.split == "G"
    assert [cloud.words for cloud in data.clouds] == ["with G", "without G"]
    assert len(data.points) == 127 - 7
    assert data.members.sum() == 63
    assert any(note.startswith("G splits the cloud") for note in data.footnotes)


def test_random_subsets_tell_their_seed() -> None:
    res = drawn(30)
    data = gosh_data(res.analysis, res.gosh(n=2000, rng=11))
    assert "2,000 random subsets of 30 effects" in data.footnotes[0]
    assert "seed 11" in data.footnotes[0]
    assert "seed 11" in data.alt


def test_a_gosh_plot_of_one_effect_is_refused() -> None:
    with pytest.raises(EstimationError, match="two effects"):
        draw_gosh_figure(drawn(1).analysis)


# ---------------------------------------------------------------- profile


def test_profile_interval_of_tau2_is_that_of_metafor() -> None:
    data = profile_data(bcg().analysis)
    assert data.peak == pytest.approx(0.313243258136, rel=LIKE_METAFOR)
    assert (data.low, data.high) == pytest.approx((0.11526610574805, 0.96469532651422), rel=ROOT)
    assert data.crossings == pytest.approx([data.low, data.high], rel=ROOT)
    assert data.cut == pytest.approx(-1.920729410347062)  # half of qchisq(0.95, df = 1)
    assert data.drop.max() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("of", ["tau2", "mean"])
@pytest.mark.parametrize("k", [2, 7, 50])
def test_the_curve_is_at_its_cut_where_it_crosses(of: str, k: int) -> None:
    analysis = drawn(k).analysis
    found = profile(analysis, of=of)
    at = crossings(analysis, found)
    assert at.size >= 1
    loglik = profile(analysis, of=of, values=at).loglik
    assert loglik == pytest.approx(np.full(at.size, found.cut), abs=1e-9)  # of a log-likelihood, near its last digits
    assert at[-1] == pytest.approx(found.high, rel=ROOT)


def test_every_crossing_of_a_curve_with_two_peaks_is_found_and_told() -> None:
    table = pd.DataFrame({"study": list("ABC"), "yi": [-2.1, 0.7, 0.9], "vi": [1.322, 0.002, 0.004]})
    analysis = mb.pool(table, level=0.5).analysis
    data = profile_data(analysis)
    open_end = int(data.low == 0)
    assert data.crossings.size == 4 - open_end  # two pieces have four ends, of which 0 is no crossing
    for below, above in zip(data.crossings * (1 - 1e-6), data.crossings * (1 + 1e-6), strict=True):
        drop = profile(analysis, values=[below, above]).loglik - profile(analysis).cut
        assert drop[0] * drop[1] < 0
    assert any("1 gap" in note for note in data.footnotes)


@pytest.mark.parametrize("choices", [{"model": "equal"}, {}])
def test_profile_without_tau2_is_refused(choices: dict[str, str]) -> None:
    res = bcg(**choices) if choices else drawn(1)
    with pytest.raises(OptionError, match="needs tau2"):
        draw_profile_figure(res.analysis)


# ---------------------------------------------------------------- orchard


def test_orchard_has_each_group_and_all() -> None:
    res = drawn(21, by=True)
    data = orchard_data(res.analysis)
    groups = res.subgroups
    assert groups is not None
    assert [group.name for group in data.groups] == ["Strength", "Aerobic", "Motor control", "All effects"]
    for group, pool in zip(data.groups, [*groups.pools, res.analysis.overall], strict=True):
        assert group.mean == (pool.mean.point, pool.mean.lower, pool.mean.upper)
        assert pool.prediction is not None
        assert group.prediction == (pool.prediction.lower, pool.prediction.upper)
        assert group.effects.size == pool.k
    assert np.array_equal(data.groups[-1].precision, 1 / np.sqrt(res.effects.vi))
    assert (np.abs(data.groups[-1].places) <= 1).all()


def test_equal_effects_do_not_hide_each_other() -> None:
    table = pd.DataFrame({"study": list("ABCD"), "yi": 0.2, "sei": 0.1})
    places = orchard_data(mb.pool(table).analysis).groups[0].places
    assert len(set(places.tolist())) == 4


# ---------------------------------------------------------------- forests of pools


def test_leave_one_out_forest_holds_the_numbers_of_metafor() -> None:
    res = bcg()
    data = leave_one_out_forest_data(res.analysis, res.leave_one_out())
    assert data.rows[0].estimate == pytest.approx(-0.707083784699, rel=LIKE_METAFOR)
    assert (data.rows[7].estimate, data.rows[7].lower) == pytest.approx(
        (-0.794767604516, -1.14732139066), rel=LIKE_METAFOR
    )
    assert [column.head for column in data.columns] == ["k", "RR [95% CI]", "P", "τ²", "I²"]
    assert data.rows[7].cells == ("12", "0.45 [0.32, 0.64]", "<0.001", "0.273", "87%")
    assert data.reference == pytest.approx(-0.714532342158, rel=LIKE_METAFOR)


def test_cumulative_forest_holds_the_numbers_of_metafor() -> None:
    res = bcg()
    data = cumulative_forest_data(res.analysis, res.cumulative(order="year"))
    estimates = [data.rows[i].estimate for i in (0, 2, 12)]
    assert estimates == pytest.approx([-0.889311333920, -0.972079931813, -0.714532342158], rel=LIKE_METAFOR)
    assert data.rows[0].label == "Trial 1 (1948)"
    assert data.rows[0].cells[3:] == ("–", "–")
    assert data.rows[2].cells[3] == "0.087"


def test_a_row_that_turns_the_conclusion_is_marked() -> None:
    table = pd.DataFrame({"study": list("ABC"), "yi": [0.1, 0.12, 0.9], "sei": [0.12, 0.12, 0.2]})
    res = mb.pool(table, preset="metafor", model="equal")
    data = leave_one_out_forest_data(res.analysis, res.leave_one_out())
    flips = res.leave_one_out().flips
    assert flips.any()
    assert [row.label.endswith("‡") for row in data.rows[:3]] == flips.tolist()
    assert data.footnotes[0].startswith("‡")


def test_nothing_left_keeps_its_row() -> None:
    res = drawn(1)
    data = leave_one_out_forest_data(res.analysis, res.leave_one_out())
    assert data.rows[0].kind == "not_estimable"
    assert "Nothing is left" in data.footnotes[0]


# ---------------------------------------------------------------- pictures

DRAWERS: dict[str, Callable[..., Figure]] = {
    "influence": draw_influence_figure, "gosh": draw_gosh_figure, "profile": draw_profile_figure,
    "orchard": draw_orchard_figure, "leave-one-out": draw_leave_one_out, "cumulative": draw_cumulative,
}  # fmt: skip


@pytest.mark.parametrize("key", DRAWERS)
@pytest.mark.parametrize("k", [2, 7, 50])
def test_no_text_touches_another(key: str, k: int, all_clear: Clear) -> None:
    options = {"n": 3000} if key == "gosh" and k > 7 else {}
    figure = DRAWERS[key](drawn(k, long=k == 7, by=k > 7).analysis, title="A title", **options)
    all_clear(figure)
    assert len(figure.get_label()) > 40


def test_two_hundred_studies_have_room(all_clear: Clear) -> None:
    analysis = drawn(200, by=True).analysis
    for figure in (draw_influence(influence_data(analysis)), draw_orchard(orchard_data(analysis))):
        all_clear(figure)


@pytest.mark.parametrize("key", DRAWERS)
def test_the_same_bytes_twice_and_no_markup_of_names(key: str) -> None:
    first, second = (DRAWERS[key](drawn(7, long=True).analysis) for _ in range(2))
    assert figure_bytes(first, "svg") == figure_bytes(second, "svg")
    assert "<b>" not in svg_text(first)


@pytest.mark.parametrize("key", ["gosh", "profile", "orchard"])
def test_a_panel_is_drawn_in_given_axes(key: str) -> None:
    figure = Figure(figsize=(4, 3))
    ax = figure.add_subplot()
    assert DRAWERS[key](drawn(7).analysis, ax=ax) is figure
    assert len(ax.get_xticks()) >= 2


def test_a_ratio_has_round_ticks_of_its_own_scale() -> None:
    for figure in (
        draw_gosh(gosh_data(bcg().analysis, bcg().gosh(n=3000))),
        draw_profile(profile_data(bcg().analysis, of="mean")),
    ):
        labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
        values = [float(label) for label in labels]
        assert all(value > 0 for value in values)
        assert values == sorted(values)


@pytest.mark.parametrize("key", [*DRAWERS, "risk-of-bias"])
def test_a_result_draws_them_by_name(key: str) -> None:
    table = pd.DataFrame(
        {"study": list("ABC"), "yi": [0.1, 0.4, 0.2], "sei": 0.2, "rob_overall": ["low", "high", "low"]}
    )
    assert mb.pool(table).figure(key).get_label()


def test_the_words_of_a_profile_are_on_the_scale_of_its_axis() -> None:
    data = profile_data(bcg().analysis, of="mean")
    low, high = np.exp([data.low, data.high])
    assert f"interval {low:.2f} to {high:.2f}" in data.footnotes[0]
    assert f"{low:.2f} to {high:.2f}" in data.alt


@pytest.mark.parametrize("key", [*DRAWERS, "risk-of-bias"])
def test_names_with_controls_are_drawn_on_one_line(key: str) -> None:
    table = pd.DataFrame({"study": ["A\nB\t2001", "<script>", "$x^2$"], "yi": [0.1, 0.4, 0.2], "sei": 0.2})
    table["rob_overall"] = ["low", "high", "low"]
    words = svg_text(mb.pool(table).figure(key))  # a warning of a missing glyph would be an error here
    assert "<script" not in words


def test_every_panel_of_the_influence_of_200_studies_bears_a_number() -> None:
    figure = draw_influence(influence_data(drawn(200).analysis))
    for ax in figure.axes:
        assert [label.get_text() for label in ax.get_xticklabels() if label.get_text()]


@pytest.mark.parametrize("key", ["jama", "lancet"])
def test_p_values_of_forests_of_pools_follow_the_journal(key: str) -> None:
    """The column of P values is written as the journal writes them, head and places; tests without them have none."""
    frame = pd.DataFrame({"study": list("abcd"), "yi": [0.3, 0.61, 0.29, 0.2], "vi": 0.02})
    res = mb.pool(frame)
    found = res.leave_one_out()
    data = in_layout(leave_one_out_forest_data(res.analysis, found), key)
    style = NUMBER_STYLES[key]
    place = [column.head for column in data.columns].index(style.p_letter)
    studies = [row.cells[place] for row in data.rows if row.kind == "study"]
    assert studies == [p_cell(float(p), style) for p in found.pools.p_value]
    assert [row.cells[place] for row in data.rows if row.kind == "total"] == [p_cell(res.estimate.p_value, style)]


def test_subgroups_of_numbers_have_their_unit() -> None:
    """A level that is a number is told with the unit that its column is named by, or with the column."""
    frame = pd.DataFrame({"study": list("abcdef"), "yi": [0.3, 0.6, 0.2, 0.1, 0.4, 0.5], "vi": 0.02})
    for column, heads in (("weeks", ["6 weeks", "12 weeks"]), ("dose", ["Dose 6", "Dose 12"])):
        res = mb.pool(frame.assign(**{column: [6, 6, 6, 12, 12, 12]}), by=column)
        data = forest_data(res.analysis)
        assert [row.label for row in data.rows if row.kind == "header"] == heads
        assert heads[1].lower() in data.alt.lower()
        assert f"    {heads[0].lower()}" in str(res).lower()
