"""Random formulas as text: what they mean, and what is said when they cannot be read."""

from __future__ import annotations

import pytest

from metaback.design.random_words import read_random, unknown_columns
from metaback.errors import OptionError


@pytest.mark.parametrize(
    ("text", "outer"),
    [
        ("~ 1 | study", (("study",),)),
        ("~1|study/effect", (("study",), ("study", "effect"))),
        ("~ 1 | a/b/c", (("a",), ("a", "b"), ("a", "b", "c"))),
        ("~ 1 | lab:year", (("lab", "year"),)),
        ("~ 1 | `research group`/`a/b|c`", (("research group",), ("research group", "a/b|c"))),
    ],
)
def test_nested_groupings_name_all_columns_above_them(text: str, outer: tuple[tuple[str, ...], ...]) -> None:
    (words,) = read_random([text])
    assert words.intercept
    assert words.outer == outer


def test_the_left_side_is_read_as_columns_or_as_a_formula_of_slopes() -> None:
    factor, place, slope = read_random(
        ["~ outcome | study", "~ lat + `long east` | 1", "~ 1 + weeks | study"], ["UN", "SPEXP", "GEN"]
    )
    assert (factor.columns, factor.struct) == (("outcome",), "UN")
    assert (place.columns, place.outer) == (("lat", "long east"), (("1",),))
    assert (slope.columns, slope.inner) == ((), "1 + weeks")


@pytest.mark.parametrize(
    ("random", "struct", "said"),
    [
        ([], None, "random is empty"),
        (["1 | study"], None, "begin with '~'"),
        (["~ 1"], None, "one bar is needed"),
        (["~ 1 | a | b"], None, "one bar is needed"),
        (["~ | study"], None, "nothing stands left of the bar"),
        (["~ 1 | study + lab"], None, "right of the bar stand names of columns"),
        (["~ 1 | study/"], None, "right of the bar stand names of columns"),
        (["~ 1 | 1"], None, "one intercept for all rows is the mean already"),
        (["~ 1 | effect/study"], None, "'effect' is the row itself and comes last"),
        (["~ 1 | study/study"], None, "a name stands twice"),
        (["~ outcome | study/effect"], None, "one grouping stands right of the bar"),
        (["~ outcome | effect"], None, "which cannot vary within 'effect'"),
        (["~ 1 | study", "~ 1 | study/effect"], None, "stands in '~ 1 | study' and '~ 1 | study/effect'"),
        (["~ outcome | study"], "UNN", "did you mean 'UN'?"),
        (["~ 1 | study"], "UN", "no random formula has one"),
        (["~ 1 | study"], ["UN"], "struct has 1 words for 0 formulas"),
        (["~ log(x) | study"], "UN", "needs names of columns left of the bar"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_words(
    random: list[str], struct: str | list[str] | None, said: str
) -> None:
    with pytest.raises(OptionError) as caught:
        read_random(random, struct)
    assert said in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(OptionError) as caught:
        read_random(["1 | study", "~ 1 | a + b"], "UX")
    assert all(word in str(caught.value) for word in ("begin with '~'", "right of the bar", "'UX' is not known"))


def test_unknown_columns_are_named_with_the_likely_intent() -> None:
    words = read_random(["~ outcom | study", "~ 1 | labb"], "UN")
    told = unknown_columns(words, ["study", "outcome", "lab"])
    assert told == [
        "'outcom' is not a column (did you mean 'outcome'?)",
        "'labb' is not a column (did you mean 'lab'?)",
    ]
