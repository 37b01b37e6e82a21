"""The report of a meta-regression: whole, escaped, and the same bytes on every run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import metaback as mb
from metaback.regression import Regression
from metaback.report.bundle_io import bundle_state
from metaback.report.document import Heading, Notes, Paragraph, Table
from metaback.report.regression_page import regression_document

HOSTILE = "<script>alert(1)</script>"


def fit(formula: str = "~ dose + arm", **choices: str) -> Regression:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "study": [HOSTILE, *(f"S{i}" for i in range(13))],
            "yi": rng.normal(size=14),
            "vi": rng.uniform(0.05, 0.3, 14),
            "dose": rng.uniform(1, 9, 14),
            "arm": list("abcabcabcabcab"),
        }
    )
    frame.loc[3, "dose"] = np.nan
    return mb.regress(frame, formula, measure="GEN", **choices)


def test_the_folder_is_whole_and_the_same_on_every_run(tmp_path: Path) -> None:
    one, two = (fit().report(tmp_path / name) for name in ("one", "two"))
    names = sorted(str(path.relative_to(one)) for path in one.rglob("*") if path.is_file())
    assert names == sorted(
        [
            "manifest.json",
            "recipe.json",
            "references.bib",
            "report.html",
            "results.json",
            str(Path("tables/coefficients.csv")),
            str(Path("tables/input.csv")),
            str(Path("tables/rows.csv")),
            str(Path("tables/terms.csv")),
        ]
    )
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)
    fit().report(one)
    state = bundle_state(one)
    assert set(state.listed) == {name.replace("\\", "/") for name in names} - {"manifest.json"}
    assert (state.changed, state.missing, state.extra) == ((), (), ())


def test_tables_and_record_have_the_numbers_of_the_result(tmp_path: Path) -> None:
    found = fit()
    folder = found.report(tmp_path / "report")
    table = pd.read_csv(folder / "tables" / "coefficients.csv")
    pd.testing.assert_frame_equal(table, found.to_frame().reset_index(drop=True), rtol=1e-11, check_dtype=False)
    rows = pd.read_csv(folder / "tables" / "rows.csv")
    assert len(rows) == 14
    assert rows.loc[3, "reason"] == "no value of dose"
    assert rows["estimate"].isna().tolist() == (~rows["used"]).tolist()
    np.testing.assert_allclose(rows["pi_low"].dropna(), found.fitted_values()["pi_low"], rtol=1e-11)
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert record["schema"] == "metaback/regression"
    assert record["coefficients"] == found.to_dict()["coefficients"]
    assert record["provenance"]["options"]["formula"] == "~ dose + arm"


def test_the_page_says_what_was_left_out_and_escapes_names(tmp_path: Path) -> None:
    page = (fit().report(tmp_path / "report") / "report.html").read_text(encoding="utf-8")
    assert "left out: no value of dose" in page
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page
    assert str(tmp_path) not in page


def test_the_page_has_its_parts_in_order() -> None:
    found = fit()
    blocks = regression_document(found.analysis, title="T", record={"versions": {}}).blocks
    heads = [block.text for block in blocks if isinstance(block, Heading)]
    assert heads == [
        "Meta-regression ~ dose + arm",
        "Coefficients",
        "Residual heterogeneity",
        "Studies",
        "Methods",
        "References",
        "Provenance",
    ]
    answer = next(block.text for block in blocks if isinstance(block, Paragraph) and block.role == "answer")
    assert answer.startswith("Effects against dose and arm (13 effects): together F(3, 9) = ")
    box = next(block for block in blocks if isinstance(block, Notes))
    assert box.points == found.notes
    coefficients, terms, rows = (block for block in blocks if isinstance(block, Table))
    assert [row[0] for row in coefficients.rows] == list(found.coefficients)
    assert [row[0] for row in terms.rows] == ["dose", "arm"]
    assert len(rows.rows) == 14


@pytest.mark.parametrize(
    ("formula", "choices"), [("~ 1", {}), ("~ dose", {"model": "equal"}), ("~ dose", {"pi": "none"})]
)
def test_small_models_have_a_page_too(formula: str, choices: dict[str, str], tmp_path: Path) -> None:
    found = fit(formula, **choices)
    page = (found.report(tmp_path / "report") / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"\bnan\b", page)
    assert ("τ² was" in page) is (found.tau2 is not None)


def test_effects_without_a_measure_are_taken_as_given() -> None:
    table = pd.DataFrame({"y": [0.1, 0.4, 0.2, 0.9], "s": [0.2, 0.1, 0.3, 0.2], "x": [1.0, 2.0, 3.0, 5.0]})
    found = mb.regress(table, "~ x", effect="y", se="s")
    assert found.methods_text().startswith("Effects are taken as given, with their variances. They were regressed")
    blocks = regression_document(found.analysis, title="T", record={"versions": {}}).blocks
    words = [block.text for block in blocks if isinstance(block, Paragraph)]
    assert any(text.startswith("Effects are taken as given; model: random effects") for text in words)
