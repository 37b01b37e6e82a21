"""The summary for a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from metaback.effects.effect_sizes import Context, EffectSizes
from metaback.models.specs import resolve_spec
from metaback.postestimation.summary import Analysis, Heterogeneity
from metaback.report.text import NEXT_STEPS, WIDTH, summary_text

EXPECTED = """\
Pain: posterior chain vs general exercise (4 effects from 3 studies, 106 participants)
Standardised mean difference (SMD), random effects (REML, HKSJ or wider), k = 4

  Estimate             −0.41  95% CI −0.74 to −0.09   t(3) = −2.91, P = 0.02
  Prediction interval  −1.21 to 0.39   (t, 3 df)
  Heterogeneity        τ² 0.101 (0 to 0.471)   I² 50% (from τ²)   Q 16.14, df 3, P = 0.04
  Subgroups by training time:
    early  k = 2  −0.41  95% CI −0.74 to −0.09   t(3) = −2.91, P = 0.02
    late   k = 2  −0.41  95% CI −0.74 to −0.09   t(3) = −2.91, P = 0.02
    difference: Q = 1.10, df 1, P = 0.29
  ! The wider interval is shown.
  ! Kell 2009 enters 2 times (row 4, row 5).
  ! Nil 2012 (row 6) is not pooled: sd_1 not given.
Next: .forest()  .to_frame()  .studies()  .report()"""


def test_summary(analysis: Analysis) -> None:
    assert summary_text(analysis) == EXPECTED


def test_the_hint_can_be_left_out(analysis: Analysis) -> None:
    assert summary_text(analysis, hint=False) == EXPECTED.removesuffix(f"\n{NEXT_STEPS}")


def test_ratio_is_back_transformed_and_unnamed(ratio: Analysis) -> None:
    text = summary_text(ratio)
    assert text.startswith("Pooled effect (4 studies, 106 participants)\nRisk ratio (RR)")
    assert "0.24  95% CI 0.19 to 0.30   z = −11.07, P < 0.001" in text


def test_without_subgroups_at_most_fourteen_lines(ratio: Analysis) -> None:
    many = tuple(f"Note {i}: " + "long words " * 20 for i in range(30))
    loud = replace(ratio, overall=replace(ratio.overall, notes=many))
    lines = summary_text(loud).splitlines()
    assert len(lines) <= 14
    assert lines[-1] == NEXT_STEPS
    assert "more notes: see .report()" in lines[-2]


def test_one_effect(make_analysis: Callable[..., Analysis], make_effects: Callable[..., EffectSizes]) -> None:
    none = Heterogeneity(0.0, 0, None, None, None, None, None, None, None, None, None)
    text = summary_text(
        make_analysis(make_effects(by=None, by_name=None), k=1, studies=1, n=None, prediction=None, heterogeneity=none)
    )
    assert "Prediction interval  not estimable (k = 1)" in text
    assert "not estimable from one effect" in text
    assert "(1 study)" in text
    assert "nan" not in text


def test_equal_effects(make_analysis: Callable[..., Analysis]) -> None:
    found = Heterogeneity(16.14, 3, 0.04, None, None, None, 81.4, None, None, None, None)
    text = summary_text(make_analysis(spec=resolve_spec(model="equal"), prediction=None, heterogeneity=found))
    assert "equal effects (Wald)" in text
    assert "Prediction" not in text
    assert "I² 81% (from Q)" in text
    assert "τ²" not in text


def test_hostile_text_cannot_steer_the_terminal(
    hostile: str, make_effects: Callable[..., EffectSizes], make_analysis: Callable[..., Analysis]
) -> None:
    effects = make_effects(
        labels=(hostile,) * 5, by=(hostile,) * 5, by_name=hostile, context=Context(hostile, hostile, hostile)
    )
    text = summary_text(make_analysis(effects, notes=(hostile,)))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert len(text.splitlines()) <= 24  # long lines of numbers go on in the next one
