"""How a set of effects looks in a session."""

from __future__ import annotations

import numpy as np
import pandas as pd

import metaback as mb

HOSTILE = "<script>alert(1)</script>\u202e"


def effects(rows: int) -> mb.EffectSizes:
    table = {"study": [HOSTILE, *(f"S{i}" for i in range(rows - 1))], "yi": [0.25] * rows, "vi": [0.04] * (rows - 1)}
    table["vi"] = [*table["vi"], float("nan")]
    return mb.effect_sizes(pd.DataFrame(table))


def test_the_text_is_short_and_says_what_has_no_effect() -> None:
    text = repr(effects(12))
    assert text.splitlines()[0] == "11 of 12 rows of the data frame have an effect (GEN)"
    assert len(text.splitlines()) == 13
    assert text.splitlines()[-1] == "  ... and 2 more: see .to_frame()"
    assert "\u202e" not in text
    assert "none: its effect has neither an interval nor a standard error" in repr(effects(3))


def test_the_page_escapes_names() -> None:
    page = effects(3)._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_frame_keeps_every_row_at_full_precision() -> None:
    es = effects(3)
    frame = es.to_frame()
    assert list(frame.columns[:10]) == [
        "study", "row", "measure", "yi", "vi", "sei", "estimable", "route", "correction", "reason",
    ]  # fmt: skip
    np.testing.assert_array_equal(frame["yi"], es.yi)
    np.testing.assert_array_equal(frame["sei"], np.sqrt(es.vi))
    assert frame["estimable"].tolist() == [True, True, False]
    assert frame["reason"].tolist()[:2] == ["", ""]
    assert frame["study"][0] == HOSTILE
