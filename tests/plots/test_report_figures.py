"""Which figures a report has beside the forest plot, and why it lacks others."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.models.plans import Drawn
from metaback.plots.registry import FIGURES, figures_of
from metaback.plots.report_figures import MOST, LeftOut, ReportFigure, report_figures


def _pool(k: int, *, years: bool = False) -> mb.Result:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"study": [f"S{i}" for i in range(k)], "yi": rng.normal(0.3, 0.3, k), "vi": 0.05})
    if years:
        frame["year"] = 1990 + np.arange(k)
    return mb.pool(frame)


def _keys(k: int, *, years: bool = False) -> tuple[list[str], dict[str, str]]:
    found = list(report_figures(_pool(k, years=years).analysis))
    drawn = [part.key for part in found if isinstance(part, ReportFigure)]
    return drawn, {part.key: part.why for part in found if isinstance(part, LeftOut)}


@pytest.mark.parametrize(
    ("k", "drawn"),
    [
        (2, []),
        (3, ["leave-one-out"]),
        (4, ["leave-one-out", "baujat", "influence"]),
        (9, ["leave-one-out", "baujat", "influence"]),
        (10, ["funnel", "leave-one-out", "baujat", "influence"]),
    ],
)
def test_figures_appear_from_the_number_of_effects_that_they_need(k: int, drawn: list[str]) -> None:
    found, missing = _keys(k)
    assert found == drawn
    assert set(missing) == {"funnel", "leave-one-out", "baujat", "influence"} - set(drawn)
    assert k >= 10 or missing["funnel"].startswith(f"No funnel plot: with {k} studies, fewer than 10, ")
    assert k > 2 or "each row would be a single study" in missing["leave-one-out"]


def test_the_cumulative_forest_needs_years() -> None:
    assert "cumulative" not in _keys(5)[0] + list(_keys(5)[1])
    assert "cumulative" in _keys(5, years=True)[0]


def test_figures_with_too_many_rows_are_left_out() -> None:
    drawn, missing = _keys(MOST + 1)
    assert drawn == ["funnel", "baujat"]
    assert f"{MOST + 1} rows" in missing["influence"]


def test_what_a_plan_names_is_tried_and_told() -> None:
    found = list(report_figures(_pool(5).analysis, ["funnel", "labbe", "radial", "funnel"]))
    assert [part.key for part in found] == ["funnel", "labbe", "radial"]
    assert isinstance(found[0], ReportFigure)
    assert "Not to be read for asymmetry" in found[0].alt
    assert isinstance(found[1], LeftOut)
    assert "risks of two arms" in found[1].why
    assert list(report_figures(_pool(5).analysis, [])) == []


def test_every_figure_has_its_words() -> None:
    for part in report_figures(_pool(12, years=True).analysis):
        assert isinstance(part, ReportFigure)
        assert part.alt
        assert part.title == FIGURES[part.key].title
        assert part.cites == FIGURES[part.key].cite != ()
        assert part.read.endswith(".")


def test_a_plan_knows_all_figures_of_a_pool() -> None:
    """The words of the plan and the registry are the same but for the forest, which every report has."""
    assert set(get_args(Drawn)) == {entry.key for entry in figures_of("pool")} - {"forest"}


@pytest.mark.parametrize(("studies", "left_out"), [(1, "with 1 study nothing would be left."), (6, "")])
def test_words_about_dependent_effects_are_for_readers(studies: int, left_out: str) -> None:
    """What a figure cannot show is told without names of functions and their options."""
    study = np.repeat([f"Study {i}" for i in range(studies)], 3)
    frame = {
        "study": study,
        "instrument": ["a", "b", "c"] * studies,
        "yi": np.linspace(0.1, 0.6, 3 * studies),
        "vi": 0.02,
    }
    found = list(report_figures(mb.pool(pd.DataFrame(frame)).analysis))
    missing = {part.key: part.why for part in found if isinstance(part, LeftOut)}
    assert missing.get("leave-one-out", "").endswith(left_out)
    assert not any(sign in why for why in missing.values() for sign in ("(", "=", "'"))
    read = {part.key: part.read for part in found if not isinstance(part, LeftOut)}
    assert studies == 1 or read["leave-one-out"] == "Each row is the pool without the one that it names."
    assert "influence" in missing
    asked = list(report_figures(mb.pool(pd.DataFrame(frame)).analysis, ("influence",)))
    words = [part.read for part in asked if isinstance(part, ReportFigure)]
    assert studies == 1 or words[0].startswith("What the pool loses or gains with each study;")
    assert studies == 1 or "baujat" in read
