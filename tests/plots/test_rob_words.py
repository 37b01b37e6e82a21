"""How tables spell risk of bias, and what figures draw for it."""

from __future__ import annotations

import pytest

from metaback.errors import DataError, OptionError
from metaback.plots.rob_words import JUDGEMENTS, TOOLS, read_rob, rob_columns


def keys(column: list[object], tool: str | None = None, name: str = "rob_1") -> list[str | None]:
    return [row[0].key if row[0] else None for row in read_rob({name: column}, tool=tool).cells]


@pytest.mark.parametrize(
    ("tool", "column", "read"),
    [
        ("RoB 2", ["low", "Some concerns", "HIGH", "no information", None], ["low", "some", "high", "none", None]),
        ("RoB 2", ["+", "-", "x"], ["low", "some", "high"]),  # as robvis
        ("RoB 2", ["+", "?", "-"], ["low", "some", "high"]),  # as RevMan
        ("RoB 2", ["+", "!", "\u2212"], ["low", "some", "high"]),  # as the RoB 2 tool
        ("RoB 2", ["+", "-", "x", "?"], ["low", "some", "high", "none"]),
        ("RoB 1", ["+", "?", "-"], ["low", "unclear", "high"]),
        ("ROBINS-I", ["low", "moderate", "serious", "critical"], ["low", "moderate", "serious", "critical"]),
        ("ROBINS-I", ["+", "-", "x", "!", "?"], ["low", "moderate", "serious", "critical", "none"]),
        ("PEDro", [1, 0, "yes", "no", "+", "-"], ["met", "not met", "met", "not met", "met", "not met"]),
        ("own", ["very high", "not applicable", float("nan")], ["very high", "na", None]),
    ],
)
def test_words_and_signs_of_each_tool(tool: str, column: list[object], read: list[str | None]) -> None:
    assert keys(column, tool) == read


def test_a_dash_that_nothing_settles_is_not_guessed() -> None:
    with pytest.raises(DataError, match="'-' means different judgements") as caught:
        read_rob({"rob_1": ["low", "-"], "rob_2": ["hgh", "low"]}, tool="RoB 2", rows=["row 2", "row 3"])
    assert [(p.column, p.row, p.value) for p in caught.value.problems] == [
        ("rob_1", "row 3", "-"), ("rob_2", "row 2", "hgh"),
    ]  # fmt: skip
    assert "did you mean 'high'" in str(caught.value)


def test_totals_stand_as_numbers_within_their_scale() -> None:
    table = read_rob({"rob_total": [7, "10", 0]}, tool="PEDro")
    assert [row[0].symbol for row in table.cells if row[0]] == ["7", "10", "0"]
    assert all(row[0].severity == -1 for row in table.cells if row[0])
    assert table.used == ()
    with pytest.raises(DataError, match="between 0 and 10"):
        read_rob({"rob_total": [11]}, tool="PEDro")
    assert read_rob({"rob_total": [15]}, tool="TESTEX").cells[0][0] is not None
    with pytest.raises(DataError, match="words, not numbers"):
        read_rob({"rob_1": [1]}, tool="RoB 2")


@pytest.mark.parametrize(
    ("words", "tool"),
    [
        (["low", "some concerns"], "RoB 2"),
        (["low", "serious"], "ROBINS-I"),
        (["low", "unclear"], "RoB 1"),
        (["low", "high"], "own"),
    ],
)
def test_the_tool_follows_from_the_words(words: list[str], tool: str) -> None:
    assert read_rob({"rob_1": words}).tool.key == tool


def test_domains_are_named_by_number_and_the_overall_one_is_last() -> None:
    table = read_rob({"rob_overall": ["low"], "rob_d2": ["low"], "rob_blinding_of_staff": ["low"]}, tool="RoB 2")
    assert [(d.letter, d.title, d.overall) for d in table.domains] == [
        ("A", "Deviations from intended interventions", False), ("B", "Blinding of staff", False),
        ("Overall", "Overall", True),
    ]  # fmt: skip
    assert rob_columns(["ROB_x", "robust"]) == ("ROB_x",)


def test_tools_know_their_judgements_and_scales() -> None:
    assert {key for tool in TOOLS.values() for key in tool.judgements} <= set(JUDGEMENTS)
    assert [len(TOOLS[key].domains) for key in ("RoB 2", "RoB 1", "ROBINS-I", "PEDro", "TESTEX")] == [5, 7, 7, 11, 12]
    with pytest.raises(OptionError, match="did you mean 'RoB 2'"):
        read_rob({"rob_1": ["low"]}, tool="rob2")
    with pytest.raises(OptionError, match="begin with 'rob_'"):
        read_rob({"study": ["a"]})


def test_within_a_tool_no_two_judgements_share_symbol_and_colour() -> None:
    for tool in TOOLS.values():
        if tool.key != "own":
            drawn = [(JUDGEMENTS[key].symbol) for key in tool.judgements]
            assert len(set(drawn)) == len(drawn)
