"""Records are compared value by value, entries by what they are, numbers to 1e-8."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaback.report.comparing import (
    RELATIVE,
    Change,
    changes,
    page_words,
    read_record,
    same_number,
    table_record,
    word_changes,
)

PLAIN = st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers(-(10**6), 10**6) | st.text(max_size=5)
RECORDS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        PLAIN,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (1.0, 1.0 + 0.9 * RELATIVE, True),
        (1.0, 1.0 + 1.1 * RELATIVE, False),
        (-1e-9, 1e-9, False),
        (0.0, 1e-15, True),
        (0.0, 1e-13, False),
        (math.nan, math.nan, True),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (math.inf, 1e300, False),
        (3.6e-15, 3.7e-15, False),  # a variance of very precise measurements
        (1e-100, 2e-100, False),  # a P value
        (-1e-15, 1e-15, True),
        (0.0, math.nan, False),
    ],
)
def test_the_border_of_a_number(first: float, second: float, *, same: bool) -> None:
    assert same_number(first, second) is same
    assert same_number(second, first) is same


@given(RECORDS)
def test_a_record_does_not_differ_from_itself(record: dict[str, object]) -> None:
    assert changes("a", record, json.loads(json.dumps(record))) == ()


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_number_that_differs_is_found_wherever_it_stands(old: float, new: float) -> None:
    found = changes("a", {"x": [{"y": [old]}]}, {"x": [{"y": [new]}]})
    assert bool(found) is not same_number(old, new)
    assert all((one.where, one.old, one.new) == ("x 1, y 1", old, new) for one in found)


def test_entries_are_matched_by_what_they_are() -> None:
    old = {"studies": [{"study": "A", "yi": 1.0}, {"study": "B", "yi": 2.0}, {"study": "B", "yi": 3.0}]}
    new = {"studies": [{"study": "N", "yi": 9.0}, {"study": "A", "yi": 1.0}, *old["studies"][1:]]}
    assert [(one.where, one.old, one.new) for one in changes("a", old, new)] == [
        ("N, study", None, "N"),
        ("N, yi", None, 9.0),
    ]
    new["studies"][3]["yi"] = 4.0
    assert changes("a", {"studies": [{"study": "B"}, {"study": "B", "yi": 3.0}]}, new)[-1].numeric


@pytest.mark.parametrize(
    ("name", "key"), [("consequences", "pool"), ("alternatives", "name"), ("proposals", "name"), ("findings", "id")]
)
def test_parts_of_the_check_are_matched_by_what_they_are(name: str, key: str) -> None:
    entries = [{key: "one", "k": 3}, {key: "two", "k": 4}]
    assert changes("a", {name: entries}, {name: entries[::-1]}) == ()
    (found,) = changes("a", {name: entries}, {name: [entries[1], {key: "one", "k": 5}]})
    assert (found.old, found.new) == (3, 5)
    assert found.where.endswith("one, k")


def test_a_value_that_is_not_there_is_told() -> None:
    (found,) = changes("a", {"p": 0.5, "q": None}, {})
    assert (found.old, found.new, found.relative) == (0.5, None, None)
    assert str(found) == "a: p: 0.5 became nothing"


def test_the_rows_of_a_table_are_told_apart() -> None:
    text = b"comparison,term,estimate,ci_low\n1,overall,0.5,-Inf\n1,overall,,x\n"
    rows = table_record(text)
    assert rows["1 overall"] == {"comparison": 1.0, "term": "overall", "estimate": 0.5, "ci_low": -math.inf}
    assert rows["1 overall [2]"]["estimate"] is None
    assert changes("a.csv", rows, rows) == ()
    assert json.dumps([one.to_dict() for one in changes("a.csv", rows, {})], allow_nan=False)


def test_a_page_is_read_without_its_drawings() -> None:
    page = (
        b"<title>T</title><style>p{}</style><p>One &lt; <b>two</b></p><svg><text>9</text><title>x</title></svg><p>end"
    )
    assert page_words(page) == ("T", "One <", "two", "end")
    (found,) = word_changes("a.html", page_words(page), ("T", "One <", "three", "end"))
    assert (found.old, found.new, found.where) == ("two", "three", "after 'One <'")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"3", b"\xff", b"[" * 100_000])
def test_what_is_no_record_is_none(content: bytes) -> None:
    assert read_record(content) is None


def test_a_change_without_an_end_is_json() -> None:
    change = Change("a", "ci", 1.0, math.inf)
    assert change.to_dict()["new"] == "Inf"
    assert str(change).startswith("a: ci: 1 became \u221e")
