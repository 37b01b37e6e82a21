"""Contrasts in words."""

from __future__ import annotations

import pytest

from metaback.design.linear_words import linear
from metaback.errors import OptionError

TERMS = ("Intercept", "weeks", "C(g)[T.12-16 weeks]", "C(g)[T.b]:weeks", "a=b", "I(year ** 2)")


@pytest.mark.parametrize(
    ("text", "weights", "value"),
    [
        ("weeks", {1: 1}, 0),
        ("C(g)[T.12-16 weeks] - weeks = 0", {2: 1, 1: -1}, 0),
        ("2 * weeks / 4 + 1 = Intercept", {1: 0.5, 0: -1}, -1),
        ("-(weeks - C(g)[T.b]:weeks)", {1: -1, 3: 1}, 0),
        ("a=b = 2.5e1", {4: 1}, 25),
        ("3 (weeks)".replace(" (", " * ("), {1: 3}, 0),
        ("weeks \u2212 Intercept", {1: 1, 0: -1}, 0),
        ("I(year ** 2) * .5", {5: 0.5}, 0),
        ("0.1 = weeks", {1: -1}, -0.1),
    ],
)
def test_words_become_weights(text: str, weights: dict[int, float], value: float) -> None:
    found, compared = linear(text, TERMS)
    assert found.tolist() == [weights.get(i, 0) for i in range(len(TERMS))]
    assert compared == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("weks", "did you mean 'weeks'"),
        ("weeks * Intercept", "multiplies coefficients"),
        ("1 / weeks", "cannot be read"),
        ("weeks / 0", "cannot be read"),
        ("weeks weeks", "cannot be read"),
        ("weeks +", "cannot be read"),
        ("(weeks", "cannot be read"),
        ("weeks = 1 = 2", "more than one '='"),
        ("3", "has no coefficient"),
        ("weeks - weeks", "has no coefficient"),
        ("", "cannot be read"),
        ("(" * 5000 + "weeks" + ")" * 5000, "cannot be read"),
    ],
)
def test_what_is_no_contrast_is_refused(text: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        linear(text, TERMS)
    assert words in str(caught.value)
